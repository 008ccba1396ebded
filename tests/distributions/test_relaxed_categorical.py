"""The Gumbel-Softmax distribution and its logarithm: densities, samples, gradients, edges."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from drawgrad.distributions import ExpRelaxedCategorical, RelaxedOneHotCategorical
from drawgrad.functional import gumbel_noise
from tests.statistics import assert_distribution, assert_frequencies, assert_mean

LOGITS = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -2.0]], dtype=torch.float64)
TAU = torch.tensor([0.4, 1.3], dtype=torch.float64)
BOTH = [ExpRelaxedCategorical, RelaxedOneHotCategorical]
Both = type[ExpRelaxedCategorical] | type[RelaxedOneHotCategorical]


def printed_density(y: Tensor, pi: Tensor, tau: Tensor | float) -> Tensor:
    """The density as the papers print it, in products and powers."""
    k = y.shape[-1]
    tau = torch.as_tensor(tau, dtype=torch.float64)
    at = tau[..., None]
    return (
        math.factorial(k - 1)
        * tau ** (k - 1)
        * (pi / y**at).sum(-1) ** -k
        * (pi / y ** (at + 1)).prod(-1)
    )  # fmt: skip


class TestDensity:
    def test_is_the_printed_one(self) -> None:
        y = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64)).sample((50, 2))
        q = RelaxedOneHotCategorical(TAU, logits=LOGITS)
        right = printed_density(y, LOGITS.softmax(-1), TAU)
        torch.testing.assert_close(q.log_prob(y).exp(), right)
        torch.testing.assert_close(
            ExpRelaxedCategorical(TAU, logits=LOGITS).log_prob(y.log()).exp(), right * y.prod(-1)
        )

    @pytest.mark.parametrize("tau", [0.3, 1.0, 4.0])
    def test_is_that_of_torch_where_torch_is_right(self, tau: float) -> None:
        theirs = torch.distributions.RelaxedOneHotCategorical(torch.tensor(tau, dtype=torch.float64), logits=LOGITS)
        ours = RelaxedOneHotCategorical(tau, logits=LOGITS)
        x = theirs.base_dist.sample((50,))
        torch.testing.assert_close(ours.log_prob(x.exp()), theirs.log_prob(x.exp()))
        torch.testing.assert_close(ExpRelaxedCategorical(tau, logits=LOGITS).log_prob(x), theirs.base_dist.log_prob(x))

    @pytest.mark.parametrize("tau", [0.05, 0.7, 3.0])
    def test_of_two_classes_follows_from_the_logistic_one(self, tau: float) -> None:
        """By a change of variables: the log-ratio of two classes is logistic."""
        logits = torch.tensor([0.8, -0.4], dtype=torch.float64)
        ratio = torch.linspace(-30, 30, 61, dtype=torch.float64)
        y = torch.stack([ratio.sigmoid(), (-ratio).sigmoid()], -1)
        density = torch.from_numpy(stats.logistic.logpdf(ratio, loc=1.2 / tau, scale=1 / tau))
        q = RelaxedOneHotCategorical(tau, logits=logits, validate_args=False)
        torch.testing.assert_close(q.log_prob(y), density - y.log().sum(-1))
        x = torch.stack([torch.nn.functional.logsigmoid(ratio), torch.nn.functional.logsigmoid(-ratio)], -1)
        torch.testing.assert_close(ExpRelaxedCategorical(tau, logits=logits).log_prob(x), density)

    def test_of_one_class_is_certain(self) -> None:
        for cls, value in ((RelaxedOneHotCategorical, 1.0), (ExpRelaxedCategorical, 0.0)):
            q = cls(0.3, logits=torch.randn(4, 1))
            assert torch.equal(q.sample(), torch.full((4, 1), value))
            assert torch.equal(q.log_prob(q.sample()), torch.zeros(4))

    @pytest.mark.parametrize("cls", BOTH)
    def test_has_the_right_derivatives(self, cls: Both) -> None:
        def density(logits: Tensor, tau: Tensor, value: Tensor) -> Tensor:
            # Finite differences leave the simplex.
            return cls(tau, logits=logits, validate_args=False).log_prob(value)

        value = cls(TAU, logits=LOGITS).sample()
        arguments = [tensor.clone().requires_grad_() for tensor in (LOGITS, TAU, value)]
        assert torch.autograd.gradcheck(density, arguments)
        assert torch.autograd.gradgradcheck(density, arguments)


def integral(log_density: Callable[[Tensor], Tensor], k: int, tau: float) -> float:
    """The integral over the simplex of a density of its first k - 1 coordinates, k = 2 or 3.

    The variables are log-ratios to the last class, in which the density is smooth and decays like exp(-tau |ratio|),
    so the trapezoidal rule converges exponentially.
    """
    axis = torch.arange(-50 / tau, 50 / tau, 0.25 / max(tau, 0.5), dtype=torch.float64)
    ratios = torch.cartesian_prod(*[axis] * (k - 1)).reshape(-1, k - 1)
    x = torch.nn.functional.pad(ratios, (0, 1)).log_softmax(-1)
    weight = (log_density(x.exp()) + x.sum(-1)).exp()
    return float(weight.sum() * (axis[1] - axis[0]) ** (k - 1))


class TestNormalization:
    @pytest.mark.parametrize(("k", "tau"), [(2, 0.3), (2, 1.0), (2, 3.0), (3, 0.4), (3, 1.0), (3, 2.0)])
    def test_densities_integrate_to_one(self, k: int, tau: float) -> None:
        logits = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)[:k]
        q = RelaxedOneHotCategorical(tau, logits=logits, validate_args=False)
        assert integral(q.log_prob, k, tau) == pytest.approx(1.0, abs=1e-8)
        exact = ExpRelaxedCategorical(tau, logits=logits)
        assert integral(lambda y: exact.log_prob(y.log()) - y.log().sum(-1), k, tau) == pytest.approx(1.0, abs=1e-8)

    @pytest.mark.parametrize("k", [2, 3])
    def test_a_wrong_density_does_not(self, k: int) -> None:
        q = RelaxedOneHotCategorical(0.7, logits=torch.zeros(k, dtype=torch.float64), validate_args=False)
        without_the_gamma_function = integral(lambda y: q.log_prob(y) - math.log(math.factorial(k)), k, 0.7)
        assert without_the_gamma_function == pytest.approx(1 / math.factorial(k), abs=1e-8)

    @pytest.mark.parametrize("tau", [0.3, 1.0, 3.0])
    def test_of_two_classes_by_adaptive_quadrature(self, tau: float) -> None:
        q = RelaxedOneHotCategorical(tau, logits=torch.tensor([0.5, -1.0], dtype=torch.float64), validate_args=False)

        def density(y: float) -> float:
            return float(q.log_prob(torch.tensor([y, 1 - y], dtype=torch.float64)).exp())

        # The ends are cut off, and what is there is taken from the logistic distribution of the log-ratio.
        end = 1e-6
        ratio = math.log(end) - math.log1p(-end)
        logistic = stats.logistic(loc=1.5 / tau, scale=1 / tau)
        inside, error = integrate.quad(density, end, 1 - end, limit=500, points=[1e-4, 1e-2, 0.5, 0.99, 0.9999])
        assert error < 1e-6
        assert inside == pytest.approx(logistic.cdf(-ratio) - logistic.cdf(ratio), abs=1e-6)


class TestLowTemperature:
    """200 classes at a temperature of 0.05: most of a float32 sample underflows."""

    @pytest.fixture
    def logits(self, generator: torch.Generator) -> Tensor:
        return torch.randn(100, 200, generator=generator).requires_grad_()

    def test_the_density_of_rounded_samples_is_finite_and_so_is_its_gradient(self, logits: Tensor) -> None:
        q = RelaxedOneHotCategorical(0.05, logits=logits)
        y = q.rsample((3,))
        tiny = y[y > 0].min()
        assert bool((y == 0).any())
        assert tiny < torch.finfo(torch.float32).tiny * 1e6
        density = q.log_prob(y)
        assert density.shape == (3, 100)
        assert bool(density.isfinite().all())
        density.sum().backward()
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())

    def test_that_of_torch_is_not(self, logits: Tensor) -> None:
        theirs = torch.distributions.RelaxedOneHotCategorical(torch.tensor(0.05), logits=logits)
        y = RelaxedOneHotCategorical(0.05, logits=logits).sample()
        assert not bool(theirs.log_prob(y).isfinite().all())

    def test_the_logarithm_is_exact(self, logits: Tensor) -> None:
        q = ExpRelaxedCategorical(0.05, logits=logits)
        x = q.rsample((3,))
        assert bool(x.isfinite().all())
        double = ExpRelaxedCategorical(0.05, logits=logits.double()).log_prob(x.double())
        torch.testing.assert_close(q.log_prob(x).double(), double, rtol=1e-5, atol=1e-2)
        q.log_prob(x).sum().backward()
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())

    def test_both_agree_where_nothing_underflows(self, logits: Tensor) -> None:
        x = ExpRelaxedCategorical(1.0, logits=logits).sample()
        exact = ExpRelaxedCategorical(1.0, logits=logits).log_prob(x) - x.sum(-1)
        torch.testing.assert_close(RelaxedOneHotCategorical(1.0, logits=logits).log_prob(x.exp()), exact)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("tau", [1e-6, 1e3])
    @pytest.mark.parametrize("scale", [1.0, 1e4])
    def test_nothing_is_nan_at_the_ends(self, cls: Both, tau: float, scale: float) -> None:
        logits = (scale * torch.randn(20, 5)).requires_grad_()
        temperature = torch.tensor(tau, requires_grad=True)
        q = cls(temperature, logits=logits)
        sample = q.rsample()
        (sample.sum() + q.log_prob(sample.detach()).sum()).backward()
        for tensor in (sample, q.log_prob(sample), logits.grad, temperature.grad):
            assert tensor is not None
            assert not bool(tensor.isnan().any())


class TestRoundedSamples:
    """What a dtype cannot hold is told apart from what is never drawn."""

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
    def test_a_log_sample_ends_where_its_dtype_does(self, dtype: torch.dtype) -> None:
        logits = torch.tensor([0.0, 90.0, -torch.inf], dtype=dtype)
        q = ExpRelaxedCategorical(1e-3 if dtype == torch.float16 else 1e-37, logits=logits)
        x = q.sample((100,))
        assert x[:, 0].unique().tolist() == [torch.finfo(dtype).min]
        assert x[:, 2].unique().tolist() == [-torch.inf]
        assert bool(q.log_prob(x).isfinite().all())

    def test_a_coordinate_whose_derivative_float16_cannot_hold_is_a_constant(self) -> None:
        logits = torch.linspace(-1, 1, 5000).half().requires_grad_()
        tau = torch.tensor(1000.0, requires_grad=True)
        q = ExpRelaxedCategorical(tau, logits=logits)
        x = q.rsample((3,), seed=1)
        found = torch.autograd.grad(q.log_prob(x).sum(), (x, logits, tau))
        assert all(bool(grad.isfinite().all()) for grad in found)
        y = x.detach().double().requires_grad_()
        (expected,) = torch.autograd.grad(ExpRelaxedCategorical(1000.0, logits=logits.double()).log_prob(y).sum(), y)
        fits = expected.abs() <= torch.finfo(torch.float16).max
        assert bool(fits.any())
        assert not bool(fits.all())
        assert bool((found[0][~fits] == 0).all())
        torch.testing.assert_close(found[0][fits].double(), expected[fits], rtol=2e-3, atol=1.0)

    def test_no_share_has_density_zero(self) -> None:
        q = ExpRelaxedCategorical(0.5, logits=torch.zeros(3))
        assert q.log_prob(torch.tensor([0.5, 0.5, 0.0]).log()).item() == -torch.inf

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("k", [3, 1000])
    def test_points_off_the_simplex_are_refused(self, k: int, dtype: torch.dtype) -> None:
        q = RelaxedOneHotCategorical(0.5, logits=torch.zeros(k, dtype=dtype), validate_args=True)
        y = torch.full((k,), 1 / k, dtype=torch.float64)
        assert bool(q.log_prob(y.to(dtype)).isfinite())
        for off in (0.97, 1.03):
            with pytest.raises(ValueError, match="within the support"):
                q.log_prob((off * y).to(dtype))
        y[0], y[1] = 2 / k + 0.1, -0.1
        with pytest.raises(ValueError, match="within the support"):
            q.log_prob(y.to(dtype))

    def test_the_support_is_reached_from_the_reals(self) -> None:
        q = RelaxedOneHotCategorical(0.5, logits=torch.zeros(3))
        for registry in (torch.distributions.biject_to, torch.distributions.transform_to):
            transform = registry(q.support)
            assert type(transform) is type(registry(torch.distributions.constraints.simplex))
            assert bool(q.support.check(transform(torch.randn(5, 2 if transform.bijective else 3))).all())


class TestSamples:
    def test_one_seed_gives_both(self) -> None:
        x = ExpRelaxedCategorical(TAU, logits=LOGITS).rsample((5,), seed=3)
        y = RelaxedOneHotCategorical(TAU, logits=LOGITS).rsample((5,), seed=3)
        torch.testing.assert_close(x.exp(), y)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("given", ["logits", "probs"])
    def test_carry_the_pathwise_gradient(self, cls: Both, given: str) -> None:
        """Against autograd through the formula with the same noise."""
        parameter = (LOGITS if given == "logits" else 3 * LOGITS.softmax(-1)).clone().requires_grad_()
        tau = TAU.clone().requires_grad_()
        weight = torch.randn(7, 2, 3, dtype=torch.float64)
        sample = cls(tau, **{given: parameter}).rsample((7,), seed=9)
        noise = gumbel_noise((7, 2, 3), dtype=torch.float64, seed=9)
        scores = (parameter if given == "logits" else parameter.log()) + noise
        formula = (scores / tau[:, None]).log_softmax(-1)
        formula = formula if cls is ExpRelaxedCategorical else formula.exp()
        torch.testing.assert_close(sample, formula)
        ours = torch.autograd.grad((weight * sample).sum(), (parameter, tau))
        right = torch.autograd.grad((weight * formula).sum(), (parameter, tau))
        torch.testing.assert_close(ours, right)
        assert all(bool((gradient != 0).all()) for gradient in right)

    @pytest.mark.parametrize("cls", BOTH)
    def test_gradients_match_finite_differences(self, cls: Both) -> None:
        def draw(logits: Tensor, tau: Tensor) -> Tensor:
            return cls(tau, logits=logits).rsample((2,), seed=4)

        assert torch.autograd.gradcheck(draw, (LOGITS.clone().requires_grad_(), TAU.clone().requires_grad_()))

    @pytest.mark.parametrize("tau", [0.2, 1.5])
    def test_log_ratios_are_logistic(self, tau: float) -> None:
        logits = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)
        x = ExpRelaxedCategorical(tau, logits=logits).sample((60_000,))
        y = RelaxedOneHotCategorical(tau, logits=logits[:2]).sample((60_000,))
        for ratio, gap in ((x[:, 0] - x[:, 1], 1.5), (x[:, 1] - x[:, 2], -0.7), (torch.logit(y[:, 0], 1e-15), 1.5)):
            assert_distribution(ratio, stats.logistic(loc=gap / tau, scale=1 / tau).cdf, resolution=0.02)

    def test_a_slightly_wrong_temperature_is_noticed(self) -> None:
        x = ExpRelaxedCategorical(0.55, logits=torch.zeros(2)).sample((60_000,))
        with pytest.raises(AssertionError, match="off by"):
            assert_distribution(x[:, 0] - x[:, 1], stats.logistic(scale=1 / 0.5).cdf, resolution=0.02)

    @pytest.mark.parametrize("cls", BOTH)
    def test_the_largest_coordinate_is_categorical(self, cls: Both) -> None:
        winners = cls(TAU, logits=LOGITS).sample((20_000,)).argmax(-1)
        counts = torch.stack([row.bincount(minlength=3) for row in winners.T])
        assert_frequencies(counts, LOGITS.softmax(-1), resolution=0.03)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, LOGITS.flip(-1).softmax(-1), resolution=0.03)

    @pytest.mark.parametrize("k", [2, 5, 33])
    def test_entropy_is_the_mean_surprise(self, k: int) -> None:
        """A check of sampler, density and entropy against one another."""
        logits = 2 * torch.randn(k, dtype=torch.float64)
        q = ExpRelaxedCategorical(TAU, logits=logits.expand(2, k))
        surprise = -q.log_prob(q.sample((40_000,)))
        resolution = 0.3 if k > 5 else 0.1
        assert_mean(surprise, q.entropy(), resolution=resolution)
        with pytest.raises(AssertionError, match="instead of"):
            assert_mean(surprise, q.entropy() - resolution, resolution=resolution)

    def test_entropy_of_one_class_is_zero(self) -> None:
        q = ExpRelaxedCategorical(TAU, logits=torch.zeros(2, 1, dtype=torch.float64))
        torch.testing.assert_close(q.entropy(), torch.zeros(2, dtype=torch.float64))

    def test_entropy_of_two_classes_is_that_of_the_logistic(self) -> None:
        q = ExpRelaxedCategorical(0.4, logits=torch.tensor([3.0, 1.0], dtype=torch.float64))
        assert q.entropy().item() == pytest.approx(stats.logistic(scale=1 / 0.4).entropy())


class TestForbiddenClasses:
    @pytest.fixture(params=["logits", "probs"])
    def parameters(self, request: pytest.FixtureRequest) -> dict[str, Tensor]:
        logits = torch.tensor([[0.5, -torch.inf, 1.0, -0.3]], dtype=torch.float64)
        return {request.param: (logits if request.param == "logits" else logits.softmax(-1)).requires_grad_()}

    @pytest.mark.parametrize("cls", BOTH)
    def test_are_never_drawn(self, cls: Both, parameters: dict[str, Tensor]) -> None:
        tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        q = cls(tau, **parameters)
        sample = q.rsample((1000,))
        nothing = -torch.inf if cls is ExpRelaxedCategorical else 0.0
        assert bool((sample[..., 1] == nothing).all())
        allowed = [0, 2, 3]
        (sample[..., allowed].sum() + q.log_prob(sample).sum()).backward()
        (parameter,) = parameters.values()
        assert parameter.grad is not None
        assert tau.grad is not None
        assert bool(parameter.grad.isfinite().all())
        assert bool(tau.grad.isfinite())
        assert parameter.grad[0, 1] == 0

    @pytest.mark.parametrize("cls", BOTH)
    def test_leave_the_distribution_of_the_others(self, cls: Both, parameters: dict[str, Tensor]) -> None:
        q = cls(0.7, **parameters)
        rest = cls(0.7, logits=q.logits[:, [0, 2, 3]])
        sample = q.sample((10,))
        torch.testing.assert_close(q.log_prob(sample), rest.log_prob(sample[..., [0, 2, 3]]))
        if isinstance(q, ExpRelaxedCategorical):
            torch.testing.assert_close(q.entropy(), rest.entropy())

    @pytest.mark.parametrize("cls", BOTH)
    def test_have_density_zero(self, cls: Both, parameters: dict[str, Tensor]) -> None:
        y = torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64)
        value = y.log() if cls is ExpRelaxedCategorical else y
        assert cls(0.7, **parameters).log_prob(value).item() == -torch.inf
