"""What estimators hold besides their samples is what they say."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal, OneHotCategorical

from drawgrad.distributions import KSubset
from drawgrad.estimators import ESTIMATORS, Estimator
from tests.largest import Largest

SAMPLES, SIZE = 128, 8
MANY = 12
"""How many times as large as all samples a tensor may be that is not worth a word: ten draws for each, for example."""


def some(*shape: int) -> Tensor:
    return torch.linspace(-1, 1, torch.Size(shape).numel()).sin().reshape(shape).requires_grad_()


def taken(estimator: Estimator) -> tuple[Distribution, int]:
    """What it chooses among here, and how many evaluations that takes."""
    bits = Independent(Bernoulli(logits=some(SIZE)), 1)
    choices: list[tuple[Distribution, int]] = [
        (bits, estimator.evaluations(2, SIZE)),
        (OneHotCategorical(logits=some(SIZE)), estimator.evaluations(SIZE, 1)),
        (KSubset(some(SIZE), 2), SAMPLES),
        (Independent(Normal(some(SIZE), 1.0), 1), SAMPLES),
    ]
    return next((q, evaluations) for q, evaluations in choices if estimator.obstacle(q) is None)


def largest(estimator: Estimator) -> int:
    with Largest() as found:
        estimator(lambda z: z.sum(-1).square(), taken(estimator)[0], seed=0).backward()
    return found.numbers


def allowed(estimator: Estimator) -> int:
    """Joined of two at most that are as large as what is said."""
    return MANY * SIZE * taken(estimator)[1] + 2 * estimator.memory(SIZE)


def of_many_samples(name: str) -> Estimator:
    cls: Any = ESTIMATORS[name]
    return cls(samples=SAMPLES) if "samples" in inspect.signature(cls).parameters else cls()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_tensor_is_larger_than_what_is_said(name: str) -> None:
    estimator = of_many_samples(name)
    assert largest(estimator) <= allowed(estimator)


@pytest.mark.parametrize("name", ["Rodeo", "UnorderedSet", "Vimco"])
def test_what_says_nothing_of_pairs_of_samples_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ESTIMATORS[name], "memory", Estimator.memory)
    assert largest(of_many_samples(name)) > allowed(of_many_samples(name))
    monkeypatch.undo()
    assert 4 * largest(of_many_samples(name)) > of_many_samples(name).memory(SIZE), "far more than it takes"
