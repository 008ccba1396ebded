"""KL divergences by way of torch's dispatcher: every pair with a straight-through distribution, at the edges."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    kl_divergence,
)

from drawgrad.distributions import (
    RelaxedBernoulli,
    RelaxedBernoulliStraightThrough,
    RelaxedOneHotCategorical,
    RelaxedOneHotCategoricalStraightThrough,
)
from drawgrad.functional import bernoulli_kl, categorical_kl

INF = math.inf
Make = Callable[..., Distribution]


def ours(**parameter: Any) -> Any:
    return RelaxedOneHotCategoricalStraightThrough(0.5, **parameter, validate_args=False)


def our_bit(**parameter: Any) -> Any:
    return RelaxedBernoulliStraightThrough(0.5, **parameter, validate_args=False)


def torch_(cls: Any) -> Make:
    return lambda **parameter: cls(**parameter, validate_args=False)


ONE_HOT: dict[str, Make] = {"ours": ours, "torch": torch_(OneHotCategorical)}
ONE_HOT["torch's straight-through"] = torch_(OneHotCategoricalStraightThrough)
BIT: dict[str, Make] = {"ours": our_bit, "torch": torch_(Bernoulli)}


def pairs(kinds: dict[str, Make]) -> Any:
    found = [pair for pair in itertools.product(kinds, kinds) if "ours" in pair]
    return pytest.mark.parametrize(("p", "q"), found)


def divergence(p: Distribution, q: Distribution) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of a pair that two formulas fit.
        return kl_divergence(p, q)


@pairs(ONE_HOT)
class TestOneHot:
    def test_is_the_function_of_the_logits(self, p: str, q: str) -> None:
        one, other = torch.randn(2, 4, 5), torch.randn(5)
        found = divergence(ONE_HOT[p](logits=one), ONE_HOT[q](logits=other))
        torch.testing.assert_close(found, categorical_kl(one.log_softmax(-1), other.log_softmax(-1)))

    @pytest.mark.parametrize("inside", [False, True])
    def test_an_impossible_class_leaves_the_gradient_of_the_others(self, p: str, q: str, inside: bool) -> None:
        logits = torch.tensor([[1.0, 0.0, -INF]], requires_grad=True)
        one, other = ONE_HOT[p](logits=logits), ONE_HOT[q](logits=torch.zeros(1, 3))
        if inside:
            one, other = Independent(one, 1), Independent(other, 1)
        divergence(one, other).sum().backward()
        torch.testing.assert_close(logits.grad, torch.tensor([[0.1966, -0.1966, 0.0]]), rtol=0.0, atol=1e-4)

    @pytest.mark.parametrize("cached", [False, True])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_a_given_probability_of_zero_is_exactly_zero(
        self, p: str, q: str, dtype: torch.dtype, cached: bool
    ) -> None:
        """torch clamps it on the way to its logits."""
        given = torch.tensor([0.75, 0.25, 0.0], dtype=dtype)

        def expanded(make: Make, probs: Tensor) -> Distribution:
            d = make(probs=probs)
            if cached:
                _ = d.logits, d.probs  # type: ignore[attr-defined]
            return d.expand((2,))

        point, uniform = expanded(ONE_HOT[p], given), expanded(ONE_HOT[q], torch.ones(3, dtype=dtype))
        right = 0.75 * math.log(0.75) + 0.25 * math.log(0.25) + math.log(3)
        found = divergence(point, uniform)
        assert found.dtype == torch.promote_types(dtype, torch.float32)
        assert found.tolist() == pytest.approx([right, right], rel=8 * torch.finfo(dtype).eps)
        beyond = divergence(expanded(ONE_HOT[p], torch.ones(3, dtype=dtype)), expanded(ONE_HOT[q], given))
        assert beyond.tolist() == [INF, INF]

    def test_a_tiny_probability_is_not_zero(self, p: str, q: str) -> None:
        found = divergence(ONE_HOT[p](logits=torch.zeros(2)), ONE_HOT[q](logits=torch.tensor([0.0, -110.0])))
        assert found.item() == pytest.approx(54.307, abs=1e-3)

    def test_different_classes_are_refused(self, p: str, q: str) -> None:
        with pytest.raises(ValueError, match="p has 3 and q has 4"):
            divergence(ONE_HOT[p](logits=torch.zeros(3)), ONE_HOT[q](logits=torch.zeros(4)))


@pairs(BIT)
class TestBits:
    def test_is_the_function_of_the_logits(self, p: str, q: str) -> None:
        one, other = torch.randn(2, 4), torch.randn(4)
        found = divergence(BIT[p](logits=one), BIT[q](logits=other))
        torch.testing.assert_close(found, bernoulli_kl(one, other))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_a_saturated_second_argument(self, p: str, q: str, dtype: torch.dtype) -> None:
        one = torch.tensor(2.0, dtype=dtype)
        for logit, right in ((6.25, 0.38161), (20.0, 2.01870)):
            found = divergence(BIT[p](logits=one), BIT[q](logits=torch.tensor(logit, dtype=dtype)))
            assert found.item() == pytest.approx(right, rel=max(1e-4, 8 * torch.finfo(dtype).eps))

    @pytest.mark.parametrize("cached", [False, True])
    def test_given_probabilities(self, p: str, q: str, cached: bool) -> None:
        given = torch.tensor([0.0, 1.0, 1e-10, 0.3], dtype=torch.float32, requires_grad=True)
        one = BIT[p](probs=given)
        if cached:
            _ = one.logits, one.probs  # type: ignore[attr-defined]
        found = divergence(one.expand((4,)), BIT[q](probs=torch.full((4,), 0.5)))
        right = [math.log(2), math.log(2), math.log(2) - 1e-10 * 24, 0.3 * math.log(0.6) + 0.7 * math.log(1.4)]
        assert found.tolist() == pytest.approx(right)
        found.sum().backward()
        assert given.grad is not None
        assert given.grad.tolist() == pytest.approx([0.0, 0.0, math.log(1e-10), math.log(3 / 7)], rel=1e-5)
        beyond = divergence(BIT[p](probs=torch.full((2,), 0.5)), BIT[q](probs=torch.tensor([0.0, 1.0])))
        assert beyond.tolist() == [INF, INF]


def test_that_of_relaxed_ones_is_another() -> None:
    """Their densities are others than the discrete probabilities."""
    logits, others = torch.tensor([1.0, 0.0, -1.0]), torch.zeros(3)
    for relaxed, discrete in ((RelaxedOneHotCategorical, OneHotCategorical), (RelaxedBernoulli, Bernoulli)):
        own = kl_divergence(relaxed(0.5, logits=logits), relaxed(0.5, logits=others))
        assert bool((own >= 0).all())
        assert not torch.allclose(own, kl_divergence(discrete(logits=logits), discrete(logits=others)))
