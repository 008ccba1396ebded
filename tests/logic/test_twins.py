"""Soft propagation on zeros and ones and the hard engine on bits are one thing, round by round."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from drawgrad.logic import (
    AllDifferent,
    Boolean,
    Element,
    Equal,
    Goedel,
    HardDomains,
    Less,
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
)
from tests.logic.problems import KINDS, all_assignments, mixed, of_kind, random_domains

SEMIRINGS = [Boolean(), Probability(), Log(), MaxPlus(), MinPlus(), Viterbi(), Goedel(), Lukasiewicz()]
ROUNDS = range(5)


def soft_bits(problem: Problem, domains: HardDomains, semiring: Semiring, rounds: int | None) -> torch.Tensor:
    found = problem.propagate(domains.soften(), semiring, rounds=rounds)
    corners = SoftDomains(semiring.of_probs(domains.soften().elements), semiring).elements.unique().tolist()
    assert {*found.elements.unique().tolist()} <= {semiring.zero, semiring.one, *corners}
    return found.harden().bits


def disagreements(problem: Problem, domains: HardDomains, semiring: Semiring) -> list[int | None]:
    """The rounds after which the twins differ; None stands for the fixed point."""
    return [
        rounds
        for rounds in (*ROUNDS, None)
        if not torch.equal(
            soft_bits(problem, domains, semiring, rounds), problem.propagate(domains, rounds=rounds).bits
        )
    ]


@pytest.mark.parametrize("kind", [*KINDS, "Clause"])
@pytest.mark.parametrize("seed", range(6))
def test_of_each_kind(kind: str, seed: int) -> None:
    problem = of_kind(kind, seed)
    for keep in (0.4, 0.8):
        domains = random_domains(problem, seed, keep=keep)
        assert disagreements(problem, domains, Probability()) == []


@pytest.mark.parametrize("semiring", SEMIRINGS, ids=lambda semiring: type(semiring).__name__)
@pytest.mark.parametrize("seed", range(4))
def test_of_mixed_problems_in_every_semiring(semiring: Semiring, seed: int) -> None:
    problem = mixed(seed)
    if isinstance(semiring, Log):
        # It counts proofs, so that one is a number of them: only what is possible at all can be compared.
        for rounds in ROUNDS:
            hard = problem.propagate(random_domains(problem, seed), rounds=rounds)
            soft = problem.propagate(random_domains(problem, seed).soften(), semiring, rounds=rounds)
            assert torch.equal(soft.elements > -torch.inf, hard.mask())
        return
    assert disagreements(problem, random_domains(problem, seed), semiring) == []


@pytest.mark.parametrize("seed", range(6))
def test_of_several_words(seed: int) -> None:
    values = [70, 130, 130, 64, 65, 2]
    constraints = [AllDifferent([0, 1, 2]), Equal(1, 2), NotEqual(0, 3), Less(3, 4), Element(5, [0, 1], 2)]
    problem = Problem(6, values, constraints)
    generator = torch.Generator().manual_seed(seed)
    few = torch.rand(8, 6, 130, generator=generator) < 3 / torch.tensor(values)[:, None]
    few &= torch.arange(130) < torch.tensor(values)[:, None]
    assert disagreements(problem, HardDomains.from_mask(few), Probability()) == []


def test_a_hundred_variables_with_a_hundred_values() -> None:
    problem = Problem(100, 100, [AllDifferent(range(100))])
    mask = torch.ones(2, 100, 100, dtype=torch.bool).tril()
    mask[1, 70, 3] = False
    domains = HardDomains.from_mask(mask)
    assert disagreements(problem, domains, Probability()) == []
    assert torch.equal(problem.propagate(domains).assignment()[0], torch.arange(100))


def test_a_wrong_twin_is_noticed() -> None:
    problem = Problem(4, 4, [AllDifferent(range(4))])
    weaker = Problem(4, 4, [AllDifferent(range(4), hidden=False)])
    domains = random_domains(problem, 0)
    soft = soft_bits(weaker, domains, Probability(), 1)
    assert not torch.equal(soft, problem.propagate(domains, rounds=1).bits)


@pytest.mark.parametrize("kind", [*KINDS, "Clause"])
def test_one_constraint_leaves_the_values_that_have_a_solution(kind: str) -> None:
    """All of them, and no others where no domain is empty, but for all-different, whose rule is weaker than that."""
    exact = kind not in ("AllDifferent", "AllDifferent without hidden")
    for seed in range(8):
        problem = of_kind(kind, seed, constraints=1)
        scope = list(problem.constraints[0].scope)
        assignments = all_assignments(problem)
        assignments = assignments[problem.rules[0].holds(assignments[:, scope])]
        before = random_domains(problem, seed, batch=32).mask()
        after = problem.propagate(HardDomains.from_mask(before), rounds=1).mask()
        inside = before[:, torch.arange(problem.variables), assignments].all(-1)
        supported = torch.einsum("ba,aiv->biv", inside.float(), one_hot(assignments, problem.values).float()) > 0
        assert not (supported & ~after).any()
        if exact:
            whole = before.any(-1).all(-1)
            assert torch.equal(after[whole][:, scope], supported[whole][:, scope])
            assert whole.any()
