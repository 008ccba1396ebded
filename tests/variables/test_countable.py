"""What a countable variable knows by itself is what the quicker ways of its kinds say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, OneHotCategorical

from drawgrad.distributions import KSubset, PlackettLuce
from drawgrad.estimators import sum_variables
from drawgrad.variables import Countable, variables_of
from tests.statistics import assert_frequencies
from tests.variables.own_kind import TwoOfFour

LOGITS = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
KINDS: dict[str, Callable[[], Distribution]] = {
    "one-hot": lambda: OneHotCategorical(logits=LOGITS),
    "binary": lambda: Bernoulli(logits=LOGITS),
    "indexed": lambda: Categorical(logits=LOGITS),
    "subset": lambda: KSubset(LOGITS, 2),
    "ranking": lambda: PlackettLuce(LOGITS, 2),
    "own": lambda: TwoOfFour(torch.cat([LOGITS, LOGITS[..., :2]], -1)),
    "independent": lambda: Independent(OneHotCategorical(logits=LOGITS), 1),
}
each = pytest.mark.parametrize("kind", KINDS)


def made(kind: str) -> Countable:
    variable = variables_of(KINDS[kind]())
    assert isinstance(variable, Countable)
    return variable


def every(variable: Countable) -> Tensor:
    """The numbers of all states, shape ``(k, *batch)``."""
    shape = variable.batch_shape
    return torch.arange(variable.states).reshape(-1, *[1] * len(shape)).expand(-1, *shape)


@each
def test_numbers_indices_and_samples_belong_together(kind: str) -> None:
    variable, numbers = made(kind), every(made(kind))
    index = variable.state(numbers)
    z = variable.sample_of(index)
    assert torch.equal(variable.number(index), numbers)
    assert torch.equal(variable.number(variable.index_of(z)), numbers)
    assert torch.equal(Countable.index_of(variable, z), index)


@each
def test_log_probabilities_are_those_of_the_distribution(kind: str) -> None:
    variable, q = made(kind), KINDS[kind]()
    numbers = every(variable)
    index = variable.state(numbers)
    torch.testing.assert_close(variable.log_prob(index), variable.log_probs().movedim(-1, 0))
    torch.testing.assert_close(Countable.log_prob(variable, index), variable.log_prob(index))
    total = sum_variables(variable.log_prob(index), torch.zeros(1, *q.batch_shape))
    torch.testing.assert_close(total, q.log_prob(variable.sample_of(index)))
    torch.testing.assert_close(
        variable.log_probs().exp().sum(-1), torch.ones(variable.batch_shape, dtype=torch.float64)
    )


@each
@pytest.mark.parametrize("general", [False, True])
def test_draws_have_these_probabilities(kind: str, general: bool) -> None:
    variable = made(kind).expand(30_000)
    index = Countable.draw(variable, torch.tensor(2)) if general else variable.draw(torch.tensor(2))
    numbers = variable.number(index)
    counts = torch.stack([(numbers == state).sum(0) for state in range(variable.states)], -1)
    assert_frequencies(counts, made(kind).log_probs().exp(), resolution=0.03)


@each
@pytest.mark.parametrize("general", [False, True])
def test_antithetic_pairs_are_samples_that_differ_as_often_as_they_can(kind: str, general: bool) -> None:
    variable = made(kind).expand(30_000)
    draw = Countable.draw_antithetic if general else type(variable).draw_antithetic
    numbers = variable.number(draw(variable, torch.tensor(2)))
    assert numbers.shape == (60_000, *made(kind).batch_shape)
    p = made(kind).log_probs().exp()
    for half in numbers.chunk(2):
        counts = torch.stack([(half == state).sum(0) for state in range(variable.states)], -1)
        assert_frequencies(counts, p, resolution=0.03)
    same = (numbers[:30_000] == numbers[30_000:]).sum(0)
    expected = (2 * p - 1).clamp_min(0).sum(-1)
    assert bool((same[expected == 0] == 0).all())
    for count, p_same in zip(same[expected > 0], expected[expected > 0], strict=True):
        both = torch.stack([count, 30_000 - count]), torch.stack([p_same, 1 - p_same])
        assert_frequencies(*both, resolution=0.03)


@each
def test_the_mean_is_that_of_all_states(kind: str) -> None:
    variable = made(kind)
    mean, general = variable.mean(), Countable.mean(variable)
    assert (mean is None) == (general is None)
    if mean is not None:
        torch.testing.assert_close(mean, general)


@each
def test_it_is_made_anew_and_converted(kind: str) -> None:
    variable = made(kind)
    copies = {name: value.expand(7, *value.shape) for name, value in variable.parameters.items()}
    q = variable.remade(copies)
    assert q.batch_shape == (7, *KINDS[kind]().batch_shape)
    assert type(q) is type(KINDS[kind]())
    again = variables_of(q)
    assert isinstance(again, Countable)
    torch.testing.assert_close(again.log_probs()[3], variable.log_probs())
    narrow = variable.to(torch.float16)
    assert {value.dtype for value in narrow.parameters.values()} == {torch.float16}
    assert {value.dtype for value in narrow.computed().parameters.values()} == {torch.float32}
    assert {value.dtype for value in variable.computed().parameters.values()} == {torch.float64}
