"""REBAR and RELAX: the coupled noise against automatic differentiation, and what their parameters learn."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad.estimators import Rebar, Relax
from drawgrad.estimators.control_variate.coupled import ControlVariateEstimator
from drawgrad.functional import conditional_gumbel, conditional_logistic, fold_seed, gumbel_noise, logistic_noise
from tests.estimators.problems import Problem
from tests.statistics import ALPHA, assert_mean

PROBLEMS = [Problem("neural", 3, 2), Problem("polynomial", 2, 3, binary=True), Problem("quadratic", 4, 1)]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)


def network(problem: Problem) -> nn.Module:
    """A control variate that is not zero."""
    generator = torch.Generator().manual_seed(5)
    module = nn.Sequential(nn.Linear(problem.features, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


MAKE: list[Callable[[Problem], ControlVariateEstimator]] = [
    lambda problem: Rebar(tau=0.7, eta=0.8).double(),
    lambda problem: Relax(tau=0.7, network=network(problem)).double(),
    lambda problem: Relax(tau=0.7, network=network(problem), relaxed_cost=True).double(),
]
each_estimator = pytest.mark.parametrize("make", MAKE, ids=["Rebar", "Relax", "Relax with relaxed cost"])


def run(estimator: ControlVariateEstimator, problem: Problem, draws: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Losses and gradients for the logits, a draw a row; the losses keep their graph."""
    logits = problem.logits.expand(draws, *problem.logits.shape).clone().requires_grad_()
    loss = estimator(lambda z: problem.cost(z, problem.parameters), problem.distribution(logits), seed=seed)
    return loss, torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]


class TestCoupledNoise:
    """The estimate as it is defined, by automatic differentiation of c(z) and of c(z~) with z~ = z."""

    @staticmethod
    def tied(problem: Problem, logits: Tensor, z: Tensor) -> Tensor:
        """The conditional scores that are z itself, as a differentiable function of the logits.

        The noise E that leads to z is found from z, and held fixed.
        """
        if problem.binary:
            one = z > 0
            # +-softplus(x + softplus(+-l)), solved for x.
            signed = torch.where(one, logits, -logits)
            noise = torch.log(torch.expm1(z.abs())) - nn.functional.softplus(signed)
            size = nn.functional.softplus(noise.detach() + nn.functional.softplus(signed))
            return torch.where(one, size, -size)
        top, winner = z.max(-1, keepdim=True)
        mass = logits.exp().sum(-1, keepdim=True)
        of_winner = (-top).exp() * mass
        of_others = ((-z).exp() - (-top).exp()) * logits.exp()
        top = mass.log() - of_winner.detach().log()
        others = -(of_others.detach() / logits.exp() + of_winner.detach() / mass).log()
        return others.scatter(-1, winner, top)

    @each_problem
    @pytest.mark.parametrize("make", MAKE[:2], ids=["Rebar", "Relax"])
    def test_is_that_of_the_definition(
        self, make: Callable[[Problem], ControlVariateEstimator], problem: Problem
    ) -> None:
        estimator = make(problem)
        draws = 50
        logits = problem.logits.expand(draws, *problem.logits.shape).clone().requires_grad_()
        noise = (logistic_noise if problem.binary else gumbel_noise)(
            (1, *logits.shape), dtype=torch.float64, seed=torch.tensor(3)
        )[0]

        def control(scores: Tensor) -> Tensor:
            soft = torch.sigmoid(scores / 0.7) if problem.binary else (scores / 0.7).softmax(-1)
            if isinstance(estimator, Rebar):
                return 0.8 * problem.cost(soft, problem.parameters)
            return estimator.network(soft.flatten(1))[..., 0]

        z = logits + noise
        conditional = self.tied(problem, logits, z.detach())
        torch.testing.assert_close(conditional, z)
        hard = (z > 0).double() if problem.binary else nn.functional.one_hot(z.argmax(-1), z.shape[-1]).double()
        q = problem.distribution(logits)
        rest = problem.cost(hard, problem.parameters) - control(conditional).detach()
        surrogate = rest * q.log_prob(hard).sum(-1) + control(z) - control(conditional)
        (expected,) = torch.autograd.grad(surrogate.sum(), logits)
        torch.testing.assert_close(run(estimator, problem, draws)[1], expected)

    @each_problem
    def test_has_less_variance_than_independent_noise_for_as_many_evaluations(self, problem: Problem) -> None:
        """With z~ drawn anew, given the sample, the cost is evaluated three times, not twice."""
        draws, estimator = 20_000, Rebar().double()
        logits = problem.logits.expand(draws, *problem.logits.shape).clone().requires_grad_()
        shape, seed = logits.shape, torch.tensor(3)

        def control(scores: Tensor) -> Tensor:
            soft = torch.sigmoid(scores / 0.5) if problem.binary else (scores / 0.5).softmax(-1)
            return problem.cost(soft, problem.parameters)

        if problem.binary:
            z = logits + logistic_noise(shape, dtype=torch.float64, seed=seed)
            hard = (z > 0).double()
            conditional = conditional_logistic(logits, z > 0, seed=seed + 1)
        else:
            z = logits + gumbel_noise(shape, dtype=torch.float64, seed=seed)
            hard = nn.functional.one_hot(z.argmax(-1), shape[-1]).double()
            conditional = conditional_gumbel(logits, z.argmax(-1), seed=seed + 1)
        rest = problem.cost(hard, problem.parameters) - control(conditional).detach()
        score = problem.distribution(logits).log_prob(hard).sum(-1)
        surrogate = rest * score + control(z) - control(conditional)
        (independent,) = torch.autograd.grad(surrogate.sum(), logits)
        exact = problem.exact().logits
        assert_mean(independent, exact, resolution=0.5 * exact.abs().max().item())
        coupled = run(estimator, problem, draws)[1]
        three, two = ((found - exact).square().flatten(1).sum(-1) for found in (independent, coupled))
        error = torch.sqrt(9 * three.var() + 4 * two.var()) / math.sqrt(draws)
        assert 3 * three.mean() - 2 * two.mean() > stats.norm.isf(ALPHA) * error


