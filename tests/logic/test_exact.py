"""Exact sums over solutions, against loops; and how far soft propagation is from them."""

from __future__ import annotations

import itertools

import pytest
import torch

from drawgrad.logic import (
    AllDifferent,
    Boolean,
    Goedel,
    Less,
    Linear,
    Log,
    Lukasiewicz,
    MaxPlus,
    MinPlus,
    NotEqual,
    Probability,
    Problem,
    Semiring,
    SoftDomains,
    Viterbi,
    all_solutions,
    log_partition,
    marginals,
)
from tests.logic.problems import KINDS, mixed, of_kind


def weights(problem: Problem, probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Each solution with its weight, by a plain loop."""
    found = {}
    for values in itertools.product(*(range(size) for size in problem.sizes)):
        if problem.satisfied(torch.tensor(values)):
            found[values] = float(torch.tensor([probs[i, v] for i, v in enumerate(values)]).prod())
    return found


@pytest.mark.parametrize("seed", range(3))
class TestSums:
    def setting(self, seed: int) -> tuple[Problem, torch.Tensor]:
        problem = Problem(4, [3, 2, 3, 3], [NotEqual(0, 1), Less(1, 2), AllDifferent([0, 2, 3])][: seed + 1])
        probs = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        return problem, probs * (torch.arange(3) < torch.tensor(problem.sizes)[:, None])

    def test_all_solutions(self, seed: int) -> None:
        problem, probs = self.setting(seed)
        assert [tuple(row) for row in all_solutions(problem).tolist()] == list(weights(problem, probs))

    def test_log_partition(self, seed: int) -> None:
        problem, probs = self.setting(seed)
        expected = weights(problem, probs).values()
        total = log_partition(problem, SoftDomains(probs)).exp()
        torch.testing.assert_close(total, torch.tensor(sum(expected), dtype=torch.float64))
        best = log_partition(problem, SoftDomains(probs), MaxPlus()).exp()
        torch.testing.assert_close(best, torch.tensor(max(expected), dtype=torch.float64))

    def test_marginals(self, seed: int) -> None:
        problem, probs = self.setting(seed)
        expected = torch.zeros(4, 3, dtype=torch.float64)
        for values, weight in weights(problem, probs).items():
            expected[torch.arange(4), torch.tensor(values)] += weight
        found = marginals(problem, SoftDomains(probs))
        torch.testing.assert_close(found.elements.exp(), expected)
        assert isinstance(found.semiring, Log)

    def test_gradients(self, seed: int) -> None:
        problem, probs = self.setting(seed)
        batch = torch.stack([probs, probs.roll(1, 0) + 0.1]).requires_grad_()
        assert torch.autograd.gradcheck(lambda p: log_partition(problem, SoftDomains(p)), batch)
        assert torch.autograd.gradcheck(lambda p: marginals(problem, SoftDomains(p)).elements.exp(), batch)

    def test_marginals_are_the_gradient_of_the_partition(self, seed: int) -> None:
        problem, probs = self.setting(seed)
        logs = probs.clamp_min(1e-9).log().requires_grad_()
        (gradient,) = torch.autograd.grad(log_partition(problem, SoftDomains(logs, Log())), logs)
        torch.testing.assert_close(gradient, marginals(problem, SoftDomains(logs, Log())).log_probs().exp())


def test_no_solution() -> None:
    problem = Problem(3, 2, [NotEqual(0, 1), NotEqual(1, 2), NotEqual(0, 2)])
    probs = torch.rand(3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = log_partition(problem, SoftDomains(probs))
    assert total == -torch.inf
    found = marginals(problem, SoftDomains(probs))
    assert found.contradiction() == 0
    (gradient,) = torch.autograd.grad(total.clamp_min(-1) + found.entropy().sum(), probs)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "semiring",
    [Boolean(), Log(), MaxPlus(), MinPlus(), Viterbi(), Goedel(), Lukasiewicz()],
    ids=lambda semiring: type(semiring).__name__,
)
def test_elimination_and_enumeration_agree(semiring: Semiring, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (*KINDS, "Clause"):
        problem = of_kind(kind, seed=5, constraints=2)
        shape = (2, problem.variables, problem.values)
        probs = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).round(decimals=2)
        found = []
        for entries in (1 << 20, 0):
            monkeypatch.setattr("drawgrad.logic.exact.MOST_ENTRIES", entries)
            domains = SoftDomains(probs)
            found.append((log_partition(problem, domains, semiring), marginals(problem, domains, semiring).elements))
        torch.testing.assert_close(found[0][0], found[1][0])
        torch.testing.assert_close(found[0][1], found[1][1])


def test_a_long_chain_counts_its_paths() -> None:
    """As many assignments as no enumeration reaches; a transfer matrix tells how many of them are solutions."""
    length, values = 60, 4
    problem = Problem(length, values, [Less(i, i + 1) if i % 7 == 0 else NotEqual(i, i + 1) for i in range(length - 1)])
    probs = torch.rand(length, values, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = probs[0]
    numbers = torch.arange(values)
    for i in range(length - 1):
        relation = numbers[:, None] < numbers if i % 7 == 0 else numbers[:, None] != numbers
        state = (state @ relation.double()) * probs[i + 1]
    torch.testing.assert_close(log_partition(problem, SoftDomains(probs)), state.sum().log())
    logs = probs.log().requires_grad_()
    (gradient,) = torch.autograd.grad(log_partition(problem, SoftDomains(logs, Log())), logs)
    torch.testing.assert_close(gradient.sum(-1), torch.ones(length, dtype=torch.float64))
    best = log_partition(problem, SoftDomains(probs), MaxPlus())
    torch.testing.assert_close(best, problem.most_likely(SoftDomains(probs)).scores)


def test_what_is_neither_narrow_nor_small_is_refused() -> None:
    problem = Problem(12, 10, [AllDifferent(range(9)), Linear(range(12), [1] * 12, "==", 50)])
    with pytest.raises(ValueError, match=r"narrow or small for exact sums, but it needs a table of 1e\+12 entries"):
        log_partition(problem, problem.domains())
    with pytest.raises(ValueError, match="an enumeration, because Probability is not distributive"):
        marginals(Problem(10, 10, []), Problem(10, 10, []).domains(), Probability())


def test_no_variables() -> None:
    assert log_partition(Problem(0, 2, []), SoftDomains(torch.ones(3, 0, 1))).tolist() == [0, 0, 0]
    assert marginals(Problem(0, 2, []), SoftDomains(torch.ones(3, 0, 1))).elements.shape == (3, 0, 1)


def test_too_many_assignments() -> None:
    with pytest.raises(ValueError, match="at most 16777216 assignments to be enumerated, but it has 1e"):
        all_solutions(Problem(10, 10, []))


class TestSoftPropagation:
    """On a chain without a loop the sum-product rounds are exact; elsewhere they are an approximation."""

    def test_of_a_tree_is_exact_for_one_open_variable(self) -> None:
        problem = Problem(3, 3, [Less(0, 1), NotEqual(1, 2)])
        probs = torch.rand(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        exact = marginals(problem, SoftDomains(probs)).log_probs()[1]
        soft = problem.propagate(SoftDomains(probs), Log(), rounds=1).log_probs()[1]
        torch.testing.assert_close(soft, exact)

    def test_of_loops_is_not(self) -> None:
        problem = mixed(1)
        probs = torch.rand(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        exact = marginals(problem, SoftDomains(probs)).log_probs().exp()
        soft = problem.propagate(SoftDomains(probs), Probability(), rounds=3).log_probs().exp()
        assert (exact - soft).abs().max() > 0.01
