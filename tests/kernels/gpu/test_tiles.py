"""How rows and classes are covered by tiles, and where their elements are in memory."""

from __future__ import annotations

from contextlib import nullcontext
from unittest import mock

import pytest
import torch
import triton.language as tl

from drawgrad.kernels import gpu, reference
from drawgrad.kernels.gpu import categorical, rows
from drawgrad.kernels.gpu.tiles import NARROW, Tiling, columns, kernel
from tests.kernels.gpu.machine import DEVICE, EPS, INTERPRETED, marks, random_logits, seeds

pytestmark = marks
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("count", "classes", "tile", "programs"),
    [(65536, 16, (64, 16), 1024), (5, 7, (8, 8), 1), (100, 1, (128, 4), 1), (8192, 1024, (1, 1024), 8192)],
)
def test_short_rows_share_a_program(count: int, classes: int, tile: tuple[int, int], programs: int) -> None:
    tiling = Tiling(groups=1, rows=count, classes=classes, class_offset=0, widest=NARROW, device=CPU)
    assert (tiling.tile_rows, tiling.block) == tile
    assert -(-count // tiling.tile_rows) * tiling.parts == programs


@pytest.mark.parametrize("classes", [1, 4, 1023, 1025, (1 << 24) + 1, (1 << 31) + 5])
@pytest.mark.parametrize("class_offset", [0, 3])
def test_parts_cover_a_row_once(classes: int, class_offset: int) -> None:
    tiling = Tiling(groups=1, rows=2, classes=classes, class_offset=class_offset, widest=NARROW, device=CPU)
    covered = tiling.parts * tiling.block - tiling.skip
    assert covered - tiling.block < classes <= covered
    assert (class_offset - tiling.skip) % 4 == 0


@kernel
def _places(
    out,
    group,
    first_row,
    part,
    rows,
    units,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    _, _, at, _ = columns(
        group, tl.cast(first_row, tl.int64) + tl.zeros([1, 1], tl.int64), part, rows, units, ALIGN, SKIP, BLOCK
    )
    tl.store(out + tl.arange(0, BLOCK)[None, :], at)


@pytest.mark.parametrize(
    ("group", "row", "part", "count", "classes"),
    [(0, 5, 2, 10, 100), (1, 2**20, 30, 2**21, 2**15), (3, 2**31 + 1, 2**18, 2**32, 2**24 + 16)],
)
def test_places_in_memory_have_64_bits(group: int, row: int, part: int, count: int, classes: int) -> None:
    out = torch.zeros(16, dtype=torch.int64, device=DEVICE)
    _places[(1,)](out, group, row, part, count, classes // 4, ALIGN=4, SKIP=2, BLOCK=16)
    first = (group * count + row) * classes + part * 16 - 2
    assert out.tolist() == list(range(first, first + 16))


def test_a_row_of_more_parts_than_are_combined_at_a_time() -> None:
    """Such a row has more than 2**23 classes; here its parts are small, or few are combined at a time."""
    if INTERPRETED:
        part, changed = 64, mock.patch.object(rows, "CHUNK", tl.constexpr(2))
    else:
        part, changed = 4, nullcontext()
    classes = part * 5 + 1 if INTERPRETED else part * rows.CHUNK.value + 1
    logits, grad, tau, seed = random_logits(1, 1, classes), torch.ones(1, 1, classes), torch.tensor(0.7), seeds(1)
    grad[..., classes // 2 :] = -1.0
    with mock.patch.multiple(categorical, WHOLE=part, PART=part), changed:
        device = [tensor.to(DEVICE) for tensor in (logits, tau, seed)]
        sample = gpu.gumbel_softmax(*device, 0, 0, False).cpu()
        gradient = gpu.gumbel_softmax_vjp(grad.to(DEVICE), *device, 0, 0).cpu()
        winner = gpu.gumbel_max(device[0], device[2], 0, 0).cpu()
    # Scores of about 40 are off by 3 units at most, and two of them meet in an entry.
    precision = 2 * 3 * 40 * EPS / 0.7
    torch.testing.assert_close(sample, reference.gumbel_softmax(logits, tau, seed, 0, 0, False), rtol=precision, atol=0)
    expected = reference.gumbel_softmax_vjp(grad, logits, tau, seed, 0, 0)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=4 * precision / 0.7)
    assert torch.equal(winner, reference.gumbel_max(logits, seed, 0, 0))
