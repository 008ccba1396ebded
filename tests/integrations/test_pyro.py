"""Pyro: discrete programs relaxed in inference only, and estimators as an evidence bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from pyro.distributions import Bernoulli, Categorical, Dirichlet, Normal, OneHotCategorical
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from pyro.infer.autoguide import AutoNormal, init_to_value
from torch import Tensor

from drawgrad import distributions
from drawgrad.estimators import ESTIMATORS, Exact, GumbelSoftmax, Reinforce, ReinMax, StraightThrough
from drawgrad.integrations import TraceEstimator_ELBO, pyro_distribution, relax


@pytest.fixture(autouse=True)
def _clean_store() -> Iterator[None]:
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


MEANS, SCALE = torch.tensor([-2.0, 0.5, 3.0]), 0.7
DATA = torch.tensor([-2.2, 0.4, 2.5, 3.1, -0.6])


def model(data: Tensor = DATA) -> None:
    weights = pyro.param("weights", torch.tensor([0.3, 0.3, 0.4]), constraint=torch.distributions.constraints.simplex)
    with pyro.plate("data", len(data)):
        z = pyro.sample("z", OneHotCategorical(weights))
        pyro.sample("x", Normal(z @ MEANS, SCALE), obs=data)


def guide(data: Tensor = DATA) -> None:
    logits = pyro.param("logits", torch.linspace(-1, 1, 3 * len(data)).reshape(len(data), 3))
    with pyro.plate("data", len(data)):
        pyro.sample("z", OneHotCategorical(logits=logits))


def enumerated(data: Tensor = DATA) -> None:
    poutine.infer_config(guide, lambda site: {"enumerate": "parallel"} if site["name"] == "z" else {})(data)


def gradients(elbo: Any, of: Callable[..., Any] = model, by: Callable[..., Any] = guide) -> tuple[float, list[Tensor]]:
    loss = elbo.loss_and_grads(of, by)
    found = []
    for _, value in sorted(pyro.get_param_store().named_parameters()):
        found.append(torch.zeros_like(value) if value.grad is None else value.grad.clone())
        value.grad = None
    return loss, found


class TestDistributions:
    def test_of_this_package_are_taken_at_sites(self) -> None:
        cls = pyro_distribution(distributions.KSubset)
        assert cls is pyro_distribution(distributions.KSubset)
        with pyro.plate("rows", 4):
            z = pyro.sample("z", cls(torch.zeros(5), k=2))
        assert z.shape == (4, 5)
        assert torch.equal(z.sum(-1), torch.full((4,), 2.0))
        assert pyro_distribution(OneHotCategorical) is OneHotCategorical

    def test_an_object_is_refused(self) -> None:
        with pytest.raises(TypeError, match="must be a class of distributions"):
            pyro_distribution(torch.distributions.Normal(0.0, 1.0))


class TestRelax:
    @pytest.mark.parametrize("hard", [True, False])
    def test_latent_sites_get_a_gradient_and_the_program_stays_discrete(self, hard: bool) -> None:
        trace = poutine.trace(relax(guide, 0.5, hard=hard)).get_trace()
        z = trace.nodes["z"]["value"]
        assert z.requires_grad
        assert bool(((z == 0) | (z == 1)).all()) is hard
        assert not poutine.trace(guide).get_trace().nodes["z"]["value"].requires_grad

    def test_observed_enumerated_and_other_sites_stay(self) -> None:
        def program() -> None:
            pyro.sample("seen", Bernoulli(0.5), obs=torch.tensor(1.0))
            pyro.sample("left", OneHotCategorical(torch.ones(3)))
            pyro.sample("taken", OneHotCategorical(torch.ones(3)))
            pyro.sample("smooth", Normal(0.0, 1.0))
            pyro.sample("summed", Bernoulli(0.5), infer={"enumerate": "parallel"})

        trace = poutine.trace(relax(program, 0.5, sites=["taken"])).get_trace()
        relaxed = {name for name, site in trace.nodes.items() if type(site.get("fn")).__name__.startswith("Relaxed")}
        assert relaxed == {"taken"}
        trace = poutine.trace(relax(program, 0.5)).get_trace()
        relaxed = {name for name, site in trace.nodes.items() if type(site.get("fn")).__name__.startswith("Relaxed")}
        assert relaxed == {"left", "taken"}

    def test_independent_sites_and_temperatures_that_change(self) -> None:
        taus = iter([1.0, 0.25])

        def program() -> Any:
            return pyro.sample("z", Bernoulli(logits=torch.zeros(4, 3)).to_event(1))

        program_in_inference = relax(program, lambda: next(taus), hard=False)
        for tau in (1.0, 0.25):
            site = poutine.trace(program_in_inference).get_trace().nodes["z"]
            assert (site["fn"].batch_shape, site["fn"].event_shape) == ((4,), (3,))
            assert float(site["fn"].base_dist.temperature) == tau

    @pytest.mark.parametrize("fn", [Categorical(torch.ones(3)), pyro.distributions.Poisson(1.0)])
    def test_a_site_without_a_relaxation_is_refused(self, fn: Any) -> None:
        with pytest.raises(TypeError, match=r"the site 'z' is a .* which has no relaxation; write it as a OneHot"):
            relax(lambda: pyro.sample("z", fn), 0.5)()

    def test_a_temperature_of_zero_is_refused(self) -> None:
        with pytest.raises(ValueError, match="tau must be positive"):
            relax(guide, 0.0)

    def test_the_bound_of_hard_samples_is_that_of_the_discrete_model(self) -> None:
        exact = TraceEnum_ELBO(max_plate_nesting=1).loss(model, enumerated)
        pyro.set_rng_seed(0)
        with torch.no_grad():
            elbo = Trace_ELBO(num_particles=20_000, vectorize_particles=True, max_plate_nesting=1)
            found = elbo.loss(relax(model, 0.5), relax(guide, 0.5))
            soft = elbo.loss(relax(model, 0.5, hard=False), relax(guide, 0.5, hard=False))
        assert found == pytest.approx(exact, rel=0.02)
        assert soft != pytest.approx(exact, rel=0.02), "the bound of a relaxed model is another one"


class TestBound:
    def test_enumerated_it_is_pyros_own(self) -> None:
        loss, found = gradients(TraceEstimator_ELBO(Exact()))
        expected, exact = gradients(TraceEnum_ELBO(max_plate_nesting=1), model, enumerated)
        assert loss == pytest.approx(expected, rel=1e-5)
        assert len(found) == 2
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("name", ["LeaveOneOut", "ReinMax", "Rebar"])
    def test_estimators_serve(self, name: str) -> None:
        _, exact = gradients(TraceEstimator_ELBO(Exact()))
        pyro.set_rng_seed(3)
        elbo = TraceEstimator_ELBO(ESTIMATORS[name]())
        drawn = [gradients(elbo)[1] for _ in range(60)]
        for number, expected in enumerate(exact):
            samples = torch.stack([found[number] for found in drawn]).double()
            if ESTIMATORS[name].unbiased:
                error = (samples.mean(0) - expected).abs() / (samples.std(0) / math.sqrt(len(drawn)) + 1e-6)
                # Six standard errors: with 18 entries and two estimators a false alarm of less than 1e-6.
                assert error.max() < 6
            cosine = torch.nn.functional.cosine_similarity(samples.mean(0).flatten(), expected.double().flatten(), 0)
            assert cosine > 0.9

    def test_choices_of_different_data_do_not_share_a_cost(self) -> None:
        # The variance of one datum's gradient does not grow with the number of the others.
        def spread(data: Tensor) -> float:
            pyro.clear_param_store()
            pyro.set_rng_seed(0)
            elbo = TraceEstimator_ELBO(Reinforce())
            drawn = [gradients(elbo, lambda: model(data), lambda: guide(data))[1][0][0] for _ in range(30)]
            return float(torch.stack(drawn).var(0).sum())

        assert spread(DATA.repeat(10)) < 4 * spread(DATA)

    def test_several_sites_class_numbers_masks_and_scales(self) -> None:
        def program() -> None:
            rate = pyro.sample("rate", Normal(0.0, 1.0))
            kind = pyro.sample("kind", Categorical(logits=torch.tensor([0.1, -0.3])))
            with pyro.plate("data", 4, subsample_size=2, subsample=torch.tensor([0, 2])) as index:
                on = pyro.sample("on", Bernoulli(logits=torch.tensor(0.4)))
                with poutine.mask(mask=torch.tensor([True, False])):
                    pyro.sample("x", Normal(on + kind + rate, 1.0), obs=torch.arange(4.0)[index])

        def by(config: dict[str, Any]) -> Callable[[], None]:
            def guide() -> None:
                pyro.sample("rate", pyro.distributions.Delta(pyro.param("rate_at", torch.tensor(0.3))))
                pyro.sample("kind", Categorical(logits=pyro.param("kinds", torch.tensor([0.5, 0.0]))), infer=config)
                with pyro.plate("data", 4, subsample_size=2, subsample=torch.tensor([0, 2])):
                    pyro.sample("on", Bernoulli(logits=pyro.param("ons", torch.tensor([0.2, -0.4]))), infer=config)

            return guide

        loss, found = gradients(TraceEstimator_ELBO(Exact()), program, by({}))
        expected, exact = gradients(TraceEnum_ELBO(max_plate_nesting=1), program, by({"enumerate": "parallel"}))
        assert loss == pytest.approx(expected, rel=1e-5)
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)

    def test_the_loss_alone_leaves_no_gradient(self) -> None:
        elbo = TraceEstimator_ELBO(Exact())
        loss = elbo.loss(model, guide)
        assert loss == pytest.approx(float(elbo.differentiable_loss(model, guide).detach()), rel=1e-5)
        assert all(value.grad is None for _, value in pyro.get_param_store().named_parameters())

    def test_the_seed_governs(self) -> None:
        elbo = TraceEstimator_ELBO(GumbelSoftmax(tau=0.5))
        losses = []
        for seed in (1, 1, 2):
            pyro.set_rng_seed(seed)
            losses.append(elbo.loss(model, guide))
        assert losses[0] == losses[1] != losses[2]


class TestMistakes:
    def test_no_estimator(self) -> None:
        with pytest.raises(TypeError, match=r"estimator must be an estimator .* give ReinMax\(\), say"):
            TraceEstimator_ELBO("reinmax")

    def test_no_discrete_site(self) -> None:
        with pytest.raises(ValueError, match="no discrete site"):
            TraceEstimator_ELBO(ReinMax()).loss(lambda: None, lambda: pyro.sample("x", Normal(0.0, 1.0)))

    def test_an_enumerated_site(self) -> None:
        with pytest.raises(ValueError, match="'z' is enumerated; leave out infer"):
            TraceEstimator_ELBO(ReinMax()).loss(model, enumerated)

    @pytest.mark.parametrize("follows", [
        lambda z: OneHotCategorical(logits=z * 2), lambda z: Normal(z.sum() + z[0], 1.0),
    ])  # fmt: skip
    def test_a_site_that_depends_on_a_discrete_one(self, follows: Callable[[Tensor], Any]) -> None:
        def chain() -> None:
            z = pyro.sample("first", OneHotCategorical(torch.ones(3)))
            pyro.sample("second", follows(z))

        with pytest.raises(ValueError, match="'second' of the guide depends on one of the discrete sites"):
            TraceEstimator_ELBO(ReinMax()).loss(chain, chain)

    def test_an_estimator_that_does_not_take_the_site(self) -> None:
        def numbers() -> None:
            pyro.sample("z", Categorical(torch.ones(3)))

        with pytest.raises(TypeError, match="StraightThrough takes q ="):
            TraceEstimator_ELBO(StraightThrough()).loss(numbers, numbers)


class TestRecovery:
    """Parameters that made the data come back, within the error that their posterior states."""

    TRUE, SHARE = torch.tensor([-2.0, 2.0]), 0.7

    @pytest.mark.parametrize("how", [TraceEstimator_ELBO(ReinMax()), 0.5], ids=["estimator", "relaxed"])
    def test_of_a_mixture(self, how: TraceEstimator_ELBO | float) -> None:
        count = 100
        source = torch.Generator().manual_seed(5)
        kinds = (torch.rand(count, generator=source) > self.SHARE).long()
        data = self.TRUE[kinds] + torch.randn(count, generator=source)

        def mixture() -> None:
            weights = pyro.sample("weights", Dirichlet(torch.ones(2)))
            means = pyro.sample("means", Normal(0.0, 5.0).expand([2]).to_event(1))
            with pyro.plate("data", count):
                z = pyro.sample("z", OneHotCategorical(weights))
                pyro.sample("x", Normal(z @ means, 1.0), obs=data)

        begin = init_to_value(values={"means": torch.tensor([-0.5, 0.5]), "weights": torch.tensor([0.5, 0.5])})
        continuous = AutoNormal(poutine.block(mixture, hide=["z"]), init_scale=0.1, init_loc_fn=begin)

        def approximation() -> None:
            continuous()
            with pyro.plate("data", count):
                pyro.sample("z", OneHotCategorical(logits=pyro.param("logits", torch.zeros(count, 2))))

        pyro.set_rng_seed(1)
        optimizer = pyro.optim.ClippedAdam({"lr": 0.1, "lrd": 0.995})
        if isinstance(how, float):
            svi = SVI(relax(mixture, how), relax(approximation, how), optimizer, Trace_ELBO())
        else:
            svi = SVI(mixture, approximation, optimizer, how)
        for _ in range(200):
            svi.step()
        for name, true in (("means", self.TRUE), ("weights", torch.tensor([self.SHARE, 1 - self.SHARE]))):
            low, middle, high = continuous.quantiles([0.1587, 0.5, 0.8413])[name]
            # Four standard deviations of the posterior, which are those of 30 to 70 data, more or less.
            width = (high - low).abs()
            assert bool(((middle - true).abs() < 2 * width).all())
            assert bool(((width > 0.05) & (width < 0.6)).all())
        assert (pyro.param("logits").argmax(-1) == kinds).float().mean() > 0.9


class TestAutoencoder:
    def test_a_categorical_one_learns_to_tell_patterns_apart(self) -> None:
        patterns = torch.eye(4).repeat_interleave(3, -1)
        encoder, decoder = torch.nn.Linear(12, 8), torch.nn.Linear(8, 12)

        def program(x: Tensor) -> None:
            pyro.module("decoder", decoder)
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", OneHotCategorical(logits=torch.zeros(8)))
                pyro.sample("x", Bernoulli(logits=decoder(z)).to_event(1), obs=x)

        def inference(x: Tensor) -> None:
            pyro.module("encoder", encoder)
            with pyro.plate("data", len(x)):
                pyro.sample("z", OneHotCategorical(logits=encoder(x)))

        pyro.set_rng_seed(1)
        batch = patterns.repeat(8, 1)
        svi = SVI(program, inference, pyro.optim.Adam({"lr": 0.05}), TraceEstimator_ELBO(ReinMax()))
        losses = [svi.step(batch) / len(batch) for _ in range(100)]
        # Twelve bits that four patterns explain: log 4 nats at best, 12 log 2 at the beginning.
        assert losses[0] > 7
        assert sum(losses[-10:]) / 10 < 3.2
