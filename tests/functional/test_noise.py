"""The public noise: its distribution, its range, and one number a (seed; row, class)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import gumbel_noise, logistic_noise
from tests.statistics import assert_distribution, assert_mean, assert_uncorrelated

NOISES: dict[str, Callable[..., Tensor]] = {"gumbel": gumbel_noise, "logistic": logistic_noise}
CDFS = {"gumbel": lambda x: np.exp(-np.exp(-x)), "logistic": lambda x: 1 / (1 + np.exp(-x))}
MOMENTS = {"gumbel": (float(np.euler_gamma), np.pi**2 / 6), "logistic": (0.0, np.pi**2 / 3)}


@pytest.fixture(params=NOISES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestDistribution:
    def test_function_and_moments(self, family: str) -> None:
        noise = NOISES[family]((1000, 200), dtype=torch.float64, seed=1).flatten()
        mean, variance = MOMENTS[family]
        assert_distribution(noise, CDFS[family], resolution=0.01)
        assert_mean(noise, mean, resolution=0.03)
        assert_mean((noise - mean).square(), variance, resolution=0.15)

    def test_another_one_is_noticed(self) -> None:
        noise = gumbel_noise((1000, 200), dtype=torch.float64, seed=1).flatten()
        with pytest.raises(AssertionError):
            assert_distribution(noise, CDFS["logistic"], resolution=0.01)

    def test_neighbours_and_streams_are_independent(self, family: str) -> None:
        noise = NOISES[family]((20_000, 6), dtype=torch.float64, seed=2)
        assert_uncorrelated(noise, resolution=0.06)
        assert_uncorrelated(noise[:-1], noise[1:], resolution=0.06)
        assert_uncorrelated(noise, NOISES[family]((20_000, 6), dtype=torch.float64, seed=3), resolution=0.06)

    def test_one_seed_gives_independent_families(self) -> None:
        both = [noise((20_000, 6), dtype=torch.float64, seed=2) for noise in NOISES.values()]
        assert_uncorrelated(*both, resolution=0.06)


class TestOneNumberForEachPlace:
    def test_parts(self, family: str) -> None:
        whole = NOISES[family]((7, 21), seed=5)
        for row, column in ((0, 0), (3, 4), (2, 7), (6, 20)):
            part = NOISES[family]((7 - row, 21 - column), seed=5, row_offset=row, class_offset=column)
            assert torch.equal(part, whole[row:, column:])

    def test_leading_dimensions_count_rows(self, family: str) -> None:
        assert torch.equal(NOISES[family]((2, 3, 4), seed=5).reshape(6, 4), NOISES[family]((6, 4), seed=5))

    def test_float32_is_float64_rounded(self, family: str) -> None:
        narrow, wide = (NOISES[family]((100, 100), dtype=dtype, seed=5) for dtype in (torch.float32, torch.float64))
        torch.testing.assert_close(narrow.double(), wide, rtol=3e-7, atol=3e-7)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_narrow_dtypes_round_float32(self, family: str, dtype: torch.dtype) -> None:
        narrow = NOISES[family]((100, 100), dtype=dtype, seed=5)
        assert torch.equal(narrow, NOISES[family]((100, 100), seed=5).to(dtype))

    def test_rows_beyond_32_bits(self, family: str) -> None:
        far, near = (NOISES[family]((2, 5), seed=5, row_offset=offset) for offset in (2**32, 0))
        assert not torch.equal(far, near)
        around = NOISES[family]((2, 5), seed=5, row_offset=2**32 - 1)
        assert torch.equal(around[1], far[0])


class TestSeeds:
    def test_an_int_is_a_tensor_is_its_residue(self, family: str) -> None:
        noise = NOISES[family]
        assert torch.equal(noise((3, 4), seed=-1), noise((3, 4), seed=2**64 - 1))
        assert torch.equal(noise((3, 4), seed=9), noise((3, 4), seed=torch.tensor(9)))

    def test_generators_govern(self, family: str) -> None:
        noise = NOISES[family]
        first, again = (noise((3, 4), generator=torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(first, again)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            default, next_one = noise((3, 4)), noise((3, 4))
        assert torch.equal(default, first)
        assert not torch.equal(next_one, first)

    def test_both_are_refused(self, family: str) -> None:
        with pytest.raises(ValueError, match="generator and seed"):
            NOISES[family]((3, 4), seed=1, generator=torch.Generator())

    @pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
    def test_more_than_64_bits_are_refused(self, seed: int) -> None:
        with pytest.raises(ValueError, match="64 bits"):
            gumbel_noise((3,), seed=seed)

    @pytest.mark.parametrize("seed", [torch.zeros(2, dtype=torch.int64), torch.tensor(1.0)])
    def test_other_tensors_are_refused(self, seed: Tensor) -> None:
        with pytest.raises(ValueError, match="0-dim int64"):
            gumbel_noise((3,), seed=seed)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (2, 1, 5)])
def test_shapes(family: str, shape: tuple[int, ...]) -> None:
    noise = NOISES[family](shape, seed=1)
    assert noise.shape == shape and noise.isfinite().all()


def test_integers_are_no_dtype() -> None:
    with pytest.raises(TypeError, match="floating"):
        gumbel_noise((2,), dtype=torch.int64)


def test_negative_offsets_are_refused() -> None:
    with pytest.raises(ValueError, match="row_offset"):
        gumbel_noise((2,), row_offset=-1)
