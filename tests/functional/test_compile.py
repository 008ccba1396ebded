"""Compiled code draws the samples of eager code, in one graph, and does not compile again over a training run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_noise, gumbel_softmax

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


def test_torch_seed_governs_both() -> None:
    def draw(x: Tensor) -> Tensor:
        return gumbel_softmax(x, hard=True) - gumbel_softmax(x, hard=True)

    with torch.random.fork_rng():
        torch.manual_seed(3)
        eager = draw(LOGITS)
        torch.manual_seed(3)
        compiled = torch.compile(draw, fullgraph=True, backend=BACKEND)(LOGITS)
    torch.testing.assert_close(compiled, eager)
    assert eager.any(), "two draws of one graph must be two draws"


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
