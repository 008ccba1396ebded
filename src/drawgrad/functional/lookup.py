"""A drawn row of a codebook, with the straight-through gradient: a gather in place of a one-hot matrix."""

from __future__ import annotations

from typing import Any

import torch

from drawgrad._checks import check_dim, check_floating, check_mask
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.functional._draw import as_rows, call, draw_seed, is_plain, place, relax, row_temperature
from drawgrad.kernels import ops
from drawgrad.kernels.reference import compute_dtype

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
    adds the gradient to the chosen rows of the codebook.

    Args:
        logits: unnormalised log-probabilities of the codebook's rows; -inf is a row that is never chosen.
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
    rows = as_rows(logits, -1)
    at = place(row_offset, 0, *rows.shape[1:])
    of_rows = row_temperature(tau, logits, -1, "for a lookup without a gradient for the logits, index with gumbel_max")
    if of_rows is None:
        raise ValueError(f"tau must hold one temperature a row, but its shape is {tuple(torch.as_tensor(tau).shape)}")
    drawn = draw_seed(generator, seed, logits.device)
    if is_plain() and torch.is_grad_enabled():
        # Neither exporters nor compiled torch.func see the derivative of a function that is not torch's own.
        chosen = relax("gumbel_softmax", rows, of_rows, drawn, at, True)[0].to(codebook.dtype) @ codebook
    else:
        index = call("gumbel_max", rows.detach(), drawn, *at)[0]
        chosen = _Lookup.apply(rows, codebook, of_rows, drawn, at[0], index)
    return chosen.reshape(*logits.shape[:-1], codebook.shape[1])


class _Lookup(torch.autograd.Function):
    """The gather and its straight-through derivative, which is made of differentiable operations."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, codebook: Tensor, tau: Tensor, seed: Tensor, row_offset: int, index: Tensor) -> Tensor:
        existing = index.clamp_min(0)[:, None]
        failed = logits[0].gather(-1, existing).isnan()
        chosen = torch.where(failed, torch.nan, codebook[existing[:, 0]])
        return torch.where(index[:, None] < 0, 0.0, chosen)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, codebook, tau, seed, ctx.row_offset, index = inputs
        ctx.save_for_backward(logits, codebook, tau, seed, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, codebook, tau, seed, index = ctx.saved_tensors
        for_logits, for_codebook, for_tau, *_ = ctx.needs_input_grad
        draw = (seed, ctx.row_offset, 0)
        of_logits = of_codebook = of_tau = None
        if for_logits or for_tau:
            of_sample = (grad @ codebook.T).to(logits.dtype)[None]
            of_logits = ops.gumbel_softmax_vjp(of_sample, logits, tau, *draw)
            of_tau = _tau_gradient(of_logits, logits, tau, *draw) if for_tau else None
        if for_codebook and torch.is_grad_enabled():
            # A second derivative goes through the choice as well, so the choice has to be there.
            one_hot = ops.gumbel_softmax(logits, tau, *draw, True)[0].to(grad.dtype)
            of_codebook = one_hot.T @ grad
        elif for_codebook:
            # Many rows may have chosen the same one: their gradients are summed in float32 at least.
            wide = compute_dtype(codebook.dtype)
            kept = torch.where(index[:, None] < 0, 0.0, grad).to(wide)
            of_codebook = torch.zeros_like(codebook, dtype=wide).index_add(0, index.clamp_min(0), kept)
            of_codebook = of_codebook.to(codebook.dtype)
        return of_logits, of_codebook, of_tau, None, None, None


def _tau_gradient(
    of_logits: Tensor, logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """The sample depends on tau through (logits + noise) / tau, whose derivative is itself, over -tau."""
    noise = ops.noise(seed, *logits.shape[1:], row_offset, class_offset, "gumbel", tau.dtype)
    scores = torch.where(logits == -torch.inf, 0.0, logits.to(tau.dtype) + noise)
    # The gradient of a row sums to zero, so a constant changes nothing but the rounding.
    scores = scores - scores.amax(-1, keepdim=True).detach()
    change = -(of_logits.to(tau.dtype) * scores) / tau
    return change.sum() if tau.dim() == 0 else change.sum(-1, keepdim=True)
