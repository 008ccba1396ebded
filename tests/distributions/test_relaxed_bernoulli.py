"""The binary Concrete distribution and its log-odds: densities, samples, gradients, edges."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from drawgrad.distributions import LogitRelaxedBernoulli, RelaxedBernoulli, RelaxedOneHotCategorical
from drawgrad.functional import logistic_noise
from tests.statistics import assert_distribution, assert_frequencies, assert_mean

LOGITS = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -2.0]], dtype=torch.float64)
TAU = torch.tensor([[0.4], [1.3]], dtype=torch.float64)
BOTH = [LogitRelaxedBernoulli, RelaxedBernoulli]
Both = type[LogitRelaxedBernoulli] | type[RelaxedBernoulli]


class TestDensity:
    def test_is_logistic(self) -> None:
        """Against scipy, by a change of variables."""
        x = torch.linspace(-30, 30, 61, dtype=torch.float64)[:, None, None]
        right = torch.from_numpy(stats.logistic.logpdf(x, loc=LOGITS / TAU, scale=1 / TAU))
        torch.testing.assert_close(LogitRelaxedBernoulli(TAU, logits=LOGITS).log_prob(x), right)
        y = x[20:-20].sigmoid()
        torch.testing.assert_close(
            RelaxedBernoulli(TAU, logits=LOGITS).log_prob(y), right[20:-20] - (y * (1 - y)).log()
        )

    def test_is_that_of_torch_where_torch_is_right(self) -> None:
        theirs = torch.distributions.RelaxedBernoulli(TAU, logits=LOGITS)
        y = torch.rand(50, 2, 3, dtype=torch.float64)
        torch.testing.assert_close(RelaxedBernoulli(TAU, logits=LOGITS).log_prob(y), theirs.log_prob(y))
        x = y.logit()
        torch.testing.assert_close(LogitRelaxedBernoulli(TAU, logits=LOGITS).log_prob(x), theirs.base_dist.log_prob(x))

    def test_is_that_of_two_categories(self) -> None:
        y = torch.rand(50, 2, 3, dtype=torch.float64)
        pair = RelaxedOneHotCategorical(TAU.expand(2, 3), logits=torch.stack([LOGITS, torch.zeros(2, 3).double()], -1))
        torch.testing.assert_close(
            RelaxedBernoulli(TAU, logits=LOGITS).log_prob(y), pair.log_prob(torch.stack([y, 1 - y], -1))
        )

    @pytest.mark.parametrize("tau", [0.3, 1.0, 3.0])
    def test_integrates_to_the_distribution_function(self, tau: float) -> None:
        q = RelaxedBernoulli(tau, logits=torch.tensor(0.7, dtype=torch.float64))

        def density(y: float) -> float:
            return float(q.log_prob(torch.tensor(y, dtype=torch.float64)).exp())

        for low, high in ((1e-6, 0.3), (0.3, 0.5), (0.5, 1 - 1e-6)):
            ends = q.cdf(torch.tensor([low, high], dtype=torch.float64))
            inside, error = integrate.quad(density, low, high, limit=500)
            assert error < 1e-6
            assert inside == pytest.approx((ends[1] - ends[0]).item(), abs=1e-6)
        assert q.cdf(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist() == [0.0, 1.0]

    @pytest.mark.parametrize("cls", BOTH)
    def test_has_the_right_derivatives(self, cls: Both) -> None:
        def density(logits: Tensor, tau: Tensor, value: Tensor) -> Tensor:
            return cls(tau, logits=logits).log_prob(value)

        value = cls(TAU, logits=LOGITS).sample()
        arguments = [tensor.clone().requires_grad_() for tensor in (LOGITS, TAU, value)]
        assert torch.autograd.gradcheck(density, arguments)
        assert torch.autograd.gradgradcheck(density, arguments)

    def test_does_not_overflow_in_the_tails(self) -> None:
        q = LogitRelaxedBernoulli(torch.tensor(1.0), logits=torch.zeros(()))
        x = torch.tensor([-1e4, -100.0, 100.0, 1e4])
        torch.testing.assert_close(q.log_prob(x), -x.abs())
        theirs = torch.distributions.relaxed_bernoulli.LogitRelaxedBernoulli(torch.tensor(1.0), logits=torch.zeros(()))
        assert theirs.log_prob(x)[0] == -torch.inf


class TestRoundedSamples:
    def test_the_density_is_finite_and_so_is_its_gradient(self) -> None:
        logits = torch.linspace(-3, 3, 1000).requires_grad_()
        q = RelaxedBernoulli(0.05, logits=logits)
        y = q.rsample((5,))
        assert bool((y == 0).any())
        assert bool((y == 1).any())
        density = q.log_prob(y)
        assert bool(density.isfinite().all())
        density.sum().backward()
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_an_end_counts_as_its_neighbor(self, dtype: torch.dtype) -> None:
        info = torch.finfo(dtype)
        q = RelaxedBernoulli(0.5, logits=torch.tensor(0.3, dtype=dtype))
        wide = RelaxedBernoulli(0.5, logits=torch.tensor(0.3, dtype=dtype).double())
        below_one = torch.tensor(1 - info.eps / 2, dtype=torch.float64)
        rounding = {"rtol": 4 * info.eps, "atol": 0.0, "check_dtype": False}
        torch.testing.assert_close(q.log_prob(torch.ones((), dtype=dtype)), wide.log_prob(below_one), **rounding)
        if dtype != torch.float64:
            above_zero = torch.tensor(info.tiny * info.eps, dtype=torch.float64)
            torch.testing.assert_close(q.log_prob(torch.zeros((), dtype=dtype)), wide.log_prob(above_zero), **rounding)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_at_an_end_the_share_that_is_rounded_away_is_a_constant(self, dtype: torch.dtype) -> None:
        """With respect to the other share the derivative is that of the logistic density, a hyperbolic tangent."""
        info = torch.finfo(dtype)
        y = torch.tensor([0.0, 1.0], dtype=dtype, requires_grad=True)
        q = RelaxedBernoulli(0.5, logits=torch.zeros(2, dtype=dtype))
        (found,) = torch.autograd.grad(q.log_prob(y).sum(), y)
        odds = [-math.log(info.tiny) - math.log(info.eps), -math.log(info.eps / 2)]
        slopes = [1 + 0.5 * math.tanh(0.5 * each / 2) for each in odds]
        expected = torch.tensor([slopes[0], -slopes[1]], dtype=dtype)
        torch.testing.assert_close(found, expected, rtol=4 * info.eps, atol=0.0)

    @pytest.mark.parametrize("logit", [torch.inf, -torch.inf])
    def test_a_certain_outcome_has_no_derivative(self, logit: float) -> None:
        y = torch.tensor([0.0, 0.3, 1.0], requires_grad=True)
        (found,) = torch.autograd.grad(RelaxedBernoulli(0.5, logits=torch.tensor(logit)).log_prob(y).sum(), y)
        assert torch.equal(found, torch.zeros(3))

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("tau", [0.5, 1000.0, 60_000.0, 1e6])
    def test_no_derivative_leaves_float16(self, cls: Both, tau: float) -> None:
        logits = torch.linspace(-20, 20, 50).half().requires_grad_()
        temperature = torch.tensor(tau, requires_grad=True)
        q = cls(temperature, logits=logits)
        x = q.rsample((3,), seed=1)
        for grad in torch.autograd.grad(q.log_prob(x).sum(), (x, logits, temperature)):
            assert bool(grad.isfinite().all())

    def test_the_log_odds_are_exact(self) -> None:
        logits = torch.linspace(-3, 3, 1000)
        x = LogitRelaxedBernoulli(0.05, logits=logits).sample()
        double = LogitRelaxedBernoulli(0.05, logits=logits.double()).log_prob(x.double())
        torch.testing.assert_close(
            LogitRelaxedBernoulli(0.05, logits=logits).log_prob(x).double(), double, rtol=1e-5, atol=1e-4
        )


class TestSamples:
    def test_one_seed_gives_both(self) -> None:
        x = LogitRelaxedBernoulli(TAU, logits=LOGITS).rsample((5,), seed=3)
        torch.testing.assert_close(x.sigmoid(), RelaxedBernoulli(TAU, logits=LOGITS).rsample((5,), seed=3))

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("given", ["logits", "probs"])
    def test_carry_the_pathwise_gradient(self, cls: Both, given: str) -> None:
        """Against autograd through the formula with the same noise."""
        parameter = (LOGITS if given == "logits" else LOGITS.sigmoid()).clone().requires_grad_()
        tau = TAU.clone().requires_grad_()
        weight = torch.randn(7, 2, 3, dtype=torch.float64)
        sample = cls(tau, **{given: parameter}).rsample((7,), seed=9)
        noise = logistic_noise((7, 2, 3), dtype=torch.float64, seed=9)
        formula = ((parameter if given == "logits" else parameter.logit()) + noise) / tau
        formula = formula if cls is LogitRelaxedBernoulli else formula.sigmoid()
        torch.testing.assert_close(sample, formula)
        ours = torch.autograd.grad((weight * sample).sum(), (parameter, tau))
        right = torch.autograd.grad((weight * formula).sum(), (parameter, tau))
        torch.testing.assert_close(ours, right)
        assert all(bool((gradient != 0).all()) for gradient in right)

    @pytest.mark.parametrize("tau", [0.2, 1.5])
    def test_follow_their_distribution_functions(self, tau: float) -> None:
        p = torch.tensor(0.8, dtype=torch.float64)
        for cls in BOTH:
            q = cls(tau, probs=p)
            sample = q.sample((60_000,))
            assert_distribution(sample, lambda x, q=q: q.cdf(torch.from_numpy(x)).numpy(), resolution=0.02)
            wrong = cls(1.15 * tau, probs=p)
            with pytest.raises(AssertionError, match="off by"):
                assert_distribution(sample, lambda x, q=wrong: q.cdf(torch.from_numpy(x)).numpy(), resolution=0.02)

    def test_the_larger_half_is_bernoulli(self) -> None:
        ones = (RelaxedBernoulli(TAU, logits=LOGITS).sample((20_000,)) > 0.5).sum(0)
        counts = torch.stack([ones, 20_000 - ones], -1)
        p = LOGITS.sigmoid()
        assert_frequencies(counts, torch.stack([p, 1 - p], -1), resolution=0.03)


class TestMoments:
    def test_of_log_odds_are_those_of_scipy(self) -> None:
        q = LogitRelaxedBernoulli(TAU, logits=LOGITS)
        right = stats.logistic(loc=LOGITS / TAU, scale=1 / TAU)
        for ours, theirs in (
            (q.mean, right.mean()),
            (q.mode, right.mean()),
            (q.variance, right.var()),
            (q.stddev, right.std()),
            (q.entropy(), right.entropy()),
            (q.cdf(torch.tensor(0.7).double()), right.cdf(0.7)),
            (q.icdf(torch.tensor(0.2).double()), right.ppf(0.2)),
        ):
            assert ours.shape == q.batch_shape
            torch.testing.assert_close(ours, torch.as_tensor(theirs).expand(2, 3))

    def test_of_log_odds_are_those_of_the_samples(self) -> None:
        q = LogitRelaxedBernoulli(TAU, logits=LOGITS)
        x = q.sample((40_000,))
        assert_mean(x, q.mean, resolution=0.3)
        assert_mean(-q.log_prob(x), q.entropy(), resolution=0.1)
        with pytest.raises(AssertionError, match="instead of"):
            assert_mean(-q.log_prob(x), q.entropy() + 0.1, resolution=0.1)

    @pytest.mark.parametrize("cls", BOTH)
    def test_icdf_inverts_cdf(self, cls: Both) -> None:
        q = cls(TAU, logits=LOGITS)
        u = torch.linspace(0.01, 0.99, 20, dtype=torch.float64)[:, None, None].expand(20, 2, 3)
        torch.testing.assert_close(q.cdf(q.icdf(u)), u)

    @pytest.mark.parametrize("cls", BOTH)
    def test_distribution_functions_refuse_wrong_values(self, cls: Both) -> None:
        nan = torch.full((2, 3), torch.nan, dtype=torch.float64)
        with pytest.raises(ValueError, match="within the support"):
            cls(TAU, logits=LOGITS, validate_args=True).cdf(nan)
        assert bool(cls(TAU, logits=LOGITS, validate_args=False).cdf(nan).isnan().all())

    def test_of_the_unit_interval_have_no_closed_form(self) -> None:
        q = RelaxedBernoulli(0.5, logits=torch.zeros(2))
        for ask in (lambda: q.mean, lambda: q.variance, q.entropy):
            with pytest.raises(NotImplementedError):
                ask()


class TestCertainOutcomes:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("given", ["logits", "probs"])
    def test_are_points(self, cls: Both, given: str) -> None:
        parameter = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
        parameter = (parameter if given == "probs" else parameter.logit()).requires_grad_()
        q = cls(0.5, **{given: parameter})
        sample = q.rsample((1000,))
        points = [0.0, 1.0] if cls is RelaxedBernoulli else [-torch.inf, torch.inf]
        assert sample[:, 0].unique().tolist() == points[:1]
        assert sample[:, 2].unique().tolist() == points[1:]
        density = q.log_prob(sample)
        assert bool((density[:, [0, 2]] == 0).all())
        elsewhere = torch.full((3,), 0.5, dtype=torch.float64)
        assert q.log_prob(elsewhere)[[0, 2]].tolist() == [-torch.inf, -torch.inf]
        assert math.isfinite(q.log_prob(elsewhere)[1].item())
        (sample[:, 1].sum() + density.sum()).backward()
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
