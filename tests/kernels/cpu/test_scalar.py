"""The arithmetic of one lane, driven word by word and number by number."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import pytest

from drawgrad.kernels.cpu import scalar
from tests.kernels.oracles import (
    KNOWN_ANSWERS,
    LARGEST,
    assert_close_in_ulp,
    extreme_words,
    gumbel_of,
    logistic_of,
    word_grid,
)

Lanes = Callable[[np.ndarray], np.ndarray]
NOISE = {"gumbel": (scalar.gumbel, gumbel_of), "logistic": (scalar.logistic, logistic_of)}


def over_lanes(function: Callable[..., object]) -> Lanes:
    """A kernel that applies a function to every element, as the compiler vectorises it in the real ones."""

    @numba.njit(error_model="numpy")
    def kernel(values, out):
        for i in range(values.size):
            out[i] = function(values[i])

    def run(values: np.ndarray) -> np.ndarray:
        out = np.empty(values.shape, np.float32)
        kernel(values, out)
        return out

    return run


@numba.njit
def _philox(counter, key):
    return scalar.words(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_known_answers(name: str) -> None:
    counter, key, answer = KNOWN_ANSWERS[name]
    assert _philox(np.array(counter, np.uint64), np.array(key, np.uint64)) == answer


class TestNoise:
    @pytest.mark.parametrize("family", NOISE)
    def test_is_close_to_exact_at_every_word(self, family: str) -> None:
        function, exact = NOISE[family]
        words = word_grid()
        noise = over_lanes(function)(words.astype(np.uint32))
        assert np.isfinite(noise).all()
        assert_close_in_ulp(noise, exact(words), 3)

    @pytest.mark.parametrize("family", NOISE)
    def test_extreme_words(self, family: str) -> None:
        function, exact = NOISE[family]
        words = np.array(extreme_words(), np.uint64)
        noise = over_lanes(function)(words.astype(np.uint32))
        assert_close_in_ulp(noise, exact(words), 1.5)

    def test_the_winning_tail_is_resolved(self) -> None:
        largest, next_one, smallest = over_lanes(scalar.gumbel)(np.array([0, 1, LARGEST], np.uint32))
        assert 21 < next_one < 22 < largest < 23
        assert -3.14 < smallest < -3.1

    def test_the_check_notices_the_textbook_formula(self) -> None:
        words = word_grid(1 << 12)
        with np.errstate(divide="ignore"):
            v = ((words.astype(np.float64) + 0.5) * 2.0**-32).astype(np.float32)
            textbook = -np.log(-np.log(np.float32(1) - v))
        with pytest.raises(AssertionError, match="ulp"):
            assert_close_in_ulp(textbook, gumbel_of(words), 3)


def relative_ulp(values: np.ndarray, exact: np.ndarray) -> float:
    return float((np.abs(values.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))).max())


class TestFunctions:
    def test_logarithm(self) -> None:
        near_one = 1 + np.linspace(-0.3, 0.45, 200_001)
        x = np.concatenate([np.logspace(-37.9, 38.5, 500_000), near_one]).astype(np.float32)
        log = over_lanes(scalar.log)
        assert relative_ulp(log(x), np.log(x.astype(np.float64))) < 1.5
        assert log(np.ones(1, np.float32))[0] == 0

    def test_exponential(self) -> None:
        x = np.concatenate([-np.logspace(-8, np.log10(87.3), 500_000), [0.0]]).astype(np.float32)
        exp = over_lanes(scalar.exp)
        assert relative_ulp(exp(x), np.exp(x.astype(np.float64))) < 1.5
        below = exp(np.array([-87.31, -100, -1e4, -1e30, -np.inf], np.float32))
        assert (below == 0).all()
        assert np.isnan(exp(np.array([np.nan, -np.nan], np.float32))).all()

    def test_sigmoid(self) -> None:
        x = np.linspace(-87, 87, 500_001).astype(np.float32)
        sigmoid = over_lanes(scalar.sigmoid)
        assert relative_ulp(sigmoid(x), 1 / (1 + np.exp(-x.astype(np.float64)))) < 3
        assert sigmoid(np.array([-np.inf, 0, np.inf], np.float32)).tolist() == [0, 0.5, 1]
        assert np.isnan(sigmoid(np.array([np.nan], np.float32))).all()

    def test_inverse_temperature_is_finite_where_the_temperature_is_positive(self) -> None:
        inverse = over_lanes(scalar.inverse)
        smallest = np.float32(1e-45)
        assert inverse(np.array([0.5, 4, smallest, np.inf], np.float32)).tolist() == [2, 0.25, scalar.LARGEST, 0]
        assert not np.isfinite(inverse(np.array([0.0, np.nan], np.float32))).any()

    def test_the_check_notices_two_ulp(self) -> None:
        x = np.linspace(1, 2, 1000).astype(np.float32)
        assert relative_ulp(x + 2 * np.spacing(x), x.astype(np.float64)) > 1.5
