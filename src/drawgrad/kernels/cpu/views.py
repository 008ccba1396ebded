"""Arrays at addresses: a kernel is called with numbers alone, because views of tensors take longer than a small draw.

Tables have one row for each vector of classes, in float32 and without gaps. What belongs to a row, its temperature or
the seed of its group, is a number where it is the same for all, and an address of one for each elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from drawgrad.kernels.cpu.jit import device_function

__all__ = ["halves", "indices", "room", "seed_of", "table", "temperature"]

ALIGNMENT = 64
"""Bytes of the longest vectors."""


def _array_of(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """An array without gaps that nobody counts references to."""
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [context.get_constant(types.intp, size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, size)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


def _at_address(element: Any, dimensions: int) -> Any:
    kind = types.Array(element, dimensions, "C")

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        data = builder.inttoptr(args[0], context.get_data_type(element).as_pointer())
        return _array_of(context, builder, kind, data, list(args[1:]))

    if dimensions == 2:

        @intrinsic
        def array(_typing_context: Any, _address: Any, _rows: Any, _columns: Any) -> Any:
            return kind(types.intp, types.intp, types.intp), generate

    else:

        @intrinsic
        def array(_typing_context: Any, _address: Any, _count: Any) -> Any:
            return kind(types.intp, types.intp), generate

    return array


def room(element: Any, count: int) -> Any:
    """A function without arguments that makes an array of ``count`` numbers, for a kernel and what it calls.

    The array lies on the stack and ends with the function that asks for it, so that is the kernel itself. A way to
    make arrays of any size would be compiled anew with every kernel.
    """
    kind = types.Array(element, 1, "C")

    @intrinsic
    def array(_typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
            size = ir.Constant(ir.IntType(64), count)
            data = cgutils.alloca_once(builder, context.get_data_type(element), size=size)
            data.align = ALIGNMENT
            return _array_of(context, builder, kind, data, [context.get_constant(types.intp, count)])

        return kind(), generate

    return array


table = _at_address(types.float32, 2)
"""The table of float32 at an address."""
indices = _at_address(types.int64, 1)
"""The integers at an address."""


def _halves(_typing_context: Any, pairs: Any) -> Any:
    kind = types.Array(types.uint32, 1, "C")

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        array = make_array(pairs)(context, builder, args[0])
        data = builder.bitcast(array.data, context.get_data_type(types.uint32).as_pointer())
        count = builder.mul(builder.extract_value(array.shape, 0), context.get_constant(types.intp, 2))
        return _array_of(context, builder, kind, data, [count])

    return kind(pairs), generate


halves: Any = intrinsic(_halves)
"""The words of 32 bits in an array of pairs of them, the lower one first."""


def _element_at(element: Any) -> Any:
    @intrinsic
    def read(_typing_context: Any, _address: Any, _at: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            data = builder.inttoptr(args[0], context.get_data_type(element).as_pointer())
            return builder.load(builder.gep(data, [args[1]]))

        return element(types.intp, types.intp), generate

    return read


_float_at, _integer_at = _element_at(types.float32), _element_at(types.int64)


@device_function()
def temperature(tau, taus, row):
    """The temperature of a row: that of all rows where there is no address."""
    return _float_at(taus, row) if taus else np.float32(tau)


@device_function()
def seed_of(seed, seeds, group):
    """The seed of a group: that of all where there is no address."""
    return _integer_at(seeds, group) if seeds else np.int64(seed)
