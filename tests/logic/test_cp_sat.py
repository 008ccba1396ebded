"""CP-SAT gives the answers of the hard engine."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from drawgrad.logic import (
    AllDifferent,
    Cardinality,
    CpSat,
    Equal,
    HardDomains,
    Less,
    Linear,
    MaxPlus,
    NotEqual,
    Problem,
    Report,
    SoftDomains,
    Status,
    decode,
    sudoku,
)
from tests.logic.problems import KINDS, mixed, of_kind, random_domains

pytest.importorskip("ortools")


def solutions_of_each(problem: Problem, domains: HardDomains, solver: CpSat | None) -> list[list[list[int]]]:
    found = problem.solve(domains, limit=4096, solver=solver)
    assert (found.status == Status.COMPLETE).all()
    for row, count in zip(found.values, found.counts, strict=True):
        assert (row[count:] == -1).all()
    pairs = zip(found.values.tolist(), found.counts.tolist(), strict=True)
    return [sorted(rows[:count]) for rows, count in pairs]


@pytest.mark.parametrize("kind", [*KINDS, "Clause"])
def test_all_solutions_of_each_kind(kind: str) -> None:
    problem = of_kind(kind, seed=3, constraints=4)
    domains = random_domains(problem, 0, batch=5, keep=0.6)
    assert solutions_of_each(problem, domains, CpSat()) == solutions_of_each(problem, domains, None)


def test_several_words_and_values_that_there_are_not() -> None:
    problem = Problem(4, [70, 130, 66, 2], [Less(0, 1), Equal(0, 2), Linear([1, 2, 3], [1, 1, 7], "==", 133)])
    assert solutions_of_each(problem, problem.fixed(torch.full((1, 4), -1)), CpSat()) == solutions_of_each(
        problem, problem.fixed(torch.full((1, 4), -1)), None
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_most_likely_solution(seed: int) -> None:
    problem = mixed(seed, constraints=3)
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(6, 6, 4, generator=generator) * (torch.rand(6, 6, 4, generator=generator) < 0.8)
    found, expected = (problem.most_likely(problem.domains(probs), solver=solver) for solver in (CpSat(), None))
    assert torch.equal(found.counts, expected.counts)
    assert torch.equal(found.status, expected.status)
    torch.testing.assert_close(found.scores, expected.scores)
    assert problem.satisfied(found.first()[found.solved()]).all()


def test_scores_of_any_scale_and_none_that_differ() -> None:
    problem = Problem(4, 4, [AllDifferent(range(4))])
    for scale in (0.0, 1e-9, 1e9):
        scores = scale * torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        domains = SoftDomains(scores, MaxPlus())
        found, expected = (problem.most_likely(domains, solver=solver) for solver in (CpSat(), None))
        torch.testing.assert_close(found.scores, expected.scores)


def test_a_board() -> None:
    board = sudoku()
    clues = torch.full((2, 81), -1)
    clues[:, :9] = torch.arange(9)
    clues[1, 9] = 0
    found = board.solve(board.fixed(clues), solver=CpSat())
    assert found.status.tolist() == [Status.LIMIT, Status.COMPLETE]
    assert found.contradiction().tolist() == [False, True]
    assert board.satisfied(found.first()[0])


class TestLimits:
    def test_solutions(self) -> None:
        problem = Problem(3, 3, [AllDifferent([0, 1, 2])])
        found = {limit: problem.solve(limit=limit, solver=CpSat()) for limit in (1, 5, 6, 7)}
        assert [int(one.counts) for one in found.values()] == [1, 5, 6, 6]
        assert [Status(int(one.status)).name for one in found.values()] == ["LIMIT"] * 3 + ["COMPLETE"]
        assert len({tuple(row) for row in found[7].solutions().tolist()}) == 6

    def test_nodes_and_seconds(self) -> None:
        # Pigeons, counted so that no relaxation helps: too hard for a conflict or two.
        pairs = [NotEqual(i, j) for i in range(9) for j in range(i)]
        odd = [Cardinality(range(9), at_most=1, value=v) for v in range(3)]
        problem = Problem(9, 8, [*pairs, *odd])
        found = problem.solve(solver=CpSat(), nodes=0)
        assert found.status in (Status.NODES, Status.COMPLETE)
        assert not found.solved()
        found = problem.solve(problem.fixed(torch.full((3, 9), -1)), solver=CpSat(), seconds=0.0)
        assert found.status.tolist() == [Status.TIME] * 3

    def test_of_the_wrong_kind(self) -> None:
        with pytest.raises(ValueError, match="workers must be at least 1"):
            CpSat(workers=0)


def test_an_empty_domain_and_no_variables() -> None:
    problem = Problem(2, 2, [])
    assert problem.solve(HardDomains(torch.tensor([0, 3]), 2), solver=CpSat()).contradiction()
    assert Problem(0, 2, []).solve(limit=3, solver=CpSat()).counts == 1


def test_a_program_is_read_as_it_was_written() -> None:
    for seed in range(6):
        problem = mixed(seed)
        variables, values, constraints = decode(problem.program)
        assert (variables, values) == (problem.variables, problem.values)
        expected = [
            (rule.code()[0], list(rule.code()[1:]), list(constraint.scope))
            for rule, constraint in zip(problem.rules, problem.constraints, strict=True)
        ]
        assert constraints == expected
    older = problem.program.copy()
    older[0] = 0
    with pytest.raises(ValueError, match="program must have version 1, but it is 0"):
        decode(older)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(ImportError, match=r"pip install 'drawgrad\[ortools\]'"):
        Problem(2, 2, [NotEqual(0, 1)]).solve(solver=CpSat())


def test_beside_other_users_of_its_libraries() -> None:
    """Protocol buffers, which CP-SAT shares with others, in a process of its own: a clash would end it."""
    code = (
        "import onnx, tensorboard.compat.proto.event_pb2\n"
        "from drawgrad.logic import CpSat, NotEqual, Problem\n"
        "print(int(Problem(2, 3, [NotEqual(0, 1)]).solve(limit=9, solver=CpSat()).counts))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "6"), done.stderr


def test_a_wrong_answer_would_be_noticed() -> None:
    class Forgetful(CpSat):
        """Loses a solution of each problem."""

        def search(self, *arguments: object) -> Report:
            found = super().search(*arguments)
            return found._replace(counts=(found.counts - 1).clip(0))

    problem = of_kind("Less", seed=3)
    domains = random_domains(problem, 0, batch=5, keep=0.9)
    wrong = problem.solve(domains, limit=4096, solver=Forgetful())
    assert not torch.equal(wrong.counts, problem.solve(domains, limit=4096).counts)
