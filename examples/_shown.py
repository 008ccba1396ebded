"""What the examples share: their options, labeled digits, a training loop, and how a result is shown."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import RESULTS, ROOT
from drawgrad._tables import text_table
from drawgrad.studies.data import load
from drawgrad.studies.data.labels import load_mnist_labels
from drawgrad.studies.records import Measurement, tabulated, write
from drawgrad.studies.runs.loop import descend, falling

__all__ = ["Digits", "Options", "error", "mnist", "options", "parameters", "show", "train"]

TOGETHER = 1000
"""Images that are looked at in one call."""


@dataclass(frozen=True)
class Options:
    """What a script is told on the command line.

    Attributes:
        short: whether to run with little data and few steps.
        data: folder of the data; None downloads them.
        out: folder for record and figure; None is where the repository keeps them, or nowhere if it is a short run.
        begun: when the script started.
    """

    short: bool
    data: Path | None
    out: Path | None
    begun: float = field(default_factory=time.perf_counter)


def options(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line, and compute on one thread: small networks are slower on several, and their sums others."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="little data and few steps: shows that it runs")
    parser.add_argument("--data-dir", type=Path, help="folder with mnist/ and text/ (default: download into a cache)")
    parser.add_argument("--out", type=Path, help="folder for record and figure (default: results/ and docs/figures/)")
    chosen = parser.parse_args(arguments)
    return Options(chosen.short, chosen.data_dir, chosen.out)


class Digits(NamedTuple):
    """MNIST with labels; pixels from 0 to 1, a row each."""

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor


def mnist(chosen: Options, most: int = 60_000) -> Digits:
    """The training images, ``most`` of them, and the test images; 600 of each in a short run."""
    images, (labels, test_labels) = load("mnist", chosen.data), load_mnist_labels(chosen.data)
    count, tests = (600, 600) if chosen.short else (most, len(images.test))
    train, test = torch.cat([images.train, images.valid])[:count], images.test[:tests]
    return Digits(train.float() / 255, labels[:count], test.float() / 255, test_labels[:tests])


def train(
    network: nn.Module,
    digits: Digits,
    steps: int,
    seed: int,
    *,
    groups: Sequence[dict[str, Any]] | None = None,
    extra: Callable[[int], Tensor] | None = None,
    batch: int = 100,
    lr: float = 1e-3,
) -> nn.Module:
    """Minimize the cross entropy by Adam, with a learning rate that falls along a cosine to zero.

    Args:
        network: images, as rows, to logits.
        digits: what it is trained on.
        steps: how many.
        seed: of the order of the images, and of what the network draws.
        groups: of parameters, as optimizers take them; those of the network if None.
        extra: what is added to the loss of a step.
        batch: images a step.
        lr: learning rate at the start.

    Returns:
        The network, in ``eval()``.
    """
    torch.manual_seed(seed)
    network.train()
    optimizer = torch.optim.Adam(list(groups) if groups else network.parameters(), lr=lr, fused=True)
    order: list[Tensor] = []

    def loss(step: int) -> Tensor:
        if not order:
            order.extend(torch.randperm(len(digits.train)).split(batch))
        rows = order.pop()
        value = nn.functional.cross_entropy(network(digits.train[rows]), digits.labels[rows])
        return value if extra is None else value + extra(step)

    for _ in descend(falling(loss, optimizer, steps), optimizer, range(steps)):
        pass
    return network.eval()


@torch.no_grad()
def error(network: nn.Module, digits: Digits) -> float:
    """Percent of the test images that are taken for another digit."""
    parts = zip(digits.test.split(TOGETHER), digits.test_labels.split(TOGETHER), strict=True)
    wrong = sum(int((network(images).argmax(-1) != labels).sum()) for images, labels in parts)
    return 100 * wrong / len(digits.test)


def parameters(network: nn.Module) -> int:
    """How many numbers a network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def show(
    chosen: Options,
    name: str,
    title: str,
    cells: Sequence[Measurement],
    draw: Callable[[Any], None],
    spread: str = "standard error over seeds",
    size: tuple[float, float] = (9.0, 3.6),
) -> None:
    """Print a result as a table, and leave it as a record with a figure.

    Args:
        chosen: the options of the script.
        name: of the record and of the figure.
        title: one line above both.
        cells: the result.
        draw: draws the figure.
        spread: what the uncertainties of the cells are.
        size: of the figure, in inches.
    """
    print(title, text_table(*tabulated(cells), "<>"), sep="\n\n")
    if chosen.short and chosen.out is None:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    records, figures = (chosen.out, chosen.out) if chosen.out else (RESULTS, ROOT / "docs" / "figures")
    records.mkdir(parents=True, exist_ok=True)
    command = f"python -m examples.{name.replace('-', '_')}{' --short' if chosen.short else ''}"
    seconds = time.perf_counter() - chosen.begun
    write(name, title, cells, spread=spread, command=command, seconds=seconds, folder=records)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    figure.savefig(figures / f"{name}.png", dpi=110)
