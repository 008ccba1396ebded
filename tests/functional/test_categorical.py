"""Categorical samples through the public functions: law, gradients, masks, temperatures, parts, and mistakes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.functional import gumbel_max, gumbel_noise, gumbel_softmax
from tests.statistics import assert_frequencies

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def some_logits(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (2 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype)


class TestLaw:
    @pytest.mark.parametrize("classes", [2, 5, 33, 200])
    def test_indices_have_the_categorical_frequencies(self, classes: int) -> None:
        logits = some_logits(classes)
        index = gumbel_max(logits.expand(600_000, classes), seed=1)
        counts = torch.bincount(index, minlength=classes)
        assert_frequencies(counts[None], logits.double().softmax(-1)[None], resolution=0.01)

    def test_other_frequencies_are_noticed(self) -> None:
        index = gumbel_max(torch.zeros(200_000, 3), seed=1)
        wrong = torch.tensor([[0.34, 0.34, 0.32]], dtype=torch.float64)
        with pytest.raises(AssertionError):
            assert_frequencies(torch.bincount(index, minlength=3)[None], wrong, resolution=0.01)

    @pytest.mark.parametrize("shape", [(5,), (7, 1), (3, 33), (2, 3, 100), (4, 2000)])
    def test_hard_samples_mark_the_index_of_their_seed(self, shape: tuple[int, ...]) -> None:
        logits = some_logits(*shape)
        hard, index = gumbel_softmax(logits, hard=True, seed=3), gumbel_max(logits, seed=3)
        assert torch.equal(hard, torch.nn.functional.one_hot(index, shape[-1]).to(logits.dtype))

    @pytest.mark.parametrize("tau", [1e-6, 0.1, 1.0, 1e3])
    def test_soft_samples_are_the_softmax_of_perturbed_logits(self, tau: float) -> None:
        logits = some_logits(6, 50)
        expected = ((logits + gumbel_noise((6, 50), seed=2)) / tau).softmax(-1)
        torch.testing.assert_close(gumbel_softmax(logits, tau, seed=2), expected, rtol=2e-5, atol=1e-6)


class TestOneSample:
    def test_rows_in_parts(self) -> None:
        logits = some_logits(10, 7)
        whole = gumbel_softmax(logits, seed=4)
        parts = [gumbel_softmax(part, seed=4, row_offset=at) for at, part in ((0, logits[:3]), (3, logits[3:]))]
        assert torch.equal(torch.cat(parts), whole)

    @pytest.mark.parametrize("at", [1, 8, 70])
    def test_classes_in_shards(self, at: int) -> None:
        logits = some_logits(10, 90)
        whole = gumbel_softmax(logits, seed=4)
        for shard, offset, of_whole in ((logits[:, :at], 0, whole[:, :at]), (logits[:, at:], at, whole[:, at:])):
            sample = gumbel_softmax(shard, seed=4, class_offset=offset)
            torch.testing.assert_close(sample, of_whole / of_whole.sum(-1, keepdim=True), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
    @pytest.mark.parametrize("hard", [False, True])
    def test_any_dimension_and_layout(self, dim: int, hard: bool) -> None:
        logits = some_logits(4, 3, 5)
        expected = gumbel_softmax(logits.movedim(dim, -1).contiguous(), hard=hard, seed=4).movedim(-1, dim)
        assert torch.equal(gumbel_softmax(logits, hard=hard, dim=dim, seed=4), expected)
        strided = torch.stack([logits, logits], -1)[..., 0]
        assert not strided.is_contiguous()
        assert torch.equal(gumbel_softmax(strided, hard=hard, dim=dim, seed=4), expected)
        assert torch.equal(gumbel_max(strided, dim, seed=4), expected.argmax(dim))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_dtypes(self, dtype: torch.dtype) -> None:
        logits = some_logits(50, 20, dtype=dtype)
        sample = gumbel_softmax(logits, 0.5, seed=4)
        assert sample.dtype == dtype
        expected = gumbel_softmax(logits.double(), 0.5, seed=4)
        torch.testing.assert_close(sample.double(), expected, rtol=4 * torch.finfo(dtype).eps + 1e-5, atol=1e-6)
        assert gumbel_max(logits, seed=4).dtype == torch.int64

    def test_mapped_over_examples(self) -> None:
        logits, seeds = some_logits(3, 4, 5), torch.tensor([5, 6, 7])
        mapped = torch.vmap(lambda x, seed: gumbel_softmax(x, seed=seed))(logits, seeds)
        looped = torch.stack([gumbel_softmax(x, seed=seed) for x, seed in zip(logits, seeds, strict=True)])
        assert torch.equal(mapped, looped)
        same = torch.vmap(lambda x: gumbel_max(x, seed=5))(logits)
        assert torch.equal(same, torch.stack([gumbel_max(x, seed=5) for x in logits]))
        different = torch.vmap(lambda _: gumbel_softmax(logits[0]), randomness="different")(torch.zeros(2))
        assert not torch.equal(different[0], different[1])


class TestGradient:
    @pytest.mark.parametrize("classes", [1, 5, 100])
    def test_hard_has_the_gradient_of_soft(self, classes: int) -> None:
        logits = some_logits(6, classes).requires_grad_()
        upstream = some_logits(6, classes)
        soft, hard = (
            torch.autograd.grad(gumbel_softmax(logits, 0.7, hard, seed=1), logits, upstream)[0]
            for hard in (False, True)
        )
        torch.testing.assert_close(hard, soft)
        assert classes == 1 or soft.any()

    @pytest.mark.parametrize("shape", [(), (3, 1), (1, 4), (4,), (3, 4)], ids=str)
    @pytest.mark.parametrize("hard", [False, True])
    def test_temperature_tensors(self, shape: tuple[int, ...], hard: bool) -> None:
        logits = some_logits(3, 4, dtype=torch.float64).requires_grad_()
        tau = (
            0.5 + torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        ).requires_grad_()
        noise = gumbel_noise((3, 4), dtype=torch.float64, seed=1)
        expected = ((logits + noise) / tau).softmax(-1)
        sample = gumbel_softmax(logits, tau, hard, seed=1)
        if not hard:
            torch.testing.assert_close(sample, expected)
        upstream = some_logits(3, 4, dtype=torch.float64)
        torch.testing.assert_close(
            torch.autograd.grad(sample, (logits, tau), upstream), torch.autograd.grad(expected, (logits, tau), upstream)
        )

    def test_second_order(self) -> None:
        logits = some_logits(3, 4, dtype=torch.float64).requires_grad_()
        tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda x, t: gumbel_softmax(x, t, seed=1), (logits, tau))

    def test_function_transforms(self) -> None:
        def cost(x: Tensor) -> Tensor:
            return (gumbel_softmax(x, 0.7, hard=True, seed=1) * torch.arange(5.0)).sum()

        logits = some_logits(3, 4, 5)
        mapped = torch.func.vmap(torch.func.grad(cost))(logits)
        for x, gradient in zip(logits, mapped, strict=True):
            x = x.clone().requires_grad_()
            torch.testing.assert_close(gradient, torch.autograd.grad(cost(x), x)[0])


class TestMask:
    @pytest.mark.parametrize("classes", [4, 100])
    @pytest.mark.parametrize("hard", [False, True])
    def test_what_is_not_allowed_is_exactly_zero(self, hard: bool, classes: int) -> None:
        logits = some_logits(50, classes).requires_grad_()
        mask = torch.arange(classes) % 2 == 0
        sample = gumbel_softmax(logits, hard=hard, mask=mask, seed=1)
        assert (sample[:, ~mask] == 0).all()
        torch.testing.assert_close(sample.sum(-1), torch.ones(50))
        upstream = torch.full_like(sample, torch.inf).where(~mask, some_logits(50, classes))
        (gradient,) = torch.autograd.grad(sample, logits, upstream)
        assert (gradient[:, ~mask] == 0).all()
        assert gradient.isfinite().all()
        assert gradient.any()
        assert mask[gumbel_max(logits, mask=mask, seed=1)].all()

    @pytest.mark.parametrize("classes", [4, 100])
    @pytest.mark.parametrize("hard", [False, True])
    def test_a_row_without_an_allowed_class(self, hard: bool, classes: int) -> None:
        logits = some_logits(3, classes).requires_grad_()
        mask = torch.tensor([[True], [False], [True]])
        sample = gumbel_softmax(logits, hard=hard, mask=mask, seed=1)
        torch.testing.assert_close(sample.sum(-1), torch.tensor([1.0, 0.0, 1.0]))
        (gradient,) = torch.autograd.grad(sample, logits, some_logits(3, classes))
        assert not gradient[1].any()
        assert gradient.isfinite().all()
        assert (gumbel_max(logits, mask=mask, seed=1) == -1).tolist() == [False, True, False]

    @pytest.mark.parametrize("classes", [4, 100])
    @pytest.mark.parametrize("hard", [False, True])
    def test_nan_stays_in_its_row(self, hard: bool, classes: int) -> None:
        logits = some_logits(3, classes)
        logits[1, 2] = torch.nan
        sample = gumbel_softmax(logits, hard=hard, seed=1)
        assert sample.isnan().all(-1).tolist() == [False, True, False]
        assert sample.isnan().any(-1).tolist() == [False, True, False]
        assert gumbel_max(logits, seed=1)[1] == 2

    @pytest.mark.parametrize("scale", [1e4, -1e4])
    def test_extreme_logits(self, scale: float) -> None:
        sample = gumbel_softmax(scale * torch.eye(3), 1e-6, seed=1)
        torch.testing.assert_close(sample.sum(-1), torch.ones(3))


class TestShapes:
    @pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (3, 0), (0,), (1,), (4, 1)])
    @pytest.mark.parametrize("hard", [False, True])
    def test_empty_and_single(self, shape: tuple[int, ...], hard: bool) -> None:
        logits = torch.zeros(shape, requires_grad=True)
        sample = gumbel_softmax(logits, hard=hard, seed=1)
        assert sample.shape == shape
        assert (sample == 1).all()
        sample.sum().backward()
        assert logits.grad is not None
        assert logits.grad.shape == shape
        index = gumbel_max(logits, seed=1)
        assert index.shape == shape[:-1]
        assert (index == (0 if shape[-1] else -1)).all()


class TestMistakes:
    @pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
    def test_temperature(self, tau: float) -> None:
        with pytest.raises(ValueError, match=r"tau must be positive and finite, but it is .*gumbel_max"):
            gumbel_softmax(torch.zeros(3), tau)

    def test_temperature_of_another_shape(self) -> None:
        with pytest.raises(ValueError, match=r"tau must broadcast to the shape of the logits, \(2, 3\)"):
            gumbel_softmax(torch.zeros(2, 3), torch.ones(4, 1))

    def test_no_dimension(self) -> None:
        for sampler in (gumbel_softmax, gumbel_max):
            with pytest.raises(ValueError, match="0-dim"):
                sampler(torch.tensor(1.0))

    def test_dimension_out_of_range(self) -> None:
        with pytest.raises(IndexError, match="dim must be in"):
            gumbel_softmax(torch.zeros(2, 3), dim=2)

    def test_mask_of_another_shape(self) -> None:
        with pytest.raises(ValueError, match="mask must broadcast"):
            gumbel_softmax(torch.zeros(2, 3), mask=torch.ones(4, dtype=torch.bool))

    def test_generator_and_seed(self) -> None:
        with pytest.raises(ValueError, match="generator and seed"):
            gumbel_softmax(torch.zeros(3), seed=1, generator=torch.Generator())


@pytest.mark.parametrize("classes", [3, 100])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_plus_infinity_is_as_little_a_logit_as_nan(classes: int, dtype: torch.dtype) -> None:
    logits = torch.zeros(4, classes, dtype=dtype)
    logits[0, 2] = torch.inf
    logits[1, :2] = torch.inf
    logits[2, 1] = torch.nan
    logits[0, 0] = -torch.inf
    logits.requires_grad_()
    failed = [True, True, True, False]
    for hard in (False, True):
        for tau in (0.5, torch.full((classes,), 0.5)):
            sample = gumbel_softmax(logits, tau, hard, seed=1)
            assert sample.isnan().all(-1).tolist() == failed
            assert sample.isnan().any(-1).tolist() == failed
            (gradient,) = torch.autograd.grad(sample, logits, torch.ones_like(sample))
            assert gradient.isnan().any(-1).tolist() == failed
    assert gumbel_max(logits, seed=1)[:3].tolist() == [2, 0, 1]
