"""Sorting numbers: a network that sees one number at a time learns where each belongs, through relaxed permutations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from drawgrad._checks import check_count
from drawgrad._typing import Float, Tensor
from drawgrad.functional import assignment, fold_seed, gumbel_sinkhorn
from drawgrad.studies.runs.loop import descend, falling

__all__ = ["Errors", "Sorter", "SortingConfig", "errors", "train_sorter"]


@dataclass(frozen=True)
class SortingConfig:
    """How a sorter is trained; the defaults are those of the authors' code, but for the fall of the learning rate.

    Args:
        numbers: In a list.
        steps: Of Adam.
        batch: Lists a step.
        samples: Relaxed permutations of each list.
        iterations: How often rows and columns are normalized.
        tau: Temperature of the relaxed permutations.
        lr: Highest learning rate; it falls along a cosine to zero.
        units: Of the hidden layer.
    """

    numbers: int
    steps: int = 500
    batch: int = 10
    samples: int = 5
    iterations: int = 10
    tau: float = 1.0
    lr: float = 0.1
    units: int = 32

    def __post_init__(self) -> None:
        for name in ("numbers", "steps", "batch", "samples", "iterations", "units"):
            check_count(getattr(self, name), name, minimum=1)


class Sorter(nn.Module):
    """What each place of the sorted list is worth to a number: a network of one hidden layer, the same for all numbers.

    Args:
        numbers: In a list.
        units: Of the hidden layer.
        generator: Source of the initial weights.
    """

    def __init__(self, numbers: int, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.places = nn.Linear(1, units), nn.Linear(units, numbers)
        for layer in (self.hidden, self.places):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, lists: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch numbers places"]:
        """The scores: a row for each number, a column for each place."""
        return self.places(self.hidden(lists[..., None]).relu())


def train_sorter(
    config: SortingConfig, seed: int, listener: Callable[[int], None] = lambda step: None
) -> tuple[Sorter, list[float]]:
    """Train on lists of uniform numbers from 0 to 1: the relaxed permutation of a list shall give the sorted list.

    Args:
        config: The settings.
        seed: Of weights, lists and noise.
        listener: Told of every step.

    Returns:
        The sorter, and the mean squared difference to the sorted list at each step.
    """
    generator = torch.Generator().manual_seed(seed)
    sorter = Sorter(config.numbers, config.units, generator)
    losses = []

    def loss(step: int) -> Tensor:
        lists = torch.rand(config.batch, config.numbers, generator=generator)
        scores = sorter(lists).expand(config.samples, -1, -1, -1)
        with warnings.catch_warnings():
            # So many iterations and no more are the published recipe, whatever the sums are then.
            warnings.filterwarnings("ignore", "sinkhorn left", RuntimeWarning)
            relaxed = gumbel_sinkhorn(
                scores, config.tau, tolerance=0.0, max_iterations=config.iterations, backward="unrolled",
                seed=fold_seed(seed, step),
            )  # fmt: skip
        # Columns are places: each gets a mean of the numbers.
        placed = (lists[..., None] * relaxed).sum(-2)
        value = (placed - lists.sort(-1)[0]).square().mean()
        losses.append(value.item())
        return value

    optimizer = torch.optim.Adam(sorter.parameters(), lr=config.lr)
    for step in descend(falling(loss, optimizer, config.steps), optimizer, range(config.steps)):
        listener(step)
    return sorter, losses


@dataclass(frozen=True)
class Errors:
    """How often a sorter is wrong.

    Args:
        wrong: Share of the places that hold another number than the sorted list.
        any_wrong: Share of the lists that have such a place.
    """

    wrong: float
    any_wrong: float


@torch.no_grad()
def errors(sorter: Sorter, low: float, high: float, lists: int, seed: int) -> Errors:
    """Let a sorter sort lists of uniform numbers, each by the best permutation for its scores, without noise.

    Args:
        sorter: The sorter; computes in float64, so that numbers of a narrow interval far from zero stay apart.
        low: Where the interval of the numbers begins.
        high: Where it ends.
        lists: How many.
        seed: Of the lists.
    """
    generator = torch.Generator().manual_seed(seed)
    exact = Sorter(sorter.places.out_features, sorter.hidden.out_features, generator).double()
    exact.load_state_dict(sorter.state_dict())
    drawn = torch.rand(lists, sorter.places.out_features, dtype=torch.float64, generator=generator)
    numbers = low + (high - low) * drawn
    wrong = (numbers[..., None] * assignment(exact(numbers))).sum(-2) != numbers.sort(-1)[0]
    return Errors(float(wrong.double().mean()), float(wrong.any(-1).double().mean()))
