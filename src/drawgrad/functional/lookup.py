"""A drawn row of a codebook, with the straight-through gradient: a gather in place of a one-hot matrix."""

from __future__ import annotations

from typing import Any

import torch

from drawgrad._checks import check_dim, check_floating, check_mask
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.functional._rows import Rows
from drawgrad.functional._seeds import seed_of
from drawgrad.kernels import ops
from drawgrad.kernels.autograd import CATEGORICAL
from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.state import carries_tangents, wants_torch_operations

__all__ = ["gumbel_lookup"]


def gumbel_lookup(
    logits: Float[Tensor, "*batch k"],
    codebook: Float[Tensor, "k features"],
    tau: float | Float[Tensor, "..."] = 1.0,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Float[Tensor, "*batch features"]:
    r"""Look up a row of a codebook that is drawn by the straight-through Gumbel-Softmax.

    .. math:: c_D, \qquad D = \arg\max_i (l_i + g_i), \qquad
        \frac{\partial}{\partial l} = \frac{\partial}{\partial l} \sum_i y_i c_i, \qquad
        y = \mathrm{softmax}((l + g) / \tau)

    Value and gradients are those of ``gumbel_softmax(logits, tau, hard=True) @ codebook`` with the same seed. The
    sample is never built: forward gathers the chosen rows, and backward keeps the logits, draws the noise again, and
    adds the gradient to the chosen rows of the codebook. Rare rows are drawn as exactly as rare classes there.

    Args:
        logits: unnormalized log-probabilities of the codebook's rows; -inf is a row that is never chosen.
        codebook: the rows to choose from.
        tau: temperature of the gradient, a positive number, or a tensor that broadcasts to ``(*batch, 1)`` and gets a
            gradient.
        mask: True where a row is allowed; broadcasts to the logits.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        row_offset: number of the first row of logits, when they are one part of a larger batch.

    Returns:
        Chosen rows, of the dtype of the codebook; zero where nothing is allowed, and NaN where a logit is.

    Raises:
        ValueError: if shapes do not fit, if ``tau`` is a number that is not positive and finite, or if ``generator``
            and ``seed`` are both given.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> codebook = torch.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
        >>> gumbel_lookup(torch.tensor([[-50.0, 0.0], [0.0, -50.0]]), codebook, seed=0).tolist()
        [[2.0, 3.0], [0.0, 1.0]]

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """
    check_floating(logits, "logits")
    check_floating(codebook, "codebook")
    check_dim(-1, logits, "logits")
    if codebook.dim() != 2 or codebook.shape[0] != logits.shape[-1]:
        raise ValueError(
            f"codebook must have the shape (k, features) for logits of shape (*batch, k), but they have "
            f"{tuple(codebook.shape)} and {tuple(logits.shape)}; give one row of the codebook for each logit"
        )
    if codebook.device != logits.device:
        raise ValueError(
            f"codebook must be on the device of the logits, {logits.device}, but it is on {codebook.device}; "
            "move it with codebook.to(logits.device)"
        )
    if mask is not None:
        check_mask(mask, logits)
        logits = torch.where(mask, logits, -torch.inf)
    if logits.shape[-1] == 0:
        return logits.to(codebook.dtype) @ codebook
    rows = Rows.of(logits, -1, row_offset, 0)
    of_rows = rows.temperature(tau, "for a lookup without a gradient for the logits, index with gumbel_max")
    if of_rows is None:
        raise ValueError(
            f"tau must hold one temperature a row, but its shape is {tuple(torch.as_tensor(tau).shape)}; give it the "
            "shape (*batch, 1)"
        )
    drawn = seed_of(generator, seed, logits.device)
    if wants_torch_operations() and torch.is_grad_enabled():
        # Neither exporters nor compiled torch.func see the derivative of a function that is not torch's own.
        return ops.gumbel_softmax(logits, of_rows, drawn, *rows.place, True).to(codebook.dtype) @ codebook
    index = ops.gumbel_max(logits.detach(), drawn, *rows.place)
    if wants_torch_operations():
        return _Lookup.forward(logits, codebook, of_rows, drawn, row_offset, index)
    lookup = _Lookup if torch.compiler.is_compiling() else _LookupWithTangents
    return lookup.apply(logits, codebook, of_rows, drawn, row_offset, index)


class _Lookup(torch.autograd.Function):
    """The gather and its straight-through derivative, which is made of differentiable operations."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        logits: Tensor, codebook: Tensor, tau: Tensor | float, seed: Tensor | int, row_offset: int, index: Tensor
    ) -> Tensor:
        existing = index.clamp_min(0)[..., None]
        failed = ~(logits.gather(-1, existing) < torch.inf)
        chosen = torch.where(failed, torch.nan, codebook[existing[..., 0]])
        return torch.where(index[..., None] < 0, 0.0, chosen)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, codebook, *numbers, row_offset, index = inputs
        ctx.row_offset = row_offset
        # A mapped temperature or seed has to be saved; one that is a number cannot be.
        ctx.numbers = tuple(None if isinstance(value, Tensor) else value for value in numbers)
        saved = (logits, codebook, index, *(value for value in numbers if isinstance(value, Tensor)))
        ctx.save_for_backward(*saved)
        if carries_tangents():
            ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, codebook, index, tau, draw = _saved(ctx)
        for_logits, for_codebook, for_tau, *_ = ctx.needs_input_grad
        of_logits = of_codebook = of_tau = None
        if for_logits or for_tau:
            of_sample = (grad @ codebook.T).to(logits.dtype)
            of_logits, of_tau = CATEGORICAL.gradients(of_sample, logits, tau, draw, for_tau)
        if for_codebook and torch.is_grad_enabled():
            # A second derivative goes through the choice as well, so the choice has to be there.
            one_hot = ops.gumbel_softmax(logits, tau, *draw, True).to(grad.dtype)
            of_codebook = one_hot.reshape(-1, one_hot.shape[-1]).T @ grad.reshape(-1, grad.shape[-1])
        elif for_codebook:
            # Many rows may have chosen the same one: their gradients are summed in float32 at least.
            wide = compute_dtype(codebook.dtype)
            kept = torch.where(index[..., None] < 0, 0.0, grad).to(wide)
            of_codebook = torch.zeros_like(codebook, dtype=wide)
            of_codebook = of_codebook.index_add(0, index.clamp_min(0).reshape(-1), kept.reshape(-1, kept.shape[-1]))
            of_codebook = of_codebook.to(codebook.dtype)
        return of_logits, of_codebook, of_tau, None, None, None


class _LookupWithTangents(_Lookup):
    """The same, and its forward derivative, which compilers refuse even where nobody asks for it."""

    @staticmethod
    def jvp(ctx: Any, of_logits: Tensor | None, of_codebook: Tensor | None, of_tau: Tensor | None, *_: None) -> Tensor:
        logits, codebook, index, tau, draw = _saved(ctx)
        y = ops.gumbel_softmax(logits.to(compute_dtype(logits.dtype)), tau, *draw, False)
        tangent = CATEGORICAL.tangent(y, tau, of_logits, of_tau).to(codebook.dtype) @ codebook
        if of_codebook is not None:
            tangent = tangent + torch.where(index[..., None] < 0, 0.0, of_codebook[index.clamp_min(0)])
        return tangent


def _saved(ctx: Any) -> tuple[Any, ...]:
    logits, codebook, index, *tensors = ctx.saved_tensors
    tau, seed = (tensors.pop(0) if number is None else number for number in ctx.numbers)
    return logits, codebook, index, tau, (seed, ctx.row_offset, 0)
