"""Rao-Blackwellized score function: the most probable states summed, the rest sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_count, check_flag
from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import score_loss, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.estimators.structured.configurations import Configurations
from drawgrad.variables import Countable

__all__ = ["RaoBlackwellScore"]


@register
@dataclass(frozen=True, kw_only=True)
class RaoBlackwellScore(SampleEstimator):
    r"""Rao-Blackwellized score function: an exact sum over the most probable states, and REINFORCE on the rest.

    .. math:: \sum_{c \in C} f(c)\, \partial \pi_c / \partial \theta
        + \rho\, f(D)\, \partial \log \pi_D / \partial \theta, \qquad
        \rho = 1 - \sum_{c \in C} \pi_c, \quad D \sim \pi \text{ outside of } C

    C holds the ``top`` most probable states. With several variables that share a cost, states are joint ones, and the
    best of all K^N are found by a beam search, without making them all.

    Estimates: the value sum_C pi f + rho f(D); the gradient above.
    Requires: ``top`` evaluations and one a sample, no gradient of the cost. Where there are no more than ``top``
    states, it is the exact sum over them, without samples.
    Bias: none. Never more variance than REINFORCE of as many samples without a baseline; the gain is that of rho^2, and
    it is small where no few states hold most of the probability.

    Args:
        samples: draws outside of C to average over.
        top: number of states in C, from 1 on.
        centered: whether the mean cost of C is subtracted from all costs in the gradient. That is worth it for costs
            far from zero, and leaves the gradient unbiased.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.tensor([3.0, 2.0, 0.0, -1.0], requires_grad=True))
        >>> RaoBlackwellScore(top=2)(lambda z: z[..., 0] + 2 * z[..., 3], q, seed=0).backward()

    References:
        Liu, Regier, Tripuraneni, Jordan, McAuliffe. Rao-Blackwellized stochastic gradients for discrete distributions.
        ICML 2019.
    """

    top: int = 1
    centered: bool = False
    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Countable

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.top, "top", minimum=1)
        check_flag(self.centered, "centered")

    def evaluations(self, states: int, variables: int) -> int:
        """One for each of the ``top`` states and for each sample; or the number of states, if they are no more."""
        every = states**variables
        return every if every <= self.top else self.top + self.samples

    def estimate(self, cost: Cost, variable: Countable, seed: Tensor) -> Tensor:
        # The mode is the same whichever variables share a cost, and its cost tells which ones do.
        mode = Configurations.of(variable, 0).mode().reshape(variable.batch_shape)
        first = cost.of_states(variable, mode[None])
        space = Configurations.of(variable, first.dim() - 1)
        chosen = space.configuration(mode)
        top = min(self.top, space.states)
        chosen = torch.cat([chosen, space.top(top - 1, chosen)], 1)
        weights = space.log_prob(chosen).exp()
        if top < space.states:
            rest = space.remainder(chosen)[:, None]
            repeated = space.repeat(self.samples)
            others = repeated.draw(1, chosen.repeat(self.samples, 1, 1), seed)
            others = others.reshape(self.samples, space.rows, chosen.shape[2]).transpose(0, 1)
            possible = space.log_prob(others) > -torch.inf
            chosen = torch.cat([chosen, others], 1)
            weights = torch.cat([weights, torch.where(possible, rest / self.samples, 0.0)], 1)
        number = space.numbers(chosen)
        costs = first if len(number) == 1 else torch.cat([first, cost.of_states(variable, number[1:])])
        weights = space.by_cost(weights).to(costs.dtype)
        score = sum_variables(variable.expand(len(number)).log_prob(variable.state(number)), costs)
        signal = costs.detach()
        if self.centered:
            # Relative to each other, the probabilities of the most probable states do not vanish.
            inside = space.by_cost(space.log_prob(chosen[:, :top]).softmax(1)).to(costs.dtype)
            signal = signal - torch.where(inside == 0, 0.0, inside * signal[:top]).sum(0)
        return score_loss(costs, signal, score, weights)
