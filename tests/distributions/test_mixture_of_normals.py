"""Mixtures of normals: the law of their samples, and gradients of expectations in closed form."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Categorical, Exponential, Independent, MixtureSameFamily, Normal

from drawgrad.distributions import MixtureOfNormals
from tests.statistics import assert_distribution, assert_mean

DRAWS = 200_000
LOGITS = torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64)
LOC = torch.tensor([[-1.5, 0.5], [0.2, -0.8], [2.0, 1.0]], dtype=torch.float64)
SCALE = torch.tensor([[0.5, 0.9], [1.0, 0.4], [0.7, 1.2]], dtype=torch.float64)


def univariate(logits: Tensor, loc: Tensor, scale: Tensor) -> MixtureOfNormals:
    return MixtureOfNormals(Categorical(logits=logits), Normal(loc, scale))


def bivariate(logits: Tensor, loc: Tensor, scale: Tensor) -> MixtureOfNormals:
    return MixtureOfNormals(Categorical(logits=logits), Independent(Normal(loc, scale), 1))


def single_gradients(make, loc: Tensor, scale: Tensor, f) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """Gradients of f at each sample, for parameters of its own."""
    leaves = [value.expand(DRAWS, *value.shape).clone().requires_grad_() for value in (LOGITS, loc, scale)]
    return list(torch.autograd.grad(f(make(*leaves).rsample(seed=1)).sum(), leaves))


def assert_gradients(found: list[Tensor], value, loc: Tensor, scale: Tensor) -> None:  # type: ignore[no-untyped-def]
    leaves = [each.clone().requires_grad_() for each in (LOGITS, loc, scale)]
    for ours, theirs in zip(found, torch.autograd.grad(value(*leaves), leaves), strict=True):
        assert_mean(ours, theirs, resolution=0.05)


class TestUnivariate:
    def test_samples_follow_the_law(self) -> None:
        q = univariate(LOGITS, LOC[:, 0], SCALE[:, 0])
        x = q.sample((60_000,), seed=1)
        p = LOGITS.softmax(-1).numpy()

        def cdf(x: np.ndarray) -> np.ndarray:
            parts = [w * stats.norm(m, s).cdf(x) for w, m, s in zip(p, LOC[:, 0], SCALE[:, 0], strict=True)]
            return sum(parts)

        assert_distribution(x, cdf, resolution=0.02)
        with pytest.raises(AssertionError, match="off by"):
            assert_distribution(x, lambda x: cdf(x - 0.1), resolution=0.02)

    def test_gradients_are_those_of_the_expectation(self) -> None:
        """E[x^2 + cos x] in closed form, for weights, means and standard deviations."""

        def value(logits: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
            return (logits.softmax(-1) * (loc**2 + scale**2 + (-(scale**2) / 2).exp() * loc.cos())).sum()

        found = single_gradients(univariate, LOC[:, 0], SCALE[:, 0], lambda x: x**2 + x.cos())
        assert_gradients(found, value, LOC[:, 0], SCALE[:, 0])

    def test_another_gradient_is_noticed(self) -> None:
        """That of the component that a sample came from reaches no weights."""
        found = single_gradients(univariate, LOC[:, 0], SCALE[:, 0], lambda x: x**2)
        wrong = [torch.zeros_like(found[0]) + 1e-9 * found[0], *found[1:]]
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_gradients(wrong, lambda w, m, s: (w.softmax(-1) * (m**2 + s**2)).sum(), LOC[:, 0], SCALE[:, 0])

    def test_gradients_vary_less_than_the_score_function(self) -> None:
        implicit = single_gradients(univariate, LOC[:, 0], SCALE[:, 0], lambda x: x**2)
        leaves = [v.expand(DRAWS, 3).clone().requires_grad_() for v in (LOGITS, LOC[:, 0], SCALE[:, 0])]
        q = univariate(*leaves)
        x = q.sample(seed=1)
        score = torch.autograd.grad((q.log_prob(x) * x**2).sum(), leaves)
        for ours, theirs in zip(implicit, score, strict=True):
            assert bool((ours.var(0) < theirs.var(0)).all())


class TestBivariate:
    def test_samples_follow_the_law(self) -> None:
        x = bivariate(LOGITS, LOC, SCALE).sample((DRAWS,), seed=2)
        p = LOGITS.softmax(-1)
        assert_mean(x, (p[:, None] * LOC).sum(0), resolution=0.03)
        assert_mean(x.prod(-1), (p * LOC.prod(-1)).sum(), resolution=0.05)
        assert_mean(x.square(), (p[:, None] * (LOC**2 + SCALE**2)).sum(0), resolution=0.06)

    def test_gradients_are_those_of_the_expectation(self) -> None:
        """E[x y + cos(x + 2 y)], to which both entries and their dependence contribute."""
        direction = torch.tensor([1.0, 2.0], dtype=torch.float64)

        def value(logits: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
            spread = -((direction * scale) ** 2).sum(-1) / 2
            return (logits.softmax(-1) * (loc.prod(-1) + spread.exp() * (loc @ direction).cos())).sum()

        found = single_gradients(bivariate, LOC, SCALE, lambda x: x.prod(-1) + (x @ direction).cos())
        assert_gradients(found, value, LOC, SCALE)


class TestDistribution:
    @pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
    def test_is_torch_s_mixture_but_for_its_samples(self, batch: tuple[int, ...]) -> None:
        logits, loc, scale = (v.expand(*batch, *v.shape) for v in (LOGITS, LOC, SCALE))
        q = bivariate(logits, loc, scale)
        theirs = MixtureSameFamily(Categorical(logits=logits), Independent(Normal(loc, scale), 1))
        x = q.rsample((5,), seed=1)
        assert x.shape == (5, *batch, 2)
        torch.testing.assert_close(q.log_prob(x), theirs.log_prob(x))
        torch.testing.assert_close(q.mean, theirs.mean)
        wide = q.expand((3, *batch))
        assert isinstance(wide, MixtureOfNormals)
        assert wide.rsample(seed=1).shape == (3, *batch, 2)
        for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(other.sample(seed=5), q.sample(seed=5))

    def test_follows_seed_and_generator(self) -> None:
        q = univariate(LOGITS, LOC[:, 0], SCALE[:, 0])
        assert torch.equal(q.rsample((3,), seed=5), q.sample((3,), seed=torch.tensor(5)))
        assert not torch.equal(q.sample((3,), seed=5), q.sample((3,), seed=6))
        first, second = (q.sample((3,), generator=torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)
        assert not q.sample((3,)).requires_grad

    def test_other_components_are_refused(self) -> None:
        weights = Categorical(logits=LOGITS)
        for components in (Exponential(torch.ones(3)), Independent(Normal(LOC[:, None], 1.0), 2)):
            with pytest.raises(TypeError, match=r"component_distribution must be Normal, or Independent\(Normal, 1\)"):
                MixtureOfNormals(weights, components)  # type: ignore[arg-type]
