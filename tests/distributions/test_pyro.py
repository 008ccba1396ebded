"""The distributions inside Pyro, mixed with its base class as the documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from pyro.distributions import Normal
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor

from drawgrad import distributions

CATEGORICAL = ("ExpRelaxedCategorical", "RelaxedOneHotCategorical", "RelaxedOneHotCategoricalStraightThrough")
HARD = ("RelaxedOneHotCategoricalStraightThrough", "RelaxedBernoulliStraightThrough")
RELAXED = [name for name in distributions.__all__ if name != "Logistic"]


def in_pyro(name: str) -> Any:
    return type(name, (getattr(distributions, name), TorchDistributionMixin), {})


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
