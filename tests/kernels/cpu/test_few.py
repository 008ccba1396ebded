"""Draws of few numbers: the values of the usual way bit for bit, its derivatives, and nothing for a user to notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

from drawgrad.functional import _short, binary_concrete, gumbel_max, gumbel_softmax

SHAPES = [(1, 10), (20, 10), (3, 200), (7,), (2, 3, 5), (4, 1)]
EPS = torch.finfo(torch.float32).eps
INFINITY, NAN = torch.inf, torch.nan

Sampler = Callable[..., Tensor]
SAMPLERS: dict[str, Sampler] = {"categorical": gumbel_softmax, "binary": binary_concrete}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
soft_and_hard = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sampler], Sampler]:
    """A sampler without its draws of few numbers."""

    def without(sampler: Sampler) -> Sampler:
        def call(*args: Any, **given: Any) -> Tensor:
            with monkeypatch.context() as patch:
                patch.setattr(_short, "FEW", 0)
                return sampler(*args, **given)

        return call

    return without


def gradient(sampler: Sampler, logits: Tensor, upstream: Tensor, *args: Any, **given: Any) -> tuple[Tensor, Tensor]:
    """A sample, and the gradient of its product with ``upstream``."""
    leaf = logits.clone().requires_grad_()
    sample = sampler(leaf, *args, **given)
    return sample.detach(), torch.autograd.grad(sample, leaf, upstream)[0]


def close(found: Tensor, expected: Tensor, tau: float) -> bool:
    """Equal but for the rounding of products and their sum, of numbers of about one; the same infinities and NaN."""
    return torch.allclose(found, expected, rtol=0, atol=32 * EPS / tau, equal_nan=True)


@every_sampler
@soft_and_hard
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("tau", [1.0, 0.3, 4])
def test_values_and_gradients_are_those_of_the_usual_way(
    sampler: Sampler, hard: bool, shape: tuple[int, ...], tau: float, usual: Callable[[Sampler], Sampler]
) -> None:
    logits, upstream = numbers(*shape), numbers(*shape, seed=1)
    found, of_logits = gradient(sampler, logits, upstream, tau, hard, seed=5)
    expected, of_expected = gradient(usual(sampler), logits, upstream, tau, hard, seed=5)
    assert torch.equal(found, expected)
    assert torch.equal(sampler(logits, tau, hard, seed=5), expected)
    assert close(of_logits, of_expected, tau)
    # The derivative is that of the sample, not of the logits whose node it took.
    if shape != (4, 1):
        assert not close(gradient(sampler, logits, upstream, tau, hard, seed=6)[1], of_expected, tau)


@soft_and_hard
@pytest.mark.parametrize("shape", [(20, 10), (20, 1), (10,), (1, 10)], ids=str)
def test_a_mask_that_broadcasts(hard: bool, shape: tuple[int, ...], usual: Callable[[Sampler], Sampler]) -> None:
    logits, upstream, mask = numbers(20, 10), numbers(20, 10, seed=1), numbers(*shape, seed=2) > -0.5
    found = gradient(gumbel_softmax, logits, upstream, 0.7, hard, mask=mask, seed=3)
    expected = gradient(usual(gumbel_softmax), logits, upstream, 0.7, hard, mask=mask, seed=3)
    assert torch.equal(found[0], expected[0])
    assert close(found[1], expected[1], 0.7)
    forbidden = ~mask.expand(20, 10)
    assert bool((found[1][forbidden] == 0).all())
    turned = mask.expand(20, 10).t().contiguous().t()
    assert torch.equal(gumbel_softmax(logits, 0.7, hard, mask=turned, seed=3), expected[0])
    index = gumbel_max(logits, mask=turned, seed=3)
    assert torch.equal(index, usual(gumbel_max)(logits, mask=mask, seed=3))


class TestEnds:
    """Where a sample is zero or one by rounding, and where a class is impossible."""

    LOGITS = torch.tensor([[0.0, -INFINITY, 1.0, -200.0], [0.0, 0.3, 1.0, -0.2], [-INFINITY] * 4])

    @soft_and_hard
    @pytest.mark.parametrize("bad", [INFINITY, -INFINITY, NAN])
    def test_pass_no_gradient_whatever_comes_from_above(
        self, hard: bool, bad: float, usual: Callable[[Sampler], Sampler]
    ) -> None:
        upstream = torch.tensor([[0.5, bad, -0.5, bad], [1.0, 2.0, 3.0, 4.0], [bad, 1.0, 1.0, 1.0]])
        _, found = gradient(gumbel_softmax, self.LOGITS, upstream, 0.5, hard, seed=1)
        _, expected = gradient(usual(gumbel_softmax), self.LOGITS, upstream, 0.5, hard, seed=1)
        assert close(found, expected, 0.5)
        assert bool((found[0, 1::2] == 0).all())
        assert bool(found.isfinite().all())
        assert bool((found[:2, ::2] != 0).all())

    @pytest.mark.parametrize("bad", [INFINITY, NAN])
    def test_stay_zero_beside_a_gradient_that_is_not_finite(
        self, bad: float, usual: Callable[[Sampler], Sampler]
    ) -> None:
        upstream = torch.tensor([[bad, 1.0, 1.0, 1.0]] * 3)
        _, found = gradient(gumbel_softmax, self.LOGITS, upstream, 0.5, seed=1)
        _, expected = gradient(usual(gumbel_softmax), self.LOGITS, upstream, 0.5, seed=1)
        assert close(found, expected, 0.5)
        assert bool((found[0, 1::2] == 0).all())

    @soft_and_hard
    @pytest.mark.parametrize("bad", [INFINITY, -INFINITY, NAN])
    def test_of_bits(self, hard: bool, bad: float, usual: Callable[[Sampler], Sampler]) -> None:
        logits = torch.tensor([200.0, -200.0, INFINITY, -INFINITY, 0.3])
        upstream = torch.tensor([bad, bad, bad, bad, 1.0])
        sample, found = gradient(binary_concrete, logits, upstream, 0.5, hard, seed=1)
        expected_sample, expected = gradient(usual(binary_concrete), logits, upstream, 0.5, hard, seed=1)
        assert torch.equal(sample, expected_sample)
        assert close(found, expected, 0.5)
        assert found[:4].tolist() == [0.0] * 4
        assert found[4] != 0

    @every_sampler
    def test_rows_with_nan(self, sampler: Sampler, usual: Callable[[Sampler], Sampler]) -> None:
        logits = torch.tensor([[NAN, 0.0, 1.0], [0.0, 1.0, 2.0], [INFINITY, 0.0, 1.0]])
        for found, expected in zip(
            gradient(sampler, logits, torch.ones(3, 3), 0.5, seed=1),
            gradient(usual(sampler), logits, torch.ones(3, 3), 0.5, seed=1),
            strict=True,
        ):
            assert close(found, expected, 0.5)


@every_sampler
@soft_and_hard
@pytest.mark.parametrize("ends", [False, True])
def test_second_derivatives(sampler: Sampler, hard: bool, ends: bool, usual: Callable[[Sampler], Sampler]) -> None:
    logits = numbers(4, 5)
    if ends:
        logits[:, 2] = -INFINITY

    def second(draw: Sampler) -> Tensor:
        leaf = logits.clone().requires_grad_()
        weight = numbers(4, 5, seed=1).requires_grad_()
        (first,) = torch.autograd.grad((weight * draw(leaf, 0.7, hard, seed=3)).sum(), leaf, create_graph=True)
        return torch.stack(torch.autograd.grad((first * numbers(4, 5, seed=2)).sum(), (leaf, weight)))

    expected = second(usual(sampler))
    assert close(second(sampler), expected, 0.7**2)
    assert bool((expected != 0).any())


@every_sampler
@soft_and_hard
class TestNobodyCanTell:
    def test_by_what_hooks_keep(self, sampler: Sampler, hard: bool) -> None:
        logits, upstream = numbers(20, 10), numbers(20, 10, seed=1)
        expected = gradient(sampler, logits, upstream, 0.5, hard, seed=3)
        with save_on_cpu():
            found = gradient(sampler, logits, upstream, 0.5, hard, seed=3)
        assert all(map(torch.equal, found[:1], expected[:1]))
        assert close(found[1], expected[1], 0.5)

    @pytest.mark.parametrize("reentrant", [False, True])
    def test_by_a_checkpoint(self, sampler: Sampler, hard: bool, reentrant: bool) -> None:
        leaf, upstream = numbers(20, 10).requires_grad_(), numbers(20, 10, seed=1)
        torch.manual_seed(3)
        sample = sampler(leaf, 0.5, hard)
        (expected,) = torch.autograd.grad(sample, leaf, upstream)
        torch.manual_seed(3)
        again = checkpoint(sampler, leaf, 0.5, hard, use_reentrant=reentrant)
        assert torch.equal(again, sample)
        again.backward(upstream)
        assert leaf.grad is not None
        assert close(leaf.grad, expected, 0.5)

    def test_by_tangents(self, sampler: Sampler, hard: bool, usual: Callable[[Sampler], Sampler]) -> None:
        logits, direction = numbers(20, 10).requires_grad_(), numbers(20, 10, seed=1)
        tangents = []
        for draw in (sampler, usual(sampler)):
            with forward_ad.dual_level():
                tangents.append(forward_ad.unpack_dual(draw(forward_ad.make_dual(logits, direction), seed=3)).tangent)
        assert torch.equal(*tangents)

    def test_by_a_second_backward_pass(self, sampler: Sampler, hard: bool) -> None:
        leaf, upstream = numbers(20, 10).requires_grad_(), numbers(20, 10, seed=1)
        sample = sampler(leaf, 0.5, hard, seed=3)
        first = torch.autograd.grad(sample, leaf, upstream, retain_graph=True)[0]
        assert torch.equal(torch.autograd.grad(sample, leaf, upstream)[0], first)

    def test_by_writing_to_the_sample(self, sampler: Sampler, hard: bool) -> None:
        leaf = numbers(20, 10).requires_grad_()
        sample = sampler(leaf, 0.5, hard, seed=3)
        sample[0] = 0
        if hard:
            assert bool((torch.autograd.grad(sample[1:].square().sum(), leaf)[0][0] == 0).all())
        else:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                sample.sum().backward()

    def test_by_inference_mode_before(self, sampler: Sampler, hard: bool) -> None:
        tau = 0.5 + 1e-3 * hard + 1e-4 * (sampler is gumbel_softmax)  # Of which no other test has made a tensor.
        with torch.inference_mode():
            expected = sampler(numbers(20, 10), tau, hard, seed=3)
        sample = sampler(numbers(20, 10).requires_grad_(), tau, hard, seed=3)
        assert torch.equal(sample, expected)
        sample.sum().backward()
