"""Tiles: which rows and classes a program works on, and how many programs there are.

A tile has ``ROWS`` rows of one group and ``BLOCK`` columns. Column j of part p is the class ``p * BLOCK + j - SKIP``:
``SKIP`` columns are left free in front, so that every four columns hold the four words of one random evaluation,
wherever a shard of the classes begins. The number of classes comes as ``units * ALIGN``, which tells the compiler how
wide it may read.
"""

from __future__ import annotations

import contextlib
import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from drawgrad.kernels.gpu.draw import random_uniforms
from drawgrad.kernels.philox import WORDS

__all__ = ["NARROW", "Tiling", "columns", "draw_tile", "kernel", "locate", "on_device", "temperature"]

WIDEST = 16
"""Largest alignment that is worth telling the compiler, in elements."""
ELEMENTS = 1024
"""Elements of a tile of short rows."""
ELEMENTS_OF_THREAD = 16
"""Elements that a thread holds in registers, as long as there are warps to be had."""
MOST_WARPS = 16
THREADS = 32

NARROW = 1024
"""Columns of a tile where the elements of a row are independent."""

WORDS_AT_ONCE: tl.constexpr = tl.constexpr(WORDS)

VARYING = ["rows", "units", "row_offset", "block_offset", "parts", "tau_stride"]
# These vary from batch to batch, and are not worth a compilation for each kind of value.
kernel = functools.partial(triton.jit, do_not_specialize=VARYING)


@triton.jit
def locate(
    rows,
    units,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
    SPLIT: tl.constexpr,
):
    """Group of this program, its rows in the group, int64 [ROWS, 1], and its part of the classes."""
    tile = tl.program_id(0)
    part = 0
    if SPLIT:
        parts = ((tl.cast(units, tl.int64) * ALIGN + SKIP + BLOCK - 1) // BLOCK).to(tl.int32)
        part = tile % parts
        tile = tile // parts
    group = 0
    if GROUPED:
        tiles = ((tl.cast(rows, tl.int64) + ROWS - 1) // ROWS).to(tl.int32)
        group = tile // tiles
        tile = tile % tiles
    return group, tile.to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None], part


@triton.jit
def columns(
    group,
    row,
    part,
    rows,
    units,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Numbers of the rows over all groups, int64 [ROWS, 1]; classes; places in memory; which of them exist."""
    classes = tl.cast(units, tl.int64) * ALIGN
    number = tl.cast(group, tl.int64) * rows + row
    k = tl.cast(part, tl.int64) * BLOCK + tl.arange(0, BLOCK)[None, :] - SKIP
    exists = (row < rows) & (k < classes)
    if SKIP > 0:
        exists = exists & (k >= 0)
    return number, k, number * classes + k, exists


@triton.jit
def draw_tile(
    seeds,
    group,
    row,
    part,
    row_offset,
    block_offset,
    STREAM: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The uniform numbers of a tile, see :func:`drawgrad.kernels.gpu.draw.uniform`, float32 [ROWS, BLOCK]."""
    block = tl.cast(part, tl.int64) * (BLOCK // WORDS_AT_ONCE) + tl.arange(0, BLOCK // WORDS_AT_ONCE)[None, :]
    seed = tl.load(seeds + group)
    return random_uniforms(seed, (block + block_offset).to(tl.uint32), row + row_offset, STREAM, ROWS, BLOCK)


def temperature(tau: Tensor | float, like: Tensor) -> dict[str, Any]:
    """The temperature as kernels take it: one number, or one for each row of ``like``."""
    if not isinstance(tau, Tensor):
        tau = torch.full((), tau, dtype=torch.float32, device=like.device)
    one = tau.numel() == 1
    return {"tau": tau if one else tau.expand(*like.shape[:-1], 1).contiguous(), "tau_stride": int(not one)}


def on_device(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Triton launches on the current device, wherever the tensors are. Its interpreter takes those of the CPU."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


@dataclass(frozen=True)
class Tiling:
    """How ``groups * rows`` rows of ``classes`` classes are covered by tiles.

    Args:
        groups: groups of rows.
        rows: rows in a group.
        classes: classes in a row.
        class_offset: number of the first class.
        widest: the most columns of a tile, a power of two; a longer row has several parts.
        device: where the rows are.
    """

    groups: int
    rows: int
    classes: int
    class_offset: int
    widest: int
    device: torch.device

    @classmethod
    def of(cls, tensor: Tensor, seed: Tensor | None, class_offset: int, widest: int) -> Tiling:
        """The tiling of a tensor of shape ``(*batch, classes)``, in groups if there are several seeds."""
        groups = 1 if seed is None else seed.numel()
        classes = tensor.shape[-1] if tensor.dim() else 1
        rows = tensor.numel() // max(1, groups * classes)
        return cls(groups, rows, classes, class_offset, widest, tensor.device)

    @property
    def skip(self) -> int:
        """Columns that are left free in front."""
        return self.class_offset % WORDS

    @property
    def block(self) -> int:
        """Columns of a tile."""
        return min(self.widest, max(WORDS, triton.next_power_of_2(self.skip + self.classes)))

    @property
    def tile_rows(self) -> int:
        """Rows of a tile; kernels that put a row together from parts count on one."""
        if self.parts > 1:
            return 1
        return min(max(1, ELEMENTS // self.block), triton.next_power_of_2(self.rows))

    @property
    def parts(self) -> int:
        """Parts of a row."""
        return triton.cdiv(self.skip + self.classes, self.block)

    def draw(self, seed: Tensor | None, row_offset: int) -> dict[str, Any]:
        """What kernels need to draw the words of their tile; without a seed they draw none."""
        # The groups of a mapped call may share one seed, which is then expanded.
        seeds = None if seed is None else seed.reshape(-1).contiguous()
        return {"seeds": seeds, "row_offset": row_offset, "block_offset": self.class_offset // WORDS}

    def run(self, function: Any, **arguments: Any) -> None:
        """Run a kernel on all tiles; the arguments that describe the tiles are added."""
        align = math.gcd(self.classes, WIDEST)
        warps = self.tile_rows * self.block // (ELEMENTS_OF_THREAD * THREADS)
        programs = self.groups * triton.cdiv(self.rows, self.tile_rows) * self.parts
        with on_device(self.device):
            function[(programs,)](
                **arguments,
                rows=self.rows,
                units=self.classes // align,
                ALIGN=align,
                SKIP=self.skip,
                ROWS=self.tile_rows,
                BLOCK=self.block,
                GROUPED=self.groups > 1,
                num_warps=min(max(warps, 1), MOST_WARPS),
            )
