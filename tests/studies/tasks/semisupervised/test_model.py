"""The bound of images without a label against the sum over all classes, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from drawgrad.estimators import Exact, GumbelSoftmax, LeaveOneOut
from drawgrad.studies.tasks.semisupervised.model import SemiSupervisedVAE
from tests.statistics import assert_mean

CLASSES, NORMALS = 3, 2


def network(estimator=None, log_scale: float | None = None, large: float = 3.0) -> SemiSupervisedVAE:
    """A small one in float64, whose normal variables have a given scale if one is given."""
    model = SemiSupervisedVAE(
        classes=CLASSES, normals=NORMALS, height=8, width=8, channels=2, units=6,
        base_rates=torch.full((64,), 0.3), estimator=estimator or Exact(), seed=0,
    ).double()  # fmt: skip
    with torch.no_grad():
        # Larger weights, so that classes differ.
        for parameter in model.parameters():
            parameter *= large
        if log_scale is not None:
            model.encoder_out.weight[NORMALS:] = 0
            model.encoder_out.bias[NORMALS:] = log_scale
    return model


@pytest.fixture
def x(generator):
    return (torch.rand(4, 64, generator=generator) < 0.4).double()


def by_class(model: SemiSupervisedVAE, x: torch.Tensor) -> torch.Tensor:
    """-log p(x|y, mean of z) + KL(q(z|x, y), p(z)) for each class, in a loop."""
    found = []
    features = model.encoder((x - model.mean).view(-1, 1, 8, 8))
    for label in range(CLASSES):
        y = F.one_hot(torch.full((len(x),), label), CLASSES).double()
        mean, log_scale = model.encoder_out((features + model.encoder_class(y)).relu()).chunk(2, -1)
        logits = model.decoder_out(model.decoder_in(torch.cat([y, mean], -1))).flatten(1)
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        kl = (mean.square() + (2 * log_scale).exp() - 1).div(2).sub(log_scale).sum(-1)
        found.append(nll + kl)
    return torch.stack(found, -1)


def test_marginalized_it_is_the_sum_over_the_classes(x, generator):
    # So narrow that a sample of the normal variables is their mean.
    model = network(log_scale=-30.0)
    log_q = model.log_probs(x)
    expected = (log_q.exp() * (by_class(model, x) + log_q + math.log(CLASSES))).sum(-1)
    found = model.bound(x, Exact(), generator)
    assert torch.allclose(found, expected)
    weights = list(model.parameters())
    grads, exact = (torch.autograd.grad(each.sum(), weights, retain_graph=True) for each in (found, expected))
    assert all(torch.allclose(one, other) for one, other in zip(grads, exact, strict=True))


def test_a_label_takes_the_place_of_the_expectation(x, generator):
    model = network(log_scale=-30.0)
    y = torch.tensor([0, 2, 1, 1])
    expected = by_class(model, x).gather(1, y[:, None])[:, 0]
    assert torch.allclose(model.labeled_bound(x, y, generator), expected)
    assert not torch.allclose(model.labeled_bound(x, y.roll(1), generator), expected)


def test_each_class_has_a_normal_sample_of_its_own_and_the_bound_is_one(x, generator):
    """Its mean is that of log p(x, z|y) - log q(z|x, y), with the log-ratio of a sample instead of the divergence."""
    model = network(large=1.0)
    image, labels = x[:1].expand(20_000, -1), torch.arange(20_000) % CLASSES
    bounds = model.labeled_bound(image, labels, generator)
    assert len(bounds.unique()) == 20_000
    features = model.encoder((image - model.mean).view(-1, 1, 8, 8))
    y = F.one_hot(labels, CLASSES).double()
    q = model.normals.distribution(model.encoder_out((features + model.encoder_class(y)).relu()))
    p = model.normals.distribution(torch.zeros(2 * NORMALS, dtype=torch.float64))
    z = q.sample()
    weights = (p.log_prob(z) - q.log_prob(z)).sum(-1) - model._nll(y[None], z[None, None], image)[0, 0]
    for label in range(CLASSES):
        of = labels == label
        assert_mean(-bounds[of] - weights[of], 0.0, resolution=0.5)


def test_other_estimators_have_its_gradient(x, generator):
    copies = x[:1].expand(20_000, -1)
    grads = {}
    for estimator in (Exact(), LeaveOneOut(samples=2)):
        model = network(log_scale=-30.0)
        logits = model.classifier((x[:1] - model.mean).view(-1, 1, 8, 8)).detach()
        leaves = logits.expand(20_000, -1).clone().requires_grad_()
        model.classifier = torch.nn.Module()
        model.classifier.forward = lambda _, leaves=leaves: leaves
        (grads[type(estimator)],) = torch.autograd.grad(model.bound(copies, estimator, generator).sum(), leaves)
    assert torch.allclose(grads[Exact], grads[Exact][:1])
    assert_mean(grads[LeaveOneOut], grads[Exact][0], resolution=0.5)


def test_relaxed_classes_reach_classifier_encoder_and_decoder(x, generator):
    model = network(GumbelSoftmax(tau=0.5))
    model.bound(x, model.estimator, generator).sum().backward()
    for layer in (model.classifier[0], model.encoder[0], model.encoder_class, model.decoder_in[0]):
        assert (layer.weight.grad != 0).any()


def test_weights_follow_from_the_seed_and_nothing_else():
    before = torch.get_rng_state()
    one, other = network(), network()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))
