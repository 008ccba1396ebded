"""ARSM: pairs of classes that swap their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost, check_chunk
from drawgrad.estimators.loss import with_gradient
from drawgrad.estimators.registry import register
from drawgrad.kernels.log_probs import softmax
from drawgrad.variables import OneHot, gumbel_noise_like

__all__ = ["Arsm"]


@register
@dataclass(frozen=True, kw_only=True)
class Arsm(SampleEstimator):
    r"""ARSM: augment, REINFORCE, swap, merge; every pair of classes swaps its noise.

    .. math:: \sum_j \Big[f(z^{c \leftrightarrow j}) - \tfrac1K \sum_m f(z^{m \leftrightarrow j})\Big]
        \big(\tfrac1K - \varpi_j\big) \quad \text{for the logit of class } c, \qquad
        z^{c \leftrightarrow j} = \arg\max_i (l_i - \log \varpi_i^{c \leftrightarrow j})

    with varpi uniform on the simplex, and the upper index for its entries c and j swapped. Of several variables that
    share a cost, all swap the same pair at a time, each in its own varpi.

    Estimates: the value is the mean over all swaps, each of which is a sample of q; the gradient above.
    Requires: 1 + K(K - 1)/2 evaluations a sample, which are given to the cost at once; no gradient of the cost.
    Bias: none.

    Args:
        samples: draws of varpi to average over.
        chunk: how many swaps the cost sees at once, as in :class:`Exact`.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> loss = Arsm()(lambda z: z[..., 0], q)
        >>> torch.autograd.grad(loss, q.logits)[0].sum().abs() < 1e-6
        tensor(True)

    References:
        Yin, Yue, Zhou. ARSM: augment-REINFORCE-swap-merge estimator for gradient backpropagation through categorical
        variables. ICML 2019.
    """

    chunk: int | None = None
    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = OneHot

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chunk(self.chunk)

    def evaluations(self, states: int, variables: int) -> int:
        """The draw itself and one for each pair of classes, for each sample."""
        return self.samples * (1 + states * (states - 1) // 2)

    def estimate(self, cost: Cost, variable: OneHot, seed: Tensor) -> Tensor:
        classes = variable.states
        drawn = variable.computed().expand(self.samples)
        logits = drawn.logits.detach()
        noise = drawn.drawn(gumbel_noise_like, logits, seed)
        orders, swap = _swaps(classes, logits.device)
        indices = (logits[..., None, :] + noise[..., orders]).argmax(-1).movedim(-1, 0).flatten(0, 1)
        costs = cost.of_states(variable, indices, self.chunk)
        if not variable.learns:
            return costs.mean(0)
        # (samples * lead, K, K) and (samples * lead, shared variables, K)
        table = costs.detach().reshape(len(orders), -1)[swap].movedim(-1, 0)
        contrast = (table - table.mean(1, keepdim=True)).to(logits.dtype)
        weight = 1 / classes - softmax(-noise)
        shared = weight.reshape(table.shape[0], -1, classes) if table.numel() else weight.reshape(0, 1, classes)
        found = (shared @ contrast.mT).reshape(logits.shape)
        # Of a class that cannot occur it is zero on average only, and without sense draw by draw.
        return with_gradient(costs, found.masked_fill(logits == -torch.inf, 0.0), variable.logits)


def _swaps(classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The orders of classes after no swap and after each swap, and which of them is the swap of c and j."""
    first, second = torch.triu_indices(classes, classes, 1, device=device)
    pairs = torch.arange(len(first), device=device)
    orders = torch.arange(classes, device=device).repeat(len(first) + 1, 1)
    orders[pairs + 1, first], orders[pairs + 1, second] = second, first
    swap = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    swap[first, second] = swap[second, first] = pairs + 1
    return orders, swap
