"""The GPU twin: Triton kernels over tiles of rows and classes.

Triton is published for Linux only. Where it is not installed, the reference twin stands in: the same draws, slower.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "gumbel_top_k",
    "linear_winner",
    "noise",
    "sigmoid_vjp",
    "softmax_vjp",
]

# One pass of noise and torch's own selection, until there is a kernel.
from drawgrad.kernels.reference import gumbel_top_k

if find_spec("triton") is not None:
    from drawgrad.kernels.gpu.binary import binary_concrete, binary_concrete_vjp, noise, sigmoid_vjp
    from drawgrad.kernels.gpu.categorical import gumbel_max, gumbel_softmax, gumbel_softmax_vjp, softmax_vjp
    from drawgrad.kernels.gpu.linear import linear_winner
else:
    warnings.warn(
        "Triton is not installed, so samples on the GPU are drawn by plain torch operations: the same numbers, but "
        "several times slower; install the package triton",
        stacklevel=2,
    )
    from drawgrad.kernels.linear import in_blocks as linear_winner
    from drawgrad.kernels.reference import (  # type: ignore[assignment]
        binary_concrete,
        binary_concrete_vjp,
        gumbel_max,
        gumbel_softmax,
        gumbel_softmax_vjp,
        noise,
        sigmoid_vjp,
        softmax_vjp,
    )
