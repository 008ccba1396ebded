"""Products of many small polynomials with coefficients that are not negative: counts of independent yes-no variables.

The coefficients of a product of terms ``q_i + p_i x`` are the probabilities of how many of the variables are ones. A
balanced tree of products is shallow, costs no more than multiplying one term after the other, and holds what a sampler
needs: how a count splits between the halves of the variables. Only sums of products of positive numbers occur, so every
coefficient and every derivative keeps its relative precision.

Polynomials are the columns of a tensor ``(degree + 1, nodes, rows)``. A node and the one half the nodes further are
multiplied: both are contiguous blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["derivative", "product_tree", "split"]


class _Product(torch.autograd.Function):
    """The first ``size`` coefficients of the products; any derivative of it is made of such products again."""

    @staticmethod
    def forward(left: Tensor, right: Tensor, size: int) -> Tensor:
        result = left.new_zeros(size, *left.shape[1:])
        for shift in range(min(len(left), size)):
            result[shift : shift + len(right)].addcmul_(left[shift], right[: size - shift])
        return result

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], left: Tensor, right: Tensor, size: int) -> tuple[Tensor, int]:
        """Mapped examples are more columns."""
        columns = [
            factor[..., None].expand(*factor.shape, info.batch_size) if dim is None else factor.movedim(dim, -1)
            for factor, dim in zip((left, right), in_dims, strict=False)
        ]
        return _Product.apply(*columns, size), -1

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        left, right, _ = inputs
        ctx.save_for_backward(left, right)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        left, right = ctx.saved_tensors
        wanted_left, wanted_right, _ = ctx.needs_input_grad
        return (
            _correlate(grads[0], right, len(left)) if wanted_left else None,
            _correlate(grads[0], left, len(right)) if wanted_right else None,
            None,
        )


def _correlate(grad: Tensor, other: Tensor, size: int) -> Tensor:
    """The derivative of a product for one factor: ``sum_m grad[m] other[m - i]`` for i below ``size``."""
    return _Product.apply(grad.flip(0), other, len(grad)).flip(0)[:size]


def _halves(nodes: Tensor) -> tuple[Tensor, Tensor]:
    half = nodes.shape[1] // 2
    return nodes[:, :half], nodes[:, half:]


def product_tree(terms: Tensor, degree: int) -> list[Tensor]:
    """Products of more and more polynomials, from the terms themselves to the product of all of them.

    Args:
        terms: polynomials, shape ``(degree + 1, nodes, rows)`` with one node at least.
        degree: the highest power that is kept, from 1 on.

    Returns:
        Levels of the tree. The last one has one node, all others an even number: the polynomial 1 makes up for it.
    """
    levels = [terms]
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            one = torch.zeros_like(terms[:, :1])
            one[0] = 1.0
            terms = levels[-1] = torch.cat([terms, one], 1)
        terms = _Product.apply(*_halves(terms), min(2 * len(terms) - 1, degree + 1))
        levels.append(terms)
    return levels


def derivative(levels: Sequence[Tensor], power: int) -> Tensor:
    """The derivative of one coefficient of the whole product for all coefficients of the terms.

    Args:
        levels: result of :func:`product_tree`.
        power: which coefficient of the last level.

    Returns:
        Like the first level.
    """
    grad = torch.zeros_like(levels[-1])
    grad[power] = 1.0
    for below in reversed(levels[:-1]):
        left, right = _halves(below)
        size = len(below)
        grad = grad[:, : left.shape[1]]  # Without the node that was added to make them even.
        grad = torch.cat([_correlate(grad, right, size), _correlate(grad, left, size)], 1)
    return grad


def split(levels: Sequence[Tensor], counts: Tensor, uniform: Tensor) -> Tensor:
    """Draw how many ones each term has, given how many there are in all.

    Args:
        levels: result of :func:`product_tree` for terms of degree 1.
        counts: number of ones, int64, shape ``(samples, 1, rows)``.
        uniform: numbers in (0, 1), shape ``(samples, products, rows)``: one for each product of the tree.

    Returns:
        Zeros and ones, int64, shape ``(samples, nodes of the first level, rows)``.
    """
    used = 0
    for below in reversed(levels[:-1]):
        left, right = _halves(below)
        size, half, _ = left.shape
        counts = counts[:, :half]  # Without the node that was added to make them even.
        in_left = torch.arange(size, device=below.device)[:, None, None, None]
        in_right = counts - in_left
        possible = (in_right >= 0) & (in_right < size)
        at = in_right.clamp(0, size - 1)
        weight = left[:, None] * right[:, None].expand(-1, len(counts), -1, -1).gather(0, at)
        cumulated = torch.where(possible, weight, 0.0).cumsum(0)
        threshold = uniform[:, used : used + half] * cumulated[-1]
        chosen = (cumulated < threshold).sum(0)
        counts = torch.cat([chosen, counts - chosen], 1)
        used += half
    return counts
