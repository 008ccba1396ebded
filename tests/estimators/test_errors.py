"""Wrong use is refused in words that name the value, the rule and the cure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Gamma, Normal, OneHotCategorical, Poisson

from drawgrad.estimators import (
    ESTIMATORS,
    Darn,
    DecoupledSTGumbelSoftmax,
    Estimator,
    Exact,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    MuProp,
    Pathwise,
    Reinforce,
    ReinMax,
    ReinMaxCV,
    StraightThrough,
)
from drawgrad.variables import Scored
from tests.estimators.cases import CASES
from tests.estimators.scores import PlainScore


def categorical(*batch: int) -> OneHotCategorical:
    return OneHotCategorical(logits=torch.zeros(*batch, 3, requires_grad=True))


def total(z: Tensor) -> Tensor:
    return z.flatten(1).sum(-1)


class TestCost:
    @pytest.mark.parametrize("samples", [1, 4])
    @pytest.mark.parametrize(
        ("cost", "returned"),
        [
            (lambda z: z.sum(), r"\(\)"),
            (lambda z: z.sum(0), r"\(5, 2, 3\)"),
            (lambda z: z, r"\(\d, 5, 2, 3\)"),
            (lambda z: z.sum((0, -1)), r"\(5, 2\)"),
            (lambda z: z.sum((1, 3)), r"\(\d, 2\)"),
        ],
    )
    def test_of_a_wrong_shape(self, cost: Callable[[Tensor], Tensor], returned: str, samples: int) -> None:
        expected = rf"\({samples},\) or \({samples}, 5\) or \({samples}, 5, 2\) for z of shape \({samples}, 5, 2, 3\)"
        for estimator in (StraightThrough(samples=samples), PlainScore(samples=samples)):
            with pytest.raises(ValueError, match=rf"{expected}, but it returned shape {returned}; sum over"):
                estimator(cost, categorical(5, 2))

    def test_that_is_no_tensor(self) -> None:
        with pytest.raises(TypeError, match=r"cost must return a tensor, but it returned float; use torch"):
            StraightThrough()(lambda z: 1.0, categorical())  # type: ignore[arg-type, return-value]

    def test_of_integers(self) -> None:
        with pytest.raises(TypeError, match=r"floating-point numbers, but their dtype is torch.int64; use .float\(\)"):
            PlainScore()(lambda z: z.argmax(-1), categorical())

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(make, id=label)
            for label, make in CASES
            if make().needs_cost_gradient and make().obstacle(categorical()) is None
        ],
    )
    @pytest.mark.parametrize(
        "cost",
        [
            lambda z, w: total(z.detach()),
            lambda z, w: total(z.detach() * w),
            lambda z, w: w[z.argmax(-1)],
            lambda z, w: w.sum().expand(z.shape[0]),
        ],
        ids=["detached", "detached times weights", "looked up", "constant"],
    )
    def test_without_the_gradient_that_is_needed(
        self, make: Callable[[], Estimator], cost: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        weights = torch.ones(3, requires_grad=True)
        name = type(make()).__name__
        with pytest.raises(ValueError, match=rf"{name} needs the gradient of the cost.*values only: .*Exact"):
            make()(lambda z: cost(z, weights), categorical())

    def test_without_a_gradient_is_welcome_where_none_is_needed(self) -> None:
        weights = torch.ones(3, requires_grad=True)
        cost = lambda z: weights[z.argmax(-1)]  # noqa: E731
        for estimator in (Exact(), PlainScore()):
            estimator(cost, categorical()).backward()
        with torch.no_grad():
            assert StraightThrough()(cost, categorical()) == 1
        fixed = OneHotCategorical(logits=torch.zeros(3))
        StraightThrough()(cost, fixed).backward()

    def test_without_a_gradient_in_a_pathwise_estimate(self) -> None:
        q = Normal(torch.zeros(2, requires_grad=True), 1.0)
        with pytest.raises(ValueError, match="Pathwise needs the gradient of the cost"):
            Pathwise()(lambda z: z.detach().sum(-1), q)


class TestDistribution:
    @pytest.mark.parametrize("name", [name for name, cls in ESTIMATORS.items() if cls.takes is not Scored])
    def test_that_is_not_supported_names_those_that_support_it(self, name: str) -> None:
        q = Poisson(torch.ones(2))
        takers = sorted(other for other, cls in ESTIMATORS.items() if cls.takes is Scored)
        expected = rf"{name} takes q = .*, but q is a Poisson; estimators that take it: "
        make = dict(CASES).get(f"{name}()", ESTIMATORS[name])
        with pytest.raises(TypeError, match=expected + (", ".join(takers) or "none of this package")):
            make()(lambda z: z.sum(-1), q)

    def test_a_normal_one_is_led_to_the_pathwise_estimator(self) -> None:
        with pytest.raises(TypeError, match=r"ReinMax takes q = Bernoulli or OneHotCategorical, .*Pathwise"):
            ReinMax()(lambda z: z, Normal(0.0, 1.0))
        with pytest.raises(TypeError, match=r"take it: .*Pathwise"):
            ReinMax().rsample(Gamma(torch.ones(2), torch.ones(2)))

    @pytest.mark.parametrize(
        ("q", "what"),
        [(torch.zeros(3), "a Tensor"), (OneHotCategorical, "the class OneHotCategorical"), (None, "a NoneType")],
    )
    def test_that_is_none(self, q: object, what: str) -> None:
        for cls in (ReinMax, Exact, Pathwise):
            with pytest.raises(TypeError, match=f"q must be a distribution, but it is {what}; make one"):
                cls()(total, q)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"q must be a distribution, but it is {what}; make one"):
            ReinMax().rsample(q)  # type: ignore[arg-type]

    def test_indices_are_not_one_hot_vectors(self) -> None:
        with pytest.raises(TypeError, match="q is a Categorical"):
            ReinMax()(lambda z: z, Categorical(logits=torch.zeros(3)))

    def test_pathwise_needs_rsample(self) -> None:
        with pytest.raises(TypeError, match="takes q = any distribution with rsample, but q is a Bernoulli"):
            Pathwise()(lambda z: z, Bernoulli(logits=torch.zeros(2)))


class TestOptions:
    @pytest.mark.parametrize("cls", [StraightThrough, GumbelSoftmax, ReinMax, MuProp, Pathwise])
    def test_samples(self, cls: type[Estimator]) -> None:
        with pytest.raises(ValueError, match="samples must be at least 1, but it is 0"):
            cls(samples=0)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"samples must be an integer, but it is 2.0"):
            cls(samples=2.0)  # type: ignore[call-arg]

    @pytest.mark.parametrize("tau", [0, 0.0, -1.0, float("inf"), float("nan")])
    def test_temperatures(self, tau: float) -> None:
        for cls in (GumbelSoftmax, ReinMax, GumbelRao):
            with pytest.raises(ValueError, match="tau must be positive and finite"):
                cls(tau=tau)
        with pytest.raises(ValueError, match="forward_tau must be positive and finite"):
            DecoupledSTGumbelSoftmax(forward_tau=tau)
        with pytest.raises(ValueError, match="backward_tau must be positive and finite"):
            DecoupledSTGumbelSoftmax(backward_tau=tau)

    def test_others(self) -> None:
        with pytest.raises(ValueError, match="gap must be finite and not negative, but it is -1"):
            GappedStraightThrough(gap=-1.0)
        with pytest.raises(ValueError, match="eta must be finite and not negative"):
            ReinMaxCV(eta=-0.5)
        with pytest.raises(ValueError, match="conditional_samples must be at least 1"):
            GumbelRao(conditional_samples=0)
        with pytest.raises(ValueError, match="point must be 'mean' or 'uniform', but it is 'middle'"):
            Darn(point="middle")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="control must be 'conditional' or 'relaxed', but it is 'fresh'"):
            ReinMaxCV(control="fresh")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="limit must be at least 1"):
            Exact(limit=0)

    def test_a_temperature_that_would_learn_nothing(self) -> None:
        tau = torch.tensor(1.0, requires_grad=True)
        for cls in (ReinMax, GumbelRao, ReinMaxCV):
            with pytest.raises(ValueError, match=rf"tau must not require a gradient, because {cls.__name__} has none"):
                cls(tau=tau)
        with pytest.raises(ValueError, match="backward_tau must not require a gradient"):
            DecoupledSTGumbelSoftmax(backward_tau=tau)
        assert GumbelSoftmax(tau=tau).tau is tau

    def test_a_proposal_that_is_no_function(self) -> None:
        with pytest.raises(TypeError, match=r"proposal must be a function of q .*a OneHotCategorical; wrap"):
            Reinforce(proposal=categorical())  # type: ignore[arg-type]

    def test_generator_and_seed_together(self) -> None:
        with pytest.raises(ValueError, match="generator and seed are both given"):
            StraightThrough()(total, categorical(), generator=torch.Generator(), seed=1)


class TestLimit:
    def test_too_many_states_are_refused_before_they_are_made(self) -> None:
        expected = r"3\^40 = 12157665459056928801 states, more than its limit of 65536; .*limit=12157665459056928801"
        with pytest.raises(ValueError, match=expected):
            Exact()(total, categorical(40))

    def test_it_counts_the_variables_that_share_a_cost(self) -> None:
        assert Exact(limit=9)(lambda z: z.flatten(2).sum(-1), categorical(7, 2)).shape == (7,)
        with pytest.raises(ValueError, match=r"3\^2 = 9 states, more than its limit of 8"):
            Exact(limit=8)(lambda z: z.flatten(2).sum(-1), categorical(7, 2))
        assert Exact(limit=3)(lambda z: z.sum(-1), categorical(7, 2)).shape == (7, 2)
