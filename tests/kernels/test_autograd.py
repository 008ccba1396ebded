"""Derivatives of the operators: first and second order, what is kept for them, and the memory that they take."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from drawgrad.functional import binary_concrete, gumbel_softmax
from drawgrad.kernels import ops, reference

SEED = torch.tensor([5])
SAMPLERS = {"categorical": gumbel_softmax, "binary": binary_concrete}
SAMPLES = {"categorical": ops.gumbel_softmax, "binary": ops.binary_concrete}
REFERENCES = {"categorical": reference.gumbel_softmax, "binary": reference.binary_concrete}
LOGITS_VJPS = {"categorical": ops.gumbel_softmax_vjp, "binary": ops.binary_concrete_vjp}
SAMPLE_VJPS = {"categorical": ops.softmax_vjp, "binary": ops.sigmoid_vjp}

families = pytest.mark.parametrize("family", SAMPLES)
kinds = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
shapes = pytest.mark.parametrize("shape", [(), (1, 4, 1)], ids=["one temperature", "one a row"])


def logits_of(*shape: int, masked: bool = False) -> Tensor:
    logits = torch.randn(*(shape or (1, 4, 3)), dtype=torch.float64)
    if masked:
        logits[..., 0, 1] = -torch.inf
        logits[..., 1, :] = -torch.inf
    return logits.requires_grad_()


def temperature(shape: tuple[int, ...]) -> Tensor:
    return (torch.rand(shape, dtype=torch.float64) + 0.5).requires_grad_()


class TestFirstOrder:
    @families
    @shapes
    def test_soft_samples(self, family: str, shape: tuple[int, ...]) -> None:
        sample = SAMPLES[family]
        assert torch.autograd.gradcheck(lambda x, t: sample(x, t, SEED, 3, 1, False), (logits_of(), temperature(shape)))

    @families
    @shapes
    @pytest.mark.parametrize("masked", [False, True])
    def test_hard_samples_have_the_gradient_of_soft_ones(
        self, family: str, shape: tuple[int, ...], masked: bool
    ) -> None:
        logits, tau, grad = logits_of(masked=masked), temperature(shape), torch.randn(1, 4, 3, dtype=torch.float64)
        sample = SAMPLES[family]
        soft, hard = (
            torch.autograd.grad(sample(logits, tau, SEED, 3, 1, hard), (logits, tau), grad) for hard in (False, True)
        )
        torch.testing.assert_close(hard, soft, rtol=1e-12, atol=1e-14)
        alone = torch.autograd.grad(sample(logits, tau.detach(), SEED, 3, 1, True), logits, grad)
        torch.testing.assert_close(alone, soft[:1], rtol=1e-12, atol=1e-14)

    @families
    @shapes
    def test_are_those_that_torch_finds_in_the_reference(self, family: str, shape: tuple[int, ...]) -> None:
        logits, tau, grad = logits_of(masked=True), temperature(shape), torch.randn(1, 4, 3, dtype=torch.float64)
        ours, theirs = (
            torch.autograd.grad(twin[family](logits, tau, SEED, 3, 1, False), (logits, tau), grad)
            for twin in (SAMPLES, REFERENCES)
        )
        torch.testing.assert_close(ours, theirs)
        assert float(theirs[0].detach().abs().max()) > 0

    @families
    @kinds
    def test_of_the_temperature_alone(self, family: str, hard: bool) -> None:
        logits, tau, grad = logits_of(), temperature(()), torch.randn(1, 4, 3, dtype=torch.float64)
        sample = SAMPLES[family]
        (alone,) = torch.autograd.grad(sample(logits.detach(), tau, SEED, 0, 0, hard), tau, grad)
        _, both = torch.autograd.grad(sample(logits, tau, SEED, 0, 0, hard), (logits, tau), grad)
        torch.testing.assert_close(alone, both)


class TestSecondOrder:
    @families
    @shapes
    def test_soft_samples(self, family: str, shape: tuple[int, ...]) -> None:
        sample = SAMPLES[family]
        assert torch.autograd.gradgradcheck(
            lambda x, t: sample(x, t, SEED, 3, 1, False), (logits_of(1, 4, 3), temperature(shape))
        )

    @families
    @shapes
    def test_gradients_from_logits_and_seed(self, family: str, shape: tuple[int, ...]) -> None:
        """What double backward through a hard sample runs through; it is a gradient operator of its own."""
        vjp = LOGITS_VJPS[family]
        inputs = (logits_of(), logits_of(), temperature(shape))
        assert torch.autograd.gradcheck(lambda g, x, t: vjp(g, x, t, SEED, 3, 1), inputs)
        assert torch.autograd.gradgradcheck(lambda g, x, t: vjp(g, x, t, SEED, 3, 1), inputs)

    @families
    @shapes
    def test_gradients_from_samples(self, family: str, shape: tuple[int, ...]) -> None:
        y = torch.rand(1, 4, 3, dtype=torch.float64, requires_grad=True)
        inputs = (logits_of(), y, temperature(shape))
        assert torch.autograd.gradcheck(SAMPLE_VJPS[family], inputs)

    @families
    def test_hard_samples_differentiate_the_surrogate_twice(self, family: str) -> None:
        logits, weights = logits_of(), torch.randn(1, 4, 3, dtype=torch.float64)
        sample, tau = SAMPLES[family], torch.tensor(0.7, dtype=torch.float64)

        def hessian_product(hard: bool) -> Tensor:
            y = sample(logits, tau, SEED, 3, 1, hard)
            # The cost is linear, so that the forward value, which differs, plays no part.
            (gradient,) = torch.autograd.grad((weights * y).sum(), logits, create_graph=True)
            return torch.autograd.grad((gradient**2).sum(), logits)[0]

        torch.testing.assert_close(hessian_product(True), hessian_product(False))
        assert float(hessian_product(True).abs().max()) > 0

    @families
    @kinds
    def test_nothing_reaches_what_cannot_be_chosen(self, family: str, hard: bool) -> None:
        logits = logits_of(masked=True)
        y = SAMPLES[family](logits, torch.tensor(0.7, dtype=torch.float64), SEED, 0, 0, hard)
        (gradient,) = torch.autograd.grad((y**3).sum(), logits, create_graph=True)
        (second,) = torch.autograd.grad((gradient * torch.randn(1, 4, 3)).sum(), logits)
        for value in (gradient.detach(), second):
            assert bool(value.isfinite().all())
            assert bool((value[logits == -torch.inf] == 0).all())


class TestWhatIsKept:
    @staticmethod
    def kept(call: Callable[[], Tensor]) -> tuple[Tensor, list[Tensor]]:
        tensors: list[Tensor] = []

        def pack(tensor: Tensor) -> Tensor:
            tensors.append(tensor)
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            return call(), tensors

    @families
    @kinds
    @pytest.mark.parametrize("tau", [0.5, torch.tensor(0.5)], ids=["number", "tensor"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_one_tensor_the_sample_or_the_logits(
        self, family: str, hard: bool, tau: float | Tensor, dtype: torch.dtype
    ) -> None:
        logits = torch.randn(8, 6, dtype=dtype, requires_grad=True)
        sample, tensors = self.kept(lambda: SAMPLERS[family](logits, tau, hard))
        assert [tensor.data_ptr() for tensor in tensors] == [(logits if hard else sample).data_ptr()]

    def test_a_temperature_that_learns_is_kept_as_well(self) -> None:
        logits, tau = torch.randn(8, 6), torch.tensor(0.5, requires_grad=True)
        _, tensors = self.kept(lambda: gumbel_softmax(logits, tau, True))
        assert sorted(tensor.numel() for tensor in tensors) == [1, 48]

    def test_the_check_sees_what_others_keep(self) -> None:
        logits = torch.randn(8, 6, requires_grad=True)
        _, tensors = self.kept(lambda: torch.nn.functional.gumbel_softmax(logits, hard=True).exp())
        assert len(tensors) > 1

    @families
    @kinds
    def test_seed_and_temperature_may_change_in_place_before_backward(self, family: str, hard: bool) -> None:
        logits, grad = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4)
        seed, tau = torch.tensor(3), torch.tensor(0.5)
        sample = SAMPLERS[family](logits, tau, hard, seed=seed)
        seed += 1
        tau *= 2
        (gradient,) = torch.autograd.grad(sample, logits, grad)
        (expected,) = torch.autograd.grad(SAMPLERS[family](logits, 0.5, hard, seed=3), logits, grad)
        assert torch.equal(gradient, expected)

    @kinds
    def test_what_is_kept_must_not_change(self, hard: bool) -> None:
        logits = torch.randn(500, 10, requires_grad=True)
        leaf = logits.clone()
        sample = gumbel_softmax(leaf, hard=hard)
        with torch.no_grad():
            (leaf if hard else sample).zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            sample.sum().backward()


class TestMemory:
    SIZE = 256 * 512 * 4

    @staticmethod
    def peak(call: Callable[[], object]) -> int:
        """Largest sum of the bytes that torch's allocator has handed out during a call."""
        with torch.profiler.profile(profile_memory=True) as profile:
            call()
        events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
        present = most = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            present += event.nbytes()
            most = max(most, present)
        return most

    def logits(self) -> Tensor:
        return torch.randn(256, 512, requires_grad=True)

    @families
    @kinds
    def test_forward_and_backward_take_the_output_and_the_gradient(self, family: str, hard: bool) -> None:
        logits, grad = self.logits(), torch.randn(256, 512)

        def both() -> None:
            torch.autograd.grad(SAMPLERS[family](logits, 0.5, hard), logits, grad)

        both()
        # A percent for indices and numbers.
        assert 2 * self.SIZE <= self.peak(both) <= 2.02 * self.SIZE

    def test_the_check_sees_one_tensor_more(self) -> None:
        logits, grad = self.logits(), torch.randn(256, 512)
        peak = self.peak(lambda: torch.autograd.grad(logits.exp().softmax(-1), logits, grad))
        assert peak > 2.9 * self.SIZE
