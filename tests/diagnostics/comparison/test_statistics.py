"""The statistics of gradients, on normal vectors whose bias and variance are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.diagnostics.comparison.statistics import Bias, Sample, measure_bias
from tests.statistics import assert_frequencies, assert_mean

REPETITIONS = 2000


def _samples(repetitions: int, draws: int, scale: Tensor, bias: Tensor) -> Tensor:
    """Normal vectors with standard deviations ``scale``, shape ``(repetitions, draws, parameters)``."""
    generator = torch.Generator().manual_seed(1)
    return bias + scale * torch.randn(repetitions, draws, len(scale), generator=generator, dtype=torch.float64)


def _squared_errors(bias: Tensor) -> Tensor:
    """Squared deviations of the squared bias over repetitions, in units of what its standard error says."""
    exact = _exact(ZERO)
    found = [measure_bias(Sample(draws), exact).squared for draws in _samples(REPETITIONS, 100, SCALE, bias)]
    values = torch.tensor([estimate.value for estimate in found])
    claimed = torch.tensor([estimate.error for estimate in found]).square().mean()
    return (values - bias.square().sum()).square() / claimed


def _exact(gradient: Tensor) -> Sample:
    return Sample(gradient[None])


SCALE = torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64)
BIAS = torch.tensor([0.2, -0.1, 0.1], dtype=torch.float64)
ZERO = torch.zeros(3, dtype=torch.float64)


class TestBias:
    @pytest.mark.parametrize("bias", [ZERO, BIAS, 10 * BIAS])
    def test_its_square_is_unbiased(self, bias: Tensor) -> None:
        exact = _exact(ZERO)
        found = [measure_bias(Sample(draws), exact).squared.value for draws in _samples(REPETITIONS, 20, SCALE, bias)]
        assert_mean(torch.tensor(found), float(bias.square().sum()), resolution=0.3 * max(float(bias.norm()), 0.1))

    def test_the_standard_error_is_that_of_repetitions(self) -> None:
        assert_mean(_squared_errors(10 * BIAS), 1.0, resolution=0.3)

    @pytest.mark.parametrize("bias", [ZERO, BIAS])
    def test_near_zero_the_standard_error_is_on_the_safe_side(self, bias: Tensor) -> None:
        assert 0.5 < _squared_errors(bias).mean() < 1.1

    def test_a_reference_that_was_drawn_adds_its_noise(self) -> None:
        bias = 10 * BIAS
        reference = _samples(REPETITIONS, 80, 2 * SCALE, ZERO)
        sets = _samples(REPETITIONS + 1, 50, SCALE, bias)[1:]
        found = [measure_bias(Sample(a), Sample(b)).squared for a, b in zip(sets, reference, strict=True)]
        values = torch.tensor([estimate.value for estimate in found])
        assert_mean(values, float(bias.square().sum()), resolution=0.3)
        claimed = torch.tensor([estimate.error for estimate in found]).square().mean()
        assert_mean((values - bias.square().sum()).square() / claimed, 1.0, resolution=0.3)

    @pytest.mark.parametrize("parameters", [1, 3, 400])
    def test_false_alarms_come_as_often_as_they_say(self, parameters: int) -> None:
        scale = torch.linspace(0.1, 1, parameters, dtype=torch.float64)
        exact = _exact(torch.zeros(parameters, dtype=torch.float64))
        sets = _samples(1000, 100, scale, torch.zeros(parameters, dtype=torch.float64))
        alarms = sum(measure_bias(Sample(draws), exact).probability < 0.05 for draws in sets)
        assert_frequencies(torch.tensor([alarms, 1000 - alarms]), torch.tensor([0.05, 0.95]), resolution=0.06)

    def test_a_bias_is_noticed(self) -> None:
        exact = _exact(ZERO)
        found = [measure_bias(Sample(draws), exact).probability for draws in _samples(100, 1000, SCALE, BIAS)]
        assert max(found) < 1e-4

    def test_more_draws_than_are_paired_are_grouped(self) -> None:
        draws = _samples(1, 5050, SCALE, BIAS)[0]
        found = measure_bias(Sample(draws), _exact(ZERO)).squared
        few = measure_bias(Sample(draws[:1000]), _exact(ZERO)).squared
        assert abs(found.value - float(BIAS.square().sum())) < 5 * found.error
        # Five times the draws: the error falls by the root of it, near enough.
        assert few.error / 3 < found.error < few.error / 1.5

    def test_without_noise_any_difference_is_a_bias(self) -> None:
        constant = torch.ones(50, 3, dtype=torch.float64)
        assert _judged(constant, ZERO).probability == 0
        assert _judged(constant, ZERO + 1).probability == 1

    def test_rounding_is_no_bias(self) -> None:
        constant = torch.full((50, 3), 0.1)
        assert _judged(constant, ZERO + 0.1).probability == 1
        assert _judged(constant, ZERO + 0.101).probability == 0

    def test_what_is_not_finite_stays_so(self) -> None:
        draws = _samples(1, 50, SCALE, ZERO)[0]
        draws[3, 1] = torch.nan
        assert not torch.tensor(_judged(draws, ZERO).squared.value).isfinite()


def _judged(draws: Tensor, exact: Tensor) -> Bias:
    return measure_bias(Sample(draws), _exact(exact))


class TestSample:
    def test_variance_and_error_are_those_of_the_distribution(self) -> None:
        sample = Sample(_samples(1, 200_000, SCALE, BIAS)[0])
        trace = float(SCALE.square().sum())
        assert abs(sample.variance().value - trace) < 5 * sample.variance().error < 0.05 * trace
        error = sample.error(_exact(ZERO))
        expected = trace + float(BIAS.square().sum())
        assert abs(error.value - expected) < 5 * error.error < 0.05 * expected

    def test_the_error_leaves_out_the_noise_of_the_reference(self) -> None:
        reference = _samples(REPETITIONS, 5, 3 * SCALE, ZERO)
        sets = _samples(REPETITIONS + 1, 5, SCALE, BIAS)[1:]
        found = [Sample(a).error(Sample(b)).value for a, b in zip(sets, reference, strict=True)]
        assert_mean(torch.tensor(found), float(SCALE.square().sum() + BIAS.square().sum()), resolution=0.7)

    def test_cosine(self) -> None:
        draws = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [-3.0, 0.0]])
        assert Sample(draws).cosine(torch.tensor([5.0, 0.0], dtype=torch.float64)).value == 0
        assert Sample(draws[:1]).cosine(torch.tensor([5.0, 5.0], dtype=torch.float64)).value == pytest.approx(0.5**0.5)

    def test_traces_of_products(self) -> None:
        draws = _samples(1, 1000, SCALE, ZERO)[0]
        other = _samples(1, 1001, SCALE.flip(0), ZERO)[0][1:]
        first, second = Sample(draws), Sample(other)
        expected = float(SCALE.pow(4).sum()) / 1000**2
        assert first.inner(first) == pytest.approx(expected, rel=0.2)
        mixed = float((SCALE * SCALE.flip(0)).square().sum()) / 1000**2
        assert first.inner(second) == pytest.approx(mixed, rel=0.3)
        assert first.along(BIAS) == pytest.approx(float((SCALE * BIAS).square().sum()) / 1000, rel=0.2)
