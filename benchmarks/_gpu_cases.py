"""What is timed on a GPU: the samplers against torch's and against a copy, and the fused linear layer.

The sides of a case take turns, so that whatever else the device does falls on all of them; a ratio is the median over
the turns of the ratios of their medians. Bandwidth counts every tensor once that has to be read or written: logits and
sample forward; besides, the sample (or the logits), its gradient and the result backward. A copy moves two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks._clock import Clock
from drawgrad.functional import binary_concrete, gumbel_max, gumbel_max_linear, gumbel_noise, gumbel_softmax
from drawgrad.studies.records import Measurement, median_of

__all__ = ["DTYPES", "FEATURES", "LAYERS", "SHAPES", "Bench", "compiled", "layers", "others", "samplers"]

SHAPES = ((65536, 16), (8192, 1024), (4096, 32000), (1024, 131072))
"""Rows x classes of the samplers."""
LAYERS = ((64, 32768), (1024, 32768), (64, 131072), (1024, 131072), (64, 262144), (1024, 262144))
"""Rows x classes of the linear layer."""
FEATURES = 4096
DTYPES = (torch.float32, torch.bfloat16)
COPIED = 2
"""Tensors that a copy moves."""

Call = Callable[[], object]
Sampler = Callable[..., Tensor]


def compiled(sampler: Sampler) -> Sampler:
    """The sampler under torch's compiler, which forgets what it has compiled before: it gives up after a few shapes."""
    torch.compiler.reset()
    return torch.compile(sampler, dynamic=False)


@dataclass(frozen=True)
class Bench:
    """Where and how often calls are timed.

    Args:
        device: where the tensors are.
        clock: times calls on that device.
        compiled: makes the compiled version of torch's sampler.
        turns: how often each side of a case takes its turn.
        calls: calls in a turn.
    """

    device: torch.device
    clock: Clock
    compiled: Callable[[Sampler], Sampler] = compiled
    turns: int = 7
    calls: int = 15

    def tensor(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """A tensor of normal numbers; those of zeros can be faster than any real one."""
        return torch.randn(shape, device=self.device).to(dtype)

    def compare(self, case: str, sides: dict[str, Call], moved: float = 0.0) -> list[Measurement]:
        """Times of all sides, speed-ups of the side ``drawgrad`` over the others, and its bandwidth.

        Args:
            case: the row of the table.
            sides: one is called ``drawgrad``; one called ``copy`` is the floor, which nobody is compared with as an
                equal.
            moved: tensors that have to be moved, for the bandwidth as a fraction of the copy's.
        """
        turns = [
            {name: self.clock.turn(call, self.calls) for name, call in sides.items()} for _ in range(self.turns + 1)
        ][1:]
        cells = [median_of(case, name, (1e3 * turn[name] for turn in turns), "ms") for name in sides]
        cells += [
            median_of(case, f"over {name}", (turn[name] / turn["drawgrad"] for turn in turns), "x")
            for name in sides
            if name not in ("copy", "drawgrad")
        ]
        if "copy" in sides:
            bandwidth = (100 * moved / COPIED * turn["copy"] / turn["drawgrad"] for turn in turns)
            cells.append(median_of(case, "of the copy's bandwidth", bandwidth, "%"))
        return cells

    def peaks(self, case: str, sides: dict[str, Call], unit: float, name: str) -> list[Measurement]:
        """Peak memory of all sides but the copy, divided by ``unit`` bytes."""
        return [
            Measurement(case, f"{side}, peak", self.clock.peak(call) / unit, 0.0, name, 1)
            for side, call in sides.items()
            if side != "copy"
        ]


def samplers(
    bench: Bench, shapes: tuple[tuple[int, int], ...] = SHAPES, *, backward: bool
) -> Iterator[list[Measurement]]:
    """The Gumbel-Softmax, soft and hard, forward or forward and backward; peak memory in units of the logits."""
    torch_sampler: Sampler = torch.nn.functional.gumbel_softmax
    for rows, classes in shapes:
        for dtype in DTYPES:
            logits, grad = bench.tensor(2, rows, classes, dtype=dtype)
            logits.requires_grad_(backward)
            for hard in (False, True):

                def call(sampler: Sampler, hard: bool = hard, logits: Tensor = logits, grad: Tensor = grad) -> Call:
                    if backward:
                        return lambda: torch.autograd.grad(sampler(logits, hard=hard), logits, grad)
                    return lambda: sampler(logits, hard=hard)

                sides: dict[str, Call] = {
                    "copy": grad.clone,
                    "torch": call(torch_sampler),
                    "torch, compiled": call(bench.compiled(torch_sampler)),
                    "drawgrad": call(gumbel_softmax),
                }
                case = f"{rows} x {classes}, {_short(dtype)}, {'hard' if hard else 'soft'}"
                cells = bench.compare(case, sides, moved=5 if backward else 2)
                yield cells + bench.peaks(case, sides, logits.numel() * logits.element_size(), "x")


def others(bench: Bench, shapes: tuple[tuple[int, int], ...] = SHAPES) -> Iterator[list[Measurement]]:
    """The other samplers, forward, against the copy only."""
    for rows, classes in shapes:
        for dtype in DTYPES:
            logits = bench.tensor(rows, classes, dtype=dtype)
            ours: dict[str, tuple[Call, int]] = {
                "gumbel_max": (lambda x=logits: gumbel_max(x), 1),
                "binary_concrete": (lambda x=logits: binary_concrete(x), 2),
                "gumbel_noise": (lambda x=logits: gumbel_noise(x.shape, dtype=x.dtype, device=x.device), 1),
            }
            for name, (call, moved) in ours.items():
                case = f"{name}, {rows} x {classes}, {_short(dtype)}"
                yield bench.compare(case, {"copy": logits.clone, "drawgrad": call}, moved)


def layers(
    bench: Bench, sizes: tuple[tuple[int, int], ...] = LAYERS, features: int = FEATURES
) -> Iterator[list[Measurement]]:
    """The fused winner of a linear layer against product, softmax and multinomial; peak memory in MiB."""
    for rows, classes in sizes:
        for dtype in DTYPES:
            hidden = bench.tensor(rows, features, dtype=dtype)
            weight = bench.tensor(classes, features, dtype=dtype) / features**0.5
            sides: dict[str, Call] = {
                "torch": lambda h=hidden, w=weight: torch.multinomial((h @ w.T).softmax(-1), 1),
                "drawgrad": lambda h=hidden, w=weight: gumbel_max_linear(h, w),
            }
            case = f"{rows} x {features} to {classes}, {_short(dtype)}"
            yield bench.compare(case, sides) + bench.peaks(case, sides, 1 << 20, "MiB")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
