"""Shape annotations: jaxtyping's where it is loaded (type checkers, the test run), plain tensors elsewhere.

Importing drawgrad loads torch only. The annotations of this package are strings that nobody evaluates at run time,
except the run-time checker of the test suite, which imports jaxtyping first.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Num", "Tensor", "UInt8"]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, Num, UInt8
else:

    class _Unchecked:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Int = Num = UInt8 = _Unchecked
