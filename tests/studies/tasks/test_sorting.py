"""Sorting numbers through relaxed permutations."""

from __future__ import annotations

import pytest
import torch

from drawgrad.studies.tasks.sorting import Errors, Sorter, SortingConfig, errors, train_sorter

INTERVALS = [(0, 1), (10, 11), (1000, 1001)]


def sorter(numbers: int, slope: float) -> Sorter:
    """Later places are worth more to larger numbers, or less if the slope is negative."""
    made = Sorter(numbers, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.hidden.weight.fill_(1.0)
        made.places.weight.copy_(slope * torch.arange(numbers)[:, None])
    return made


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_scores_that_sort_make_no_errors(low: float, high: float) -> None:
    # Among 40 numbers from 1000 to 1001, float32 would take two for equal in one list of twenty.
    assert errors(sorter(40, 1.0), low, high, lists=100, seed=0) == Errors(0.0, 0.0)


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_scores_that_sort_the_other_way_round_make_all(low: float, high: float) -> None:
    # Of an even number of places none keeps its number.
    assert errors(sorter(6, -1.0), low, high, lists=20, seed=0) == Errors(1.0, 1.0)


def test_places_and_lists_are_counted_apart() -> None:
    swapped = sorter(6, 1.0)
    with torch.no_grad():
        swapped.places.weight.copy_(torch.tensor([1.0, 0.0, 2.0, 3.0, 4.0, 5.0])[:, None])
    found = errors(swapped, 0, 1, lists=30, seed=0)
    assert (found.wrong, found.any_wrong) == (pytest.approx(2 / 6), 1.0)


def test_training_learns_to_sort() -> None:
    config = SortingConfig(5, steps=150)
    trained, losses = train_sorter(config, seed=0)
    untrained = train_sorter(SortingConfig(5, steps=1), seed=0)[0]
    assert len(losses) == config.steps
    assert sum(losses[-20:]) < 0.2 * sum(losses[:20])
    found, before = (errors(each, 0, 1, lists=100, seed=1) for each in (trained, untrained))
    assert found.any_wrong < 0.2 < before.any_wrong


def test_a_seed_is_one_training() -> None:
    one, again, other = (train_sorter(SortingConfig(4, steps=3), seed)[1] for seed in (0, 0, 1))
    assert one == again != other


@pytest.mark.parametrize("name", ["numbers", "steps", "batch", "samples", "iterations", "units"])
def test_a_number_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        SortingConfig(**{"numbers": 3, name: 0})
