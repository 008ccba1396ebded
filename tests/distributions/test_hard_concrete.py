"""Hard Concrete gates: atoms and density together are one law, which the samples follow."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from drawgrad.distributions import HardConcrete
from tests.statistics import assert_distribution, assert_frequencies, assert_mean

CASES = [(2 / 3, 0.0, (-0.1, 1.1)), (0.3, 1.5, (-0.1, 1.1)), (1.5, -2.0, (-0.5, 1.2)), (2 / 3, 6.0, (-0.1, 1.1))]


def make(temperature: float, logits: float, stretch: tuple[float, float]) -> HardConcrete:
    return HardConcrete(temperature, torch.tensor(logits, dtype=torch.float64), stretch, validate_args=True)


def integral(q: HardConcrete, weight: float = 0.0) -> float:
    """Of the density times z to the power of ``weight``, between the atoms."""
    return integrate.quad(lambda z: z**weight * q.log_prob(torch.tensor(z, dtype=torch.float64)).exp().item(), 0, 1)[0]


@pytest.mark.parametrize(("temperature", "logits", "stretch"), CASES)
class TestLaw:
    def test_integrates_to_one_with_its_atoms(
        self, temperature: float, logits: float, stretch: tuple[float, float]
    ) -> None:
        q = make(temperature, logits, stretch)
        atoms = [q.log_prob(torch.tensor(z, dtype=torch.float64)).exp().item() for z in (0.0, 1.0)]
        np.testing.assert_allclose(atoms, [q.prob_zero.item(), q.prob_one.item()], rtol=1e-12)
        np.testing.assert_allclose(integral(q), q.prob_inside.item(), rtol=1e-7)
        np.testing.assert_allclose(sum(atoms) + integral(q), 1.0, rtol=1e-7)
        np.testing.assert_allclose(q.expected_l0.item(), 1 - atoms[0], rtol=1e-12)

    def test_is_that_of_the_samples(self, temperature: float, logits: float, stretch: tuple[float, float]) -> None:
        q = make(temperature, logits, stretch)
        z = q.sample((60_000,), seed=1)
        zero, one = (z == 0), (z == 1)
        counts = torch.stack([zero.sum(), one.sum(), (~zero & ~one).sum()])
        p = torch.stack([q.prob_zero, q.prob_one, q.prob_inside])
        assert_frequencies(counts, p, resolution=0.02)
        # Between the atoms the distribution function is that of the logistic noise.
        low, high = stretch
        inside = z[~zero & ~one]

        def cdf(x: np.ndarray) -> np.ndarray:
            below = 1 / (1 + np.exp(logits - temperature * (np.log(x - low) - np.log(high - x))))
            return (below - p[0].item()) / p[2].item()

        if len(inside) > 10_000:
            assert_distribution(inside, cdf, resolution=0.04)
        assert_mean(z, p[1].item() + integral(q, 1.0), resolution=0.02)

    def test_another_law_is_noticed(self, temperature: float, logits: float, stretch: tuple[float, float]) -> None:
        z = make(temperature, logits, stretch).sample((60_000,), seed=1)
        other = make(temperature, logits - 0.5, stretch)
        counts = torch.stack([(z == 0).sum(), (z != 0).sum()])
        p = torch.stack([other.prob_zero, other.expected_l0])
        if bool((p > 0.02).all()):
            with pytest.raises(AssertionError, match="chi-square"):
                assert_frequencies(counts, p, resolution=0.03)


class TestGradients:
    def test_of_samples_are_pathwise_and_zero_at_the_atoms(self) -> None:
        logits = torch.linspace(-3, 3, 50, dtype=torch.float64).requires_grad_()
        tau = torch.full((50,), 0.8, dtype=torch.float64, requires_grad=True)
        z = HardConcrete(tau, logits).rsample(seed=1)
        (found,) = torch.autograd.grad(z.sum(), logits, retain_graph=True)
        atom = (z == 0) | (z == 1)
        assert 5 < int(atom.sum()) < 45
        assert bool((found[atom] == 0).all())
        assert bool((found[~atom] > 0).all())
        assert torch.autograd.gradcheck(lambda x, t: HardConcrete(t, x).rsample(seed=1), (logits, tau))

    def test_of_probabilities(self) -> None:
        logits = torch.linspace(-3, 3, 4, dtype=torch.float64).requires_grad_()
        tau = torch.linspace(0.3, 1.0, 4, dtype=torch.float64).requires_grad_()
        value = torch.tensor([[0.0], [0.3], [1.0]], dtype=torch.float64)
        for name in ("prob_zero", "prob_one", "prob_inside", "expected_l0"):
            assert torch.autograd.gradcheck(lambda x, t, name=name: getattr(HardConcrete(t, x), name), (logits, tau))
        assert torch.autograd.gradcheck(lambda x, t: HardConcrete(t, x).log_prob(value), (logits, tau))

    def test_the_mean_gradient_is_that_of_the_expectation(self) -> None:
        """Pathwise gradients of E[z^2] against finite differences of the integral: the atoms' edges cost nothing."""
        step = 1e-3
        sides = []
        for shift in (-step, step):
            q = make(2 / 3, 0.5 + shift, (-0.1, 1.1))
            sides.append(q.prob_one.item() + integral(q, 2.0))
        logits = torch.full((200_000,), 0.5, dtype=torch.float64, requires_grad=True)
        z = HardConcrete(2 / 3, logits).rsample(seed=3)
        (found,) = torch.autograd.grad(z.square().sum(), logits)
        assert_mean(found, (sides[1] - sides[0]) / (2 * step), resolution=0.01)


