"""Compiled code draws the samples of eager code, in one graph, and does not compile again over a training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_softmax

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
    compiled = torch.compile(lambda x, seed: sampler(x, 0.5, hard, seed=seed), fullgraph=True)
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
        compiled = torch.compile(draw, fullgraph=True)(LOGITS)
    torch.testing.assert_close(compiled, eager)
    assert eager.any(), "two draws of one graph must be two draws"


def test_index() -> None:
    compiled = torch.compile(lambda x, seed: gumbel_max(x, seed=seed), fullgraph=True)
    assert torch.equal(compiled(LOGITS, torch.tensor(5)), gumbel_max(LOGITS, seed=5))


def test_temperature_tensor_needs_one_graph_over_a_schedule() -> None:
    compiled = torch.compile(lambda x, tau, seed: gumbel_softmax(x, tau, seed=seed), fullgraph=True)
    for step in range(4):
        tau = torch.tensor(1.0 / (step + 1))
        torch.testing.assert_close(compiled(LOGITS, tau, torch.tensor(step)), gumbel_softmax(LOGITS, tau, seed=step))
    assert graphs() == 1


def test_temperature_number_needs_one_more_when_it_first_changes() -> None:
    compiled = torch.compile(lambda x, tau, seed: gumbel_softmax(x, tau, seed=seed), fullgraph=True)
    for step in range(5):
        tau = 1.0 / (step + 1)
        torch.testing.assert_close(compiled(LOGITS, tau, torch.tensor(step)), gumbel_softmax(LOGITS, tau, seed=step))
    assert graphs() == 2


def test_mask() -> None:
    mask = torch.tensor([True, False, True, True, False])
    compiled = torch.compile(lambda x, m, seed: gumbel_softmax(x, mask=m, seed=seed), fullgraph=True)
    torch.testing.assert_close(compiled(LOGITS, mask, torch.tensor(1)), gumbel_softmax(LOGITS, mask=mask, seed=1))