class TestTraining:
    @each_problem
    @each_estimator
    def test_gradient_is_that_of_the_squared_estimate(
        self, make: Callable[[Problem], ControlVariateEstimator], problem: Problem
    ) -> None:
        """Against central differences, for one set of draws."""
        estimator = make(problem)

        def square() -> float:
            return run(estimator, problem, 40)[1].square().sum().item()

        run(estimator, problem, 40)[0].sum().backward()
        step = 1e-6
        for name, parameter in estimator.named_parameters():
            assert parameter.grad is not None
            for entry, found in zip(parameter.data.flatten().split(1), parameter.grad.flatten(), strict=True):
                entry += step
                above = square()
                entry -= 2 * step
                below = square()
                entry += step
                expected = (above - below) / (2 * step)
                assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-5), name

    @each_estimator
    def test_several_samples_train_by_the_mean_of_their_squares(
        self, make: Callable[[Problem], ControlVariateEstimator]
    ) -> None:
        problem = PROBLEMS[0]
        one, two = make(problem), make(problem)
        two.samples = 2
        logits = problem.logits.expand(5, *problem.logits.shape).clone().requires_grad_()

        def learn(estimator: ControlVariateEstimator, seed: int | Tensor) -> None:
            q = problem.distribution(logits)
            estimator(lambda z: problem.cost(z, problem.parameters), q, seed=seed).sum().backward()

        # The second of two samples has a seed of its own.
        for seed in (3, fold_seed(fold_seed(3, -1), 1)):
            learn(one, seed)
        learn(two, 3)
        for first, second in zip(one.parameters(), two.parameters(), strict=True):
            assert first.grad is not None
            torch.testing.assert_close(second.grad, first.grad / 2)

    @each_problem
    @each_estimator
    def test_lowers_the_variance(self, make: Callable[[Problem], ControlVariateEstimator], problem: Problem) -> None:
        estimator = make(problem)
        if isinstance(estimator, Rebar):
            estimator.eta.data.fill_(2.0)
        before = run(estimator, problem, 20_000, seed=1)[1].square().flatten(1).sum(-1)
        optimizer = torch.optim.Adam(estimator.parameters(), lr=0.02)
        for step in range(100):
            optimizer.zero_grad()
            run(estimator, problem, 500, seed=10 + step)[0].mean().backward()
            optimizer.step()
        difference = before - run(estimator, problem, 20_000, seed=1)[1].square().flatten(1).sum(-1)
        assert difference.mean() > stats.norm.isf(ALPHA) * difference.std() / math.sqrt(len(difference))

    @each_estimator
    def test_follows_the_size_of_the_loss_s_weight_and_not_its_sign(
        self, make: Callable[[Problem], ControlVariateEstimator]
    ) -> None:
        estimator, problem = make(PROBLEMS[0]), PROBLEMS[0]
        loss = run(estimator, problem, 4)[0]
        parameters = list(estimator.parameters())

        def gradients(weights: Tensor) -> list[Tensor]:
            return list(torch.autograd.grad(loss, parameters, weights.double(), retain_graph=True))

        each = [gradients(row) for row in torch.eye(4)]
        found = gradients(torch.tensor([1.0, -2.0, 0.0, 0.5]))
        for index, entry in enumerate(found):
            torch.testing.assert_close(entry, each[0][index] + 2 * each[1][index] + 0.5 * each[3][index])

    def test_of_parameters_per_element_is_apart(self) -> None:
        problem = PROBLEMS[1]
        shared, own = Rebar().double(), Rebar(eta=torch.ones(4), tau=torch.full((4,), 0.5)).double()
        run(shared, problem, 4)[0].sum().backward()
        run(own, problem, 4)[0].sum().backward()
        for one, many in zip(shared.parameters(), own.parameters(), strict=True):
            assert one.grad is not None
            assert many.grad is not None
            assert many.grad.shape == (4,)
            assert len(many.grad.unique()) == 4
            torch.testing.assert_close(many.grad.sum(), one.grad)

    def test_reaches_nothing_else(self) -> None:
        """Neither the cost's own parameters nor the logits see the estimator's training."""
        problem = PROBLEMS[0]
        frozen, learning = Rebar().double().requires_grad_(False), Rebar().double()
        found = [problem.estimates(estimator, 5) for estimator in (frozen, learning)]
        assert torch.equal(found[0].logits, found[1].logits)
        assert torch.equal(found[0].parameters, found[1].parameters)
        assert torch.equal(found[0].value, found[1].value)

    @each_estimator
    def test_of_the_temperature_is_optional(self, make: Callable[[Problem], ControlVariateEstimator]) -> None:
        problem = PROBLEMS[0]
        whole, partly = make(problem), make(problem)
        partly.log_tau.requires_grad_(False)
        for estimator in (whole, partly):
            run(estimator, problem, 5)[0].sum().backward()
        assert partly.log_tau.grad is None
        for (name, one), other in zip(whole.named_parameters(), partly.parameters(), strict=True):
            if name != "log_tau":
                torch.testing.assert_close(other.grad, one.grad)