class TestEdges:
    def test_probabilities_keep_their_tails(self) -> None:
        q = HardConcrete(2 / 3, torch.tensor([-200.0, 200.0], dtype=torch.float64))
        assert 0 < q.prob_one[0] < 1e-80
        assert 0 < q.prob_zero[1] < 1e-80
        assert bool((q.prob_inside > 0).all())
        torch.testing.assert_close(q.prob_zero + q.prob_one + q.prob_inside, torch.ones(2, dtype=torch.float64))
        assert bool(q.log_prob(torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)).isfinite().all())

    def test_certain_gates(self) -> None:
        q = HardConcrete(0.5, torch.tensor([-torch.inf, torch.inf]), validate_args=False)
        assert q.rsample(seed=0).tolist() == [0.0, 1.0]
        assert q.prob_zero.tolist() == [1.0, 0.0]
        assert q.mean.tolist() == [0.0, 1.0]

    def test_the_mean_is_the_gate_without_noise(self) -> None:
        logits = torch.tensor([-5.0, -1.0, 0.0, 1.0, 5.0])
        expected = (logits.sigmoid() * 1.2 - 0.1).clamp(0, 1)
        torch.testing.assert_close(HardConcrete(2 / 3, logits).mean, expected)
        assert expected[0] == 0
        assert expected[-1] == 1

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_dtypes(self, dtype: torch.dtype) -> None:
        q = HardConcrete(0.5, torch.zeros(200, dtype=dtype))
        z = q.rsample((2,), seed=0)
        assert z.dtype == q.mean.dtype == dtype
        assert bool((z == 0).any() & (z == 1).any())
        assert q.log_prob(z).dtype == q.prob_zero.dtype == torch.promote_types(dtype, torch.float32)

    @pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
    def test_shapes(self, batch: tuple[int, ...]) -> None:
        q = HardConcrete(torch.full(batch, 0.5), torch.zeros(batch))
        assert (q.batch_shape, q.event_shape) == (batch, ())
        sample = q.rsample((4,), seed=1)
        assert sample.shape == q.log_prob(sample).shape == (4, *batch)
        wide = q.expand((5, *batch))
        assert wide.stretch == q.stretch
        assert wide.rsample(seed=1).shape == wide.expected_l0.shape == (5, *batch)
        for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(other.sample(seed=5), q.sample(seed=5))

    @pytest.mark.parametrize("stretch", [(0.0, 1.1), (-0.1, 1.0), (-0.1, float("inf")), (1.1, -0.1)])
    def test_an_interval_that_does_not_reach_beyond_is_refused(self, stretch: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match="stretch must be a finite interval with its ends below 0 and above 1"):
            HardConcrete(0.5, torch.zeros(2), stretch)

    def test_values_outside_are_refused(self) -> None:
        q = HardConcrete(0.5, torch.zeros(2), validate_args=True)
        with pytest.raises(ValueError, match="within the support"):
            q.log_prob(torch.tensor([0.5, 1.2]))
        with pytest.raises(ValueError, match="temperature must be positive"):
            HardConcrete(0.0, torch.zeros(2))


def test_gates_are_tensors() -> None:
    assert isinstance(HardConcrete(0.5, 0.0).sample(seed=0), Tensor)
