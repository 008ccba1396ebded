"""Every kernel compiles to machine code, for GPUs that are not here: Triton brings the assembler along.

The interpreter runs kernels that no compiler would take, so this is the other half of a proof without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from drawgrad.kernels import gpu
from drawgrad.kernels.gpu import linear, rows
from drawgrad.kernels.gpu.tiles import NARROW, Tiling
from tests.kernels.gpu.machine import INTERPRETED, seeds

pytestmark = pytest.mark.skipif(INTERPRETED, reason="nothing is compiled in the interpreter")

CAPABILITIES = [80, 90]
WARP = 32
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}
"""Bytes that a program can have on the GPUs of the capability."""
LAUNCH = JITFunction.run


@dataclass(frozen=True)
class Absent:
    """The driver of a GPU that is not there, as far as a launch asks it before it has machine code."""

    capability: int

    def get_current_device(self) -> int:
        return 1000 + self.capability  # What is compiled is kept for each device.

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, WARP)


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def _compiled(call: Callable[[], object], capability: int) -> list[tuple[str, Any]]:
    """Names and machine code of the kernels that a call launches, which is stopped before it reaches the GPU."""
    launched: list[tuple[str, Any]] = []

    def compile_only(function: JITFunction, *arguments: Any, warmup: bool, **options: Any) -> None:
        launched.append((function.__name__, LAUNCH(function, *arguments, warmup=True, **options)))

    with mock.patch.object(JITFunction, "run", compile_only), mock.patch.object(driver, "_active", Absent(capability)):
        call()
    return launched


def _calls(shape: tuple[int, int, int], dtype: torch.dtype, class_offset: int) -> Iterator[Callable[[], object]]:
    logits, tau, seed = torch.zeros(shape, dtype=dtype), torch.tensor(1.0), seeds(shape[0])
    place = (seed, 2**40, class_offset)
    yield lambda: gpu.gumbel_softmax(logits, tau, *place, False)
    yield lambda: gpu.gumbel_softmax(logits, tau, *place, True)
    yield lambda: gpu.gumbel_softmax_vjp(logits, logits, tau, *place)
    yield lambda: gpu.softmax_vjp(logits, logits, tau)
    yield lambda: gpu.binary_concrete(logits, tau, *place, False)
    yield lambda: gpu.binary_concrete(logits, tau, *place, True)
    yield lambda: gpu.binary_concrete_vjp(logits, logits, tau, *place)
    yield lambda: gpu.sigmoid_vjp(logits, logits, tau)
    yield lambda: gpu.noise(seed, shape[1:], 2**40, class_offset, "gumbel", dtype)
    yield lambda: gpu.noise(seed, shape[1:], 2**40, class_offset, "logistic", dtype)


# They use nothing that one capability has and the other has not: each is compiled for one of them.
@pytest.mark.parametrize(
    ("shape", "dtype", "class_offset", "capability"),
    [((2, 40, 5), torch.float16, 3, 80), ((1, 1, 70_000), torch.bfloat16, 0, 90)],
    ids=["short rows", "rows in parts"],
)
def test_kernels_of_rows_compile(
    shape: tuple[int, int, int], dtype: torch.dtype, class_offset: int, capability: int
) -> None:
    names = set()
    for call in _calls(shape, dtype, class_offset):
        for name, kernel in _compiled(call, capability):
            assert kernel.metadata.target.arch == capability
            assert kernel.asm["cubin"]
            names.add(name)
    expected = {"gumbel_softmax", "gumbel_max", "one_hot", "softmax_vjp", "_binary", "_noise"}
    assert names == expected | ({"reduce_parts"} if shape[2] > 40_000 else set())


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("count", [1, 200])
def test_the_fused_linear_layer_compiles_to_matrix_units(count: int, dtype: torch.dtype, capability: int) -> None:
    hidden, weight, bias = (torch.zeros(shape, dtype=dtype) for shape in ((count, 512), (1000, 512), (1000,)))
    precision = "tf32x3" if dtype == torch.float32 else "ieee"
    with mock.patch.object(linear, "_precision", return_value=precision):
        ((_, kernel),) = _compiled(
            lambda: gpu.linear_winner(hidden, weight, bias, torch.tensor(1.0), seeds(1), 0, 0), capability
        )
    assert "mma" in kernel.asm["ptx"]
    assert "cp.async" in kernel.asm["ptx"]
    assert kernel.metadata.shared <= SHARED_MEMORY[capability]


@pytest.mark.parametrize(("classes", "wide"), [(1000, True), (1001, False)])
def test_rows_that_begin_aligned_are_read_in_vectors(classes: int, wide: bool) -> None:
    draw = partial(gpu.gumbel_softmax, torch.zeros(1, 500, classes), torch.tensor(1.0), seeds(1), 0, 0, False)
    ((_, kernel),) = _compiled(draw, 90)
    assert ("ld.global.v4" in kernel.asm["ptx"]) == wide


def test_an_argument_that_a_kernel_does_not_take_is_refused() -> None:
    """The interpreter would pass over it, and the first launch on a GPU would fail."""
    sample, winner = torch.zeros(1, 3, 5), torch.zeros(1, 3, dtype=torch.int64)
    run = partial(Tiling.of(sample, None, 0, NARROW).run, rows.one_hot, sample=sample, winner=winner)
    assert len(_compiled(run, 90)) == 1
    with pytest.raises(KeyError, match="dots"):
        _compiled(partial(run, dots=sample), 90)
