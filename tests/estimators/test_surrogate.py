"""Samples that carry a gradient: what backward keeps, extreme logits, temperatures, and second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import (
    ESTIMATORS,
    GumbelSoftmax,
    StraightThrough,
    StraightThroughEstimator,
    SurrogateEstimator,
)
from drawgrad.variables import Binary, OneHot

SURROGATES = [
    cls
    for cls in ESTIMATORS.values()
    if issubclass(cls, SurrogateEstimator) and cls().obstacle(OneHotCategorical(logits=torch.zeros(3))) is None
]
CLOSED = [cls for cls in SURROGATES if issubclass(cls, StraightThroughEstimator)]


class TestMemory:
    @pytest.mark.parametrize("cls", CLOSED)
    @pytest.mark.parametrize("binary", [False, True])
    def test_backward_keeps_logits_codes_and_the_seed(self, cls: type[StraightThroughEstimator], binary: bool) -> None:
        logits = torch.randn(6, 50, requires_grad=True)
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda x: x):
            z = cls(samples=4).surrogate((Binary if binary else OneHot)(logits).expand(4), torch.tensor(0))
        code = (torch.bool, (4, 6, 50)) if binary else (torch.int64, (4, 6))
        assert [(tensor.dtype, tuple(tensor.shape)) for tensor in kept] == [
            (torch.float32, (4, 6, 50)),
            code,
            (torch.int64, ()),
        ]
        # The logits of all samples are one tensor, seen several times.
        assert kept[0].untyped_storage().data_ptr() == logits.untyped_storage().data_ptr()
        assert z.shape == (4, 6, 50)

    def test_the_hook_notices_a_second_softmax(self) -> None:
        logits = torch.randn(6, 50, requires_grad=True)
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda x: x):
            logits.softmax(-1)
        assert len(kept) == 1
        assert kept[0].data_ptr() != logits.data_ptr()


class TestSample:
    @pytest.mark.parametrize("cls", SURROGATES)
    def test_rsample_is_what_the_cost_sees(self, cls: type[SurrogateEstimator]) -> None:
        logits = torch.randn(5, 2, 3, requires_grad=True)
        weights = torch.randn(2, 3)
        for family in (OneHotCategorical, Bernoulli):
            estimator = cls(samples=4)
            z = estimator.rsample(family(logits=logits), seed=3)
            assert z.shape == (4, 5, 2, 3)
            loss = estimator(lambda x: (x * weights).sum((-1, -2)) ** 2, family(logits=logits), seed=3)
            mine = ((z * weights).sum((-1, -2)) ** 2).mean(0)
            torch.testing.assert_close(loss, mine)
            torch.testing.assert_close(
                torch.autograd.grad(loss.sum(), logits)[0], torch.autograd.grad(mine.sum(), logits)[0]
            )

    @pytest.mark.parametrize("cls", [cls for cls in SURROGATES if cls.hard])
    def test_is_hard_and_follows_q(self, cls: type[SurrogateEstimator]) -> None:
        z = cls(samples=8).rsample(OneHotCategorical(logits=torch.randn(50, 4)), seed=0)
        assert bool(((z == 0) | (z == 1)).all())
        assert bool((z.sum(-1) == 1).all())
        b = cls(samples=8).rsample(Bernoulli(logits=torch.randn(50, 4)), seed=0)
        assert bool(((b == 0) | (b == 1)).all())


class TestExtremes:
    @pytest.mark.parametrize("cls", SURROGATES)
    def test_a_class_that_cannot_occur_never_does_and_gets_no_gradient(self, cls: type[SurrogateEstimator]) -> None:
        logits = torch.tensor([0.3, -torch.inf, 1.0, -0.2]).expand(200, 4).clone().requires_grad_()
        z = cls().rsample(OneHotCategorical(logits=logits), seed=1)
        (found,) = torch.autograd.grad((z * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum(), logits)
        assert bool((z[..., 1] == 0).all())
        assert bool((found[:, 1] == 0).all())
        assert bool(found.isfinite().all())
        assert bool((found[:, 0] != 0).any())

    @pytest.mark.parametrize("cls", SURROGATES)
    @pytest.mark.parametrize("size", [1e4, 80.0])
    def test_large_logits_give_finite_gradients(self, cls: type[SurrogateEstimator], size: float) -> None:
        logits = (torch.tensor([1.0, -1.0, 0.0]) * size).requires_grad_()
        for q in (OneHotCategorical(logits=logits), Bernoulli(logits=logits)):
            z = cls(samples=50).rsample(q, seed=1)
            (found,) = torch.autograd.grad((z * torch.tensor([1.0, 2.0, -3.0])).sum(), logits)
            assert bool(found.isfinite().all())

    @pytest.mark.parametrize("cls", SURROGATES)
    @pytest.mark.parametrize("classes", [1, 2, 5, 33])
    def test_any_number_of_classes_and_dimensions(self, cls: type[SurrogateEstimator], classes: int) -> None:
        for batch in [(), (4,), (2, 3)]:
            logits = torch.randn(*batch, classes, requires_grad=True)
            z = cls(samples=2).rsample(OneHotCategorical(logits=logits), seed=1)
            assert z.shape == (2, *batch, classes)
            (found,) = torch.autograd.grad((z * torch.randn(classes)).sum(), logits)
            assert found.shape == logits.shape
            # A shift of the logits changes nothing: gradients sum to zero, and one class has none.
            torch.testing.assert_close(found.sum(-1), torch.zeros(batch), atol=1e-4, rtol=0)

    @pytest.mark.parametrize("cls", [cls for cls in SURROGATES if "tau" in cls.__dataclass_fields__])
    @pytest.mark.parametrize("tau", [1e-6, 1e-3, 1e3])
    def test_extreme_temperatures_give_finite_gradients(self, cls: type[SurrogateEstimator], tau: float) -> None:
        logits = torch.randn(20, 4, requires_grad=True)
        for q in (OneHotCategorical(logits=logits), Bernoulli(logits=logits)):
            z = cls(tau=tau).rsample(q, seed=1)
            (found,) = torch.autograd.grad((z * torch.randn(4)).sum(), logits)
            assert bool(found.isfinite().all())

    def test_layout_of_the_logits_does_not_matter(self) -> None:
        logits = torch.randn(4, 3, 6)
        for cls in SURROGATES:
            results = []
            for view in (logits.transpose(0, 1)[:, :, ::2], logits.transpose(0, 1)[:, :, ::2].contiguous()):
                leaf = view.detach().requires_grad_()
                z = cls().rsample(OneHotCategorical(logits=leaf), seed=1)
                results.append((z.detach(), torch.autograd.grad((z**2 * torch.arange(3.0)).sum(), leaf)[0]))
            torch.testing.assert_close(results[0], results[1])


class TestTemperature:
    @pytest.mark.parametrize("cls", [cls for cls in SURROGATES if "tau" in cls.__dataclass_fields__])
    def test_a_tensor_is_a_number(self, cls: type[SurrogateEstimator]) -> None:
        logits = torch.randn(5, 4, requires_grad=True)

        def gradient(tau: float | Tensor) -> Tensor:
            z = cls(tau=tau, samples=3).rsample(OneHotCategorical(logits=logits), seed=1)
            return torch.autograd.grad((z * torch.arange(4.0)).sum(), logits)[0]

        torch.testing.assert_close(gradient(torch.tensor(0.7)), gradient(0.7))
        each = torch.tensor([0.4, 0.7, 0.7, 1.0, 2.0])[:, None]
        torch.testing.assert_close(gradient(each)[1:3], gradient(0.7)[1:3])
        assert not torch.allclose(gradient(each)[0], gradient(0.7)[0])

    def test_that_learns_gets_its_gradient_from_the_relaxed_sample(self) -> None:
        logits = torch.randn(5, 4, dtype=torch.float64)
        tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

        def loss(temperature: Tensor) -> Tensor:
            q = OneHotCategorical(logits=logits)
            return GumbelSoftmax(tau=temperature)(lambda y: (y**2).sum((-1, -2)), q, seed=1)

        assert torch.autograd.gradcheck(loss, tau)


def test_second_derivatives_are_those_of_the_closed_form() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 3, dtype=torch.float64)
    z = StraightThrough().rsample(OneHotCategorical(logits=logits), seed=1)[0]
    (first,) = torch.autograd.grad((z * weights).sum(), logits, create_graph=True)
    (second,) = torch.autograd.grad((first * weights).sum(), logits)
    pi = logits.softmax(-1)
    closed = pi * (weights - (pi * weights).sum(-1, keepdim=True))
    (expected,) = torch.autograd.grad((closed * weights).sum(), logits)
    torch.testing.assert_close(first.detach(), closed.detach())
    torch.testing.assert_close(second, expected)
