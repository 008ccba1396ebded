"""Gumbel and logistic noise: their distributions, their independence, and the place that each number belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import draw_seed, gumbel_noise, logistic_noise
from tests.statistics import assert_distribution, assert_mean, assert_uncorrelated

EULER = 0.5772156649015329
DRAWS = 1 << 18
STRING: Any = "float32"


def gumbel_cdf(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.exp(-x))


def logistic_cdf(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


FAMILIES = {"gumbel": (gumbel_noise, gumbel_cdf), "logistic": (logistic_noise, logistic_cdf)}
families = pytest.mark.parametrize("family", FAMILIES)
dtypes = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])


class TestDistribution:
    @families
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("shape", [(DRAWS,), (DRAWS, 1), (DRAWS // 64, 64)])
    def test_is_the_stated_one(self, family: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        noise, cdf = FAMILIES[family]
        assert_distribution(noise(shape, dtype=dtype, seed=1), cdf, resolution=0.01)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_is_no_other_one(self, family: str) -> None:
        noise, cdf = FAMILIES[family]
        with pytest.raises(AssertionError, match="distribution function is off"):
            assert_distribution(1.03 * noise((DRAWS,), seed=1), cdf, resolution=0.01)

    def test_moments(self) -> None:
        gumbel, logistic = gumbel_noise((4 * DRAWS,), seed=1).double(), logistic_noise((4 * DRAWS,), seed=1).double()
        assert_mean(gumbel, EULER, resolution=0.01)
        assert_mean((gumbel - EULER) ** 2, math.pi**2 / 6, resolution=0.03)
        assert_mean(logistic, 0.0, resolution=0.015)
        assert_mean(logistic**2, math.pi**2 / 3, resolution=0.05)

    def test_the_winning_tail_is_there(self) -> None:
        """P(g > 14) = 8.3e-7: the textbook formula in float32 has 13 different values beyond it, here are 3571."""
        words = torch.cat([gumbel_noise((1 << 22,), seed=seed) for seed in range(8)])
        tail = words[words > 12]
        # 2^25 draws, of which P(g > 12) = 6.144e-6 makes 206; six standard deviations are 86.
        assert 206 - 86 < len(tail) < 206 + 86
        assert len(tail.unique()) > 0.99 * len(tail)

    @families
    @dtypes
    def test_is_finite_and_rounded_from_float32(self, family: str, dtype: torch.dtype) -> None:
        noise, _ = FAMILIES[family]
        values = noise((1 << 16,), dtype=dtype, seed=3)
        assert values.dtype == dtype
        assert bool(values.isfinite().all())
        if dtype in (torch.float16, torch.bfloat16):
            assert torch.equal(values, noise((1 << 16,), dtype=torch.float32, seed=3).to(dtype))
        else:
            exact = noise((1 << 16,), dtype=torch.float64, seed=3)
            torch.testing.assert_close(values.double(), exact, rtol=4e-7, atol=4e-7)


class TestIndependence:
    @families
    def test_of_classes_rows_and_seeds(self, family: str) -> None:
        noise, cdf = FAMILIES[family]
        # The distribution function flattens the heavy tail, so that correlations are estimated well.
        first, second = (torch.from_numpy(cdf(noise((1 << 15, 8), seed=seed).double().numpy())) for seed in (1, 2))
        assert_uncorrelated(first, resolution=0.05)
        assert_uncorrelated(first[1:], first[:-1], resolution=0.05)
        assert_uncorrelated(first, second, resolution=0.05)

    def test_of_families(self) -> None:
        gumbel, logistic = (
            torch.from_numpy(cdf(noise((1 << 15, 8), seed=1).double().numpy())) for noise, cdf in FAMILIES.values()
        )
        assert_uncorrelated(gumbel, logistic, resolution=0.05)

    def test_a_row_that_is_used_twice_is_noticed(self) -> None:
        noise = gumbel_noise((1 << 15, 8), seed=1)
        with pytest.raises(AssertionError, match="are correlated"):
            assert_uncorrelated(noise[1:], gumbel_noise((1 << 15, 8), seed=1, row_offset=1)[:-1], resolution=0.05)


class TestPlace:
    @families
    def test_any_block_can_be_drawn_on_its_own(self, family: str) -> None:
        noise, _ = FAMILIES[family]
        whole = noise((6, 21), seed=9)
        for row in (0, 1, 5):
            for class_ in (0, 1, 3, 4, 7, 20):
                part = noise((6 - row, 21 - class_), seed=9, row_offset=row, class_offset=class_)
                assert torch.equal(part, whole[row:, class_:])

    @families
    def test_rows_are_counted_over_all_dimensions_but_the_last(self, family: str) -> None:
        noise, _ = FAMILIES[family]
        assert torch.equal(noise((2, 3, 5), seed=1), noise((6, 5), seed=1).reshape(2, 3, 5))
        assert torch.equal(noise((5,), seed=1), noise((1, 5), seed=1)[0])
        assert torch.equal(noise((), seed=1), noise((1,), seed=1)[0])

    def test_counts_reach_as_far_as_they_say(self) -> None:
        far = {"row_offset": 2**63 - 3, "class_offset": 2**34 - 5}
        last = gumbel_noise((3, 5), seed=1, **far)
        assert torch.equal(last[2:, 4:], gumbel_noise((1, 1), seed=1, row_offset=2**63 - 1, class_offset=2**34 - 1))
        with pytest.raises(ValueError, match=r"row_offset and the 4 that follow must stay below 9223372036854775808"):
            gumbel_noise((4, 5), seed=1, **far)
        with pytest.raises(ValueError, match=r"class_offset and the 6 that follow must stay below 17179869184"):
            gumbel_noise((3, 6), seed=1, **far)

    def test_rows_beyond_32_bits_are_others(self) -> None:
        near, far = (gumbel_noise((4, 4), seed=1, row_offset=row) for row in (0, 2**32))
        assert not bool((near == far).any())
        across = gumbel_noise((2, 4), seed=1, row_offset=2**32 - 1)
        assert torch.equal(across[1], far[0])

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
    def test_empty(self, shape: tuple[int, ...]) -> None:
        assert gumbel_noise(shape).shape == shape


class TestArguments:
    def test_defaults_are_those_of_torch(self) -> None:
        assert gumbel_noise((2,)).dtype == torch.float32
        torch.set_default_dtype(torch.float64)
        try:
            assert logistic_noise((2,)).dtype == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
        with torch.device("meta"):
            assert gumbel_noise((2,), seed=1).device.type == "meta"
        assert gumbel_noise((2,), device="cpu").device == torch.device("cpu")

    @pytest.mark.parametrize(
        ("call", "error", "words"),
        [
            (lambda: gumbel_noise((2,), dtype=torch.int64), TypeError, "dtype must be a floating dtype"),
            (
                lambda: gumbel_noise((2,), dtype=STRING),
                TypeError,
                "dtype must be a torch.dtype, but it is 'float32' \\(str",
            ),
            (
                lambda: logistic_noise((2,), dtype=STRING),
                TypeError,
                "dtype must be a torch.dtype, .* use torch.float32",
            ),
            (lambda: gumbel_noise((2,), row_offset=-1), ValueError, "row_offset must not be negative, but it is -1"),
            (lambda: gumbel_noise((2,), class_offset=-1), ValueError, "class_offset must not be negative"),
            (lambda: gumbel_noise((2,), row_offset=True), TypeError, "row_offset must be an int"),
            (lambda: gumbel_noise((2,), class_offset=1.0), TypeError, "class_offset must be an int"),
            (lambda: gumbel_noise(2), TypeError, r"shape must be a sequence of ints, but it is 2; give \(2,\)"),
            (lambda: gumbel_noise((2,), seed=1, generator=torch.Generator()), ValueError, "both given"),
        ],
    )
    def test_mistakes(self, call: Callable[[], Tensor], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            call()

    def test_a_refused_call_leaves_the_generator_as_it_was(self, generator: torch.Generator) -> None:
        state = generator.get_state()
        with pytest.raises(ValueError, match="negative"):
            gumbel_noise((2,), row_offset=-1, generator=generator)
        assert torch.equal(generator.get_state(), state)
        draw_seed(generator=generator)
        assert not torch.equal(generator.get_state(), state)
