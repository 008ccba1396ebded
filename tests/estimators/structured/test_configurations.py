"""Joint states: the most probable ones, and draws without replacement."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from drawgrad.estimators.structured.configurations import Configurations
from drawgrad.variables import Binary, OneHot, Relaxable
from tests.statistics import assert_frequencies


def variables(binary: bool, *batch: int) -> Relaxable:
    generator = torch.Generator().manual_seed(5)
    if binary:
        return Binary(torch.randn(*batch, generator=generator, dtype=torch.float64) * 1.5)
    return OneHot(torch.randn(*batch, 3, generator=generator, dtype=torch.float64) * 1.5)


def all_states(log_pi: Tensor) -> tuple[Tensor, Tensor]:
    """All configurations of variables ``(n, k)`` and their log-probabilities, by enumeration."""
    n, k = log_pi.shape
    states = torch.cartesian_prod(*[torch.arange(k)] * n).reshape(-1, n)
    return states, log_pi[torch.arange(n), states].sum(-1)


class TestConfigurations:
    @pytest.mark.parametrize("binary", [False, True])
    @pytest.mark.parametrize("shared", [1, 2, 4])
    @pytest.mark.parametrize("count", [1, 2, 7])
    def test_the_top_is_that_of_a_sorted_list(self, binary: bool, shared: int, count: int) -> None:
        space = Configurations.of(variables(binary, 5, shared), 1)
        count = min(count, space.states - 1)
        found = space.top(count, space.mode())
        assert found.shape == (5, count, shared)
        for row in range(5):
            states, log_p = all_states(space.log_pi[row])
            order = log_p.argsort(descending=True)
            assert torch.equal(space.mode()[row, 0], states[order[0]])
            assert torch.equal(found[row], states[order[1 : count + 1]])
            torch.testing.assert_close(space.log_prob(found)[row], log_p[order[1 : count + 1]])

    @pytest.mark.parametrize("variable", [variables(False, 1), variables(False, 2), variables(True, 3)])
    def test_draws_follow_the_order_of_draws_without_replacement(self, variable: Relaxable) -> None:
        """Two draws and one state left out: every ordered pair by its probability."""
        draws = 40_000
        many = type(variable)(variable.logits.expand(draws, *variable.logits.shape))
        space = Configurations.of(many, 1)
        states, log_p = all_states(space.log_pi[0])
        p = log_p.exp().tolist()
        count = min(2, len(p) - 1)
        found = space.draw(count, space.mode(), torch.tensor(3))
        left_out = states.tolist().index(space.mode()[0, 0].tolist())
        number = (found[:, :, None] == states).all(-1).long().argmax(-1)
        key = number[:, 0] * len(p) + number[:, -1]
        expected = torch.zeros(len(p) ** 2)
        for pair in itertools.permutations([i for i in range(len(p)) if i != left_out], count):
            rest = 1 - p[left_out]
            first = p[pair[0]] / rest
            second = p[pair[1]] / (rest - p[pair[0]]) if count == 2 else 1.0
            expected[pair[0] * len(p) + pair[-1]] = first * second
        assert expected.sum().item() == pytest.approx(1)
        assert_frequencies(key.bincount(minlength=len(p) ** 2), expected, resolution=0.03)

    def test_codes_are_in_the_order_of_the_samples(self) -> None:
        variable = variables(False, 4, 2, 3)
        space = Configurations.of(variable, 2)
        chosen = space.top(5, space.mode())
        code = space.numbers(chosen)
        assert code.shape == (5, 4, 2, 3)
        log_p = variable.expand(5).log_prob(code).sum(-1)
        torch.testing.assert_close(space.by_cost(space.log_prob(chosen)), log_p)
        first = variable.draw(torch.tensor(1))
        assert torch.equal(space.numbers(space.configuration(first))[0], first)
