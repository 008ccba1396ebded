"""The average of weights: that of all steps at first, an exponential one later, and a part of what is saved."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from drawgrad.studies.runs.average import DECAY, Averaged


def averaged(steps: int) -> tuple[Averaged, list[float]]:
    """A single weight that takes the values 0, 1, 2, ..."""
    learner = Averaged(nn.Linear(1, 1, bias=False))
    found = []
    for step in range(steps):
        with torch.no_grad():
            learner.model.weight.fill_(step)
        learner.follow()
        found.append(float(learner.average.weight))
    return learner, found


def test_the_first_weights_are_the_average_and_those_of_many_steps_ago_count_for_nothing():
    _, found = averaged(12_000)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(10 / 11)
    # Of a straight line it lags behind by decay / (1 - decay) steps, in float32.
    assert 11_999 - found[-1] == pytest.approx(DECAY / (1 - DECAY), rel=0.01)
    assert all(before <= after for before, after in pairwise(found))


def test_it_is_saved_and_not_trained():
    learner, _ = averaged(5)
    other = Averaged(nn.Linear(1, 1, bias=False))
    other.load_state_dict(learner.state_dict())
    other.follow()
    learner.follow()
    assert torch.equal(other.average.weight, learner.average.weight)
    assert [weight.requires_grad for weight in learner.parameters()] == [True, False]
