"""What all samplers share: seeds and generators, temperatures of every shape, and the wording of mistakes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_noise, gumbel_softmax, logistic_noise

LOGITS = torch.linspace(-2.0, 2.0, 12).reshape(3, 4)
CALLS: dict[str, Callable[..., Tensor]] = {
    "gumbel_softmax": lambda **options: gumbel_softmax(LOGITS, **options),
    "hard": lambda **options: gumbel_softmax(LOGITS, hard=True, **options),
    "gumbel_max": lambda **options: gumbel_max(LOGITS.expand(50, 3, 4), **options),
    "binary_concrete": lambda **options: binary_concrete(LOGITS, **options),
    "gumbel_noise": lambda **options: gumbel_noise((3, 4), **options),
    "logistic_noise": lambda **options: logistic_noise((3, 4), **options),
}
SAMPLERS = {"categorical": gumbel_softmax, "binary": binary_concrete}

calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
samplers = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
kinds = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


class TestSeeds:
    @calls
    @pytest.mark.parametrize("seed", [0, 9, -1, -(2**63), 2**63 - 1])
    def test_an_int_is_a_tensor(self, call: Callable[..., Tensor], seed: int) -> None:
        assert torch.equal(call(seed=seed), call(seed=torch.tensor(seed)))

    @pytest.mark.parametrize("seed", [-1, -(2**63), -12345])
    def test_count_modulo_64_bits(self, seed: int) -> None:
        assert torch.equal(gumbel_noise((50,), seed=seed), gumbel_noise((50,), seed=seed + 2**64))

    def test_differ_in_every_bit(self) -> None:
        seeds = [0] + [1 << bit for bit in range(64)]
        noise = torch.stack([gumbel_noise((8,), seed=seed) for seed in seeds])
        assert len(noise.unique(dim=0)) == len(seeds)

    @pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
    def test_of_more_than_64_bits_are_refused(self, seed: int) -> None:
        with pytest.raises(ValueError, match=r"64 bits, but it is -?\d+; take it modulo"):
            gumbel_noise((3,), seed=seed)

    @pytest.mark.parametrize("seed", [torch.zeros(2, dtype=torch.int64), torch.tensor(1.0), torch.tensor([1])])
    def test_of_another_shape_or_dtype_are_refused(self, seed: Tensor) -> None:
        with pytest.raises(ValueError, match="0-dim int64"):
            gumbel_noise((3,), seed=seed)

    @pytest.mark.parametrize("seed", [True, 1.0, "1"])
    def test_of_another_type_are_refused(self, seed: object) -> None:
        with pytest.raises(TypeError, match="seed must be an int or a 0-dim int64 tensor"):
            gumbel_noise((3,), seed=seed)


class TestOtherNumbers:
    """What counts as a number elsewhere counts here."""

    def test_integers_of_numpy(self) -> None:
        expected = gumbel_softmax(LOGITS, 0.5, dim=0, seed=7, row_offset=3, class_offset=2)
        sample = gumbel_softmax(
            LOGITS, np.float32(0.5), dim=np.int64(0), seed=np.int64(7), row_offset=np.int32(3), class_offset=np.uint8(2)
        )
        assert torch.equal(sample, expected)
        assert torch.equal(gumbel_noise((np.int64(2), np.int32(3)), seed=1), gumbel_noise((2, 3), seed=1))

    def test_fractions(self) -> None:
        assert torch.equal(gumbel_softmax(LOGITS, Fraction(1, 2), seed=1), gumbel_softmax(LOGITS, 0.5, seed=1))

    def test_the_rest_of_torchs_signature(self) -> None:
        expected = gumbel_softmax(LOGITS, hard=True, seed=1)
        assert torch.equal(gumbel_softmax.__wrapped__(LOGITS, hard=1, eps=1e-10, seed=1), expected)


class TestLayout:
    """Samples are contiguous and no views, as torch's are: they may be changed in place, detached and viewed."""

    @kinds
    @pytest.mark.parametrize("dim", [0, 1, 2, -1])
    @pytest.mark.parametrize("mask", [None, torch.rand(4) > 0.5], ids=["all", "masked"])
    @pytest.mark.parametrize("grad", [False, True])
    def test_of_samples(self, hard: bool, dim: int, mask: Tensor | None, grad: bool) -> None:
        logits = torch.randn(2, 4, 4).mT.requires_grad_(grad)
        for sample in (gumbel_softmax(logits, 0.5, hard, dim, mask=mask), binary_concrete(logits, 0.5, hard)):
            assert sample.is_contiguous()
            assert not sample._is_view()
            sample.view(2, -1)
            sample.detach_().add_(1)

    def test_of_numbers_and_noise(self) -> None:
        for value in (
            *(binary_concrete(torch.tensor(0.3)), gumbel_noise(()), gumbel_noise((3,)), gumbel_noise((2, 3, 4))),
            *(gumbel_max(torch.zeros(3, 4), 0), gumbel_max(torch.zeros(3)), gumbel_noise((), dtype=torch.float64)),
        ):
            assert value.is_contiguous()
            assert not value._is_view()


