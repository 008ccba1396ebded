"""The bound against the exact log-likelihood of models so small that all their codes can be listed."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from drawgrad.studies.tasks.autoencoder import evaluation
from drawgrad.studies.tasks.autoencoder.code import BernoulliCode, CategoricalCode, GaussianCode
from drawgrad.studies.tasks.autoencoder.evaluation import (
    bound_of_model,
    code_usage,
    draw_codes,
    log_likelihood,
    log_ratio,
    log_weights,
    state_probs,
)
from tests.statistics import assert_mean
from tests.studies.tasks.autoencoder.small import small_vae

DISCRETE = [CategoricalCode(3, 3), BernoulliCode(4)]
KINDS = [*DISCRETE, GaussianCode(3)]


@pytest.fixture
def x(generator):
    return torch.randint(2, (5, 4), generator=generator).double()


def as_samples(code, codes: torch.Tensor) -> torch.Tensor:
    """Codes in the form of samples, `(samples, images, variables, *event)`."""
    return F.one_hot(codes, code.categories).double() if isinstance(code, CategoricalCode) else codes.double()


def all_samples(code) -> torch.Tensor:
    """Every code there is, `(codes, variables, *event)`."""
    classes = code.categories if isinstance(code, CategoricalCode) else 2
    return as_samples(code, torch.tensor(list(itertools.product(range(classes), repeat=code.variables))))


@torch.no_grad()
def exact_log_likelihood(model, x) -> torch.Tensor:
    z = all_samples(model.code)
    joint = model.prior().log_prob(z).sum(-1, keepdim=True) - model.cost(
        z.unsqueeze(1).expand(-1, len(x), *z.shape[1:]), x
    )
    return joint.logsumexp(0)


@pytest.mark.parametrize("hidden", [5, 0])
@pytest.mark.parametrize("code", KINDS, ids=lambda code: type(code).__name__)
def test_the_fast_log_likelihood_is_minus_the_cost(code, hidden, x, generator):
    model = small_vae(code, hidden=hidden)
    codes = draw_codes(model.posterior(x), 6, generator)
    slow = -model.cost(as_samples(code, codes), x)
    assert slow.shape == (6, 5)
    assert torch.allclose(log_likelihood(model, codes, x), slow, atol=1e-10)


@pytest.mark.parametrize("code", KINDS, ids=lambda code: type(code).__name__)
def test_codes_follow_the_posterior(code, x, generator):
    q = small_vae(code).posterior(x)
    samples = as_samples(code, draw_codes(q, 50_000, generator))
    # In units of the standard deviation, which a Gaussian code can have any.
    scale = q.stddev.clamp(min=0.1)
    assert_mean((samples - q.mean) / scale, 0.0, resolution=0.05)
    with pytest.raises(AssertionError):
        assert_mean((samples - q.mean.flip(0)) / scale, 0.0, resolution=0.05)


@pytest.mark.parametrize("code", KINDS, ids=lambda code: type(code).__name__)
def test_the_log_ratio_is_that_of_torchs_log_probs(code, x, generator):
    model = small_vae(code)
    q, p = model.posterior(x), model.prior()
    codes = draw_codes(q, 6, generator)
    z = as_samples(code, codes)
    slow = (p.log_prob(z) - q.log_prob(z)).sum(-1)
    assert torch.allclose(log_ratio(codes, q, p), slow, atol=1e-10)


@pytest.mark.parametrize("code", KINDS, ids=lambda code: type(code).__name__)
def test_the_states_have_probabilities_where_they_can_be_counted(code, x):
    q = small_vae(code).posterior(x)
    probs = state_probs(q)
    if isinstance(code, GaussianCode):
        assert probs is None
    else:
        of_states = q.probs if isinstance(code, CategoricalCode) else torch.stack([1 - q.probs, q.probs], -1)
        assert torch.allclose(probs, of_states)


@pytest.mark.parametrize("code", DISCRETE, ids=lambda code: type(code).__name__)
def test_importance_weights_average_to_the_likelihood(code, x, generator):
    model = small_vae(code)
    weights = log_weights(model, x, 400_000, generator)
    ratio = (weights - exact_log_likelihood(model, x)).exp()
    assert_mean(ratio, 1.0, resolution=0.1)


def test_the_check_of_the_weights_notices_a_forgotten_prior(x, generator):
    model = small_vae(CategoricalCode(3, 3))
    q = model.posterior(x)
    codes = draw_codes(q, 400_000, generator)
    weights = log_likelihood(model, codes, x)
    with pytest.raises(AssertionError):
        assert_mean((weights - exact_log_likelihood(model, x)).exp(), 1.0, resolution=0.1)


@pytest.mark.parametrize("code", DISCRETE, ids=lambda code: type(code).__name__)
def test_logarithms_of_weights_average_to_the_elbo(code, x, generator):
    model = small_vae(code)
    z = all_samples(code).unsqueeze(1)
    q = model.posterior(x)
    probabilities = q.log_prob(z).sum(-1).exp()
    cost = model.cost(z.expand(-1, len(x), *z.shape[2:]), x)
    elbo = -(probabilities * cost).sum(0) - code.kl(q, model.prior()).sum(-1)
    assert_mean(log_weights(model, x, 100_000, generator), elbo, resolution=0.05)


@torch.no_grad()
def test_the_bound_is_the_mean_of_log_mean_weights(x):
    model, samples = small_vae(CategoricalCode(3, 3)), 70
    weights = log_weights(model, x, samples, torch.Generator().manual_seed(1))
    bound = bound_of_model(model, x, samples, torch.Generator().manual_seed(1))
    bounds = weights.exp().mean(0).log()
    assert bound.nats == pytest.approx(float(bounds.mean()), rel=1e-12)
    assert bound.error == pytest.approx(float(bounds.std()) / math.sqrt(5), rel=1e-12)
    assert bound.elbo == pytest.approx(float(weights.mean()), rel=1e-12)
    assert bound.elbo_error == pytest.approx(float(weights.mean(0).std()) / math.sqrt(5), rel=1e-12)
    assert bound.elbo < bound.nats


@pytest.mark.parametrize("samples", [1, 7, 50])
@pytest.mark.parametrize("rows", [3, 20, 10_000])
def test_the_bound_covers_every_image_and_sample_however_it_is_cut(rows, samples, x, generator, monkeypatch):
    monkeypatch.setitem(evaluation.ROWS, "cpu", rows)
    counted = []
    original = evaluation.log_weights

    def spy(model, block, count, source):
        counted.append(len(block) * count)
        assert len(block) * count <= max(rows, count if count <= rows else 0)
        return original(model, block, count, source)

    monkeypatch.setattr(evaluation, "log_weights", spy)
    done = []
    bound = bound_of_model(small_vae(CategoricalCode(3, 3)), x, samples, generator, done.append)
    assert sum(counted) == len(x) * samples
    assert done[-1] == len(x)
    assert bound.samples == samples


def test_the_bound_of_one_image_has_no_standard_error(x, generator):
    assert math.isnan(bound_of_model(small_vae(CategoricalCode(3, 3)), x[:1], 2, generator).error)


def test_a_code_that_ignores_its_image_is_unused(x):
    code = CategoricalCode(3, 4)
    model = small_vae(code)
    with torch.no_grad():
        model.encoder[2].weight.zero_()
        model.encoder[2].bias.zero_()
        model.prior_parameters.zero_()
    usage = code_usage(model, x)
    assert usage.kl == pytest.approx(0, abs=1e-12)
    assert usage.active == 0
    assert usage.perplexity == pytest.approx(4)
    assert usage.dead == 0


def test_a_code_with_one_class_has_perplexity_one_and_dead_classes(x):
    model = small_vae(CategoricalCode(3, 4))
    with torch.no_grad():
        model.encoder[2].weight.zero_()
        model.encoder[2].bias.copy_(torch.tensor([50.0, 0, 0, 0]).repeat(3))
    usage = code_usage(model, x)
    assert usage.perplexity == pytest.approx(1)
    assert usage.dead == 9
    assert usage.active == 3


def test_a_gaussian_code_has_no_classes(x):
    usage = code_usage(small_vae(GaussianCode(3)), x)
    assert usage.perplexity is None
    assert usage.dead is None
