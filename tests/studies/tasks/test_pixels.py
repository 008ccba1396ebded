"""Likelihood of binary pixels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from drawgrad.studies.tasks.pixels import log_likelihood_of_pixels


def likelihood(logits, x):
    return log_likelihood_of_pixels(logits.clone(), x)


def plain(logits, x):
    return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


@pytest.mark.parametrize("pixels", [1, 6, 7, 8, 784])
def test_it_is_minus_the_cross_entropy(pixels, generator):
    logits = 4 * torch.randn(3, 5, pixels, dtype=torch.float64, generator=generator)
    x = torch.bernoulli(torch.full((5, pixels), 0.3, dtype=torch.float64), generator=generator)
    assert torch.allclose(likelihood(logits, x), plain(logits, x), rtol=1e-13)
    assert not torch.allclose(likelihood(logits, 1 - x), plain(logits, x), rtol=1e-2)
    single = likelihood(logits.float(), x.float())
    assert torch.allclose(single.double(), plain(logits, x), rtol=1e-5, atol=1e-6)


def test_it_stays_finite_where_the_product_of_chances_does_not(generator):
    x = torch.bernoulli(torch.full((2, 8), 0.5), generator=generator)
    logits = torch.full((3, 2, 8), 500.0)
    assert torch.equal(likelihood(logits, x), plain(logits, x))
    assert torch.isfinite(likelihood(logits, x)).all()


def test_what_is_not_a_number_is_not_hidden():
    assert likelihood(torch.full((1, 1, 8), float("nan")), torch.ones(1, 8)).isnan().all()
