"""Random words and noise inside a kernel, as :mod:`drawgrad.kernels.philox` and the reference twin define them.

The noise is made of integer operations and of float additions, multiplications and fused multiply-adds, all of which
round alike on every device. The approximate logarithm of the hardware is not used: its error near one is larger than
the two units in the last place that the noise may be off.
"""

from __future__ import annotations

import triton
import triton.language as tl

from drawgrad.kernels import philox

__all__ = ["gumbel", "logistic", "random_uniforms", "random_words", "uniform", "uniform_of_two"]

GUMBEL_STREAM: tl.constexpr = tl.constexpr(philox.GUMBEL_STREAM)
LOGISTIC_STREAM: tl.constexpr = tl.constexpr(philox.LOGISTIC_STREAM)
WORD: tl.constexpr = tl.constexpr(philox.WORD)
ROUNDS: tl.constexpr = tl.constexpr(philox.ROUNDS)
EXTREME: tl.constexpr = tl.constexpr(philox.EXTREME)
SECOND: tl.constexpr = tl.constexpr(philox.SECOND)
MULTIPLIER_0: tl.constexpr = tl.constexpr(philox.MULTIPLIERS[0])
MULTIPLIER_1: tl.constexpr = tl.constexpr(philox.MULTIPLIERS[1])
STEP_0: tl.constexpr = tl.constexpr(philox.KEY_STEPS[0])
STEP_1: tl.constexpr = tl.constexpr(philox.KEY_STEPS[1])

CELL: tl.constexpr = tl.constexpr(2.0**-32)
HALF_CELL: tl.constexpr = tl.constexpr(2.0**-33)
SQRT_HALF: tl.constexpr = tl.constexpr(0x3F3504F3)
"""Bits of the float below which a mantissa is doubled."""
EXPONENT: tl.constexpr = tl.constexpr(-(1 << 23))
"""Mask of the bits that hold sign and exponent."""
LN2_OF_EXPONENT: tl.constexpr = tl.constexpr(0.6931471805599453 * 2.0**-23)
"""Logarithm of two for an exponent that is left in its place among the bits."""


@triton.jit
def random_words(seed, block, row, STREAM: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """The words of a tile of rows and classes, uint32, shape [ROWS, BLOCK].

    ``seed`` is a scalar, ``block`` the numbers of the evaluations, uint32 [1, BLOCK // 4], ``row`` the numbers of the
    rows, int64 [ROWS, 1]. What depends on rows only is computed once a row, by the shapes alone.
    """
    k0 = seed.to(tl.uint64).to(tl.uint32)
    k1 = (seed.to(tl.uint64) >> 32).to(tl.uint32)
    c0 = tl.full([1, 1], STREAM, tl.uint32)
    c1 = block
    c2 = (row >> 32).to(tl.uint32)
    c3 = row.to(tl.uint32)
    for _ in tl.static_range(ROUNDS):
        p0 = c0.to(tl.uint64) * MULTIPLIER_0
        p1 = c2.to(tl.uint64) * MULTIPLIER_1
        c0 = (p1 >> 32).to(tl.uint32) ^ c1 ^ k0
        c2 = (p0 >> 32).to(tl.uint32) ^ c3 ^ k1
        c1 = p1.to(tl.uint32)
        c3 = p0.to(tl.uint32)
        k0 = tl.add(k0, STEP_0, sanitize_overflow=False)
        k1 = tl.add(k1, STEP_1, sanitize_overflow=False)
    return tl.reshape(tl.join(tl.join(c0, c2), tl.join(c1, c3)), [ROWS, BLOCK])


@triton.jit
def uniform(word):
    """The uniform number v = (word + 1/2) / 2^32, modulo one: v where v < 1/2, and v - 1 elsewhere.

    So both ends of the unit interval are as precise as they are small.
    """
    return word.to(tl.int32, bitcast=True).to(tl.float32) * CELL + HALF_CELL


@triton.jit
def uniform_of_two(word, second):
    """:func:`uniform` of an extreme word, whose cell a second word divides."""
    cells = tl.minimum(word, word ^ WORD)
    v = (cells.to(tl.float32) + (second.to(tl.float32) * CELL + HALF_CELL)) * CELL
    return tl.where(cells == word, v, -v)


@triton.jit
def random_uniforms(seed, block, row, STREAM: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """:func:`uniform` of the words of a tile, float32 [ROWS, BLOCK]; second words are drawn where there is need."""
    word = random_words(seed, block, row, STREAM, ROWS, BLOCK)
    v = uniform(word)
    extreme = tl.minimum(word, word ^ WORD) < EXTREME
    if tl.max(extreme.to(tl.int32)) > 0:
        second = random_words(seed, block, row, STREAM + SECOND, ROWS, BLOCK)
        v = tl.where(extreme, uniform_of_two(word, second), v)
    return v


@triton.jit
def _log1p(f):
    """log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)].

    A least-maximum fit of the relative error, which is 5e-9 with these coefficients.
    """
    y = f * -0.07621777802705765 + 0.1290443241596222
    y = y * f - 0.13242988288402557
    y = y * f + 0.14181825518608093
    y = y * f - 0.16609083116054535
    y = y * f + 0.2000197321176529
    y = y * f - 0.25001582503318787
    y = y * f + 0.33333325386047363
    y = y * f - 0.49999988079071045
    return y * (f * f) + f


@triton.jit
def _split(x):
    """Exponent e, among its bits, and f of x = 2**e (1 + f), with 1 + f in [sqrt(1/2), sqrt(2)]; x is normal."""
    bits = x.to(tl.int32, bitcast=True)
    exponent = (bits - SQRT_HALF) & EXPONENT
    return exponent, (bits - exponent).to(tl.float32, bitcast=True) - 1.0


@triton.jit
def _log(x):
    exponent, f = _split(x)
    return exponent.to(tl.float32) * LN2_OF_EXPONENT + _log1p(f)


@triton.jit
def _log_of_end(x, p):
    """log(x) for x = p or x = 1 - p, where p in (0, 1/2) has not been rounded by the difference."""
    exponent, f = _split(x)
    # Only 1 - p can have the exponent zero.
    f = tl.where(exponent == 0, -p, f)
    return exponent.to(tl.float32) * LN2_OF_EXPONENT + _log1p(f)


@triton.jit
def gumbel(v):
    """Standard Gumbel noise, -log(-log(1 - v)), of uniform numbers."""
    p = tl.abs(v)
    return -_log(-_log_of_end(tl.where(v < 0.0, p, 1.0 - p), p))


@triton.jit
def logistic(v):
    """Standard logistic noise, log(v) - log(1 - v), of uniform numbers."""
    p = tl.abs(v)
    lower = _log(p) - _log_of_end(1.0 - p, p)
    return tl.where(v < 0.0, -lower, lower)
