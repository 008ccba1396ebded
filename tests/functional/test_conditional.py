"""Noise given its sample: the sample is reproduced, and over samples the noise is the unconditional one again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import (
    binary_concrete,
    conditional_gumbel,
    conditional_logistic,
    gumbel_max,
)
from tests.statistics import assert_distribution, assert_mean

DRAWS = 200_000
LOGITS = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)


def gumbel_cdf(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.exp(-x))


def logistic_cdf(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def assert_independent_gumbel(noise: Tensor) -> None:
    """Each class has the Gumbel distribution, and no two classes know of each other's noise."""
    for k in range(noise.shape[-1]):
        assert_distribution(noise[:, k], gumbel_cdf, resolution=0.015)
    uniform = torch.exp(-torch.exp(-noise)) - 0.5
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert_mean(uniform[:, i] * uniform[:, j], 0.0, resolution=0.004)


class TestGumbel:
    def test_over_samples_it_is_independent_gumbel_noise(self) -> None:
        logits = LOGITS.expand(DRAWS, 3)
        index = gumbel_max(logits, seed=1)
        assert_independent_gumbel(conditional_gumbel(logits, index, seed=2) - logits)

    def test_one_seed_serves_sample_and_noise_with_other_rows(self) -> None:
        logits = LOGITS.expand(DRAWS, 3)
        index = gumbel_max(logits, seed=1)
        assert_independent_gumbel(conditional_gumbel(logits, index, seed=1, row_offset=DRAWS) - logits)

    def test_over_other_samples_it_is_not(self) -> None:
        logits = LOGITS.expand(DRAWS, 3)
        index = torch.arange(DRAWS) % 3
        with pytest.raises(AssertionError, match="distribution function is off"):
            assert_independent_gumbel(conditional_gumbel(logits, index, seed=2) - logits)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    def test_the_given_class_wins_alone(self, dtype: torch.dtype) -> None:
        logits = torch.tensor([30.0, 0.0, -30.0, 29.0], dtype=dtype).expand(50_000, 4)
        for winner in range(4):
            index = torch.full((50_000,), winner)
            scores = conditional_gumbel(logits, index, seed=winner)
            assert scores.dtype == dtype
            assert bool((scores.argmax(-1) == winner).all())
            top = scores[:, winner, None]
            assert bool(((scores >= top).sum(-1) == 1).all())

    def test_a_class_that_cannot_win_stays_out(self) -> None:
        logits = torch.tensor([0.0, -torch.inf, 1.0]).requires_grad_()
        scores = conditional_gumbel(logits, torch.tensor(2), seed=0)
        assert scores[1] == -torch.inf
        (gradient,) = torch.autograd.grad(scores[[0, 2]].sum(), logits)
        assert bool(gradient.isfinite().all())
        assert gradient[1] == 0

    def test_its_gradient_holds_the_noise_fixed(self) -> None:
        index = torch.tensor([0, 2, 1])
        logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: conditional_gumbel(x, index, seed=5), logits)

    def test_one_seed_gives_one_draw_and_rows_can_be_drawn_apart(self) -> None:
        logits, index = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
        whole = conditional_gumbel(logits, index, seed=7)
        assert torch.equal(whole, conditional_gumbel(logits, index, seed=7))
        part = conditional_gumbel(logits[2:], index[2:], seed=7, row_offset=2)
        torch.testing.assert_close(whole[2:], part)
        assert not torch.equal(whole, conditional_gumbel(logits, index, seed=8))

    def test_an_index_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\(4,\), but its shape is \(3,\)"):
            conditional_gumbel(torch.zeros(4, 3), torch.zeros(3, dtype=torch.int64))


