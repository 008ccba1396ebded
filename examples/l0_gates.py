"""How small does LeNet-300-100 become when its inputs and hidden units are gated, and at what error on MNIST?

Run: ``python -m examples.l0_gates --data-dir DATA``
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drawgrad.nn import HardConcreteGate, prune
from drawgrad.nn.pruning import Select
from drawgrad.studies.drawing import COLORS, INK, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of
from examples._shown import Digits, error, mnist, options, parameters, show, train

__all__ = ["main"]

SIZES = (784, 300, 100, 10)
WAYS: dict[str, tuple[float, float, float]] = {
    "one penalty for all weights": (0.1, 0.1, 0.1),
    "higher ones for hidden units": (0.1, 0.5, 3.0),
}
"""Penalties of a weight in units of 1/60,000, for each layer; the first is the paper's, which has 200 epochs for it."""
PRINTED = {
    "printed, one penalty for all weights": ((219, 214, 100), 1.4),
    "printed, one for each layer": ((266, 88, 33), 1.8),
}


@dataclass(frozen=True)
class Setting:
    """How much is trained: steps of a network, and seeds."""

    steps: int
    seeds: int


FULL, SHORT = Setting(2_000, 1), Setting(6, 1)


def dense(seed: int, sizes: Sequence[int] = SIZES) -> nn.Sequential:
    """The network without gates, with initial weights of a seed."""
    torch.manual_seed(seed)
    first, second, third, classes = sizes
    return nn.Sequential(
        nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU(), nn.Linear(third, classes)
    )


def gated(digits: Digits, penalties: tuple[float, float, float], steps: int, seed: int) -> nn.Sequential:
    """The network with a gate for each input and each hidden unit, trained."""
    layers = dense(seed)
    gates = [HardConcreteGate((size,), initial=start) for size, start in zip(SIZES[:3], (0.8, 0.5, 0.5), strict=True)]
    network = nn.Sequential(gates[0], *layers[:2], gates[1], *layers[2:4], gates[2], layers[4])

    def penalty(step: int) -> Tensor:
        # A gate pays for the weights that it closes: those that lead from its unit to the next layer.
        each = zip(gates, penalties, SIZES[1:], strict=True)
        return sum((weight * size * gate.expected_l0() for gate, weight, size in each), torch.zeros(())) / 60_000

    train(network, digits, steps, seed, extra=penalty, groups=groups(layers, gates))
    return network


def groups(layers: nn.Module, gates: Sequence[nn.Module]) -> list[dict[str, Any]]:
    """Gates learn faster than weights: there are fewer steps than in the paper for them to close."""
    learned = [parameter for gate in gates for parameter in gate.parameters()]
    return [{"params": list(layers.parameters())}, {"params": learned, "lr": 5e-2}]


def sizes_of(network: nn.Sequential) -> list[int]:
    """Inputs and hidden units of a pruned network."""
    return [layer.in_features for layer in network if isinstance(layer, nn.Linear)]


def largest(digits: Digits, sizes: Sequence[int], steps: int, seed: int) -> nn.Sequential:
    """The naive way: a dense network is trained, keeps the units with the largest weights, and is trained on."""
    network = train(dense(seed), digits, steps // 2, seed)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for number, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
            kept = layer.weight.norm(dim=0).topk(size)[1].sort()[0]
            layer.weight = nn.Parameter(layer.weight[:, kept])
            if number:
                before = layers[number - 1]
                before.weight, before.bias = nn.Parameter(before.weight[kept]), nn.Parameter(before.bias[kept])
            else:
                inputs = kept
    return train(nn.Sequential(Select(inputs, -1), *network), digits, steps // 2, seed)


def times(networks: Sequence[nn.Module], images: Tensor, calls: int = 15) -> list[float]:
    """Milliseconds that each network takes for all images: medians of calls in turn."""
    found: list[list[float]] = [[] for _ in networks]
    with torch.no_grad():
        for _ in range(calls):
            for network, column in zip(networks, found, strict=True):
                start = time.perf_counter()
                network(images)
                column.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(column) for column in found]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, prune, compare and show."""
    chosen = options(__doc__, arguments)
    setting = SHORT if chosen.short else FULL
    digits = mnist(chosen)
    cells, found = measured(digits, setting)
    title = "LeNet-300-100 on MNIST with gated inputs and units: what is left, and percent of the test images misread"
    show(chosen, "l0-gates", title, cells, lambda figure: drawn(figure, found))


def measured(digits: Digits, setting: Setting) -> tuple[list[Measurement], dict[str, list[tuple[int, float]]]]:
    """The table, and for each way and seed the numbers that are left with the error."""
    seeds = range(setting.seeds)
    plain = [train(dense(seed), digits, setting.steps, seed) for seed in seeds]
    found = {"dense": [(parameters(network), error(network, digits)) for network in plain]}
    cells = row("dense", [SIZES[:3]] * setting.seeds, [wrong for _, wrong in found["dense"]])
    for way, penalties in WAYS.items():
        rows: list[tuple[int, float]] = []
        naive: list[tuple[int, float]] = []
        sizes, ratios = [], []
        for seed in seeds:
            network = gated(digits, penalties, setting.steps, seed)
            smaller = prune(network, example=digits.test)
            sizes.append(sizes_of(smaller))
            rows.append((parameters(smaller), error(smaller, digits)))
            of_dense, of_smaller = times([plain[seed], smaller], digits.test)
            ratios.append(of_dense / of_smaller)
            other = largest(digits, sizes[-1], setting.steps, seed)
            naive.append((parameters(other), error(other, digits)))
        found[f"gates, {way}"] = rows
        found[f"largest weights, {way}"] = naive
        cells += row(f"gates, {way}", sizes, [wrong for _, wrong in rows])
        cells.append(mean_of(f"gates, {way}", "time of the dense network over its own", ratios, "x"))
        cells += row(f"as many, by largest weights, {way}", sizes, [wrong for _, wrong in naive])
    for words, (left, wrong) in PRINTED.items():
        cells += row(words, [left], [wrong])
    return cells, found


def row(case: str, sizes: Sequence[Sequence[int]], wrong: Sequence[float]) -> list[Measurement]:
    """Sizes and error of one way."""
    names = ("inputs", "first layer", "second layer")
    counted = [mean_of(case, name, column) for name, column in zip(names, zip(*sizes, strict=True), strict=True)]
    return [*counted, mean_of(case, "error", wrong, "%")]


def drawn(figure: Any, found: dict[str, list[tuple[int, float]]]) -> None:
    """Errors over the numbers that are left."""
    axes = figure.add_subplot()
    signs = []
    for color, (way, points) in zip(COLORS, found.items(), strict=False):
        axes.plot(*zip(*points, strict=True), "o", color=color, ms=6)
        signs.append(sign(way.replace("one penalty for all weights", "one penalty"), color, ls="none", marker="o"))
    for marker, (words, ((inputs, first, second), wrong)) in zip("*P", PRINTED.items(), strict=True):
        numbers = inputs * first + first * second + 10 * second + first + second + 10
        axes.plot([numbers], [wrong], marker, color=INK, ms=8)
        signs.append(sign(words.removesuffix(" for all weights"), ls="none", marker=marker))
    axes.set_xscale("log")
    axes.set_ylim(0, None)
    plain_axes(axes, "What is left of LeNet-300-100", "weights and biases", "test images misread, %")
    titled(figure, "Gates with an L0 penalty on MNIST", signs)


if __name__ == "__main__":
    main()
