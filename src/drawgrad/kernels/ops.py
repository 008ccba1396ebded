"""The fused operations, as operators; the reference twin says what each one does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from drawgrad.kernels import reference
from drawgrad.kernels.operator import Operator
from drawgrad.kernels.reference import compute_dtype

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "gumbel_top_k",
    "noise",
    "random_seed",
    "sigmoid_vjp",
    "softmax_vjp",
]


def _fake_noise(seed: Tensor, shape: Sequence[int], _row: int, _class: int, _family: str, dtype: Any) -> Tensor:
    return seed.new_empty((*seed.shape, *shape), dtype=dtype)


def _fake_index(logits: Tensor, *_: Any) -> Tensor:
    return logits.new_empty(logits.shape[:-1], dtype=torch.int64)


def _fake_top_k(logits: Tensor, k: int, *_: Any) -> tuple[Tensor, Tensor]:
    shape = (*logits.shape[:-1], k)
    return logits.new_empty(shape, dtype=compute_dtype(logits.dtype)), logits.new_empty(shape, dtype=torch.int64)


def _fake_sample(logits: Tensor, *_: Any) -> Tensor:
    return logits.new_empty(logits.shape)


def _fake_gradient(_grad: Tensor, like: Tensor, *_: Any) -> Tensor:
    return like.new_empty(like.shape)


noise = Operator(reference.noise, _fake_noise, like=5, seed=0)
gumbel_max = Operator(reference.gumbel_max, _fake_index, like=0, seed=1)
gumbel_top_k = Operator(reference.gumbel_top_k, _fake_top_k, like=0, seed=2)
gumbel_softmax = Operator(reference.gumbel_softmax, _fake_sample, like=0, tau=1, seed=2)
gumbel_softmax_vjp = Operator(reference.gumbel_softmax_vjp, _fake_gradient, like=1, tau=2, seed=3)
softmax_vjp = Operator(reference.softmax_vjp, _fake_gradient, like=1, tau=2)
binary_concrete = Operator(reference.binary_concrete, _fake_sample, like=0, tau=1, seed=2)
binary_concrete_vjp = Operator(reference.binary_concrete_vjp, _fake_gradient, like=1, tau=2, seed=3)
sigmoid_vjp = Operator(reference.sigmoid_vjp, _fake_gradient, like=1, tau=2)


@custom_op("drawgrad::random_seed", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def random_seed(place: Tensor) -> Tensor:
    """A seed from the default generator of the device of ``place``, which must be a new ``torch.empty`` for each seed.

    It is opaque to compilers, which would draw it from a generator of their own: compiled and eager code agree. They
    merge calls with equal arguments even if the operator is tagged as random, but no two empty tensors are equal; and
    they find the generator to save, where a checkpoint computes the seed again, by the device of the argument.
    """
    return torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device=place.device)


@random_seed.register_fake
def _(place: Tensor) -> Tensor:
    return torch.empty((), dtype=torch.int64, device=place.device)
