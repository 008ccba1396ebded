"""The hard engine against enumeration: all solutions, the most likely one, and every limit."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from drawgrad.logic import (
    AllDifferent,
    Cardinality,
    HardDomains,
    HardEngine,
    Limits,
    Linear,
    Log,
    MaxPlus,
    NotEqual,
    Problem,
    Report,
    SoftDomains,
    Solver,
    Status,
    log_partition,
    sudoku,
)
from tests.logic.problems import all_assignments, mixed, of_kind, random_domains


def solutions_of(problem: Problem, mask: torch.Tensor) -> torch.Tensor:
    """All solutions within domains, by enumeration, in ascending order."""
    assignments = all_assignments(problem)
    inside = mask[torch.arange(problem.variables), assignments].all(-1)
    return assignments[inside & problem.satisfied(assignments)]


def pigeons(count: int) -> Problem:
    """One pigeon too many, said in a way that propagation does not see through."""
    pairs = [NotEqual(i, j) for i in range(count) for j in range(i)]
    return Problem(count, count - 1, pairs)


class TestAllSolutions:
    @pytest.mark.parametrize("seed", range(25))
    def test_are_those_of_enumeration(self, seed: int) -> None:
        problem = of_kind("Clause", seed) if seed % 5 == 0 else mixed(seed, constraints=3)
        domains = random_domains(problem, seed, batch=8, keep=0.85)
        found = problem.solve(domains, limit=4096)
        assert (found.status == Status.COMPLETE).all()
        for number, mask in enumerate(domains.mask()):
            expected = solutions_of(problem, mask)
            rows = found.values[number, : found.counts[number]]
            assert sorted(rows.tolist()) == expected.tolist()
            assert (found.values[number, found.counts[number] :] == -1).all()

    def test_up_to_a_limit(self) -> None:
        problem = Problem(3, 3, [AllDifferent([0, 1, 2])])
        counts = {limit: problem.solve(limit=limit) for limit in (1, 5, 6, 7)}
        assert [int(found.counts) for found in counts.values()] == [1, 5, 6, 6]
        assert [Status(int(found.status)).name for found in counts.values()] == ["LIMIT"] * 3 + ["COMPLETE"]
        assert torch.equal(counts[7].solutions()[:5], counts[5].solutions())

    def test_a_contradiction_is_certain(self) -> None:
        found = pigeons(6).solve()
        assert found.contradiction()
        assert not found.solved()
        assert found.first().tolist() == [-1] * 6

    def test_an_empty_domain(self) -> None:
        problem = Problem(2, 70, [])
        found = problem.solve(HardDomains(torch.zeros(2, 2, dtype=torch.int64), 70))
        assert found.contradiction()

    def test_without_variables_there_is_one(self) -> None:
        assert Problem(0, 2, []).solve(limit=3).counts == 1

    def test_large_values(self) -> None:
        problem = Problem(3, 200, [Linear([0, 1, 2], [1, 1, 1], "==", 597), NotEqual(0, 1)])
        assert problem.solve(limit=9).counts == 0
        problem = Problem(3, 200, [Linear([0, 1, 2], [1, 1, 1], "==", 596), NotEqual(0, 1)])
        assert sorted(problem.solve(limit=9).solutions().tolist()) == [[198, 199, 199], [199, 198, 199]]

    @pytest.mark.parametrize("threads", [1, 3])
    def test_batches_of_any_shape_on_any_threads(self, threads: int) -> None:
        problem = mixed(4)
        domains = random_domains(problem, 0, batch=60)
        expected = [problem.solve(HardDomains(bits, 4), limit=3) for bits in domains.bits]
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            found = problem.solve(HardDomains(domains.bits.reshape(3, 20, 6), 4), limit=3)
        finally:
            torch.set_num_threads(before)
        assert found.counts.shape == (3, 20)
        assert torch.equal(found.values.flatten(0, 1), torch.stack([one.values for one in expected]))
        assert torch.equal(found.nodes.flatten(), torch.stack([one.nodes for one in expected]))


class TestLimits:
    def test_nodes(self) -> None:
        problem = pigeons(8)
        whole = problem.solve()
        assert whole.status == Status.COMPLETE
        for nodes in (0, 5, int(whole.nodes) - 1):
            found = problem.solve(nodes=nodes)
            assert (int(found.status), int(found.nodes)) == (Status.NODES, nodes)
            assert not found.contradiction()
        assert problem.solve(nodes=int(whole.nodes)).status == Status.COMPLETE

    def test_of_the_best_so_far(self) -> None:
        problem = Problem(8, 8, [Cardinality(range(8), at_least=2, at_most=2, value=v) for v in range(4)])
        scores = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
        found = problem.most_likely(problem.domains(scores), nodes=8)
        assert found.status == Status.NODES
        if found.solved():
            assert problem.satisfied(found.first())

    def test_seconds(self) -> None:
        problem = pigeons(14)
        bits = problem.fixed(torch.full((3, 14), -1))
        found = problem.solve(bits, seconds=0.05)
        assert found.status.tolist() == [Status.TIME] * 3

    def test_a_search_that_is_interrupted_goes_on_where_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from drawgrad.logic.engine import batch

        problem = mixed(6, constraints=3)
        domains = random_domains(problem, 1, batch=20, keep=0.9)
        scores = torch.rand(20, 6, 4, generator=torch.Generator().manual_seed(0))
        results = []
        for nodes in (batch.NODES_A_CALL, 1):
            monkeypatch.setattr(batch, "NODES_A_CALL", nodes)
            found = problem.solve(domains, limit=4096)
            best = problem.most_likely(SoftDomains(scores))
            results.append((found.values, found.nodes, best.values, best.nodes))
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
        assert results[0][1].max() > 10


class TestMostLikely:
    @pytest.mark.parametrize("seed", range(20))
    def test_is_the_best_of_all(self, seed: int) -> None:
        problem = mixed(seed, constraints=3)
        generator = torch.Generator().manual_seed(seed)
        probs = torch.rand(8, 6, 4, generator=generator) * (torch.rand(8, 6, 4, generator=generator) < 0.85)
        found = problem.most_likely(problem.domains(probs))
        assert (found.status == Status.COMPLETE).all()
        for number in range(8):
            candidates = solutions_of(problem, probs[number] > 0)
            assert found.solved()[number] == (len(candidates) > 0)
            if len(candidates) > 0:
                logs = probs[number].double().log()
                scores = logs[torch.arange(6), candidates].sum(-1)
                torch.testing.assert_close(found.scores[number], scores.max())
                assert problem.satisfied(found.first()[number])

    def test_in_another_semiring(self) -> None:
        problem = Problem(2, 2, [NotEqual(0, 1)])
        logits = torch.tensor([[800.0, 0.0], [1000.0, 0.0]])
        assert problem.most_likely(SoftDomains(logits, Log())).first().tolist() == [1, 0]

    def test_several_words(self) -> None:
        problem = Problem(2, 130, [Linear([0, 1], [1, 1], "==", 200)])
        probs = torch.full((2, 130), 0.1)
        probs[0, 77] = 0.9
        assert problem.most_likely(problem.domains(probs)).first().tolist() == [77, 123]


class TestProtocol:
    def test_the_engine_keeps_it(self) -> None:
        assert isinstance(HardEngine(), Solver)
        assert not isinstance(object(), Solver)

    def test_another_solver_sees_plain_arrays(self) -> None:
        seen = []

        class Spy:
            def search(self, program: object, domains: object, scores: object, limits: Limits) -> Report:
                seen.append((program, domains, scores, limits))
                return HardEngine().search(program, domains, scores, limits)

        problem = Problem(2, 70, [NotEqual(0, 1)])
        problem.solve(limit=2, nodes=9, solver=Spy())
        problem.most_likely(problem.domains(torch.rand(3, 2, 70)), solver=Spy())
        (program, domains, scores, limits), (_, batch, logs, _) = seen
        assert (str(program.dtype), program.ndim) == ("int64", 1)
        assert (str(domains.dtype), domains.shape, scores, limits) == ("int64", (1, 2, 2), None, Limits(2, 9))
        assert domains[0, 0].tolist() == [-1, 63]
        assert (batch.shape, str(logs.dtype), logs.shape) == ((3, 2, 2), "float64", (3, 2, 70))
        for array in (program, domains, batch, logs):
            assert array.flags.c_contiguous

    def test_the_program_is_as_documented(self) -> None:
        code = Problem(3, 3, [NotEqual(0, 2), AllDifferent([0, 1, 2])]).program.tolist()
        version, variables, values, words, constraints, table, starts, lists, masks, work = code[:10]
        assert (version, variables, values, words, constraints) == (1, 3, 3, 1, 2)
        first, second = code[table : table + 2]
        rule, arity, *scope = code[first : first + 4]
        assert (arity, scope) == (2, [0, 2])
        assert code[rule : rule + 9] == [2, 3, 1, 0b110, 0b101, 0b011, 0b110, 0b101, 0b011]
        rule, arity, *scope = code[second : second + 5]
        assert (arity, scope, code[rule : rule + 2]) == (3, [0, 1, 2], [1, 3])
        assert code[starts : starts + 4] == [0, 2, 3, 5]
        assert code[lists : lists + 5] == [0, 1, 1, 0, 1]
        assert masks == 3
        assert work >= 5


class TestMostLikelyOfMany:
    def test_one_misread_given_does_not_cost_an_exponential_search(self) -> None:
        """Half of a board is read with confidence, and one of its cells wrongly."""
        board = sudoku()
        answer = board.solve().first()
        generator = torch.Generator().manual_seed(0)
        logits = 8.0 * one_hot(answer, 9).double() + torch.randn(20, 81, 9, dtype=torch.float64, generator=generator)
        for number in range(20):
            logits[number, number] = logits[number, number].roll(1)
        blank = torch.rand(20, 81, generator=generator) < 0.5
        blank[torch.arange(20), torch.arange(20)] = False
        found = board.most_likely(board.domains(logits.softmax(-1), where=~blank))
        assert (found.status == Status.COMPLETE).all()
        assert found.nodes.max() < 2000
        assert (found.first() == answer).all(-1).double().mean() > 0.5

    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    def test_of_scores_of_any_scale(self, scale: float) -> None:
        problem = Problem(5, 5, [AllDifferent(range(5))])
        scores = scale * torch.randn(10, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        found = problem.most_likely(SoftDomains(scores, MaxPlus()))
        best = log_partition(problem, SoftDomains(scores, MaxPlus()), MaxPlus())
        torch.testing.assert_close(found.scores, best)

    def test_infinite_and_undefined_scores(self) -> None:
        problem = Problem(2, 2, [NotEqual(0, 1)])
        scores = torch.tensor([[torch.inf, 0.0], [torch.inf, 0.0]])
        assert problem.most_likely(SoftDomains(scores, MaxPlus())).first().tolist() in ([0, 1], [1, 0])
        scores[0, 0] = torch.nan
        assert problem.most_likely(SoftDomains(scores, MaxPlus())).first().tolist() == [1, 0]
