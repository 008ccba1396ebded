"""Layers of discrete variables: their likelihood and gradients against the sum over all states."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from drawgrad.estimators import Exact, GumbelSoftmax, LeaveOneOut, StraightThrough, Vimco
from drawgrad.studies.runs.seeds import seeds_of
from drawgrad.studies.tasks.autoencoder.code import BernoulliCode, CategoricalCode
from drawgrad.studies.tasks.structured.model import StochasticNetwork
from tests.statistics import assert_mean

CODES = [CategoricalCode(2, 3), BernoulliCode(2)]


def network(code, estimator, layers: int = 2, seed: int = 0) -> StochasticNetwork:
    """Three inputs, four outputs, random weights and biases in float64."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.full((3,), 0.4), torch.full((4,), 0.6)
    model = StochasticNetwork(code, *means, [estimator] * layers, generator).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


@pytest.fixture
def pairs(generator):
    return (torch.randint(2, (5, width), generator=generator).double() for width in (3, 4))


def states(code) -> torch.Tensor:
    """The features of all states of a layer."""
    numbers = itertools.product(range(getattr(code, "categories", 2)), repeat=code.variables)
    found = torch.tensor(list(numbers))
    return F.one_hot(found).double().flatten(1) if isinstance(code, CategoricalCode) else found.double()


def by_state(model: StochasticNetwork, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(z_1, z_2|x) and log p(y|z_2) for all states: (batch, first, second) and (batch, second)."""
    z = states(model.code)

    def log_probs(layer: nn.Module, features: torch.Tensor) -> torch.Tensor:
        q = model.code.distribution(layer(features))
        values = z.unflatten(-1, (*q.batch_shape[-1:], *q.event_shape))
        return torch.stack([q.log_prob(value).sum(-1) for value in values], -1)

    first, second = (log_probs(layer, given) for layer, given in zip(model.layers, (x - model.mean, z), strict=True))
    logits = model.output(z)
    likelihood = -F.binary_cross_entropy_with_logits(
        logits.expand(len(y), *logits.shape), y[:, None].expand(-1, *logits.shape), reduction="none"
    ).sum(-1)
    return first[:, :, None] + second, likelihood


def bound_of_two(model: StochasticNetwork, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean, over all pairs of states of all layers, of what two samples of one example bound together."""
    prior, likelihood = by_state(model, x, y)
    p, costs = prior.exp().flatten(1)[0], -likelihood[:, None].expand_as(prior).flatten(1)[0]
    bounds = -torch.logaddexp(-costs[:, None], -costs).sub(torch.tensor(2.0).log())
    return (p[:, None] * p * bounds).sum()


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
def test_nested_expectations_are_the_sum_over_all_states(code, pairs, generator):
    x, y = pairs
    model = network(code, Exact())
    prior, likelihood = by_state(model, x, y)
    expected = -(prior.exp() * likelihood[:, None]).sum((1, 2))
    found = model.expected_cost(x, y, seeds_of(generator))
    assert torch.allclose(found, expected)
    grads = torch.autograd.grad(found.sum(), list(model.parameters()))
    exact = torch.autograd.grad(expected.sum(), list(model.parameters()))
    assert all(torch.allclose(one, other) for one, other in zip(grads, exact, strict=True))


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
def test_the_mean_likelihood_is_the_sum_over_all_states(code, pairs, generator):
    x, y = pairs
    model = network(code, Exact())
    prior, likelihood = by_state(model, x, y)
    exact = (prior + likelihood[:, None]).logsumexp((1, 2))
    samples = model.log_likelihoods(x, y, 50_000, generator)
    assert samples.shape == (50_000, 5)
    ratios = (samples - exact).exp()
    assert_mean(ratios, 1.0, resolution=0.1)
    with pytest.raises(AssertionError):
        assert_mean((samples - exact.flip(0)).exp(), 1.0, resolution=0.1)


def test_each_layer_has_unbiased_gradients(pairs, generator):
    x, y = (each[:1] for each in pairs)
    exact = network(CODES[1], Exact())
    weights = list(exact.layers[0].parameters()) + list(exact.layers[1].parameters())
    expected = torch.autograd.grad(exact.expected_cost(x, y, seeds_of(generator)).sum(), weights)
    model = network(CODES[1], LeaveOneOut(samples=2))
    count = 20_000
    # One forward pass of many copies: the gradient of a bias is the sum over them, that of each is wanted.
    copies = [layer.bias.detach().repeat(count, 1).requires_grad_() for layer in model.layers]
    for layer, bias in zip(model.layers, copies, strict=True):
        layer.forward = lambda features, layer=layer, bias=bias: F.linear(features, layer.weight) + bias
    loss = model.expected_cost(x.expand(count, -1), y.expand(count, -1), seeds_of(generator))
    grads = torch.autograd.grad(loss.sum(), copies)
    for grad, exact_grad in zip(grads, expected[1::2], strict=True):
        assert_mean(grad, exact_grad, resolution=0.1)


def test_a_multi_sample_bound_is_of_all_layers_together(pairs, generator):
    x, y = (each[:1] for each in pairs)
    model = network(CODES[1], Vimco(samples=2))
    exact = bound_of_two(model, x, y)
    found = model.expected_cost(x.expand(100_000, -1), y.expand(100_000, -1), seeds_of(generator))
    assert_mean(found, exact, resolution=0.05)
    weights = [model.layers[0].bias, model.layers[1].bias, model.output.bias]
    expected = torch.autograd.grad(exact, weights)
    grads = torch.autograd.grad(found.mean(), weights)
    for grad, exact_grad in zip(grads, expected, strict=True):
        # 100,000 draws whose standard deviation is about one: six standard errors.
        assert torch.allclose(grad, exact_grad, atol=0.03)


def test_a_bound_of_samples_with_a_gradient_is_that_of_all_layers(pairs, generator):
    x, y = (each[:1] for each in pairs)
    model = network(CODES[1], StraightThrough(samples=2))
    model.multi_sample_bound = True
    exact = bound_of_two(model, x, y)
    found = model.expected_cost(x.expand(100_000, -1), y.expand(100_000, -1), seeds_of(generator))
    assert_mean(found, exact, resolution=0.05)
    (expected,) = torch.autograd.grad(exact, model.output.bias)
    (grad,) = torch.autograd.grad(found.mean(), model.output.bias, retain_graph=True)
    # The last layer sees hard samples, so its gradient has no bias: six standard errors.
    assert torch.allclose(grad, expected, atol=0.03)
    assert all((each != 0).any() for each in torch.autograd.grad(found.mean(), [layer.bias for layer in model.layers]))


def test_a_relaxed_sample_reaches_every_layer(pairs, generator):
    x, y = pairs
    model = network(CODES[0], GumbelSoftmax(tau=0.5), layers=3)
    model.expected_cost(x, y, seeds_of(generator)).sum().backward()
    assert all((layer.weight.grad != 0).any() for layer in model.layers)


def test_the_temperature_of_the_step_is_that_of_every_layer(pairs, generator):
    x, y = pairs
    seen = []

    def at(estimator):
        seen.append(estimator)
        return estimator.at(0.1)

    model = network(CODES[0], GumbelSoftmax(tau=5.0))
    state = generator.get_state()
    cold = model.expected_cost(x, y, seeds_of(generator), at)
    generator.set_state(state)
    assert torch.equal(cold, network(CODES[0], GumbelSoftmax(tau=0.1)).expected_cost(x, y, seeds_of(generator)))
    assert len(seen) >= 2