def distance(b: Tensor) -> Tensor:
    """A cost for which torch has no second derivative."""
    return torch.cdist(b[..., None, :], torch.full((1, 3), 0.3)).sum((-1, -2))


class TestSecondDerivatives:
    def test_that_are_missing_are_asked_for_by_name(self) -> None:
        loss = Rebar()(distance, Bernoulli(logits=torch.zeros(3, requires_grad=True)), seed=0)
        with pytest.raises(RuntimeError, match=r"Rebar learns its temperature .*log_tau.requires_grad_\(False\)"):
            loss.backward()

    def test_are_not_needed_for_a_fixed_temperature(self) -> None:
        logits, estimator = torch.zeros(3, requires_grad=True), Rebar()
        estimator.log_tau.requires_grad_(False)
        estimator(distance, Bernoulli(logits=logits), seed=0).backward()
        assert estimator.eta.grad is not None
        expected = torch.zeros(3, requires_grad=True)
        Rebar()(lambda b: (b - 0.3).norm(dim=-1), Bernoulli(logits=expected), seed=0).backward()
        torch.testing.assert_close(logits.grad, expected.grad)

    def test_of_a_linear_cost_are_zero(self) -> None:
        estimator = Rebar()
        q = OneHotCategorical(logits=torch.zeros(2, 3, requires_grad=True))
        estimator(lambda z: (z * torch.arange(3.0)).sum((-1, -2)), q, seed=0).backward()
        assert estimator.log_tau.grad is not None
        assert estimator.log_tau.grad.isfinite()


