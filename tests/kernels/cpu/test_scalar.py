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


@numba.njit
def _gumbel(v):
    return -scalar.log(scalar.exponential(v))


NOISE = {"gumbel": (_gumbel, gumbel_of), "logistic": (scalar.logistic, logistic_of)}


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


def of_words(transform: Callable[..., object]) -> Callable[..., np.ndarray]:
    """Noise of words, or of words and second words."""

    @numba.njit(error_model="numpy")
    def one(words, out):
        for i in range(words.size):
            out[i] = transform(scalar.uniform(words[i]))

    @numba.njit(error_model="numpy")
    def two(words, seconds, out):
        for i in range(words.size):
            if scalar.is_extreme(scalar.nearness(words[i])):
                out[i] = transform(scalar.uniform_of_two(words[i], seconds[i]))
            else:
                out[i] = transform(scalar.uniform(words[i]))

    def run(*words: np.ndarray) -> np.ndarray:
        out = np.empty(words[0].shape, np.float32)
        (one, two)[len(words) - 1](*(word.astype(np.uint32) for word in words), out)
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
        transform, exact = NOISE[family]
        words = word_grid()
        seconds = np.random.default_rng(1).permutation(words)
        for given in ((words,), (words, seconds)):
            noise = of_words(transform)(*given)
            assert np.isfinite(noise).all()
            assert_close_in_ulp(noise, exact(*given), 2)

    @pytest.mark.parametrize("family", NOISE)
    def test_extreme_words(self, family: str) -> None:
        transform, exact = NOISE[family]
        pairs = np.array([(word, second) for word in extreme_words() for second in extreme_words()], np.uint64)
        assert_close_in_ulp(of_words(transform)(*pairs.T), exact(*pairs.T), 1.5)

    def test_the_winning_tail_is_resolved(self) -> None:
        words, seconds = (np.array(given, np.uint64) for given in ([0, 0, 1, LARGEST], [0, LARGEST, 0, 0]))
        largest, end_of_cell, next_cell, smallest = of_words(_gumbel)(words, seconds)
        assert 45 < largest < 45.1
        assert end_of_cell == next_cell == np.float32(32 * np.log(2))
        assert -3.82 < smallest < -3.8

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
