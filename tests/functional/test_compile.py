"""Compiled code draws the samples of eager code, in one graph, and does not compile again over a training run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

from drawgrad.functional import (
    binary_concrete,
    gumbel_lookup,
    gumbel_max,
    gumbel_max_linear,
    gumbel_noise,
    gumbel_softmax,
    gumbel_top_k,
    log_esp,
    log_permanent,
    logistic_noise,
    permutation_marginals,
    permutation_sample,
    relaxed_top_k,
    subset_marginals,
    subset_sample,
)

# Without a C++ compiler there is nothing that could generate code; graphs are captured all the same.
BACKEND = "inductor" if shutil.which("g++") or shutil.which("clang++") else "aot_eager"
LOGITS = torch.linspace(-2.0, 2.0, 40).reshape(2, 4, 5)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def graphs() -> int:
    return counters["stats"]["unique_graphs"]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("sampler", [gumbel_softmax, binary_concrete])
def test_sample_and_gradient_of_a_seed(sampler: Callable[..., Tensor], hard: bool) -> None:
    compiled = torch.compile(lambda x, seed: sampler(x, 0.5, hard, seed=seed), fullgraph=True, backend=BACKEND)
    weights = torch.linspace(-1.0, 1.0, 40).reshape(2, 4, 5)
    for number in range(3):
        results = []
        for function in (compiled, lambda x, seed: sampler(x, 0.5, hard, seed=seed)):
            logits = LOGITS.clone().requires_grad_()
            sample = function(logits, torch.tensor(number))
            results.append((sample.detach(), *torch.autograd.grad((sample * weights).sum(), logits)))
        torch.testing.assert_close(results[0], results[1])
    assert graphs() == 1


def test_index() -> None:
    compiled = torch.compile(lambda x, seed: gumbel_max(x, seed=seed), fullgraph=True, backend=BACKEND)
    assert torch.equal(compiled(LOGITS, torch.tensor(5)), gumbel_max(LOGITS, seed=5))


def test_temperature_tensor_needs_one_graph_over_a_schedule() -> None:
    compiled = torch.compile(lambda x, tau, seed: gumbel_softmax(x, tau, seed=seed), fullgraph=True, backend=BACKEND)
    for step in range(4):
        tau = torch.tensor(1.0 / (step + 1))
        torch.testing.assert_close(compiled(LOGITS, tau, torch.tensor(step)), gumbel_softmax(LOGITS, tau, seed=step))
    assert graphs() == 1


def test_temperature_number_needs_one_more_when_it_first_changes() -> None:
    compiled = torch.compile(lambda x, tau, seed: gumbel_softmax(x, tau, seed=seed), fullgraph=True, backend=BACKEND)
    for step in range(5):
        tau = 1.0 / (step + 1)
        torch.testing.assert_close(compiled(LOGITS, tau, torch.tensor(step)), gumbel_softmax(LOGITS, tau, seed=step))
    assert graphs() == 2


def test_mask() -> None:
    mask = torch.tensor([True, False, True, True, False])
    compiled = torch.compile(lambda x, m, seed: gumbel_softmax(x, mask=m, seed=seed), fullgraph=True, backend=BACKEND)
    torch.testing.assert_close(compiled(LOGITS, mask, torch.tensor(1)), gumbel_softmax(LOGITS, mask=mask, seed=1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("dim", [0, 1])
def test_other_layouts_and_dtypes(dtype: torch.dtype, dim: int) -> None:
    """The compiler believes what the operators promise about the strides of their results."""

    def both(x: Tensor) -> Tensor:
        return gumbel_softmax(x, 0.5, dim=dim, seed=1) + gumbel_softmax(x, 0.5, hard=True, dim=dim, seed=1)

    logits = LOGITS.to(dtype).requires_grad_()
    weights = torch.linspace(-1.0, 1.0, 40).reshape(2, 4, 5).to(dtype)
    results = []
    for function in (both, torch.compile(both, fullgraph=True, backend=BACKEND)):
        sample = function(logits)
        results.append((sample.detach(), *torch.autograd.grad((sample * weights).sum(), logits)))
    torch.testing.assert_close(*results)


def test_noise() -> None:
    compiled = torch.compile(lambda seed: gumbel_noise((3, 4), seed=seed), fullgraph=True, backend=BACKEND)
    assert torch.equal(compiled(torch.tensor(5)), gumbel_noise((3, 4), seed=5))


def test_a_generator_breaks_the_graph_and_draws_the_same() -> None:
    compiled = torch.compile(lambda x, generator: gumbel_softmax(x, generator=generator), backend=BACKEND)
    samples = [draw(LOGITS, generator=torch.Generator().manual_seed(3)) for draw in (compiled, gumbel_softmax)]
    torch.testing.assert_close(*samples)


def test_structures_need_one_graph() -> None:
    def structures(x: Tensor, scores: Tensor, seed: Tensor) -> list[Tensor]:
        return [
            *(log_esp(x, 2), subset_marginals(x, 2), subset_sample(x, 2, seed=seed)),
            *(relaxed_top_k(x, 2, 0.5, seed=seed), *gumbel_top_k(x, 2, seed=seed, perturbed=True)),
            *(log_permanent(scores), permutation_marginals(scores), permutation_sample(scores, seed=seed)),
        ]

    compiled = torch.compile(structures, fullgraph=True, backend="eager")
    results = []
    for function in (compiled, structures):
        x, scores = (value.clone().requires_grad_() for value in (LOGITS[0], LOGITS.flatten()[:18].reshape(2, 3, 3)))
        found = function(x, scores, torch.tensor(3))
        total = sum((y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in found if y.requires_grad)
        results.append([*(y.detach() for y in found), *torch.autograd.grad(total, (x, scores))])
    torch.testing.assert_close(*results)


class TestDrawsOfOneGraph:
    """Without a seed each call draws its own noise, as in eager code: compilers merge calls that look equal."""

    WEIGHTS = torch.linspace(-1.0, 1.0, 200).reshape(5, 40)

    @staticmethod
    def with_state(function: Callable[..., tuple[Tensor, ...]]) -> list[Tensor]:
        """All results, their gradients, and where they left torch's generator."""
        torch.manual_seed(3)
        logits = LOGITS.expand(7, 2, 4, 5).clone().requires_grad_()
        results = function(logits)
        weighted = [
            (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in results if y.is_floating_point()
        ]
        gradient = torch.autograd.grad(sum(weighted), logits)
        return [*(y.detach() for y in results), *gradient, torch.get_rng_state()]

    @staticmethod
    def every_sampler(x: Tensor) -> tuple[Tensor, ...]:
        weight = TestDrawsOfOneGraph.WEIGHTS
        return (
            *(gumbel_softmax(x), gumbel_softmax(x), gumbel_softmax(x, 0.5, hard=True), gumbel_softmax(x, hard=True)),
            *(binary_concrete(x), binary_concrete(x), binary_concrete(x, hard=True), binary_concrete(x, hard=True)),
            *(gumbel_max(x), gumbel_max(x), gumbel_lookup(x, weight), gumbel_lookup(x, weight)),
            *(gumbel_noise((9, 5)), gumbel_noise((9, 5)), logistic_noise((9, 5)), logistic_noise((9, 5))),
            *(gumbel_top_k(x, 2), gumbel_top_k(x, 2), *gumbel_top_k(x, 3, perturbed=True)),
            *(gumbel_max_linear(x, weight.T), gumbel_max_linear(x, weight.T)),
        )

    @staticmethod
    def routing_layers(x: Tensor) -> tuple[Tensor, ...]:
        """Three layers of one input. A sample that nobody uses is no part: compilers leave out torch's own as well."""
        return tuple(gumbel_softmax(x, hard=True) for _ in range(3))

    @staticmethod
    def checkpoints(x: Tensor) -> tuple[Tensor, ...]:
        def layer(y: Tensor) -> Tensor:
            return gumbel_softmax(y) + binary_concrete(y, hard=True)

        def save(y: Tensor) -> Tensor:
            return checkpoint(layer, y, use_reentrant=False)

        first = save(x)
        return first, save(x), save(first), gumbel_softmax(x)

    @pytest.mark.parametrize("backend", sorted({BACKEND, "aot_eager"}))
    @pytest.mark.parametrize("name", ["every_sampler", "routing_layers", "checkpoints"])
    def test_are_those_of_eager_code_one_by_one(self, name: str, backend: str) -> None:
        function = getattr(self, name)
        with torch.random.fork_rng():
            found = self.with_state(torch.compile(function, backend=backend, fullgraph=True))
            expected = self.with_state(function)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        samples = expected[:-2]
        for i, sample in enumerate(samples):
            assert not any(sample.shape == other.shape and torch.equal(sample, other) for other in samples[:i])
