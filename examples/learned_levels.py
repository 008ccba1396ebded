"""What do 2, 3 and 4 bits a weight cost LeNet-300-100 on MNIST, rounded after training or trained with its rounding?

Run: ``python -m examples.learned_levels --data-dir DATA``
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from drawgrad.nn import LearnedLevels
from drawgrad.studies.drawing import COLORS, plain_axes, sign, titled
from drawgrad.studies.records import mean_of
from examples._shown import error, mnist, options, show, train
from examples.l0_gates import dense

__all__ = ["main"]

BITS = (2, 3, 4)
PENALTY = 0.3
"""Weight of the mean number of bits in the loss, where it is chosen for each unit."""


def levels_of(network: nn.Sequential, bits: int | Sequence[int]) -> list[LearnedLevels]:
    """Round all weights of a network from now on, each output of a layer with a scale of its own."""
    made = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            levels = LearnedLevels(layer.weight.shape, bits).fit(layer.weight.detach())
            parametrize.register_parametrization(layer, "weight", levels)
            made.append(levels)
    return made


@torch.no_grad()
def frozen(network: nn.Sequential) -> tuple[nn.Sequential, int]:
    """The network with the integers' weights, and the bits that they take."""
    plain, size = dense(0), 0
    for layer, rounded in zip(plain, network, strict=True):
        if isinstance(layer, nn.Linear):
            pair: Any = rounded.parametrizations["weight"]
            integers = pair[0].freeze(pair.original)
            size += integers.size
            layer.weight.copy_(integers.dequantize())
            layer.bias.copy_(rounded.bias)
    return plain.eval(), size


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, round, train with rounding, freeze, and show."""
    chosen = options(__doc__, arguments)
    seeds, steps, further = (1, 10, 3) if chosen.short else (2, 800, 300)
    digits = mnist(chosen)
    starts = [train(dense(seed), digits, steps, seed) for seed in range(seeds)]
    # As long as those that are trained with rounding.
    plain = [error(train(copy.deepcopy(start), digits, further, 7), digits) for start in starts]
    weights = sum(layer.weight.numel() for layer in dense(0) if isinstance(layer, nn.Linear))
    found: dict[str, dict[float, list[float]]] = {
        "rounded after training": {},
        "trained with rounding": {},
        "chosen": {},
    }
    cells = [mean_of("32 bits", "error", plain, "%"), mean_of("32 bits", "bits a weight", [32.0])]
    for bits in (*BITS, BITS):
        after, before, sizes = [], [], []
        for seed, start in enumerate(starts):
            network = copy.deepcopy(start)
            levels = levels_of(network, bits)
            if isinstance(bits, int):
                after.append(error(frozen(network)[0], digits))

            def penalty(step: int, levels: list[LearnedLevels] = levels) -> Tensor:
                return PENALTY * sum((one.expected_size() for one in levels), torch.zeros(())) / weights

            logits = [one.logits for one in levels if one.logits is not None]
            others = [p for p in network.parameters() if all(p is not one for one in logits)]
            groups = [{"params": others}, {"params": logits, "lr": 3e-2}]
            train(network, digits, further, seed + 7, extra=penalty if logits else None, groups=groups)
            integers, size = frozen(network)
            before.append(error(integers, digits))
            sizes.append(size / weights)
        case = f"{bits} bits" if isinstance(bits, int) else "2, 3 or 4 bits, chosen for each unit"
        if after:
            cells.append(mean_of(case, "error, rounded after training", after, "%"))
            found["rounded after training"][sum(sizes) / len(sizes)] = after
        cells += [mean_of(case, "error", before, "%"), mean_of(case, "bits a weight", sizes)]
        found["trained with rounding" if after else "chosen"][sum(sizes) / len(sizes)] = before
    title = "LeNet-300-100 on MNIST with few bits a weight, scales included: test images misread"
    show(chosen, "learned-levels", title, cells, lambda figure: drawn(figure, found, plain))


def drawn(figure: Any, found: dict[str, dict[float, list[float]]], plain: Sequence[float]) -> None:
    """Errors over the size."""
    axes = figure.add_subplot()
    signs = []
    for color, (way, points) in zip(COLORS[1:], found.items(), strict=False):
        at = [size for size, values in points.items() for _ in values]
        axes.plot(at, [value for values in points.values() for value in values], "o", color=color)
        signs.append(sign(way, color, ls="none", marker="o"))
    axes.axhline(sum(plain) / len(plain), color=COLORS[0], lw=1)
    plain_axes(axes, "Each dot is a seed", "bits a weight, scales included", "test images misread, %")
    titled(figure, "LeNet-300-100 on MNIST with few bits", [*signs, sign("32 bits", COLORS[0], lw=1)])


if __name__ == "__main__":
    main()
