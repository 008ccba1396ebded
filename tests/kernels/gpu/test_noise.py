"""Random words and noise of the kernels, against the reference twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton.language as tl
from torch import Tensor

from drawgrad.kernels import gpu, reference
from drawgrad.kernels.gpu.draw import gumbel, logistic, random_words, uniform, uniform_of_two
from drawgrad.kernels.gpu.tiles import NARROW, Tiling, columns, kernel, locate
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, SECOND, WORD, WORDS, random_bits
from tests.kernels.gpu.machine import DEVICE, marks, narrowed, noise_ulps, seeds
from tests.kernels.oracles import (
    EXTREME,
    EXTREME_PLACES,
    assert_close_in_ulp,
    gumbel_of,
    logistic_of,
    precise_noise,
    word_at,
)

pytestmark = marks
ORACLES = {"gumbel": gumbel_of, "logistic": logistic_of}
SIZE = 4096
AT_ONCE: tl.constexpr = tl.constexpr(WORDS)

PLACES = [
    (1, 1, 1, 0, 0),
    (1, 3, 2, 0, 0),
    (2, 5, 5, 0, 3),
    (3, 2, 33, 2**32 - 1, 2),
    (1, 2, 1100, 2**40 + 7, 1021),
    (1, 1, 4, 5, 2**33 + 8),
]
"""Groups, rows, classes, number of the first row, number of the first class."""


@kernel
def _words(
    out,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    STREAM: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, True)
    _, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    block = tl.cast(part, tl.int64) * (BLOCK // AT_ONCE) + tl.arange(0, BLOCK // AT_ONCE)[None, :] + block_offset
    word = random_words(tl.load(seeds + group), block.to(tl.uint32), row + row_offset, STREAM, ROWS, BLOCK)
    tl.store(out + at, word.to(tl.int64), mask=exists)


@kernel
def _transform(words, seconds, out, LOGISTIC: tl.constexpr, TWO: tl.constexpr, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    word = tl.load(words + at).to(tl.uint32)
    if TWO:
        v = uniform_of_two(word, tl.load(seconds + at).to(tl.uint32))
    else:
        v = uniform(word)
    if LOGISTIC:
        value = logistic(v)
    else:
        value = gumbel(v)
    tl.store(out + at, value)


@pytest.mark.parametrize("stream", [GUMBEL_STREAM, LOGISTIC_STREAM])
@pytest.mark.parametrize(("groups", "rows", "classes", "row_offset", "class_offset"), PLACES)
def test_words_are_those_of_the_specification(
    groups: int, rows: int, classes: int, row_offset: int, class_offset: int, stream: int
) -> None:
    seed = seeds(groups)
    out = torch.full((groups, rows, classes), -1, device=DEVICE)
    tiling = Tiling.of(out, seed, class_offset, NARROW)
    tiling.run(_words, out=out, STREAM=stream, **tiling.draw(seed.to(DEVICE), row_offset))
    assert torch.equal(out.cpu(), random_bits(seed, rows, classes, row_offset, class_offset, stream))


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
@pytest.mark.parametrize(("groups", "rows", "classes", "row_offset", "class_offset"), PLACES)
def test_noise_is_that_of_the_reference(
    groups: int, rows: int, classes: int, row_offset: int, class_offset: int, family: str
) -> None:
    seed = seeds(groups)
    noise = gpu.noise(seed.to(DEVICE), (rows, classes), row_offset, class_offset, family, torch.float32).cpu()
    assert (
        noise_ulps(noise, reference.noise(seed, (rows, classes), row_offset, class_offset, family, torch.float32)) <= 2
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_noise_is_rounded_from_float32(dtype: torch.dtype) -> None:
    seed = seeds(1).to(DEVICE)
    wide = gpu.noise(seed, (3, 50), 0, 0, "gumbel", torch.float32)
    assert torch.equal(gpu.noise(seed, (3, 50), 0, 0, "gumbel", dtype), narrowed(wide, dtype))


@pytest.mark.parametrize(("groups", "rows", "classes"), [(1, 0, 5), (1, 3, 0), (0, 3, 5)])
def test_no_noise_is_empty(groups: int, rows: int, classes: int) -> None:
    assert gpu.noise(seeds(groups).to(DEVICE), (rows, classes), 0, 0, "gumbel", torch.float32).shape == (
        groups,
        rows,
        classes,
    )


def _hard_words() -> Tensor:
    """Both ends, the middle, where the noise is zero, where its logarithms change branches, and words at random."""
    size = 1 << 12
    around = [0, WORD, 1 << 31, round(WORD * 0.6321205588), round(WORD * 0.2928932188), round(WORD * 0.5069138629)]
    powers = [1 << bit for bit in range(32)]
    words = torch.cat([torch.arange(center - size, center + size) for center in around])
    words = torch.cat([words, *(torch.tensor([power - 1, power, power + 1]) for power in powers)]).clamp(0, WORD)
    words = torch.cat([words, WORD - words, torch.randint(WORD + 1, (1 << 18,))])
    return words[: len(words) // SIZE * SIZE]


def _transformed(words: Tensor, seconds: Tensor, family: str, two: bool) -> Tensor:
    out = torch.empty(words.shape, device=DEVICE)
    _transform[(len(words) // SIZE,)](
        words.to(DEVICE), seconds.to(DEVICE), out, LOGISTIC=family == "logistic", TWO=two, SIZE=SIZE
    )
    return out.cpu()


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
def test_the_transform_is_precise_over_all_words(family: str) -> None:
    words = _hard_words()
    noise = _transformed(words, words, family, False)
    assert noise.max() > 22
    assert_close_in_ulp(noise, ORACLES[family](words.numpy().astype(np.uint64)), 3)


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
def test_the_transform_is_precise_over_pairs_of_words(family: str) -> None:
    seconds = _hard_words()
    words = torch.arange(len(seconds)) % EXTREME
    words = torch.where(torch.arange(len(seconds)) % 3 == 0, WORD - words, words)
    noise = _transformed(words, seconds, family, True)
    assert noise.abs().max() > 40
    assert_close_in_ulp(noise, ORACLES[family](*(w.numpy().astype(np.uint64) for w in (words, seconds))), 3)


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
def test_extreme_words_are_resolved_by_second_ones(family: str) -> None:
    stream = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}[family]
    for seed, row, class_, word in EXTREME_PLACES[family]:
        exact = precise_noise(family, word, word_at(seed, row, class_, stream + SECOND))
        place = (row - 1, class_ - 2)
        noise = gpu.noise(torch.tensor([1, seed], device=DEVICE), (3, 7), *place, family, torch.float32)
        assert_close_in_ulp(noise[1, 1, 2][None].cpu(), np.array([exact]), 3)