class TestGenerators:
    @calls
    def test_govern(self, call: Callable[..., Tensor]) -> None:
        first, again = (call(generator=torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(first, again)
        assert not torch.equal(first, call(generator=torch.Generator().manual_seed(5)))

    @calls
    def test_the_default_one_governs(self, call: Callable[..., Tensor]) -> None:
        torch.manual_seed(4)
        first, next_one = call(), call()
        assert torch.equal(first, call(generator=torch.Generator().manual_seed(4)))
        assert not torch.equal(first, next_one)

    @calls
    def test_beside_a_seed_are_refused(self, call: Callable[..., Tensor]) -> None:
        with pytest.raises(ValueError, match="generator and seed are both given"):
            call(generator=torch.Generator(), seed=1)

    def test_of_another_device_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"generator must be on the device of the sample, meta, but it is on cpu"):
            gumbel_softmax(LOGITS.to("meta"), generator=torch.Generator())

    @pytest.mark.parametrize("wrong", [{"tau": -1.0}, {"dim": 5}, {"row_offset": -1}, {"tau": torch.ones(7, 1)}])
    def test_are_left_alone_by_calls_that_fail(self, generator: torch.Generator, wrong: dict[str, object]) -> None:
        before = generator.get_state()
        with pytest.raises((ValueError, IndexError)):
            gumbel_softmax(LOGITS, generator=generator, **wrong)
        assert torch.equal(generator.get_state(), before)
        gumbel_softmax(LOGITS, generator=generator)
        assert not torch.equal(generator.get_state(), before)


class TestTemperatures:
    SHAPES = ((), (1,), (1, 1, 1), (3, 1), (2, 1, 1), (2, 3, 1), (4,), (3, 4), (2, 3, 4))

    @samplers
    @kinds
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_that_are_all_equal_are_one_number(
        self, sampler: Callable[..., Tensor], hard: bool, shape: tuple[int, ...]
    ) -> None:
        logits = torch.randn(2, 3, 4, requires_grad=True)
        grad = torch.randn(2, 3, 4)
        sample, expected = (sampler(logits, tau, hard, seed=1) for tau in (torch.full(shape, 0.5), 0.5))
        torch.testing.assert_close(sample, expected, rtol=1e-5, atol=1e-6)
        gradient, expected = (torch.autograd.grad(y, logits, grad)[0] for y in (sample, expected))
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)

    @samplers
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_have_a_gradient(self, sampler: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
        logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
        tau = (torch.rand(shape, dtype=torch.float64) + 0.5).requires_grad_()
        assert torch.autograd.gradcheck(lambda x, t: sampler(x, t, seed=1), (logits, tau))

    @samplers
    @kinds
    @pytest.mark.parametrize("dim", [0, 1, -1])
    def test_of_rows_along_any_dimension(self, sampler: Callable[..., Tensor], hard: bool, dim: int) -> None:
        logits = torch.randn(2, 3, 4)
        shape = list(logits.shape)
        shape[dim] = 1
        tau = torch.rand(shape) + 0.1
        if sampler is binary_concrete:
            assert torch.equal(
                sampler(logits, tau, hard, seed=1) > 0.5, sampler(logits, tau.expand(2, 3, 4), hard, seed=1) > 0.5
            )
        else:
            sample = sampler(logits, tau, hard, dim, seed=1)
            expected = sampler(logits.movedim(dim, -1), tau.movedim(dim, -1), hard, seed=1).movedim(-1, dim)
            assert torch.equal(sample, expected)

    @samplers
    @kinds
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("tau_dtype", [torch.float16, torch.float32, torch.float64])
    @pytest.mark.parametrize("shape", [(), (3, 1), (4,)], ids=str)
    def test_do_not_change_the_dtype(
        self,
        sampler: Callable[..., Tensor],
        hard: bool,
        dtype: torch.dtype,
        tau_dtype: torch.dtype,
        shape: tuple[int, ...],
    ) -> None:
        logits = torch.randn(3, 4).to(dtype).requires_grad_()
        tau = torch.full(shape, 0.5, dtype=tau_dtype)
        sample = sampler(logits, tau, hard, seed=1)
        assert sample.dtype == dtype
        # Rounded once, from float32 at least.
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        expected = sampler(logits.to(wide), tau, hard, seed=1).to(dtype)
        torch.testing.assert_close(sample, expected, rtol=torch.finfo(dtype).eps, atol=1e-7)
        sample.sum().backward()
        assert logits.grad is not None
        assert logits.grad.dtype == dtype

    @samplers
    @pytest.mark.parametrize("shape", [(), (1, 1), (4,)], ids=str)
    @kinds
    def test_leave_alone_what_cannot_be_chosen(
        self, sampler: Callable[..., Tensor], hard: bool, shape: tuple[int, ...]
    ) -> None:
        logits = torch.tensor([[0.3, -torch.inf, 0.1, -0.5]], requires_grad=True)
        tau = torch.full(shape, 0.5, requires_grad=True)
        upstream = torch.tensor([[1.0, torch.inf, -1.0, 2.0]])
        sample = sampler(logits, tau, hard, seed=1)
        assert sample[0, 1] == 0
        of_logits, of_tau = torch.autograd.grad(sample, (logits, tau), upstream)
        assert of_logits[0, 1] == 0
        assert bool(of_logits.isfinite().all())
        assert bool(of_logits.any())
        assert bool(of_tau.isfinite().all())

    @kinds
    def test_of_classes_keep_empty_and_failed_rows(self, hard: bool) -> None:
        logits = torch.zeros(3, 4)
        logits[0] = -torch.inf
        logits[1, :2] = torch.tensor([torch.nan, -torch.inf])
        sample = gumbel_softmax(logits, torch.linspace(0.5, 2, 4), hard, seed=1)
        assert sample[0].tolist() == [0.0] * 4
        assert bool(sample[1].isnan().all())
        assert bool(sample[2].isfinite().all())

    def test_of_classes_scale_each_class(self) -> None:
        tau = torch.linspace(0.5, 2, 4, dtype=torch.float64)
        logits = LOGITS.double()
        expected = ((logits + gumbel_noise((3, 4), dtype=torch.float64, seed=1)) / tau).softmax(-1)
        torch.testing.assert_close(gumbel_softmax(logits, tau, seed=1), expected)

    @pytest.mark.parametrize("dim", [0, -1])
    def test_of_classes_do_not_move_the_hard_sample(self, dim: int) -> None:
        logits, tau = 3 * torch.randn(50, 50), torch.rand(50, 50) + 0.01
        hard = gumbel_softmax(logits, tau, True, dim, seed=1)
        assert torch.equal(hard.argmax(dim), gumbel_max(logits, dim, seed=1))
        assert torch.equal(hard, gumbel_softmax(logits, 1.0, True, dim, seed=1))

    def test_of_classes_do_not_overflow(self) -> None:
        logits = torch.tensor([[3e38, 0.0, -3e38], [-1e38, -2e38, -3e38]], requires_grad=True)
        tau = torch.tensor([1e-30, 1.0, 1e-3], requires_grad=True)
        for hard in (False, True):
            sample = gumbel_softmax(logits, tau, hard, seed=1)
            expected = torch.eye(3)[[0, 0 if hard else 1]]
            assert torch.equal(sample, expected)
            for gradient in torch.autograd.grad(sample, (logits, tau), torch.randn(2, 3)):
                assert bool(gradient.isfinite().all())

    @kinds
    def test_of_no_classes(self, hard: bool) -> None:
        assert gumbel_softmax(torch.zeros(3, 0), torch.ones(3, 0), hard).shape == (3, 0)

    @samplers
    def test_beyond_the_numbers_of_the_dtype_are_refused(self, sampler: Callable[..., Tensor]) -> None:
        for tau in (1e-39, 1e39):
            with pytest.raises(ValueError, match=r"tau must be a normal number of torch.float32, 1.18e-38 at least"):
                sampler(LOGITS, tau)
            assert bool(sampler(LOGITS.double(), tau, seed=1).isfinite().all())
        assert bool(sampler(LOGITS, 1.2e-38, seed=1).isfinite().all())
        assert bool(sampler(LOGITS, 3e38, seed=1).isfinite().all())

    def test_that_are_tiny_tensors_do_not_overflow(self) -> None:
        hard = gumbel_softmax(LOGITS, hard=True, seed=1)
        for tau in (1e-30, 1e-38, 1e-44):
            assert torch.equal(gumbel_softmax(LOGITS, torch.tensor(tau), seed=1), hard)


class TestMistakes:
    @samplers
    @pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf"), -float("inf"), 0])
    def test_temperatures_that_are_none(self, sampler: Callable[..., Tensor], tau: float) -> None:
        with pytest.raises(ValueError, match="tau must be positive and finite"):
            sampler(LOGITS, tau)

    @pytest.mark.parametrize("tau", [0.0, -1.0, 1e-50, float("nan"), float("inf")])
    def test_temperature_points_to_the_exact_sampler(self, tau: float) -> None:
        with pytest.raises(ValueError, match="use gumbel_max"):
            gumbel_softmax(LOGITS, tau)
        with pytest.raises(ValueError, match=r"use torch\.bernoulli"):
            binary_concrete(LOGITS, tau)

    @pytest.mark.parametrize(
        ("call", "error", "words"),
        [
            (lambda: gumbel_softmax(LOGITS, True), TypeError, "tau must be a number or a tensor, but it is True"),
            (lambda: gumbel_softmax(LOGITS, "1"), TypeError, "tau must be a number or a tensor, but it is '1'"),
            (lambda: gumbel_softmax(LOGITS, hard=2), TypeError, "hard must be True or False, but it is 2"),
            (
                lambda: gumbel_softmax(LOGITS, generator=3),
                TypeError,
                r"generator must be a torch\.Generator, but it is 3",
            ),
            (
                lambda: gumbel_max(LOGITS, seed=torch.zeros((), dtype=torch.int64, device="meta")),
                ValueError,
                "seed must hold",
            ),
            (lambda: gumbel_softmax(LOGITS, torch.ones((), device="meta")), ValueError, "tau must hold a number"),
            (lambda: gumbel_softmax(LOGITS, torch.tensor(1)), TypeError, "tau must be a floating-point tensor"),
            (lambda: gumbel_softmax(LOGITS, torch.ones(5, 1)), ValueError, r"tau must broadcast .* \(5, 1\)"),
            (lambda: gumbel_softmax(LOGITS, torch.ones(1, 3, 1)), ValueError, "tau must broadcast"),
            (lambda: gumbel_softmax(LOGITS, torch.ones(1, 1, 1)), ValueError, "tau must broadcast"),
            (lambda: gumbel_softmax(LOGITS, 1.0, 1e-10), TypeError, "hard must be True or False, but it is 1e-10"),
            (lambda: gumbel_softmax(LOGITS, 1.0, False, 1e-10), TypeError, "dim must be an int, but it is 1e-10"),
            (lambda: gumbel_softmax(LOGITS, dim=True), TypeError, "dim must be an int, but it is True"),
            (lambda: gumbel_softmax(LOGITS, dim=2), IndexError, r"dim must be in \[-2, 1\] for 2-dim logits"),
            (lambda: gumbel_max(LOGITS, -3), IndexError, "dim must be in"),
            (lambda: gumbel_softmax(torch.tensor(1.0)), ValueError, "a dimension of classes, but they are 0-dim"),
            (lambda: gumbel_max(torch.tensor(1.0)), ValueError, "a dimension of classes, but they are 0-dim"),
            (
                lambda: gumbel_softmax(LOGITS.long()),
                TypeError,
                r"logits must be of a floating dtype.*logits\.float\(\)",
            ),
            (lambda: gumbel_max(LOGITS.tolist()), TypeError, "logits must be a tensor, but it is of type list"),
            (lambda: binary_concrete(LOGITS > 0), TypeError, "logits must be of a floating dtype"),
            (lambda: gumbel_softmax(LOGITS, mask=LOGITS), TypeError, r"mask must be a boolean tensor.*mask\.bool\(\)"),
            (lambda: gumbel_max(LOGITS, mask=[True]), TypeError, "mask must be a boolean tensor"),
            (lambda: gumbel_max(LOGITS, mask=torch.ones(3, dtype=torch.bool)), ValueError, "mask must broadcast"),
            (lambda: gumbel_max(LOGITS, mask=torch.ones(1, 3, 4) > 0), ValueError, r"mask must broadcast.*\(1, 3, 4\)"),
            (lambda: gumbel_max(LOGITS, row_offset=-1), ValueError, "row_offset must not be negative"),
            (lambda: binary_concrete(LOGITS, class_offset=0.5), TypeError, "class_offset must be an int"),
            (lambda: gumbel_max(LOGITS, class_offset=2**34), ValueError, "class_offset and the 4 that follow"),
        ],
    )
    def test_name_the_argument_its_value_and_the_cure(
        self, call: Callable[[], Tensor], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            call()
