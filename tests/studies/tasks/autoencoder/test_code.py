"""Each kind of code against a slow twin: torch's distributions, one-hot vectors, enumeration."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from drawgrad.studies.tasks.autoencoder.code import (
    BernoulliCode,
    CategoricalCode,
    GaussianCode,
    code_of,
)
from drawgrad.studies.tasks.autoencoder.config import configure
from tests.statistics import assert_mean

CODES = [CategoricalCode(4, 3), BernoulliCode(5), GaussianCode(3)]
IMAGES = 2


@pytest.fixture(params=CODES, ids=lambda code: type(code).__name__)
def code(request) -> Code:
    return request.param


@pytest.fixture
def q(code, generator):
    return code.distribution(torch.randn(IMAGES, code.parameters, generator=generator, dtype=torch.float64))


@pytest.fixture
def p(code, generator):
    return code.distribution(0.5 * torch.randn(code.parameters, generator=generator, dtype=torch.float64))


def as_samples(code: Code, codes: torch.Tensor) -> torch.Tensor:
    """Codes in the form of samples, `(images, samples, variables, *event)`."""
    return F.one_hot(codes, code.categories).double() if isinstance(code, CategoricalCode) else codes


def test_the_shapes_of_a_code(code, q, p):
    assert q.batch_shape == (IMAGES, code.variables)
    assert p.batch_shape == (code.variables,)


def test_the_kl_is_that_of_torch(code, q, p):
    assert torch.allclose(code.kl(q, p), kl_divergence(q, p.expand(q.batch_shape)), atol=1e-12)
    assert torch.allclose(code.kl(q, q), torch.zeros(IMAGES, code.variables, dtype=torch.float64), atol=1e-12)


def test_the_kl_stays_finite_where_torchs_is_not():
    code = CategoricalCode(1, 2)
    q = code.distribution(torch.tensor([[0.0, 0.0]]))
    p = code.distribution(torch.tensor([0.0, -200.0]))
    assert torch.isinf(kl_divergence(q, p)).all()
    assert float(code.kl(q, p)) == pytest.approx(100 - torch.log(torch.tensor(2.0)).item(), rel=1e-6)


def test_codes_follow_the_posterior(code, q, generator):
    samples = as_samples(code, code.codes(q, 50_000, generator))
    assert samples.shape[:3] == (IMAGES, 50_000, code.variables)
    # In units of the standard deviation, which a Gaussian code can have any.
    assert_mean((samples.transpose(0, 1) - q.mean) / q.stddev.clamp(min=0.1), 0.0, resolution=0.05)


def test_the_check_of_the_mean_notices_another_posterior(code, q, p, generator):
    samples = as_samples(code, code.codes(q, 50_000, generator))
    with pytest.raises(AssertionError):
        assert_mean((samples.transpose(0, 1) - p.mean) / q.stddev.clamp(min=0.1), 0.0, resolution=0.05)


def test_the_log_ratio_is_that_of_torchs_log_probs(code, q, p, generator):
    codes = code.codes(q, 6, generator)
    z = as_samples(code, codes).transpose(0, 1)
    slow = (p.log_prob(z) - q.log_prob(z)).sum(-1).T
    assert torch.allclose(code.log_ratio(codes, q, p), slow, atol=1e-10)


def test_the_first_layer_is_a_linear_layer(code, q, generator):
    codes = code.codes(q, 6, generator)
    weight = torch.randn(7, code.features, dtype=torch.float64)
    bias = torch.randn(7, dtype=torch.float64)
    slow = F.linear(code.flat(as_samples(code, codes)), weight, bias)
    assert torch.allclose(code.first_layer(codes, weight, bias), slow, atol=1e-12)


def test_samples_carry_a_gradient_and_have_the_event_of_the_distribution(code, generator):
    parameters = torch.zeros(IMAGES, code.parameters, requires_grad=True)
    q = code.distribution(parameters)
    z = code.sample(q, 0.5, False, generator)
    assert z.shape == q.batch_shape + q.event_shape
    (gradient,) = torch.autograd.grad(code.flat(z).square().sum(), parameters)
    assert (gradient != 0).all()


@pytest.mark.parametrize("code", CODES[:2], ids=["categorical", "bernoulli"])
def test_hard_samples_are_hard_and_still_carry_a_gradient(code, generator):
    parameters = torch.randn(IMAGES, code.parameters, requires_grad=True)
    z = code.sample(code.distribution(parameters), 0.5, True, generator)
    assert ((z == 0) | (z == 1)).all()
    (gradient,) = torch.autograd.grad((code.flat(z) * torch.arange(code.features)).sum(), parameters)
    assert (gradient != 0).any()


def test_class_probabilities_sum_to_one_where_there_are_classes(code, q):
    classes = code.class_probabilities(q)
    if isinstance(code, GaussianCode):
        assert classes is None
    else:
        assert torch.allclose(classes.sum(-1), torch.ones(IMAGES, code.variables, dtype=torch.float64))


def test_the_gaussian_has_means_and_log_scales():
    q = GaussianCode(1).distribution(torch.tensor([[2.0, 0.5]]))
    assert isinstance(q, Normal)
    assert (float(q.loc), float(q.scale)) == (2.0, pytest.approx(1.6487, abs=1e-4))


def test_the_settings_name_the_kind():
    sizes = {"variables": 4, "categories": 3}
    assert code_of(configure(latent="categorical", **sizes).model) == CategoricalCode(4, 3)
    assert code_of(configure(latent="bernoulli", **sizes).model) == BernoulliCode(4)
    assert code_of(configure(latent="gaussian", **sizes).model) == GaussianCode(4)
