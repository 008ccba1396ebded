"""The arithmetic of one lane: random words, logarithms and the exponential, in float32.

Straight-line code without branches and without calls, which the compiler turns into vector instructions wherever a loop
applies it to neighboring elements. Logarithm and exponential are within 1.5 units in the last place of the exact
value, the sigmoid within 3, and so is noise, in units of the larger of itself and one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, types, uint32
from numba.extending import intrinsic

from drawgrad.kernels import philox
from drawgrad.kernels.cpu.jit import device_function

__all__ = ["bits_of", "exp", "float_of", "gumbel", "inverse", "log", "logistic", "sigmoid", "words"]

f32 = np.float32
WORD = np.uint64(philox.WORD)
SHIFT = np.uint64(32)
MULTIPLIER_0, MULTIPLIER_1 = (np.uint64(m) for m in philox.MULTIPLIERS)
STEP_0, STEP_1 = (np.uint64(step) for step in philox.KEY_STEPS)
ROUNDS = philox.ROUNDS

SQRT_HALF = int32(0x3F3504F3)
MANTISSA = int32(23)
LN2 = f32(0.6931471805599453)
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
LOG2_E = f32(1.4426950408889634)
ROUND_TO_INT = f32(12582912.0)
SMALLEST = f32(-87.3)
LARGEST = f32(3.4028235e38)
CELL, HALF_CELL = f32(2.0**-32), f32(2.0**-33)


def _reinterpret(source: Any, target: Any, llvm_type: Any) -> Any:
    @intrinsic
    def reinterpret(_typing_context: Any, _value: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], llvm_type)

        return target(source), generate

    return reinterpret


bits_of = _reinterpret(types.float32, types.int32, ir.IntType(32))
float_of = _reinterpret(types.int32, types.float32, ir.FloatType())


@device_function()
def words(c0, c1, c2, c3, k0, k1):
    """Philox-4x32-10 on 64-bit lanes, whose upper halves are ignored: no shuffle between the rounds."""
    for _ in range(ROUNDS):
        p0 = MULTIPLIER_0 * (c0 & WORD)
        p1 = MULTIPLIER_1 * (c2 & WORD)
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1, (p0 >> SHIFT) ^ c3 ^ k1, p0
        k0 = (k0 + STEP_0) & WORD
        k1 = (k1 + STEP_1) & WORD
    return uint32(c0), uint32(c1), uint32(c2), uint32(c3)


@device_function()
def _log1p(f):
    """log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)], with full relative precision near zero."""
    # Minimax for the relative error, 3e-8, of f + f^2 Q(f).
    y = f32(8.7349364850e-2)
    y = y * f + f32(-1.4307651671e-1)
    y = y * f + f32(1.4917998682e-1)
    y = y * f + f32(-1.6570493352e-1)
    y = y * f + f32(1.9962068625e-1)
    y = y * f + f32(-2.5001755712e-1)
    y = y * f + f32(3.3333950308e-1)
    y = y * f + f32(-4.9999991603e-1)
    return y * (f * f) + f


@device_function()
def log(x):
    """Natural logarithm of a positive normal number."""
    bits = bits_of(x)
    exponent = int32(int32(bits - SQRT_HALF) >> MANTISSA)
    f = float_of(int32(bits - int32(exponent << MANTISSA))) - f32(1)
    return f32(exponent) * LN2 + _log1p(f)


@device_function()
def _minus_log_complement(word):
    """-log(1 - v) for v = (word + 1/2) / 2^32.

    1 - v is converted from the complement of the word, so it is precise where it is small; where v is small, 1 - v
    would round it away, and v itself takes its place.
    """
    complement = f32(uint32(~word)) + f32(0.5)
    bits = bits_of(complement)
    exponent = int32(int32(bits - SQRT_HALF) >> MANTISSA)
    f = float_of(int32(bits - int32(exponent << MANTISSA))) - f32(1)
    small = -(f32(word) * CELL + HALF_CELL)
    f = small if exponent == int32(32) else f
    return f32(int32(int32(32) - exponent)) * LN2 - _log1p(f)


@device_function()
def gumbel(word):
    """Standard Gumbel noise of a random word."""
    return -log(_minus_log_complement(word))


@device_function()
def logistic(word):
    """Standard logistic noise of a random word."""
    return log(f32(word) * CELL + HALF_CELL) + _minus_log_complement(word)


@device_function()
def exp(x):
    """Exponential of a number that is not large; zero below the normal numbers, NaN of NaN."""
    clamped = SMALLEST if x < SMALLEST else x
    shifted = clamped * LOG2_E + ROUND_TO_INT
    n = shifted - ROUND_TO_INT
    r = n * -LN2_HIGH + clamped
    r = n * -LN2_LOW + r
    y = f32(1.9875691500e-4)
    y = y * r + f32(1.3981999507e-3)
    y = y * r + f32(8.3334519073e-3)
    y = y * r + f32(4.1665795894e-2)
    y = y * r + f32(1.6666665459e-1)
    y = y * r + f32(5.0000001201e-1)
    y = y * (r * r) + r + f32(1)
    y = y * float_of(int32((bits_of(shifted) + int32(127)) << MANTISSA))
    return f32(0) if x < SMALLEST else y


@device_function()
def sigmoid(x):
    """1 / (1 + exp(-x)), from the side on which the exponential is at most one."""
    e = exp(-x if x >= f32(0) else x)
    y = f32(1) / (f32(1) + e)
    return y if x >= f32(0) else e * y


@device_function()
def inverse(tau):
    """1 / tau, kept finite: a score that is zero stays so at any positive temperature."""
    value = f32(1) / tau
    return LARGEST if tau > f32(0) and value > LARGEST else value
