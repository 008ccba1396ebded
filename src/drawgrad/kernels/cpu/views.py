"""Arrays at addresses: a kernel is called with numbers alone, because views of tensors take longer than a small draw.

Tables have one row for each vector of classes, in float32 and without gaps. What belongs to a row, its temperature or
the seed of its group, is a number where it is the same for all, and an address of one for each elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from drawgrad.kernels.cpu.jit import device_function

__all__ = ["indices", "seeds_of", "table", "temperatures"]


def _pointer(element: Any) -> Any:
    @intrinsic
    def pointer(_typing_context: Any, _address: Any) -> Any:
        result = types.CPointer(element)

        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(result))

        return result(types.intp), generate

    return pointer


_floats, _integers = _pointer(types.float32), _pointer(types.int64)


@device_function()
def table(address, rows, classes):
    """A table of float32."""
    return carray(_floats(address), (rows, classes))


@device_function()
def indices(address, rows):
    """An integer for each row."""
    return carray(_integers(address), (rows,))


@device_function()
def temperatures(tau, address, rows):
    """The temperature of each row, or the one of all rows where there is no address."""
    if address:
        return carray(_floats(address), (rows,))
    one = np.empty(1, np.float32)
    one[0] = tau
    return one


@device_function()
def seeds_of(seed, address, groups):
    """The seed of each group, or the one of all."""
    if address:
        return carray(_integers(address), (groups,))
    one = np.empty(1, np.int64)
    one[0] = seed
    return one
