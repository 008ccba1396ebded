"""Does a learned choice of operations find a better small convolutional network for MNIST than random search?

Run: ``python -m examples.operation_search --data-dir DATA``
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from drawgrad.nn import OperationMixer
from drawgrad.studies.drawing import COLORS, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of
from examples._shown import Digits, error, mnist, options, parameters, show, train

__all__ = ["main"]

CHANNELS, PLACES, TRIES = 8, 3, 6
"""Channels of the cell, its places for operations, and how many networks random search tries."""

OPERATIONS: dict[str, Callable[[], nn.Module]] = {
    "nothing": nn.Identity,
    "pool": lambda: nn.MaxPool2d(3, 1, 1),
    "3 x 3": lambda: _convolution(3, 1),
    "5 x 5": lambda: _convolution(5, 1),
    "3 x 3, each channel": lambda: _convolution(3, CHANNELS),
}


def _convolution(size: int, groups: int) -> nn.Module:
    layer = nn.Conv2d(CHANNELS, CHANNELS, size, padding=size // 2, groups=groups)
    return nn.Sequential(layer, nn.ReLU(), nn.GroupNorm(1, CHANNELS))


def around(cell: Sequence[nn.Module]) -> nn.Sequential:
    """A network for rows of pixels, which are halved in height and width, with a cell between stem and head."""
    stem = [nn.Unflatten(1, (1, 28, 28)), nn.AvgPool2d(2), nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*stem, *cell, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(CHANNELS * 49, 10))


def plain(architecture: Sequence[int], seed: int) -> nn.Sequential:
    """The network with these operations, untrained."""
    torch.manual_seed(seed)
    kinds = list(OPERATIONS.values())
    return around([kinds[number]() for number in architecture])


def searched(runs: Any, digits: Digits, steps: int, seed: int) -> list[int]:
    """Architecture that mixers learn together with their operations."""
    torch.manual_seed(seed)
    mixers = [OperationMixer([make() for make in OPERATIONS.values()], runs=runs) for _ in range(PLACES)]
    network = around(mixers)
    logits = [mixer.logits for mixer in mixers]
    others = [p for p in network.parameters() if all(p is not one for one in logits)]
    train(network, digits, steps, seed, groups=[{"params": others}, {"params": logits, "lr": 2e-2}], lr=3e-3)
    return [int(mixer.chosen()) for mixer in mixers]


def tried(digits: Digits, steps: int, seed: int) -> list[int]:
    """The best of some random architectures, each trained for its share of the steps, by held-out images."""
    generator = torch.Generator().manual_seed(seed)
    held = len(digits.train) // 6
    parts = Digits(digits.train[held:], digits.labels[held:], digits.train[:held], digits.labels[:held])
    found = []
    for number in range(TRIES):
        architecture = torch.randint(len(OPERATIONS), (PLACES,), generator=generator).tolist()
        network = train(plain(architecture, number), parts, max(steps // TRIES, 1), seed, lr=3e-3)
        found.append((error(network, parts), architecture))
    return min(found)[1]


def drawn_once(digits: Digits, steps: int, seed: int) -> list[int]:
    """Any architecture: the naive way."""
    return torch.randint(len(OPERATIONS), (PLACES,), generator=torch.Generator().manual_seed(100 + seed)).tolist()


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, train what was found from the start, and show."""
    chosen = options(__doc__, arguments)
    seeds, steps, last = (1, 6, 2) if chosen.short else (2, 200, 200)
    digits = mnist(chosen, 12_000)
    ways: dict[str, Callable[[int], list[int]]] = {
        "one at random": lambda seed: drawn_once(digits, steps, seed),
        f"random search, best of {TRIES}": lambda seed: tried(digits, steps, seed),
        "mixer, the drawn operation runs": lambda seed: searched("chosen", digits, steps, seed),
        "mixer, all run": lambda seed: searched("all", digits, steps, seed),
        "mixer, expectation": lambda seed: searched("expectation", digits, steps, seed),
        "largest operation everywhere": lambda seed: [list(OPERATIONS).index("5 x 5")] * PLACES,
    }
    cells: list[Measurement] = []
    found: dict[str, list[tuple[int, float]]] = {}
    for way, search in ways.items():
        networks = [train(plain(search(seed), seed), digits, last, seed, lr=3e-3) for seed in range(seeds)]
        found[way] = [(parameters(network), error(network, digits)) for network in networks]
        cells.append(mean_of(way, "error", [wrong for _, wrong in found[way]], "%"))
        cells.append(mean_of(way, "weights and biases", [float(count) for count, _ in found[way]]))
    title = (
        f"MNIST at 14 x 14, {PLACES} places for {len(OPERATIONS)} operations: {steps} steps of search, then training"
    )
    show(chosen, "operation-search", title, cells, lambda figure: drawn(figure, found))


def drawn(figure: Any, found: dict[str, list[tuple[int, float]]]) -> None:
    """Errors over sizes."""
    axes = figure.add_subplot()
    signs = []
    for color, (way, points) in zip(COLORS, found.items(), strict=False):
        axes.plot(*zip(*points, strict=True), "o", color=color)
        signs.append(sign(way, color, ls="none", marker="o"))
    plain_axes(axes, "Each dot is a seed", "weights and biases", "test images misread, %")
    titled(figure, "Networks that were found, trained from the start", signs)


if __name__ == "__main__":
    main()
