"""The arithmetic of one lane: random words, logarithms and the exponential, in float32.

Straight-line code without branches and without calls, which the compiler turns into vector instructions wherever a loop
applies it to neighboring elements. The exponential is within 1.5 units in the last place of the exact value, the
sigmoid within 3, and noise within 2, in units of the larger of itself and one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, types, uint32
from numba.extending import intrinsic

from drawgrad.kernels import philox
from drawgrad.kernels.cpu.jit import device_function

__all__ = [
    "exp",
    "exponential",
    "inverse",
    "is_extreme",
    "larger",
    "log",
    "logistic",
    "nearness",
    "sigmoid",
    "uniform",
    "uniform_of_two",
    "words",
]

f32 = np.float32
WORD = np.uint64(philox.WORD)
SHIFT = np.uint64(32)
MULTIPLIER_0, MULTIPLIER_1 = (np.uint64(m) for m in philox.MULTIPLIERS)
STEP_0, STEP_1 = (np.uint64(step) for step in philox.KEY_STEPS)
ROUNDS = philox.ROUNDS

ONE, ZERO = f32(1), f32(0)
SQRT_HALF, HALF = int32(0x3F3504F3), int32(0x3F000000)
SIGN, MANTISSA, BIAS = int32(31), int32(23), int32(127)
EXPONENT, FRACTION = int32(0x7F800000), int32(0x007FFFFF)
SIGN_AND_EXPONENT = int32(-0x00800000)
LN2_OF_EXPONENT = f32(math.log(2) * 2.0**-23)
"""Logarithm of two for an exponent that is left in its place among the bits."""
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
LOG2_E = f32(math.log2(math.e))
ROUND_TO_INT = f32(12582912.0)
SMALLEST = f32(-87.3)
LARGEST = f32(3.4028235e38)
CELL, HALF_CELL = f32(2.0**-32), f32(2.0**-33)
EXTREME, BOTH_ENDS = uint32(philox.EXTREME), uint32(2 * philox.EXTREME)


def _reinterpret(source: Any, target: Any, llvm_type: Any) -> Any:
    @intrinsic
    def reinterpret(_typing_context: Any, _value: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], llvm_type)

        return target(source), generate

    return reinterpret


bits_of = _reinterpret(types.float32, types.int32, ir.IntType(32))
float_of = _reinterpret(types.int32, types.float32, ir.FloatType())


def _maximum() -> Any:
    @intrinsic
    def larger(_typing_context: Any, _a: Any, _b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            signature = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 2)
            maximum = builder.module.declare_intrinsic("llvm.maximum", (ir.FloatType(),), signature)
            return builder.call(maximum, args, fastmath=("nsz",))

        return types.float32(types.float32, types.float32), generate

    return larger


larger = _maximum()
"""The larger of two numbers; NaN if one is. Loops of it become vectors, which those of comparisons do not."""


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
def nearness(word):
    """A number that is the smaller the nearer a word is to an end, see :func:`is_extreme`."""
    return uint32(uint32(word) + EXTREME)


@device_function()
def is_extreme(nearness):
    """Whether a word, or one of several whose smallest :func:`nearness` this is, needs a second one."""
    return nearness < BOTH_ENDS


@device_function()
def uniform(word):
    """The uniform number v = (word + 1/2) / 2^32, modulo one: v where v < 1/2, and v - 1 elsewhere.

    So both ends of the unit interval are as precise as they are small. It takes one conversion, of a signed integer.
    """
    return f32(int32(word)) * CELL + HALF_CELL


@device_function()
def uniform_of_two(word, second):
    """:func:`uniform` of an extreme word, whose cell a second word divides."""
    signed = int32(word)
    cells = int32(signed ^ int32(signed >> SIGN))
    v = (f32(cells) + (f32(uint32(second)) * CELL + HALF_CELL)) * CELL
    return v if signed >= int32(0) else -v


# Polynomials are evaluated in halves of halves. That is as exact as Horner's scheme, and its steps wait less for each
# other, which is what costs the time.


@device_function()
def _minus_log_complement(h):
    """-log(1 - h) for h in [0, 1/2]."""
    # Minimax for the relative error, 2.4e-8, of h + h^2 Q(h).
    g = h * h
    low = (h * f32(0.26377442479133606) + f32(0.24367187917232513)) * g + (
        h * f32(0.33363279700279236) + f32(0.4999952018260956)
    )
    high = (h * f32(1.4150694608688354) + f32(-1.6406254768371582)) * g + (
        h * f32(1.2095520496368408) + f32(-0.18130680918693542)
    )
    return (high * (g * g) + low) * g + h


@device_function()
def exponential(v):
    """-log(1 - v) for v of :func:`uniform`: an exponentially distributed number, precise however small it is."""
    bits = bits_of(v)
    upper = v < ZERO
    # 1 - v = 2^e m, with m in [1/2, 1).
    h = ONE - float_of(int32(int32(bits & FRACTION) | HALF)) if upper else v
    e = f32(int32(HALF - int32(bits & EXPONENT))) if upper else ZERO
    return e * LN2_OF_EXPONENT + _minus_log_complement(h)


@device_function()
def _log_in_parts(x):
    """Exponent e and log(m) of x = 2^e m, for m in [sqrt(1/2), sqrt(2)]; x is positive and normal."""
    bits = bits_of(x)
    exponent = int32(int32(bits - SQRT_HALF) & SIGN_AND_EXPONENT)
    f = float_of(int32(bits - exponent)) - ONE
    # Minimax for the absolute error, 6.5e-9, of log(1 + f) = f + f^2 Q(f) for 1 + f in [sqrt(1/2), sqrt(2)].
    g = f * f
    low = (f * f32(0.19953607022762299) + f32(-0.25002482533454895)) * g + (
        f * f32(0.3333422541618347) + f32(-0.4999998211860657)
    )
    high = (f * f32(0.0873192623257637) + f32(-0.1444094479084015)) * g + (
        f * f32(0.1497950702905655) + f32(-0.1655249446630478)
    )
    return f32(exponent), (high * (g * g) + low) * g + f


@device_function()
def log(x):
    """Natural logarithm of a positive normal number."""
    exponent, rest = _log_in_parts(x)
    return exponent * LN2_OF_EXPONENT + rest


@device_function()
def logistic(v):
    """Standard logistic noise, log(v) - log(1 - v), for v of :func:`uniform`."""
    p = -v if v < ZERO else v
    exponent, rest = _log_in_parts(p)
    x = exponent * LN2_OF_EXPONENT + (rest + _minus_log_complement(p))
    return -x if v < ZERO else x


@device_function()
def exp(x):
    """Exponential of a number that is not large; zero below the normal numbers, NaN of NaN."""
    shifted = x * LOG2_E + ROUND_TO_INT
    n = shifted - ROUND_TO_INT
    r = n * -LN2_HIGH + x
    r = n * -LN2_LOW + r
    # Minimax for the relative error, 3e-9, of 1 + r Q(r) for 2 |r| <= log(2).
    g = r * r
    low = (r * f32(0.041668254882097244) + f32(0.1666652113199234)) * g + (r * f32(0.4999999403953552) + ONE)
    high = r * f32(0.0013821374159306288) + f32(0.008368657901883125)
    y = ((high * (g * g) + low) * r + ONE) * float_of(int32((bits_of(shifted) + BIAS) << MANTISSA))
    return ZERO if x < SMALLEST else y


@device_function()
def sigmoid(x):
    """1 / (1 + exp(-x)), from the side on which the exponential is at most one."""
    e = exp(-x if x >= ZERO else x)
    y = ONE / (ONE + e)
    return y if x >= ZERO else e * y


@device_function()
def inverse(tau):
    """1 / tau, kept finite: a score that is zero stays so at any positive temperature."""
    value = ONE / tau
    return LARGEST if tau > ZERO and value > LARGEST else value