class TestLogistic:
    @pytest.mark.parametrize("logit", [0.7, -2.0])
    def test_over_samples_it_is_logistic_noise(self, logit: float) -> None:
        logits = torch.full((DRAWS, 1), logit, dtype=torch.float64)
        positive = binary_concrete(logits, hard=True, seed=1) == 1
        noise = conditional_logistic(logits, positive, seed=1, row_offset=DRAWS) - logits
        assert_distribution(noise, logistic_cdf, resolution=0.015)

    def test_over_other_samples_it_is_not(self) -> None:
        logits = torch.full((DRAWS, 1), 0.7, dtype=torch.float64)
        with pytest.raises(AssertionError, match="distribution function is off"):
            assert_distribution(
                conditional_logistic(logits, logits < 0, seed=1) - logits, logistic_cdf, resolution=0.015
            )

    @pytest.mark.parametrize("positive", [True, False])
    def test_is_the_difference_of_two_perturbed_logits(self, positive: bool) -> None:
        pair = torch.tensor([0.7, 0.0], dtype=torch.float64).expand(DRAWS, 2)
        scores = conditional_gumbel(pair, torch.full((DRAWS,), 0 if positive else 1), seed=3)
        # A truncated logistic distribution.
        beyond = 1 - logistic_cdf(np.array(-0.7))

        def cdf(x: np.ndarray) -> np.ndarray:
            if positive:
                return (logistic_cdf(x - 0.7) - (1 - beyond)) / beyond
            return logistic_cdf(x - 0.7) / (1 - beyond)

        assert_distribution(scores[:, 0] - scores[:, 1], cdf, resolution=0.015)
        sign = torch.full((DRAWS,), positive)
        binary = conditional_logistic(torch.full((DRAWS,), 0.7, dtype=torch.float64), sign, seed=4)
        assert_distribution(binary, cdf, resolution=0.015)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    def test_the_given_sign_survives(self, dtype: torch.dtype) -> None:
        logits = torch.tensor([-1e4, -60.0, 0.0, 60.0, 1e4], dtype=dtype).expand(20_000, 5)
        for positive in (True, False):
            sign = torch.full(logits.shape, positive)
            scores = conditional_logistic(logits, sign, seed=0)
            assert scores.dtype == dtype
            assert torch.equal(scores > 0, sign)
            assert bool((scores != 0).all())

    def test_its_gradient_holds_the_noise_fixed(self) -> None:
        sign = torch.tensor([True, False, True])
        logits = torch.randn(3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: conditional_logistic(x, sign, seed=5), logits)

    def test_a_sign_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\(4,\), but its shape is \(3,\)"):
            conditional_logistic(torch.zeros(4), torch.zeros(3, dtype=torch.bool))


class TestImpossibleWinners:
    def test_have_no_conditional_distribution(self) -> None:
        logits = torch.tensor([[0.0, -torch.inf, 1.0], [0.0, 1.0, 2.0]], requires_grad=True)
        perturbed = conditional_gumbel(logits, torch.tensor([1, 1]), seed=0)
        assert bool(perturbed[0].isnan().all())
        assert perturbed[1].argmax() == 1
        assert bool(perturbed[1].isfinite().all())

    def test_of_rows_without_an_allowed_class_are_none(self) -> None:
        logits = torch.full((2, 3), -torch.inf)
        logits[1] = 0.0
        index = gumbel_max(logits, seed=1)
        assert index[0] == -1
        perturbed = conditional_gumbel(logits, index, seed=2)
        assert bool((perturbed[0] == -torch.inf).all())
        assert perturbed[1].argmax() == index[1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: conditional_gumbel(torch.zeros(3), [1]), "index must be a tensor, but it is of type list"),
        (lambda: conditional_gumbel(torch.zeros(2, 3), torch.zeros(2)), "index must be of an integer dtype"),
        (lambda: conditional_logistic(torch.zeros(3), torch.zeros(3)), "positive must be a boolean tensor"),
        (lambda: conditional_logistic(torch.zeros(3), [True]), "positive must be a boolean tensor, but it is list"),
    ],
)
def test_wrong_types_are_told_in_words(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()
