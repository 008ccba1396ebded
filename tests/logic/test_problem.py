"""Problems: what they refuse, domains from beliefs, propagation with gradients, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from drawgrad.logic import (
    AllDifferent,
    Cardinality,
    Clause,
    Constraint,
    Element,
    Equal,
    Function,
    HardDomains,
    Less,
    Linear,
    Log,
    NotEqual,
    Probability,
    Problem,
    Rule,
    SoftDomains,
    Table,
    Viterbi,
    sudoku,
)
from tests.logic.problems import KINDS, mixed, of_kind


def note_size(held: dict[int, int], tensor: Tensor) -> Tensor:
    """Notes how large a tensor is that is kept for the backward pass; views of one count once."""
    held[tensor.data_ptr()] = tensor.numel()
    return tensor


class TestMistakes:
    @pytest.mark.parametrize(
        ("make", "kind", "message"),
        [
            (lambda: Problem(2, 2, [NotEqual(0, 2)]), ValueError, "NotEqual names variable 2, but there are 2"),
            (lambda: Problem(-1, 2, []), ValueError, "variables must be at least 0"),
            (lambda: Problem(2, 0, []), ValueError, "values must be at least 1"),
            (lambda: Problem(2, [2, 3, 4], []), ValueError, "one for each of the 2 variables, but there are 3"),
            (lambda: Problem(2, 2.0, []), TypeError, "values"),
            (lambda: Problem(2, 2, ["different"]), TypeError, "constraints must be Constraint objects"),
            (lambda: AllDifferent([]), ValueError, "scope must name a variable at least"),
            (lambda: AllDifferent([0, 1, 0]), ValueError, "must name each variable once, but 0 is there twice"),
            (lambda: AllDifferent([0, -1]), ValueError, r"scope\[1\] must be at least 0"),
            (lambda: Problem(2, 13, [AllDifferent([0, 1], matching=True)]), ValueError, "at most 12 values, but there"),
            (lambda: NotEqual(1, 1), ValueError, "must name each variable once"),
            (lambda: Table([0, 1], [(0, 1), (1,)]), ValueError, r"tuples\[1\] must have a value for each of the 2"),
            (
                lambda: Problem(2, 2, [Table([0, 1], [(0, 2)])]),
                ValueError,
                "gives variable 1 the value 2 of 2",
            ),
            (lambda: Problem(6, 50, [Function(max, range(6))]), ValueError, "combinations of values, more than 65536"),
            (lambda: Function(3, [0]), TypeError, "function must be callable"),
            (lambda: Function(max, [0, 1], result=1), ValueError, "must name each variable once"),
            (lambda: Linear([0, 1], [1], "=="), ValueError, "weights must be one for each of the 2 variables"),
            (lambda: Linear([0], [1.5], "=="), TypeError, r"weights\[0\] must be an integer"),
            (lambda: Linear([0], [1], "="), ValueError, 'relation must be "==", "!="'),
            (lambda: Problem(2, 9, [Linear([0, 1], [1, 10_000], "==")]), ValueError, "different sums, more than"),
            (lambda: Cardinality([0, 1], at_least=3), ValueError, "at_least must not exceed at_most"),
            (lambda: Cardinality([0, 1], 2, 1), ValueError, "at_least must not exceed at_most, 1"),
            (lambda: Problem(2, 2, [Cardinality([0, 1], value=2)]), ValueError, "variable 0 has 2 values"),
            (lambda: Clause(), ValueError, "the clause must name a variable at least"),
            (lambda: Problem(2, 3, [Clause([0])]), ValueError, "needs variables of two values, but variable 0 has 3"),
            (lambda: Element(0, [], 1), ValueError, "variables must name a variable at least"),
            (lambda: Element(0, [1, 2], 2), ValueError, "must name each variable once"),
        ],
    )
    def test_in_the_problem(self, make: Callable[[], object], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            make()

    @pytest.mark.parametrize(
        ("call", "kind", "message"),
        [
            (lambda p: p.propagate(SoftDomains(torch.ones(3, 2))), ValueError, "2 variables and 2 values, but"),
            (lambda p: p.propagate(HardDomains(torch.ones(3).long(), 2)), ValueError, "2 variables and 2 values"),
            (lambda p: p.propagate(p.domains(), rounds=-1), ValueError, "rounds must be at least 0"),
            (lambda p: p.propagate(p.domains(), "log"), TypeError, "semiring must be a Semiring"),
            (
                lambda p: p.propagate(SoftDomains(torch.zeros(2, 2), Log()), Viterbi()),
                TypeError,
                "elements of Log already, which cannot become those of Viterbi",
            ),
            (lambda p: p.domains(torch.ones(3, 2)), ValueError, r"probs must have shape \(\*batch, 2, 2\)"),
            (
                lambda p: p.domains(torch.ones(2, 2), where=torch.ones(3, dtype=torch.bool)),
                ValueError,
                r"where must have shape \(\*batch, 2\)",
            ),
            (lambda p: p.fixed(torch.zeros(3).long()), ValueError, r"assignment must have shape \(\*batch, 2\)"),
            (lambda p: p.solve(limit=0), ValueError, "limit must be at least 1"),
            (lambda p: p.solve(nodes=-1), ValueError, "nodes must be at least 0"),
            (lambda p: p.solve(seconds=-1.0), ValueError, "seconds must be finite and not negative"),
            (lambda p: p.solve(solver="cp"), TypeError, "solver must have a method search"),
        ],
    )
    def test_in_its_use(self, call: Callable[[Problem], object], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            call(Problem(2, 2, [NotEqual(0, 1)]))


class TestDomains:
    def test_dense_packed_and_none(self) -> None:
        problem = Problem(3, [2, 3, 3], [])
        possible = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
        assert torch.equal(problem.domains().elements, possible)
        probs = torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0))
        assert torch.equal(problem.domains(probs).elements, probs * possible)
        where = torch.rand(4, 3, generator=torch.Generator().manual_seed(1)) < 0.5
        dense = problem.domains(probs, where=where).elements
        assert torch.equal(dense, torch.where(where[..., None], probs, 1.0) * possible)
        assert torch.equal(problem.domains(probs[where], where=where).elements, dense)

    def test_beliefs_and_marks_of_different_batches(self) -> None:
        problem = Problem(3, 4, [])
        probs = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0))
        mark = torch.tensor([True, False, True])
        found = problem.domains(probs, where=mark).elements
        assert torch.equal(found, torch.where(mark[:, None], probs, 1.0))

    def test_as_many_rows_as_variables_are_rows_all_the_same(self) -> None:
        problem = Problem(3, 4, [])
        where = torch.tensor([[True, False, True], [False, True, False]])
        rows = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
        found = problem.domains(rows, where=where).elements
        assert torch.equal(found[where], rows)
        assert (found[~where] == 1).all()

    @pytest.mark.parametrize("count", [2, 4])
    def test_too_few_or_too_many_rows(self, count: int) -> None:
        where = torch.tensor([[True, False, True], [False, True, False]])
        with pytest.raises(
            ValueError, match=f"a row for each of the 3 variables that where marks, but there are {count}"
        ):
            Problem(3, 4, []).domains(torch.ones(count, 4), where=where)

    def test_fixed(self) -> None:
        problem = Problem(3, [2, 3, 3], [])
        assert problem.fixed(torch.tensor([-1, 2, -1])).bits.tolist() == [3, 4, 7]
        assert problem.fixed(torch.tensor([2, 3, 0])).bits.tolist() == [0, 0, 1]

    def test_values_that_there_are_not_are_never_possible(self) -> None:
        problem = Problem(2, [2, 3], [Equal(0, 1)])
        everything = SoftDomains(torch.ones(2, 3))
        assert problem.propagate(everything, rounds=1).elements.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
        assert problem.propagate(HardDomains(torch.tensor([7, 7]), 3)).bits.tolist() == [3, 3]
        assert problem.solve(HardDomains(torch.tensor([7, 7]), 3), limit=9).counts == 2

    @pytest.mark.parametrize("seed", range(5))
    def test_satisfied_is_every_rule(self, seed: int) -> None:
        problem = mixed(seed)
        values = torch.randint(-1, 5, (500, 6), generator=torch.Generator().manual_seed(seed))
        expected = [
            all(0 <= v < 4 for v in row)
            and all(
                bool(rule.holds(torch.tensor([row[i] for i in c.scope])))
                for rule, c in zip(problem.rules, problem.constraints, strict=True)
            )
            for row in values.tolist()
        ]
        assert problem.satisfied(values).tolist() == expected


class TestSoftPropagation:
    @pytest.mark.parametrize("kind", [*KINDS, "Clause"])
    @pytest.mark.parametrize("semiring", [Probability(), Log()], ids=["Probability", "Log"])
    def test_gradients(self, kind: str, semiring: Probability | Log) -> None:
        problem = of_kind(kind, seed=1)
        shape = (2, problem.variables, problem.values)
        logits = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        weights = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

        def loss(logits: Tensor) -> Tensor:
            found = problem.propagate(problem.domains(logits.sigmoid()), semiring, rounds=2).log_probs()
            return (torch.where(found > -torch.inf, found, 0.0) * weights).sum()

        assert torch.autograd.gradcheck(loss, logits, fast_mode=True)

    def test_gradients_are_finite_at_corners(self) -> None:
        for kind in KINDS:
            problem = of_kind(kind, seed=2)
            elements = torch.ones(6, 4, dtype=torch.float64)
            elements[:, 1:3] = 0
            elements[2] = 0
            elements.requires_grad_()
            found = problem.propagate(SoftDomains(elements), rounds=3)
            (gradient,) = torch.autograd.grad(found.elements.sum() + found.entropy().sum(), elements)
            assert gradient.isfinite().all()

    def test_recomputation_changes_nothing_but_memory(self) -> None:
        problem = mixed(3)
        probs = torch.rand(8, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        kept, gradients = [], []
        for recompute in (False, True):
            held: dict[int, int] = {}
            leaf = probs.clone().requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(partial(note_size, held), lambda tensor: tensor):
                found = problem.propagate(SoftDomains(leaf), rounds=6, recompute=recompute).elements
            gradients.append(torch.autograd.grad(found.square().sum(), leaf)[0])
            kept.append(sum(held.values()))
        assert torch.equal(*gradients)
        assert kept[1] < kept[0] / 4

    def test_to_the_fixed_point(self) -> None:
        problem = Problem(5, 5, [Less(i, i + 1) for i in range(4)])
        beliefs = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
        end = problem.propagate(problem.domains(beliefs)).elements
        later = problem.propagate(problem.domains(beliefs), rounds=200).elements
        torch.testing.assert_close(end, later, atol=1e-3, rtol=0)
        assert end.argmax(-1).tolist() == [0, 1, 2, 3, 4]

    def test_no_constraints_and_no_rounds(self) -> None:
        problem = Problem(3, 4, [])
        probs = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
        scaled = probs / probs.amax(-1, keepdim=True)
        for rounds in (0, 1, None):
            assert torch.equal(problem.propagate(problem.domains(probs), rounds=rounds).elements, scaled)

    def test_an_empty_batch(self) -> None:
        problem = mixed(0)
        for rounds in (1, None):
            assert problem.propagate(SoftDomains(torch.ones(0, 6, 4)), rounds=rounds).elements.shape == (0, 6, 4)
            bits = HardDomains(torch.ones(0, 6, dtype=torch.int64), 4)
            assert problem.propagate(bits, rounds=rounds).bits.shape == (0, 6)

    def test_batches_are_independent(self) -> None:
        problem = mixed(1)
        probs = torch.rand(3, 2, 6, 4, generator=torch.Generator().manual_seed(0))
        whole = problem.propagate(problem.domains(probs), rounds=3).elements
        torch.testing.assert_close(whole[1, 1], problem.propagate(problem.domains(probs[1, 1]), rounds=3).elements)

    @pytest.mark.parametrize("recompute", [False, True])
    def test_compiled_in_one_graph(self, recompute: bool) -> None:
        torch._dynamo.reset()
        counters.clear()
        constraints = [
            Less(2, 3), Linear([1, 3], [1, 1], "<=", 4), Element(0, [3, 4, 5], 1), Table([4, 5], [(0, 1), (1, 2)]),
        ]  # fmt: skip
        problem = Problem(6, 3, [AllDifferent([0, 1, 2]), *([] if recompute else constraints)])

        def loss(logits: Tensor) -> Tensor:
            rounds = 2 if recompute else 1
            found = problem.propagate(problem.domains(logits.softmax(-1)), rounds=rounds, recompute=recompute)
            return found.entropy().sum()

        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        logits = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
        eager, fast = loss(logits), compiled(logits)
        torch.testing.assert_close(fast, eager)
        torch.testing.assert_close(torch.autograd.grad(fast, logits), torch.autograd.grad(eager, logits))
        assert counters["stats"]["unique_graphs"] == 1
        torch._dynamo.reset()


class TestExtension:
    def test_a_constraint_of_ones_own(self) -> None:
        class Neighbors(Constraint):
            """Two variables whose values differ by one."""

            @property
            def scope(self) -> tuple[int, ...]:
                return 0, 1

            def rule(self, sizes: tuple[int, ...]) -> Rule:
                return Function(lambda x, y: abs(x - y) == 1, self.scope).rule(sizes)

        problem = Problem(2, 3, [Neighbors()])
        assert problem.solve(limit=9).solutions().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]

    def test_constraints_of_one_rule_are_one_program(self) -> None:
        problem = Problem(9, 9, [*(AllDifferent(range(i, i + 3)) for i in range(7)), NotEqual(0, 8), NotEqual(1, 7)])
        assert len(problem._programs.rules) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [10.0, 200.0])
def test_gradients_stay_finite_however_sure_a_contradiction_is(scale: float, dtype: torch.dtype) -> None:
    """Elements so small that their reciprocals overflow: no number comes back rather than NaN."""
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(8, 81, 9, generator=generator, dtype=dtype) * scale).requires_grad_()
    board = sudoku()
    where = torch.rand(8, 81, generator=generator) < 0.35
    found = board.propagate(board.domains(logits.softmax(-1), where=where), rounds=3)
    (gradient,) = torch.autograd.grad(found.log_probs().exp()[..., 0].sum(), logits)
    assert gradient.isfinite().all()
