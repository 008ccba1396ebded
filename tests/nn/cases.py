"""Every module of ``drawgrad.nn`` at a small size: the cases that the contract is checked on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import drawgrad.nn as dn
from drawgrad.estimators import GumbelSoftmax, ReinMax, STGumbelSoftmax, STGumbelTopK
from drawgrad.variables import Binary, Subset


class Case(NamedTuple):
    """A module to be checked.

    Args:
        name: of the case; begins with the name of the class.
        make: makes the module with the factory arguments ``device`` and ``dtype``.
        shape: of its input.
        draws: whether training is random.
    """

    name: str
    make: Callable[..., nn.Module]
    shape: tuple[int, ...]
    draws: bool = True

    def input(self, dtype: torch.dtype = torch.float32, offset: float = 0.0) -> Tensor:
        """An input, always the same."""
        count = torch.Size(self.shape).numel()
        return (torch.arange(count, dtype=torch.float64) * 0.7 + offset).sin().reshape(self.shape).to(dtype)


def mixture(width: int, k: int, *, device: Any = None, dtype: Any = None, **options: Any) -> nn.Module:
    """Experts in two tensors where the width is one of grouped products, else in a list."""
    factory = {"device": device, "dtype": dtype}
    router = dn.Router(width, 3, k, **options, **factory)
    if width % 8 == 0:
        return dn.MixtureOfExperts(router, dn.FeedForwardExperts(3, width, 8, **factory))
    return dn.MixtureOfExperts(router, [nn.Linear(width, width, **factory) for _ in range(3)])


def mixer(count: int, k: int = 1, *, device: Any = None, dtype: Any = None, **options: Any) -> nn.Module:
    """Linear operations."""
    factory = {"device": device, "dtype": dtype}
    return dn.OperationMixer([nn.Linear(4, 4, **factory) for _ in range(count)], k, **options, **factory)


CASES = (
    Case("Choice", dn.Choice, (6, 5)),
    Case("Choice, learned", partial(dn.Choice, GumbelSoftmax(tau=0.7), learned=True), (6, 5)),
    Case("Choice, ReinMax", partial(dn.Choice, ReinMax(tau=1.1)), (2, 3, 5)),
    Case("Choice, bits", partial(dn.Choice, among=Binary), (6, 5)),
    Case("Choice, subset", partial(dn.Choice, STGumbelTopK(tau=0.5), partial(Subset, k=2)), (6, 5)),
    Case("Conditional", lambda **f: dn.Conditional(nn.Linear(5, 1, **f), nn.Linear(5, 5, **f), **f), (3, 2, 5)),
    Case("TokenSelector", partial(dn.TokenSelector, 5, k=3, fixed=1), (2, 6, 5)),
    Case("TokenMerger", partial(dn.TokenMerger, 5, keep=0.6, sharpness=1.0), (2, 7, 5)),
    Case("SparseAttention", partial(dn.SparseAttention, 6, 2, 2, causal=True), (2, 4, 6)),
    Case("Router", partial(dn.Router, 5, 6, 2), (3, 2, 5)),
    Case("Router, filtered", partial(dn.Router, 5, 6, 2, candidates=4, capacity=0.8, normalize=True), (3, 2, 5)),
    Case("Router, fused", partial(dn.Router, 5, 6, capacity=0.8, fused=True), (3, 2, 5)),
    Case(
        "Router, lightest",
        partial(dn.Router, 5, 6, 2, gradient="straight-through", noise=False, capacity=0.8, overflow="lightest"),
        (3, 2, 5),
        draws=False,
    ),
    Case("MixtureOfExperts", partial(mixture, 8, 2, capacity=0.8), (3, 4, 8)),
    Case("MixtureOfExperts, list", partial(mixture, 5, 1, gradient="sparsemixer"), (9, 5)),
    Case("MixtureOfExperts, dense", partial(mixture, 8, 1, gradient="dense"), (9, 8)),
    Case("HardConcreteGate", partial(dn.HardConcreteGate, (2, 5), group=1, initial=0.4), (6, 2, 5)),
    Case("HardConcreteGate, rows", partial(dn.HardConcreteGate, (5,), shared=False), (6, 5)),
    Case("Quantizer", partial(dn.Quantizer, 7, 6, groups=2), (2, 5, 6), draws=False),
    Case("Quantizer, drawn", partial(dn.Quantizer, 7, 6, groups=3, estimator=ReinMax()), (9, 6)),
    Case("Quantizer, linear", partial(dn.Quantizer, 4, 6, groups=2, inputs=5, estimator=STGumbelSoftmax()), (9, 5)),
    Case("Quantizer, means", partial(dn.Quantizer, 4, 6, decay=0.9, restart=0.1), (9, 6), draws=False),
    Case("FeatureSelector", partial(dn.FeatureSelector, 6, 2), (5, 6)),
    Case("FeatureSelector, concrete", partial(dn.FeatureSelector, 6, 2, kind="concrete"), (5, 6)),
    Case("OperationMixer", partial(mixer, 3, estimator=GumbelSoftmax(), runs="all"), (5, 4)),
    Case("OperationMixer, two", partial(mixer, 3, 2, runs="all"), (5, 4)),
    Case("OperationMixer, drawn alone", partial(mixer, 2), (5, 4)),
    Case("LearnedLevels", partial(dn.LearnedLevels, (4, 6), (2, 3)), (4, 6)),
    Case("LearnedLevels, one", partial(dn.LearnedLevels, (4, 6), 4, dim=None), (4, 6), draws=False),
    Case("PermutationLayer", partial(dn.PermutationLayer, 5), (3, 5)),
    Case("PermutationLayer, hard", partial(dn.PermutationLayer, 5, dim=0, hard=True), (5, 3)),
)
"""One line for each module, or for each of its ways to work."""


def tensors(found: Any) -> list[Tensor]:
    """All tensors of a result."""
    leaves, _ = torch.utils._pytree.tree_flatten(found)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def loss_of(found: Any) -> Tensor:
    """A number that depends on all of a result, in another way on each element."""
    total = torch.zeros(())
    for tensor in tensors(found):
        if tensor.is_floating_point():
            weights = (torch.arange(tensor.numel(), dtype=torch.float32) * 0.9).cos().reshape(tensor.shape)
            total = total + (tensor.float() * weights).sum() + 0.1 * tensor.float().square().sum()
    return total
