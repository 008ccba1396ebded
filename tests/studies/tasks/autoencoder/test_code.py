"""Each kind of code against a slow twin: torch's distributions, one-hot vectors, enumeration."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from drawgrad.studies.tasks.autoencoder.code import (
    BernoulliLatent,
    CategoricalLatent,
    GaussianLatent,
    Latent,
    make_latent,
)
from tests.statistics import assert_mean

LATENTS = [CategoricalLatent(4, 3), BernoulliLatent(5), GaussianLatent(3)]
IMAGES = 2


@pytest.fixture(params=LATENTS, ids=lambda latent: type(latent).__name__)
def latent(request) -> Latent:
    return request.param


@pytest.fixture
def q(latent, generator):
    return latent.distribution(torch.randn(IMAGES, latent.parameters, generator=generator, dtype=torch.float64))


@pytest.fixture
def p(latent, generator):
    return latent.distribution(0.5 * torch.randn(latent.parameters, generator=generator, dtype=torch.float64))


def as_samples(latent: Latent, codes: torch.Tensor) -> torch.Tensor:
    """Codes in the form of samples, `(images, samples, variables, *event)`."""
    return F.one_hot(codes, latent.categories).double() if isinstance(latent, CategoricalLatent) else codes


def test_the_shapes_of_a_code(latent, q, p):
    assert q.batch_shape == (IMAGES, latent.variables)
    assert p.batch_shape == (latent.variables,)


def test_the_kl_is_that_of_torch(latent, q, p):
    assert torch.allclose(latent.kl(q, p), kl_divergence(q, p.expand(q.batch_shape)), atol=1e-12)
    assert torch.allclose(latent.kl(q, q), torch.zeros(IMAGES, latent.variables, dtype=torch.float64), atol=1e-12)


def test_the_kl_stays_finite_where_torchs_is_not():
    latent = CategoricalLatent(1, 2)
    q = latent.distribution(torch.tensor([[0.0, 0.0]]))
    p = latent.distribution(torch.tensor([0.0, -200.0]))
    assert torch.isinf(kl_divergence(q, p)).all()
    assert float(latent.kl(q, p)) == pytest.approx(100 - torch.log(torch.tensor(2.0)).item(), rel=1e-6)


def test_codes_follow_the_posterior(latent, q, generator):
    samples = as_samples(latent, latent.codes(q, 50_000, generator))
    assert samples.shape[:3] == (IMAGES, 50_000, latent.variables)
    # In units of the standard deviation, which a Gaussian code can have any.
    assert_mean((samples.transpose(0, 1) - q.mean) / q.stddev.clamp(min=0.1), 0.0, resolution=0.05)


def test_the_check_of_the_mean_notices_another_posterior(latent, q, p, generator):
    samples = as_samples(latent, latent.codes(q, 50_000, generator))
    with pytest.raises(AssertionError):
        assert_mean((samples.transpose(0, 1) - p.mean) / q.stddev.clamp(min=0.1), 0.0, resolution=0.05)


def test_the_log_ratio_is_that_of_torchs_log_probs(latent, q, p, generator):
    codes = latent.codes(q, 6, generator)
    z = as_samples(latent, codes).transpose(0, 1)
    slow = (p.log_prob(z) - q.log_prob(z)).sum(-1).T
    assert torch.allclose(latent.log_ratio(codes, q, p), slow, atol=1e-10)


def test_the_first_layer_is_a_linear_layer(latent, q, generator):
    codes = latent.codes(q, 6, generator)
    weight = torch.randn(7, latent.features, dtype=torch.float64)
    bias = torch.randn(7, dtype=torch.float64)
    slow = F.linear(latent.flat(as_samples(latent, codes)), weight, bias)
    assert torch.allclose(latent.first_layer(codes, weight, bias), slow, atol=1e-12)


def test_samples_carry_a_gradient_and_have_the_event_of_the_distribution(latent, generator):
    parameters = torch.zeros(IMAGES, latent.parameters, requires_grad=True)
    q = latent.distribution(parameters)
    z = latent.sample(q, 0.5, False, generator)
    assert z.shape == q.batch_shape + q.event_shape
    (gradient,) = torch.autograd.grad(latent.flat(z).square().sum(), parameters)
    assert (gradient != 0).all()


@pytest.mark.parametrize("latent", LATENTS[:2], ids=["categorical", "bernoulli"])
def test_hard_samples_are_hard_and_still_carry_a_gradient(latent, generator):
    parameters = torch.randn(IMAGES, latent.parameters, requires_grad=True)
    z = latent.sample(latent.distribution(parameters), 0.5, True, generator)
    assert ((z == 0) | (z == 1)).all()
    (gradient,) = torch.autograd.grad((latent.flat(z) * torch.arange(latent.features)).sum(), parameters)
    assert (gradient != 0).any()


def test_class_probabilities_sum_to_one_where_there_are_classes(latent, q):
    classes = latent.class_probabilities(q)
    if isinstance(latent, GaussianLatent):
        assert classes is None
    else:
        assert torch.allclose(classes.sum(-1), torch.ones(IMAGES, latent.variables, dtype=torch.float64))


def test_the_gaussian_has_means_and_log_scales():
    q = GaussianLatent(1).distribution(torch.tensor([[2.0, 0.5]]))
    assert isinstance(q, Normal)
    assert (float(q.loc), float(q.scale)) == (2.0, pytest.approx(1.6487, abs=1e-4))


def test_kinds_have_names():
    assert make_latent("categorical", 4, 3) == CategoricalLatent(4, 3)
    assert make_latent("bernoulli", 4, 3) == BernoulliLatent(4)
    assert make_latent("gaussian", 4, 3) == GaussianLatent(4)
    with pytest.raises(ValueError, match="kind must be categorical, bernoulli or gaussian, but it is 'poisson'"):
        make_latent("poisson", 4, 3)
