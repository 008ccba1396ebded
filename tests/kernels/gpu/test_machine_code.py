"""Every kernel compiles to machine code, for GPUs that are not here: Triton brings the assembler along.

The interpreter runs kernels that no compiler would take, so this is the other half of a proof without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from drawgrad.kernels import gpu
from drawgrad.kernels.gpu import linear
from tests.kernels.gpu.machine import INTERPRETED, seeds

pytestmark = pytest.mark.skipif(INTERPRETED, reason="nothing is compiled in the interpreter")

POINTERS = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.int64: "*i64"}
CAPABILITIES = [80, 90]
WARP = 32
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}
"""Bytes that a program can have on the GPUs of the capability."""


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def _launches(call: Callable[[], object]) -> list[tuple[JITFunction, dict[str, Any]]]:
    """The kernels that a call would launch, with their arguments."""
    launched: list[tuple[JITFunction, dict[str, Any]]] = []

    def record(function: JITFunction, *_: object, grid: object, warmup: bool, **arguments: Any) -> None:
        launched.append((function, arguments))

    with mock.patch.object(JITFunction, "run", record):
        call()
    return launched


def _compiled(function: JITFunction, arguments: dict[str, Any], capability: int) -> Any:
    """What Triton would compile for a launch: constants, pointers to aligned memory, and integers by kind."""
    signature, constants, facts = {}, {}, {}
    options = {name: arguments[name] for name in ("num_warps", "num_stages") if name in arguments}
    for position, parameter in enumerate(function.params):
        value = arguments.get(parameter.name)
        specialised = not parameter.do_not_specialize
        if isinstance(value, Tensor):
            signature[parameter.name] = POINTERS[value.dtype]
            facts[(position,)] = [["tt.divisibility", 16]]
        elif parameter.is_constexpr or value is None or (value == 1 and specialised):
            signature[parameter.name] = "constexpr"
            constants[(position,)] = value
        else:
            signature[parameter.name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0 and specialised:
                facts[(position,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=function, signature=signature, constexprs=constants, attrs=facts)
    return compile_kernel(source, target=GPUTarget("cuda", capability, WARP), options=options)


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
    yield lambda: gpu.noise(seed, *shape[1:], 2**40, class_offset, "gumbel", dtype)
    yield lambda: gpu.noise(seed, *shape[1:], 2**40, class_offset, "logistic", dtype)


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("shape", "dtype", "class_offset"),
    [((2, 40, 5), torch.float16, 3), ((1, 1, 70_000), torch.bfloat16, 0)],
    ids=["short rows", "rows in parts"],
)
def test_kernels_of_rows_compile(
    shape: tuple[int, int, int], dtype: torch.dtype, class_offset: int, capability: int
) -> None:
    names = set()
    for call in _calls(shape, dtype, class_offset):
        for function, arguments in _launches(call):
            assert _compiled(function, arguments, capability).asm["cubin"]
            names.add(function.__name__)
    expected = {"gumbel_softmax", "gumbel_max", "one_hot", "softmax_vjp", "_binary", "_noise"}
    assert names == expected | ({"reduce_parts"} if shape[2] > 40_000 else set())


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rows", [1, 200])
def test_the_fused_linear_layer_compiles_to_matrix_units(rows: int, dtype: torch.dtype, capability: int) -> None:
    hidden, weight, bias = (torch.zeros(shape, dtype=dtype) for shape in ((rows, 512), (1000, 512), (1000,)))
    precision = "tf32x3" if dtype == torch.float32 else "ieee"
    with mock.patch.object(linear, "_precision", return_value=precision):
        launched = _launches(lambda: gpu.linear_winner(hidden, weight, bias, torch.tensor(1.0), seeds(1), 0, 0))
    ((function, arguments),) = launched
    compiled = _compiled(function, arguments, capability)
    assert "mma" in compiled.asm["ptx"]
    assert "cp.async" in compiled.asm["ptx"]
    assert compiled.metadata.shared <= SHARED_MEMORY[capability]


@pytest.mark.parametrize(("classes", "wide"), [(1000, True), (1001, False)])
def test_rows_that_begin_aligned_are_read_in_vectors(classes: int, wide: bool) -> None:
    logits = torch.zeros(1, 500, classes)
    launched = _launches(lambda: gpu.gumbel_softmax(logits, torch.tensor(1.0), seeds(1), 0, 0, False))
    ((function, arguments),) = launched
    assert ("ld.global.v4" in _compiled(function, arguments, 90).asm["ptx"]) == wide
