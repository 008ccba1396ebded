"""Experts side by side: each is applied to its own rows of a tensor that is sorted by expert."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from drawgrad._checks import as_modules, check_callable, check_count
from drawgrad._typing import Float, Int, Tensor

__all__ = ["ExpertList", "FeedForwardExperts", "grouped_product"]

PRODUCT_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
COMPILED_DTYPES = (torch.bfloat16,)
"""Those of which torch knows the shape of the result before there is one."""
ALIGNMENT = 16
"""Bytes of which ``torch._grouped_mm`` wants a multiple in each row."""


def grouped_product(
    rows: Float[Tensor, "n width"], weight: Float[Tensor, "groups width out"], ends: Int[Tensor, " groups"]
) -> Float[Tensor, "n out"]:
    """Multiply groups of rows with a matrix each.

    It is ``torch._grouped_mm`` where that takes dtype and sizes, and one product after the other elsewhere. Compiled
    code may not wait for the sizes of the groups: there every row is multiplied with every matrix, unless the dtype is
    bfloat16, of which torch's compiler knows the grouped product.

    Args:
        rows: sorted by group.
        weight: the matrix of each group.
        ends: where each group ends, int32. Rows after the last end belong to no group, and what becomes of them is
            without meaning.

    Returns:
        The products, of the dtype of the rows, or of ``torch.autocast``.

    Example:
        >>> rows, weight = torch.ones(3, 2), torch.tensor([[[1.0], [1.0]], [[2.0], [2.0]]])
        >>> grouped_product(rows, weight, torch.tensor([1, 3], dtype=torch.int32))
        tensor([[2.],
                [4.],
                [4.]])
    """
    kind = rows.device.type
    if torch.is_autocast_enabled(kind) and rows.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        rows, weight = rows.to(dtype), weight.to(dtype)
    itemsize = rows.element_size()
    aligned = all(size * itemsize % ALIGNMENT == 0 for size in weight.shape[1:])
    dtypes = COMPILED_DTYPES if torch.compiler.is_compiling() else PRODUCT_DTYPES
    if rows.dtype in dtypes and aligned:
        return torch._grouped_mm(rows, weight, offs=ends)
    # Unbound, for the gradient of an index would be a tensor of the size of all weights for each of them.
    products = [partial(_product, matrix) for matrix in weight.unbind(0)]
    return _of_groups(rows, ends, products, weight.shape[-1])


def _product(matrix: Tensor, rows: Tensor) -> Tensor:
    return rows @ matrix


class FeedForwardExperts(nn.Module):
    r"""Networks of two layers, :math:`W_2\, a(W_1 x)`, one for each expert, whose weights lie in two tensors.

    Args:
        experts: how many there are.
        width: features of a row.
        hidden: features in between.
        activation: a function of a tensor.
        device: where the weights live.
        dtype: their floating dtype.

    Raises:
        ValueError: if a size is not positive.
        TypeError: if a size is no integer, or ``activation`` no function.

    Example:
        >>> experts = FeedForwardExperts(4, 8, 16)
        >>> experts(torch.ones(6, 8), torch.tensor([1, 1, 4, 6], dtype=torch.int32)).shape
        torch.Size([6, 8])
    """

    def __init__(
        self,
        experts: int,
        width: int,
        hidden: int,
        activation: Callable[[Tensor], Tensor] = nn.functional.gelu,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("experts", experts), ("width", width), ("hidden", hidden)):
            check_count(size, name, minimum=1)
        check_callable(activation, "activation")
        self.experts, self.width, self.hidden = experts, width, hidden
        self.activation = activation
        self.up = nn.Parameter(torch.empty(experts, width, hidden, device=device, dtype=dtype))
        self.down = nn.Parameter(torch.empty(experts, hidden, width, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform weights as those of :class:`torch.nn.Linear`."""
        for weight in (self.up, self.down):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, rows: Float[Tensor, "n width"], ends: Int[Tensor, " experts"]) -> Float[Tensor, "n width"]:
        """Apply each expert to its rows.

        Args:
            rows: sorted by expert.
            ends: where the rows of each expert end, int32.

        Returns:
            The outputs; without meaning for rows after the last end.
        """
        return grouped_product(self.activation(grouped_product(rows, self.up, ends)), self.down, ends)

    def of_all(self, rows: Float[Tensor, "n width"]) -> Float[Tensor, "experts n width"]:
        """What every expert makes of every row."""
        return self.activation(rows @ self.up) @ self.down

    def __len__(self) -> int:
        return self.experts

    def extra_repr(self) -> str:
        """The sizes."""
        name = getattr(self.activation, "__name__", type(self.activation).__name__)
        return f"{self.experts}, width={self.width}, hidden={self.hidden}, activation={name}"


class ExpertList(nn.ModuleList):
    """Any modules as experts, which map rows ``(n, width)`` to rows ``(n, out)``: one call after the other.

    In compiled and exported code, where the number of an expert's rows is not known, each is applied to all rows.

    Args:
        experts: the modules, of one output width.

    Raises:
        ValueError: if there is none.
        TypeError: if they are no modules.

    Example:
        >>> experts = ExpertList(nn.Linear(8, 8) for _ in range(3))
        >>> experts(torch.ones(5, 8), torch.tensor([2, 2, 5], dtype=torch.int32)).shape
        torch.Size([5, 8])
    """

    def __init__(self, experts: Iterable[nn.Module]) -> None:
        super().__init__(as_modules(experts, "experts"))
        if not len(self):
            raise ValueError("experts must hold at least one module, but it is empty; give one for each expert")

    def forward(self, rows: Float[Tensor, "n width"], ends: Int[Tensor, " experts"]) -> Float[Tensor, "n out"]:
        """Apply each expert to its rows; arguments and result as in :class:`FeedForwardExperts`."""
        return _of_groups(rows, ends, list(self), None)

    def of_all(self, rows: Float[Tensor, "n width"]) -> Float[Tensor, "experts n out"]:
        """What every expert makes of every row."""
        return torch.stack([expert(rows) for expert in self])

    def extra_repr(self) -> str:
        """How many there are."""
        return f"{len(self)} experts"

    def reset_parameters(self) -> None:
        """Nothing of its own: the experts have theirs."""


def _of_groups(
    rows: Tensor, ends: Tensor, functions: Sequence[Callable[[Tensor], Tensor]], width: int | None
) -> Tensor:
    """The function of each group, of its rows; rows after the last end get zeros."""
    if torch.compiler.is_compiling():
        place = torch.arange(len(rows), device=rows.device)[:, None]
        group = (place >= ends).sum(-1, keepdim=True)
        found = [torch.where(group == number, function(rows), 0.0) for number, function in enumerate(functions)]
        return torch.stack(found).sum(0)
    bounds = [0, *ends.tolist()]
    parts = [
        function(rows[start:end])
        for function, (start, end) in zip(functions, pairwise(bounds), strict=True)
        if end > start
    ]
    if not parts:  # One call that sees no row tells the width of the output.
        parts = [functions[0](rows[:0])] if width is None else [rows.new_zeros(0, width)]
    rest = len(rows) - bounds[-1]
    return torch.cat([*parts, parts[0].new_zeros(rest, parts[0].shape[-1])] if rest else parts)
