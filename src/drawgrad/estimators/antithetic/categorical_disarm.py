"""DisARM for categorical variables: antithetic pairs of ways down a tree of coins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from drawgrad.estimators.antithetic.coin_trees import balanced_pair, stick_pair
from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import spread, with_gradient
from drawgrad.estimators.registry import register
from drawgrad.variables import OneHot, logistic_noise_like

__all__ = ["CategoricalDisArm"]


@register
@dataclass(frozen=True, kw_only=True)
class CategoricalDisArm(SampleEstimator):
    r"""Categorical DisARM: each class is a way down a tree of coins, and the coins come in antithetic pairs.

    .. math:: \tfrac12 (f(z) - f(\tilde z)) \sum_n w_n \frac{\partial l_n}{\partial l}, \qquad
        w_n = \begin{cases}
            (b_n - \tilde b_n)\, \sigma(|l_n|) & \text{if both ways lead through node } n \\
            b_n - \sigma(l_n) & \text{if only that to } z \text{ does} \\
            \sigma(l_n) - \tilde b_n & \text{if only that to } \tilde z \text{ does}
        \end{cases}

    where l_n is the log-odds of the coin at node n, and coins that were not tossed are averaged out.

    Estimates: the value is the mean over both samples of the pair; the gradient above.
    Requires: one-hot variables, two evaluations a sample, no gradient of the cost.
    Bias: none.

    Args:
        samples: pairs to average over.
        tree: ``"balanced"``, which halves the classes at each coin, or ``"stick"``, whose coins ask for one class after
            the other; both take the classes in the order of the logits.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(2, requires_grad=True))
        >>> loss = CategoricalDisArm()(lambda z: z[..., 0], q)
        >>> torch.autograd.grad(loss, q.logits)[0]  # one fair coin: no variance left
        tensor([ 0.2500, -0.2500])

    References:
        Dong, Mnih, Tucker. Coupled gradient estimators for discrete latent variables. NeurIPS 2021.
    """

    tree: Literal["balanced", "stick"] = "balanced"
    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = OneHot

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tree not in ("balanced", "stick"):
            raise ValueError(f"tree must be 'balanced' or 'stick', but it is {self.tree!r}; 'balanced' is the default")

    def evaluations(self, states: int, variables: int) -> int:
        """Two for each sample, which is a pair."""
        return 2 * self.samples

    def estimate(self, cost: Cost, variable: OneHot, seed: Tensor) -> Tensor:
        drawn = variable.computed().expand(self.samples)
        logits = drawn.logits.detach()

        def toss(coins: int) -> Tensor:
            each = logits[..., :1].expand(*logits.shape[:-1], coins)
            return drawn.drawn(logistic_noise_like, each, seed)

        pair = (balanced_pair if self.tree == "balanced" else stick_pair)(logits, toss)
        costs = cost(variable.sample_of(torch.cat([pair.first, pair.second])))
        if not variable.learns:
            return costs.mean(0)
        first, second = costs.detach().chunk(2)
        return with_gradient(costs, spread(first - second, logits) * pair.weight, variable.logits)
