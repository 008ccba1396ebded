"""The public functions on a CUDA device: the draws of the CPU, gradients, graphs, compilation, memory and size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from drawgrad import functional as F
from drawgrad.kernels import reference

pytestmark = pytest.mark.gpu

SEED = 23
SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "soft": lambda logits, **options: F.gumbel_softmax(logits, 0.7, **options),
    "hard": lambda logits, **options: F.gumbel_softmax(logits, 0.7, hard=True, **options),
    "binary": lambda logits, **options: F.binary_concrete(logits, 0.7, **options),
    "hard binary": lambda logits, **options: F.binary_concrete(logits, 0.7, hard=True, **options),
}


def _logits(*shape: int) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("shape", [(3, 5), (200, 16), (2, 130, 1000), (3, 40_000)], ids=str)
def test_samples_and_gradients_are_those_of_the_cpu(name: str, shape: tuple[int, ...]) -> None:
    results = []
    for device in ("cpu", "cuda"):
        logits = _logits(*shape).to(device).requires_grad_()
        sample = SAMPLERS[name](logits, seed=SEED)
        gradient = torch.autograd.grad(sample, logits, _logits(*shape).flip(0).to(device))[0]
        results.append((sample.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_winners_are_those_of_the_cpu_but_for_ties() -> None:
    logits = _logits(20_000, 1000)
    index = F.gumbel_max(logits, seed=SEED)
    on_gpu = F.gumbel_max(logits.cuda(), seed=SEED).cpu()
    scores = logits + F.gumbel_noise(logits.shape, seed=SEED)
    differ = index != on_gpu
    gap = scores.gather(1, index[:, None]) - scores.gather(1, on_gpu[:, None])
    assert bool((gap[differ] < 1e-5).all())
    assert int(differ.sum()) <= 2, f"{int(differ.sum())} ties"


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_captured_graph_draws_afresh_on_each_replay(name: str) -> None:
    logits = _logits(64, 10).cuda()
    SAMPLERS[name](logits)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        sample = SAMPLERS[name](logits)
    draws = []
    for _ in range(3):
        graph.replay()
        draws.append(sample.clone())
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])


def test_a_captured_graph_reads_its_seed_from_memory() -> None:
    logits, seed = _logits(64, 10).cuda(), torch.tensor(1, device="cuda")
    F.gumbel_softmax(logits, seed=seed)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        sample = F.gumbel_softmax(logits, seed=seed)
    for value in (1, 2):
        seed.fill_(value)
        graph.replay()
        assert torch.equal(sample, F.gumbel_softmax(logits, seed=value))


@pytest.mark.parametrize("name", SAMPLERS)
def test_compiled_code_draws_the_same(name: str) -> None:
    compiled = torch.compile(SAMPLERS[name], fullgraph=True)
    logits = _logits(64, 10).cuda()
    assert torch.equal(compiled(logits, seed=SEED), SAMPLERS[name](logits, seed=SEED))


@pytest.mark.parametrize("hard", [False, True])
def test_training_needs_memory_for_output_and_gradient_only(hard: bool) -> None:
    logits = _logits(4096, 1024).cuda().requires_grad_()
    grad = torch.ones_like(logits)
    size = logits.numel() * logits.element_size()
    for _ in range(2):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        torch.autograd.grad(F.gumbel_softmax(logits, 0.5, hard=hard, seed=SEED), logits, grad)
        peak = torch.cuda.max_memory_allocated() - before
    assert peak <= 2 * size + (1 << 20)


def test_a_row_beyond_the_classes_of_multinomial() -> None:
    classes = (1 << 24) + 100
    logits = torch.zeros(1, classes, device="cuda")
    sample = F.gumbel_softmax(logits, 2.0, seed=SEED)
    assert abs(float(sample.sum(dtype=torch.float64)) - 1) < 1e-4
    tail = F.gumbel_noise((1, 100), seed=SEED, class_offset=classes - 100)
    torch.testing.assert_close(F.gumbel_noise((1, classes), seed=SEED, device="cuda")[:, -100:].cpu(), tail)
    scores = F.gumbel_noise((1, classes), seed=SEED, device="cuda")
    assert F.gumbel_max(logits, seed=SEED).item() == scores.argmax().item()


def test_more_elements_than_32_bits_count() -> None:
    rows, classes = (1 << 20) + 3, 2050
    if torch.cuda.mem_get_info()[0] < 3 * 2 * rows * classes:
        pytest.skip("the tensors need 13 GB of free memory")
    noise = F.gumbel_noise((rows, classes), dtype=torch.float16, device="cuda", seed=SEED)
    last = F.gumbel_noise((1, classes), dtype=torch.float16, seed=SEED, row_offset=rows - 1)
    torch.testing.assert_close(noise[-1:].cpu(), last)
    sample = F.gumbel_softmax(noise, seed=SEED)
    expected = F.gumbel_softmax(last, seed=SEED, row_offset=rows - 1)
    torch.testing.assert_close(sample[-1:].cpu(), expected, rtol=2e-3, atol=1e-6)


def test_float64_passes_through_the_reference() -> None:
    logits = _logits(5, 7).double()
    sample = F.gumbel_softmax(logits.cuda(), seed=SEED).cpu()
    torch.testing.assert_close(sample, F.gumbel_softmax(logits, seed=SEED))


def test_vmap_draws_what_a_loop_draws() -> None:
    logits, seeds = _logits(6, 4, 9).cuda(), torch.arange(6, device="cuda")

    def draw(logits: Tensor, seed: Tensor) -> Tensor:
        return F.gumbel_softmax(logits, 0.5, seed=seed)

    looped = torch.stack([draw(*pair) for pair in zip(logits, seeds, strict=True)])
    torch.testing.assert_close(torch.vmap(draw)(logits, seeds), looped)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_linear_winners_are_those_of_the_cpu_but_for_ties(dtype: torch.dtype) -> None:
    arguments: tuple[Any, ...] = (_logits(300, 256).to(dtype), (_logits(5000, 256) / 32).to(dtype))
    expected = F.gumbel_max_linear(*arguments, tau=0.8, seed=SEED)
    actual = F.gumbel_max_linear(*(tensor.cuda() for tensor in arguments), tau=0.8, seed=SEED).cpu()
    logits = arguments[0].double() @ arguments[1].double().T / 0.8
    scores = logits + reference.noise(torch.tensor([SEED]), (300, 5000), 0, 0, "gumbel", torch.float64)[0]
    gap = scores.gather(1, expected[:, None]) - scores.gather(1, actual[:, None])
    assert bool((gap.abs() < 1e-3).all())
    assert int((actual != expected).sum()) <= 2
