"""Each kind of code against a slow twin: torch's distributions, one-hot vectors, enumeration."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from drawgrad.studies.tasks.autoencoder.code import BernoulliCode, CategoricalCode, Code, GaussianCode, code_of
from drawgrad.studies.tasks.autoencoder.config import configure
from drawgrad.studies.tasks.autoencoder.evaluation import draw_codes
from drawgrad.variables import variables_of

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


def test_the_kl_has_a_gradient_where_a_class_is_impossible():
    logits = torch.tensor([[1.0, 0.0, -torch.inf]], requires_grad=True)
    code = CategoricalCode(1, 3)
    (gradient,) = torch.autograd.grad(
        code.kl(code.distribution(logits), code.distribution(torch.zeros(3))).sum(), logits
    )
    assert torch.allclose(gradient, torch.tensor([[0.1966, -0.1966, 0.0]]), atol=1e-4)


def test_the_first_layer_is_a_linear_layer(code, q, generator):
    index = draw_codes(q, 6, generator)
    weight = torch.randn(7, code.features, dtype=torch.float64)
    bias = torch.randn(7, dtype=torch.float64)
    slow = F.linear(code.flat(variables_of(q).sample_of(index)), weight, bias)
    assert slow.shape == (6, IMAGES, 7)
    assert torch.allclose(code.first_layer(index, weight, bias), slow, atol=1e-12)


def test_the_gaussian_has_means_and_log_scales():
    q = GaussianCode(1).distribution(torch.tensor([[2.0, 0.5]]))
    assert isinstance(q, Normal)
    assert (float(q.loc), float(q.scale)) == (2.0, pytest.approx(1.6487, abs=1e-4))


def test_the_settings_name_the_kind():
    sizes = {"variables": 4, "categories": 3}
    assert code_of(configure(latent="categorical", **sizes).model) == CategoricalCode(4, 3)
    assert code_of(configure(latent="bernoulli", **sizes).model) == BernoulliCode(4)
    assert code_of(configure(latent="gaussian", **sizes).model) == GaussianCode(4)
