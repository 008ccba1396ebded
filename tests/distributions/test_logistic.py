"""The logistic distribution against scipy's."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from drawgrad.distributions import Logistic
from drawgrad.functional import logistic_noise
from tests.statistics import assert_distribution, assert_mean

LOC = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
SCALE = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)


@pytest.fixture
def ours() -> Logistic:
    return Logistic(LOC, SCALE, validate_args=True)


@pytest.fixture
def theirs() -> stats.distributions.rv_frozen:
    return stats.logistic(loc=LOC.numpy(), scale=SCALE.numpy())


class TestClosedForms:
    def test_are_those_of_scipy(self, ours: Logistic, theirs: stats.distributions.rv_frozen) -> None:
        x = torch.linspace(-40, 40, 33, dtype=torch.float64)[:, None, None]
        u = torch.linspace(0.001, 0.999, 33, dtype=torch.float64)[:, None, None]
        for mine, right in (
            (ours.log_prob(x), theirs.logpdf(x)),
            (ours.cdf(x), theirs.cdf(x)),
            (ours.icdf(u), theirs.ppf(u)),
            (ours.entropy(), theirs.entropy()),
            (ours.mean, theirs.mean()),
            (ours.mode, theirs.median()),
            (ours.variance, theirs.var()),
            (ours.stddev, theirs.std()),
        ):
            assert mine.shape[-2:] == ours.batch_shape
            torch.testing.assert_close(mine, torch.as_tensor(right).broadcast_to(mine.shape))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_are_precise_in_both_tails(self, dtype: torch.dtype) -> None:
        d = Logistic(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype))
        x = torch.tensor([-80.0, -40.0, -20.0], dtype=dtype)
        right = torch.from_numpy(stats.logistic.cdf(x.double().numpy())).to(dtype)
        tolerance = {"rtol": 8 * torch.finfo(dtype).eps, "atol": 0.0}
        torch.testing.assert_close(d.cdf(x), right, **tolerance)
        torch.testing.assert_close(d.icdf(right), x, rtol=1e-6, atol=0.0)
        torch.testing.assert_close(d.cdf(2 * d.loc - (-x)), right, **tolerance)
        far = torch.tensor([-1e4, 1e4], dtype=dtype)
        torch.testing.assert_close(d.log_prob(far), -far.abs())
        assert d.icdf(torch.tensor([0.0, 0.5, 1.0], dtype=dtype)).tolist() == [-torch.inf, 0.0, torch.inf]

    def test_have_the_right_derivatives(self, ours: Logistic) -> None:
        arguments = [tensor.clone().requires_grad_() for tensor in (LOC, SCALE, ours.sample())]
        for function in (
            lambda loc, scale, x: Logistic(loc, scale).log_prob(x),
            lambda loc, scale, x: Logistic(loc, scale).cdf(x),
            lambda loc, scale, x: Logistic(loc, scale).icdf(x.sigmoid()),
        ):
            assert torch.autograd.gradcheck(function, arguments)
            assert torch.autograd.gradgradcheck(function, arguments)


class TestSamples:
    def test_follow_the_distribution(self, ours: Logistic, theirs: stats.distributions.rv_frozen) -> None:
        x = ours.sample((60_000,))
        assert_distribution(x[:, 1, 2], stats.logistic(2.0, 4.0).cdf, resolution=0.02)
        with pytest.raises(AssertionError, match="off by"):
            assert_distribution(x[:, 1, 2], stats.logistic(2.0, 4.6).cdf, resolution=0.02)
        assert_mean(-ours.log_prob(x), ours.entropy(), resolution=0.05)

    def test_carry_the_pathwise_gradient(self) -> None:
        loc, scale = LOC.clone().requires_grad_(), SCALE.clone().requires_grad_()
        weight = torch.randn(5, 2, 3, dtype=torch.float64)
        sample = Logistic(loc, scale).rsample((5,), seed=3)
        formula = loc + scale * logistic_noise((5, 2, 3), dtype=torch.float64, seed=3)
        torch.testing.assert_close(sample, formula)
        ours = torch.autograd.grad((weight * sample).sum(), (loc, scale))
        torch.testing.assert_close(ours, torch.autograd.grad((weight * formula).sum(), (loc, scale)))


class TestShapes:
    @pytest.mark.parametrize(
        ("loc", "scale", "batch"),
        [
            (0.0, 1.0, ()),
            (0, torch.ones(3), (3,)),
            (torch.zeros(2, 1), torch.ones(3), (2, 3)),
            (torch.zeros(0), 1.0, (0,)),
        ],
    )
    def test_broadcast(self, loc: float | Tensor, scale: float | Tensor, batch: tuple[int, ...]) -> None:
        d = Logistic(loc, scale)
        assert (d.batch_shape, d.event_shape) == (batch, ())
        assert d.rsample((4,)).shape == d.log_prob(d.sample((4,))).shape == (4, *batch)
        wide = d.expand((5, *batch))
        assert wide.rsample().shape == wide.mean.shape == wide.variance.shape == (5, *batch)

    @pytest.mark.parametrize(("loc", "scale"), [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, float("nan"))])
    def test_wrong_parameters_are_refused(self, loc: float, scale: float) -> None:
        with pytest.raises(ValueError, match="Expected parameter"):
            Logistic(loc, scale, validate_args=True)

    @pytest.mark.parametrize(
        ("loc", "scale", "wrong"),
        [
            (torch.tensor(0), torch.tensor(1), "loc"),
            (torch.tensor(0), 0.5, "loc"),
            (0.5, torch.tensor([1, 2]), "scale"),
            (0.0, True, "scale"),
            (torch.zeros(2), torch.ones(2, dtype=torch.bool), "scale"),
        ],
    )
    def test_parameters_that_are_no_floats_are_refused(
        self, loc: float | Tensor, scale: float | Tensor, wrong: str
    ) -> None:
        """Samples would be whole numbers, and a scale of 0.5 beside a tensor of integers would be zero."""
        with pytest.raises(TypeError, match=f"{wrong} must be"):
            Logistic(loc, scale)
        assert Logistic(0, 1).rsample().dtype == torch.get_default_dtype()

    def test_wrong_values_are_refused(self, ours: Logistic) -> None:
        nan = torch.full((2, 3), torch.nan, dtype=torch.float64)
        for method in (ours.log_prob, ours.cdf):
            with pytest.raises(ValueError, match="within the support"):
                method(nan)