class TestCostsThatAreNotFinite:
    @each_problem
    @each_estimator
    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e200])
    @pytest.mark.parametrize("where", ["hard", "everywhere"])
    def test_leave_the_parameters_to_the_other_draws(
        self, make: Callable[[Problem], ControlVariateEstimator], problem: Problem, bad: float, where: str
    ) -> None:
        broken, sound = make(problem), make(problem)

        def q() -> Distribution:
            return problem.distribution(problem.logits.expand(6, *problem.logits.shape).clone().requires_grad_())

        affected = torch.arange(6) == 2
        factor = torch.where(affected, torch.tensor(bad, dtype=torch.float64), 1.0)

        def cost(z: Tensor) -> Tensor:
            costs = problem.cost(z, problem.parameters)
            hard = ((z == 0) | (z == 1)).all()
            # Multiplied, so that slopes are not finite either.
            return costs * factor if hard or where == "everywhere" else costs

        broken(cost, q(), seed=3).sum().backward()
        kept = sound(lambda z: problem.cost(z, problem.parameters), q(), seed=3)[~affected]
        kept.sum().backward()
        for one, other in zip(broken.parameters(), sound.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad)

    def test_show_in_the_gradient_for_the_logits(self) -> None:
        logits = torch.zeros(2, 3, requires_grad=True)
        weights = torch.tensor([torch.nan, 1.0])
        Rebar()(lambda b: b.sum(-1) * weights, Bernoulli(logits=logits), seed=0).sum().backward()
        assert logits.grad is not None
        assert logits.grad[0].isnan().all()
        assert logits.grad[1].isfinite().all()


class TestState:
    @each_estimator
    def test_travels_in_a_state_dict(self, make: Callable[[Problem], ControlVariateEstimator]) -> None:
        problem = PROBLEMS[0]
        source, target = make(problem), make(problem)
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.add_(0.3)
        assert not torch.equal(run(target, problem, 5)[1], run(source, problem, 5)[1])
        target.load_state_dict(source.state_dict())
        assert torch.equal(run(target, problem, 5)[1], run(source, problem, 5)[1])

    def test_of_an_unsized_network_is_loaded_before_its_first_call(self) -> None:
        problem = PROBLEMS[0]
        source = Relax()
        run(source, problem, 5)
        with torch.no_grad():
            source.network[-1].weight.fill_(0.5)
        file = io.BytesIO()
        torch.save(source.state_dict(), file)
        file.seek(0)
        target = Relax()
        target.load_state_dict(torch.load(file))
        assert torch.equal(run(target, problem, 5)[1], run(source, problem, 5)[1])

    def test_may_be_optimised_before_the_first_call(self) -> None:
        problem, estimator = PROBLEMS[0], Relax()
        optimizer = torch.optim.Adam(estimator.parameters(), lr=0.1)
        for step in range(2):
            optimizer.zero_grad()
            run(estimator, problem, 5, seed=step)[0].sum().backward()
            optimizer.step()
        sized = Relax(features=6)
        first, last = estimator.network[0].weight, estimator.network[-1].weight
        assert first.shape == sized.network[0].weight.shape
        assert not torch.equal(first, sized.network[0].weight)
        assert last.abs().min() > 0

    def test_is_copied(self) -> None:
        problem, estimator = PROBLEMS[0], Relax(seed=4)
        copied = copy.deepcopy(estimator)
        assert torch.equal(run(copied, problem, 5)[1], run(estimator, problem, 5)[1])
        assert torch.equal(copied.network[0].weight, Relax(seed=4, features=6).network[0].weight)
        assert not torch.equal(copied.network[0].weight, Relax(seed=5, features=6).network[0].weight)

    def test_shows_in_its_repr(self) -> None:
        assert "samples=3" in repr(Rebar(samples=3))

    def test_tau_is_the_initial_one(self) -> None:
        torch.testing.assert_close(Rebar(tau=0.3).tau, torch.tensor(0.3))


