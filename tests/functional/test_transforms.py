"""Samplers under torch.func, eager and compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from drawgrad.functional import binary_concrete, gumbel_lookup, gumbel_softmax

SAMPLERS = {"categorical": gumbel_softmax, "binary": binary_concrete}
samplers = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
kinds = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


def cost_of(sampler: Callable[..., Tensor], hard: bool) -> Callable[..., Tensor]:
    def cost(logits: Tensor, tau: float | Tensor = 0.7, seed: int | Tensor = 1) -> Tensor:
        y = sampler(logits, tau, hard, seed=seed)
        return (y * torch.linspace(-1, 2, y.shape[-1], dtype=y.dtype)).sum() + (y**3).sum()

    return cost


def by_autograd(cost: Callable[..., Tensor], logits: Tensor, *rest: object) -> Tensor:
    logits = logits.detach().requires_grad_()
    return torch.autograd.grad(cost(logits, *rest), logits)[0]


class TestGradients:
    @samplers
    @kinds
    def test_are_those_of_autograd(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(3, 4)
        torch.testing.assert_close(torch.func.grad(cost)(logits), by_autograd(cost, logits))
        value, pullback = torch.func.vjp(cost, logits)
        torch.testing.assert_close(pullback(torch.ones_like(value))[0], by_autograd(cost, logits))

    @samplers
    @kinds
    def test_of_each_example_are_those_of_a_loop(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(5, 3, 4)
        seeds, taus = torch.arange(5), torch.linspace(0.5, 1.5, 5)
        mapped = torch.vmap(torch.func.grad(cost))(logits, taus, seeds)
        looped = [by_autograd(cost, *each) for each in zip(logits, taus, seeds, strict=True)]
        torch.testing.assert_close(mapped, torch.stack(looped))
        one_seed = torch.vmap(torch.func.grad(cost), in_dims=(0, None, None))(logits, taus[0], seeds[0])
        torch.testing.assert_close(one_seed, torch.stack([by_autograd(cost, x, taus[0], seeds[0]) for x in logits]))

    @samplers
    @kinds
    def test_of_the_temperature(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(3, 4, dtype=torch.float64)
        taus = torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
        mapped = torch.vmap(torch.func.grad(lambda tau: cost(logits, tau)))(taus)
        looped = [by_autograd(lambda tau: cost(logits, tau), tau) for tau in taus]
        torch.testing.assert_close(mapped, torch.stack(looped))
        assert bool(mapped.any())

    @samplers
    @kinds
    def test_of_gradients(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(2, 3, dtype=torch.float64)
        hessian = torch.func.jacrev(torch.func.grad(cost))(logits)
        torch.testing.assert_close(hessian, torch.autograd.functional.hessian(cost, logits))
        mapped = torch.vmap(torch.func.jacrev(torch.func.grad(cost)))(logits[None])
        torch.testing.assert_close(mapped[0], hessian)


class TestForwardMode:
    """Tangents are Jacobians times directions, whatever is carried: eager duals, jvp, jacfwd, Hessians both ways."""

    @staticmethod
    def jacobians(sampler: Callable[..., Tensor], hard: bool, logits: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        def sample(x: Tensor, t: Tensor) -> Tensor:
            return sampler(x, t, hard, seed=1)

        return torch.autograd.functional.jacobian(sample, (logits, tau))

    @samplers
    @kinds
    @pytest.mark.parametrize("shape", [(), (3, 1), (4,)], ids=["one temperature", "one a row", "one a class"])
    def test_tangents(self, sampler: Callable[..., Tensor], hard: bool, shape: tuple[int, ...]) -> None:
        logits = torch.randn(3, 4, dtype=torch.float64)
        logits[0, 1] = -torch.inf
        tau = torch.rand(shape, dtype=torch.float64) + 0.5
        direction = (torch.randn_like(logits), torch.randn_like(tau))
        of_logits, of_tau = self.jacobians(sampler, hard, logits, tau)
        expected = (of_logits * direction[0]).sum((-2, -1))
        expected += (of_tau * direction[1]).reshape(3, 4, -1).sum(-1)

        def sample(x: Tensor, t: Tensor) -> Tensor:
            return sampler(x, t, hard, seed=1)

        value, tangent = torch.func.jvp(sample, (logits, tau), direction)
        torch.testing.assert_close(tangent, expected)
        assert torch.equal(value, sample(logits, tau))
        for context in (contextlib.nullcontext(), torch.no_grad()):
            with forward_ad.dual_level(), context:
                dual = sample(*(forward_ad.make_dual(*pair) for pair in zip((logits, tau), direction, strict=True)))
                torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, expected)
        torch.testing.assert_close(torch.func.jacfwd(sample)(logits, tau), of_logits)

    @samplers
    @kinds
    def test_hessians(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(2, 3, dtype=torch.float64)
        expected = torch.autograd.functional.hessian(cost, logits)
        torch.testing.assert_close(torch.func.hessian(cost)(logits), expected)
        torch.testing.assert_close(torch.func.jacrev(torch.func.jacfwd(cost))(logits), expected)
        if not hard:
            torch.testing.assert_close(torch.func.jacfwd(torch.func.jacfwd(cost))(logits), expected)

    def test_of_a_lookup(self) -> None:
        logits, codebook = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
        arguments = (logits, codebook, torch.tensor(0.7, dtype=torch.float64))
        directions = tuple(torch.randn_like(argument) for argument in arguments)

        def by_lookup(x: Tensor, c: Tensor, t: Tensor) -> Tensor:
            return gumbel_lookup(x, c, t, seed=1)

        def by_one_hot(x: Tensor, c: Tensor, t: Tensor) -> Tensor:
            return gumbel_softmax(x, t, hard=True, seed=1) @ c

        found, expected = (torch.func.jvp(f, arguments, directions) for f in (by_lookup, by_one_hot))
        torch.testing.assert_close(found, expected)

    def test_where_no_tangent_is_given_there_is_none(self) -> None:
        with forward_ad.dual_level():
            assert forward_ad.unpack_dual(gumbel_softmax(torch.zeros(3), seed=1)).tangent is None


class TestRandomness:
    """Without a seed, torch.vmap asks whether examples draw alike."""

    LOGITS = torch.zeros(4, 2, 5)

    def test_different(self) -> None:
        sample = torch.vmap(gumbel_softmax, randomness="different")(self.LOGITS)
        assert len(sample.unique(dim=0)) == 4

    def test_same(self) -> None:
        sample = torch.vmap(gumbel_softmax, randomness="same")(self.LOGITS)
        assert len(sample.unique(dim=0)) == 1
        assert not torch.equal(sample[0, 0], sample[0, 1])

    def test_error(self) -> None:
        with pytest.raises(RuntimeError, match="randomness"):
            torch.vmap(gumbel_softmax)(self.LOGITS)


class TestCompiled:
    """In one graph, and with the same results. The backend plays no part: what counts is the capture."""

    @pytest.fixture(autouse=True)
    def _fresh(self) -> Iterator[None]:
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()

    @staticmethod
    def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return torch.compile(function, fullgraph=True, backend="aot_eager")

    @samplers
    @kinds
    def test_gradients(self, sampler: Callable[..., Tensor], hard: bool) -> None:
        cost, logits = cost_of(sampler, hard), torch.randn(3, 4)
        gradient = self.compiled(torch.func.grad(cost))(logits)
        torch.testing.assert_close(gradient, by_autograd(cost, logits), rtol=1e-4, atol=1e-5)

    @kinds
    def test_gradients_of_each_example(self, hard: bool) -> None:
        cost, logits, seeds = cost_of(gumbel_softmax, hard), torch.randn(3, 2, 4), torch.arange(3)
        mapped = torch.vmap(torch.func.grad(cost), in_dims=(0, None, 0))
        gradient = self.compiled(mapped)(logits, torch.tensor(0.7), seeds)
        torch.testing.assert_close(gradient, mapped(logits, torch.tensor(0.7), seeds), rtol=1e-4, atol=1e-5)

    def test_randomness_of_examples(self) -> None:
        def draw(logits: Tensor) -> Tensor:
            return torch.vmap(gumbel_softmax, randomness="different")(logits)

        assert len(self.compiled(draw)(torch.zeros(4, 5)).unique(dim=0)) == 4
