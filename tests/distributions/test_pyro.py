"""The distributions inside Pyro, mixed with its base class as the documentation says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from pyro.distributions import Normal
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from pyro.infer.reparam import AutoReparam, GumbelSoftmaxReparam
from scipy import stats
from torch import Tensor

from drawgrad import distributions
from tests.statistics import assert_distribution

CATEGORICAL = ("ExpRelaxedCategorical", "RelaxedOneHotCategorical", "RelaxedOneHotCategoricalStraightThrough")
HARD = ("RelaxedOneHotCategoricalStraightThrough", "RelaxedBernoulliStraightThrough")
RELAXED = [*CATEGORICAL, "LogitRelaxedBernoulli", "RelaxedBernoulli", "RelaxedBernoulliStraightThrough"]


def in_pyro(name: str) -> Any:
    known = {"RelaxedOneHotCategorical", "RelaxedBernoulli"}
    base = getattr(pyro.distributions, name) if name in known else TorchDistributionMixin
    return type(name, (getattr(distributions, name), base), {})


@pytest.fixture(autouse=True)
def _clean_store() -> Iterator[None]:
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


class TestSites:
    @pytest.mark.parametrize("name", RELAXED)
    def test_sample_in_plates(self, name: str) -> None:
        cls = in_pyro(name)
        event = (3,) if name in CATEGORICAL else ()
        logits = torch.randn(3 if event else (), requires_grad=True)

        def model() -> None:
            with pyro.plate("rows", 5), pyro.plate("columns", 4):
                pyro.sample("z", cls(0.5, logits=logits))
            pyro.sample("joint", cls(0.5, logits=logits.expand(6, *event)).to_event(1))

        trace = poutine.trace(model).get_trace()
        trace.compute_log_prob()
        z, joint = trace.nodes["z"], trace.nodes["joint"]
        assert z["value"].shape == (4, 5, *event)
        assert z["log_prob"].shape == (4, 5)
        assert joint["value"].shape == (6, *event)
        assert joint["log_prob"].shape == ()
        for node in (z, joint):
            assert node["value"].requires_grad
            assert bool(((node["value"] == 0) | (node["value"] == 1)).all()) is (name in HARD)

    def test_logistic(self) -> None:
        with pyro.plate("rows", 5):
            x = pyro.sample("x", in_pyro("Logistic")(torch.zeros(()), 1.0))
        assert x.shape == (5,)


class TestReparameterization:
    @pytest.mark.parametrize("config", [{"z": GumbelSoftmaxReparam()}, AutoReparam()], ids=["given", "automatic"])
    def test_makes_the_noise_a_site_of_its_own(self, config: Any) -> None:
        logits = torch.tensor([0.8, -0.4], requires_grad=True)
        cls = in_pyro("RelaxedOneHotCategorical")

        @poutine.reparam(config=config)
        def model() -> None:
            with pyro.plate("rows", 20_000):
                pyro.sample("z", cls(0.5, logits=logits))

        trace = poutine.trace(model).get_trace()
        trace.compute_log_prob()
        assert trace.nodes["z_uniform"]["value"].shape == (20_000, 2)
        z = trace.nodes["z"]["value"]
        assert z.requires_grad
        ratio = torch.logit(z[:, 0].double(), 1e-15)
        assert_distribution(ratio, stats.logistic(loc=1.2 / 0.5, scale=1 / 0.5).cdf, resolution=0.04)

    def test_would_make_hard_samples_soft_and_does_not_take_them(self) -> None:
        cls = in_pyro("RelaxedOneHotCategoricalStraightThrough")
        q = cls(0.5, logits=torch.zeros(3))
        with pytest.raises(AssertionError):
            poutine.reparam(lambda: pyro.sample("z", q), config={"z": GumbelSoftmaxReparam()})()
        z = poutine.reparam(lambda: pyro.sample("z", q), config=AutoReparam())()
        assert sorted(z.tolist()) == [0, 0, 1]


class TestMeaning:
    def test_the_density_of_hard_samples_is_discrete_and_pyro_s_own_is_not(self) -> None:
        logits = torch.tensor([0.5, -0.2, 0.1])
        arguments = {"temperature": torch.tensor(0.5), "logits": logits}
        ours = in_pyro("RelaxedOneHotCategoricalStraightThrough")(**arguments)
        theirs = pyro.distributions.RelaxedOneHotCategoricalStraightThrough(**arguments)
        z = torch.eye(3)
        torch.testing.assert_close(ours.log_prob(z), logits.log_softmax(-1))
        assert (theirs.log_prob(theirs.rsample((50,))) > 0).any()  # No log-probability.

    def test_enumeration_in_a_guide_needs_a_class_without_a_reparameterized_sample(self) -> None:
        logits, likelihood = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([-0.3, -1.0, -2.0])
        pi = logits.softmax(-1)
        exact = (pi * (likelihood - math.log(3) - pi.log())).sum().item()

        def elbo(cls: Any, **options: Any) -> float:
            def model() -> None:
                z = pyro.sample("z", pyro.distributions.OneHotCategorical(logits=torch.zeros(3)))
                pyro.factor("x", (z * likelihood).sum(-1))

            def guide() -> None:
                pyro.sample("z", cls(logits=logits, **options), infer={"enumerate": "parallel"})

            return -TraceEnum_ELBO(max_plate_nesting=0).loss(model, guide)

        assert elbo(pyro.distributions.OneHotCategorical) == pytest.approx(exact)
        wrong = elbo(in_pyro("RelaxedOneHotCategoricalStraightThrough"), temperature=0.5)
        assert abs(wrong - exact) > 0.1, "the warning in the documentation is no longer needed"


class TestInference:
    """Which component of a mixture made the data: the guide must find it, through samples of the relaxed choice."""

    LOCATIONS = torch.tensor([-2.0, 0.0, 2.0])
    DATA = torch.tensor([[2.1], [-1.9], [0.1], [1.8]])

    def posterior(self, name: str, steps: int) -> tuple[Tensor, list[float]]:
        cls = in_pyro(name)
        categorical = name in CATEGORICAL

        def choice(logits: Tensor) -> Any:
            return cls(torch.tensor(0.5), logits=logits)

        def location(z: Tensor) -> Tensor:
            z = z.exp() if name.startswith("Exp") else z.sigmoid() if name.startswith("Logit") else z
            return (z * self.LOCATIONS).sum(-1) if categorical else 4 * z - 2

        shape = (4, 3) if categorical else (4,)
        data = self.DATA[:, 0] if categorical else torch.tensor([2.1, -1.9, -2.2, 1.8])

        def model() -> None:
            with pyro.plate("data", 4):
                z = pyro.sample("z", choice(torch.zeros(shape[1:]).expand(shape)))
                pyro.sample("x", Normal(location(z), 0.5), obs=data)

        def guide() -> None:
            logits = pyro.param("logits", torch.zeros(shape))
            with pyro.plate("data", 4):
                pyro.sample("z", choice(logits))

        pyro.set_rng_seed(1)
        inference = SVI(
            model, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO(num_particles=5, vectorize_particles=True)
        )
        losses = [inference.step() for _ in range(steps)]
        return pyro.param("logits").detach(), losses

    @pytest.mark.parametrize("name", RELAXED)
    def test_finds_the_component(self, name: str) -> None:
        logits, losses = self.posterior(name, steps=60)
        if name in CATEGORICAL:
            assert logits.argmax(-1).tolist() == [2, 0, 1, 2]
        else:
            assert (logits > 0).tolist() == [True, False, False, True]
        assert sum(losses[-10:]) < 0.7 * sum(losses[:10])

    def test_an_untrained_guide_has_found_nothing(self) -> None:
        logits, _ = self.posterior("RelaxedOneHotCategoricalStraightThrough", steps=1)
        assert logits.abs().max() < 0.2