@each_estimator
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("size", [1e4, torch.inf])
def test_extreme_logits_give_finite_gradients(
    make: Callable[[Problem], ControlVariateEstimator], binary: bool, size: float
) -> None:
    problem = Problem("neural", 2 if binary else 3, 2, binary)
    estimator = make(problem)
    rows = [[-size, 0.3], [size if binary else 0.1, -0.2]]
    logits = torch.tensor(rows if binary else [[[0.2, -size, a], [1.0, b, -size]] for a, b in rows[:1]] * 4)
    logits = logits.double().requires_grad_()
    q = (Bernoulli if binary else OneHotCategorical)(logits=logits, validate_args=False)
    estimator(lambda z: problem.cost(z, problem.parameters), q, seed=3).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    for parameter in estimator.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


class TestErrors:
    def test_of_a_network_that_returns_a_wrong_shape(self) -> None:
        q = OneHotCategorical(logits=torch.zeros(5, 2, 3, requires_grad=True))
        with pytest.raises(ValueError, match=r"map shape \(1, 5, 6\), .* to \(1, 5, 1\), but it .* shape \(1, 5, 4\)"):
            Relax(network=nn.Linear(6, 4))(lambda z: z[..., 0].sum(-1), q)

    def test_of_a_network_of_another_size(self) -> None:
        estimator = Relax(features=6)
        estimator(lambda z: z[..., 0].sum(-1), OneHotCategorical(logits=torch.zeros(5, 2, 3, requires_grad=True)))
        with pytest.raises(ValueError, match=r"network for 6 features, .* have 8; make one Relax for each"):
            estimator(lambda z: z[..., 0].sum(-1), OneHotCategorical(logits=torch.zeros(5, 2, 4, requires_grad=True)))

    @pytest.mark.parametrize("option", [{"eta": torch.ones(4)}, {"tau": torch.ones(4)}, {"eta": torch.ones(1, 5)}])
    def test_of_parameters_that_do_not_fit_the_loss(self, option: dict[str, Tensor]) -> None:
        q = OneHotCategorical(logits=torch.zeros(5, 2, 3, requires_grad=True))
        name = next(iter(option))
        with pytest.raises(ValueError, match=rf"{name} must broadcast to the loss, shape \(5,\), but its shape is"):
            Rebar(**option)(lambda z: z[..., 0].sum(-1), q)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Rebar(samples=0), "samples must be at least 1"),
            (lambda: Rebar(tau=0.0), "tau must be positive"),
            (lambda: Relax(hidden=0), "hidden must be at least 1"),
            (lambda: Relax(features=0), "features must be at least 1"),
        ],
    )
    def test_of_values(self, make: Callable[[], object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make()

    def test_of_a_flag(self) -> None:
        with pytest.raises(TypeError, match="relaxed_cost must be True or False"):
            Relax(relaxed_cost=1)  # type: ignore[arg-type]

    def test_relax_needs_the_cost_s_gradient_only_for_the_relaxed_cost(self) -> None:
        q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))

        def cost(z: Tensor) -> Tensor:
            return z.argmax(-1).double()

        Relax()(cost, q).backward()
        assert Relax(relaxed_cost=True).needs_cost_gradient
        with pytest.raises(ValueError, match="Relax needs the gradient of the cost"):
            Relax(relaxed_cost=True)(cost, q)
