"""Tensors that are spread over two processes: each draws its part of what one would draw, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_softmax, gumbel_top_k

PROCESSES = 2
SHAPES = {"rows": (5, 4), "rows of rows": (5, 3, 4), "fewer rows than processes": (1, 4), "one row": (4,)}
SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "soft": lambda x, tau, mask: gumbel_softmax(x, 0.7, seed=3),
    "hard": lambda x, tau, mask: gumbel_softmax(x, 0.7, True, seed=3, row_offset=7),
    "temperatures of rows": lambda x, tau, mask: gumbel_softmax(x, tau, seed=3),
    "along the first dimension": lambda x, tau, mask: gumbel_softmax(x, 0.7, dim=0, seed=3),
    "masked": lambda x, tau, mask: gumbel_softmax(x, 0.7, mask=mask, seed=torch.tensor(3)),
    "bits": lambda x, tau, mask: binary_concrete(x, 0.7, True, seed=3),
    "index": lambda x, tau, mask: gumbel_max(x, seed=3),
    "indices": lambda x, tau, mask: gumbel_top_k(x, 2, seed=3),
}


def _inputs(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits, weights = (torch.randn(shape, generator=generator) for _ in range(2))
    return (
        logits,
        weights,
        torch.rand(*shape[:-1], 1, generator=generator) + 0.5,
        torch.tensor([True, False, True, True]),
    )


def _compare(rank: int, store: str, out: Any) -> None:
    """Put the name of every case in which the parts are not those of the whole, and how many were compared."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=PROCESSES)
    from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh

    mesh, wrong, compared = init_device_mesh("cpu", (PROCESSES,)), [], 0
    try:
        for kind, shape in SHAPES.items():
            logits, weights, tau, mask = _inputs(shape)
            for placement in (*(Shard(dim) for dim in range(len(shape))), Replicate()):
                for name, sampler in SAMPLERS.items():
                    whole = logits.clone().requires_grad_()
                    expected = sampler(whole, tau, mask)
                    spread = distribute_tensor(logits, mesh, [placement]).requires_grad_()
                    sample = sampler(spread, tau, distribute_tensor(mask, mesh, [Replicate()]))
                    right = isinstance(sample, DTensor) and torch.equal(sample.full_tensor(), expected)
                    if right and expected.is_floating_point():
                        upstream = distribute_tensor(weights, mesh, sample.placements)
                        (found,) = torch.autograd.grad((sample * upstream).sum(), spread)
                        (gradient,) = torch.autograd.grad((expected * weights).sum(), whole)
                        right = torch.allclose(found.full_tensor(), gradient, atol=1e-6)
                    compared += 1
                    if not right:
                        wrong.append(f"{name}, {kind}, {placement}")
    finally:
        distributed.destroy_process_group()
    out.put((compared, wrong))


def test_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    out = context.SimpleQueue()
    multiprocessing.spawn(_compare, (str(tmp_path / "store"), out), nprocs=PROCESSES)
    cases = len(SAMPLERS) * sum(len(shape) + 1 for shape in SHAPES.values())
    assert [out.get() for _ in range(PROCESSES)] == PROCESSES * [(cases, [])]


@pytest.mark.parametrize("row_offset", [0, 1])
def test_the_check_would_notice_a_part_that_counts_from_zero(row_offset: int) -> None:
    logits = _inputs((5, 4))[0]
    whole = gumbel_softmax(logits, 0.7, seed=3)
    assert torch.equal(gumbel_softmax(logits[1:], 0.7, seed=3, row_offset=row_offset), whole[1:]) == bool(row_offset)
