"""The laws of the semirings on random elements; each with an algebra that breaks it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from drawgrad.logic import (
    Boolean,
    Goedel,
    Log,
    Lukasiewicz,
    MaxPlus,
    MinPlus,
    Probability,
    Semiring,
    Viterbi,
)

ALL = [Boolean(), Probability(), Log(), MaxPlus(), MinPlus(), Viterbi(), Goedel(), Lukasiewicz()]
WITH_COMPLEMENT = [Boolean(), Probability(), Goedel(), Lukasiewicz()]
named = {"ids": lambda semiring: type(semiring).__name__}


@dataclass(frozen=True)
class Broken(Semiring):
    """A negative control: AND is a difference, which is neither associative nor commutative, nor has it a zero."""

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return (a + 2 * b) / 3

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


def elements(semiring: Semiring, count: int = 300) -> tuple[Tensor, ...]:
    """Random elements, a quarter of them zeros and ones."""
    generator = torch.Generator().manual_seed(7)
    found = []
    for _ in range(3):
        probs = torch.rand(count, generator=generator, dtype=torch.float64)
        corner = torch.rand(count, generator=generator) < 0.25
        probs = torch.where(corner, (probs > 0.5).double(), probs)
        found.append(semiring.of_probs(probs))
    return tuple(found)


def agree(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a, b) if a.dtype == torch.bool else torch.allclose(a, b, rtol=1e-12, atol=1e-12)


def neutral(semiring: Semiring, a: Tensor, element: float) -> Tensor:
    return torch.full_like(a, element)


LAWS = {
    "OR is associative": lambda s, a, b, c: (s.plus(s.plus(a, b), c), s.plus(a, s.plus(b, c))),
    "OR is commutative": lambda s, a, b, c: (s.plus(a, b), s.plus(b, a)),
    "AND is associative": lambda s, a, b, c: (s.times(s.times(a, b), c), s.times(a, s.times(b, c))),
    "AND is commutative": lambda s, a, b, c: (s.times(a, b), s.times(b, a)),
    "zero is neutral": lambda s, a, b, c: (s.plus(a, neutral(s, a, s.zero)), a),
    "one is neutral": lambda s, a, b, c: (s.times(a, neutral(s, a, s.one)), a),
    "zero annihilates": lambda s, a, b, c: (s.times(a, neutral(s, a, s.zero)), neutral(s, a, s.zero)),
}


@pytest.mark.parametrize("law", LAWS)
class TestLaws:
    @pytest.mark.parametrize("semiring", ALL, **named)
    def test_hold(self, semiring: Semiring, law: str) -> None:
        assert agree(*LAWS[law](semiring, *elements(semiring)))

    def test_are_broken_by_the_control(self, law: str) -> None:
        assert not agree(*LAWS[law](Broken(), *elements(Broken())))


class TestDistributivity:
    @pytest.mark.parametrize("semiring", ALL, **named)
    def test_is_as_declared(self, semiring: Semiring) -> None:
        a, b, c = elements(semiring)
        apart = semiring.plus(semiring.times(a, b), semiring.times(a, c))
        assert agree(semiring.times(a, semiring.plus(b, c)), apart) == semiring.distributive

    def test_probability_alone_lacks_it(self) -> None:
        assert [type(semiring) for semiring in ALL if not semiring.distributive] == [Probability]


class TestComplement:
    @pytest.mark.parametrize("semiring", WITH_COMPLEMENT, **named)
    def test_undoes_itself_and_exchanges_the_ends(self, semiring: Semiring) -> None:
        a, *_ = elements(semiring)
        assert agree(semiring.complement(semiring.complement(a)), a)
        zeros, ones = neutral(semiring, a, semiring.zero), neutral(semiring, a, semiring.one)
        assert agree(semiring.complement(zeros), ones)

    @pytest.mark.parametrize("semiring", [Boolean(), Probability(), Goedel()], **named)
    def test_de_morgan(self, semiring: Semiring) -> None:
        a, b, _ = elements(semiring)
        left = semiring.complement(semiring.times(a, b))
        assert agree(left, semiring.plus(semiring.complement(a), semiring.complement(b)))

    def test_de_morgan_does_not_hold_everywhere(self) -> None:
        semiring = Lukasiewicz()
        a, b, _ = elements(semiring)
        left = semiring.complement(semiring.times(a, b))
        assert not agree(left, semiring.plus(semiring.complement(a), semiring.complement(b)))

    @pytest.mark.parametrize("semiring", [Log(), MaxPlus(), MinPlus(), Viterbi()], **named)
    def test_the_others_have_none(self, semiring: Semiring) -> None:
        with pytest.raises(TypeError, match=f"{type(semiring).__name__} has no complement"):
            semiring.complement(torch.zeros(2))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 9, 16])
@pytest.mark.parametrize("dim", [0, -1, 1])
@pytest.mark.parametrize("semiring", ALL, **named)
class TestReductions:
    def folded(self, semiring: Semiring, parts: list[Tensor], operation: str, like: Tensor) -> Tensor:
        result = torch.full_like(like, semiring.zero if operation == "plus" else semiring.one)
        for part in parts:
            result = getattr(semiring, operation)(result, part)
        return result

    def table(self, semiring: Semiring, count: int, dim: int) -> tuple[Tensor, Tensor]:
        rows = elements(semiring, 2 * max(count, 1))[0].reshape(max(count, 1), 2)[:count]
        like = elements(semiring, 2)[1]
        return (rows if dim == 0 else rows.T.contiguous()), like

    def test_are_folds(self, semiring: Semiring, dim: int, count: int) -> None:
        table, like = self.table(semiring, count, dim)
        parts = list(table.unbind(dim))
        assert agree(semiring.sum(table, dim), self.folded(semiring, parts, "plus", like))
        assert agree(semiring.product(table, dim), self.folded(semiring, parts, "times", like))

    def test_of_others_leave_one_out(self, semiring: Semiring, dim: int, count: int) -> None:
        table, like = self.table(semiring, count, dim)
        parts = list(table.unbind(dim))
        for operation, of_others in (("plus", semiring.sum_of_others), ("times", semiring.product_of_others)):
            found = of_others(table, dim)
            assert found.shape == table.shape
            for number, column in enumerate(found.unbind(dim)):
                rest = parts[:number] + parts[number + 1 :]
                assert agree(column, self.folded(semiring, rest, operation, like))


class TestNumerics:
    def test_small_probabilities_are_not_lost(self) -> None:
        tiny = torch.full((1000,), 1e-12)
        torch.testing.assert_close(Probability().sum(tiny, -1), torch.tensor(1e-9), rtol=1e-5, atol=0)

    @pytest.mark.parametrize("semiring", [s for s in ALL if not isinstance(s, Boolean)], **named)
    def test_gradients_are_finite_where_elements_are_zero(self, semiring: Semiring) -> None:
        probs = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
        lifted = semiring.of_probs(probs)
        parts = [semiring.sum(lifted, -1), semiring.product_of_others(lifted, -1), semiring.rescale(lifted, -1)]
        total = sum(semiring.log(part).clamp_min(-1e3).sum() for part in parts)
        (gradient,) = torch.autograd.grad(total, probs)
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("semiring", [Probability(), Log(), Viterbi(), MaxPlus(), MinPlus()], **named)
    def test_gradients_of_reductions(self, semiring: Semiring) -> None:
        a = semiring.of_probs(torch.rand(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
        a.requires_grad_()
        for function in (semiring.sum, semiring.product, semiring.sum_of_others, semiring.product_of_others):
            assert torch.autograd.gradcheck(lambda x, f=function: f(x, -1), a)

    @pytest.mark.parametrize("semiring", ALL, **named)
    def test_rescaling_keeps_proportions_and_corners(self, semiring: Semiring) -> None:
        probs = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
        corners = semiring.of_probs(probs)
        assert torch.equal(semiring.rescale(corners, -1), corners)
        shrunk = semiring.of_probs(torch.tensor([[0.1, 0.2]], dtype=torch.float64))
        rescaled = semiring.log(semiring.rescale(shrunk, -1)).diff()
        torch.testing.assert_close(rescaled, semiring.log(shrunk).diff())
        if not isinstance(semiring, Boolean | Goedel | Lukasiewicz):
            assert semiring.rescale(shrunk, -1).eq(semiring.one).any()

    def test_lift(self) -> None:
        like = torch.zeros(1, dtype=torch.float64)
        found = MinPlus().lift(torch.tensor([True, False]), like)
        assert found.tolist() == [0.0, torch.inf]
        assert found.dtype == like.dtype
