"""Unordered set: samples without replacement, each state at most once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost, check_chunk
from drawgrad.estimators.loss import score_loss, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.estimators.structured.configurations import Configurations
from drawgrad.estimators.structured.inclusion import inclusion_weights, points
from drawgrad.functional import fold_seed
from drawgrad.variables import Countable

__all__ = ["UnorderedSet"]


@register
@dataclass(frozen=True, kw_only=True)
class UnorderedSet(SampleEstimator):
    r"""Unordered set: a sample without replacement, in which each state counts by how surely it would be in it.

    .. math:: \sum_{s \in S} \pi_s R(S, s)\, (f(s) - b_s)\, \partial \log \pi_s / \partial \theta, \qquad
        R(S, s) = \frac{P(S \text{ given that } s \text{ came first})}{P(S)}, \qquad
        b_s = \sum_{j \in S} \pi_j R(S, j \text{ given } s)\, f(j)

    S is drawn by Gumbel-top-k. The baseline b_s is the same estimate of E[f], for which s counts as drawn first. With
    several variables that share a cost, the states in S are joint ones, all different from each other, and a stochastic
    beam search draws them from the K^N without making them all.

    Estimates: the value sum_S pi_s R(S, s) f(s); the gradient above.
    Requires: two states in the set at least, one evaluation for each, no gradient of the cost. Where there are no more
    than ``samples`` states, the set holds them all, and value and gradient are exact.
    Bias: none. No state is evaluated twice; where states are so many that this would not happen anyway, it is
    :class:`LeaveOneOut`, at a larger price.

    Args:
        samples: size of the set, from 2 on.
        chunk: how many states the cost sees at once, as in :class:`Exact`.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.tensor([0.5, 0.0, -0.5], requires_grad=True))
        >>> loss = UnorderedSet(samples=3)(lambda z: (z * torch.arange(3.0)).sum(-1), q)  # all states: exact
        >>> bool(torch.isclose(loss, q.probs @ torch.arange(3.0)))
        True

    References:
        Kool, van Hoof, Welling. Estimating gradients for discrete random variables by sampling without replacement.
        ICLR 2020.
        Kool, van Hoof, Welling. Stochastic beams and where to find them. ICML 2019.
    """

    samples: int = 2
    chunk: int | None = None
    fewest_samples: ClassVar[int] = 2
    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Countable

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chunk(self.chunk)

    def evaluations(self, states: int, variables: int) -> int:
        """One for each state of the set."""
        return int(min(self.samples, states**variables))

    def memory(self, numbers: int) -> int:
        """Pairs of elements, and the quadrature of each."""
        return self.samples * (self.samples + points(self.samples))

    def estimate(self, cost: Cost, variable: Countable, seed: Tensor) -> Tensor:
        # The first draw is the same whichever variables share a cost, and its cost tells which ones do.
        drawn = variable.number(variable.draw(seed))
        first = cost.of_states(variable, drawn[None], self.chunk)
        space = Configurations.of(variable, first.dim() - 1)
        chosen = space.configuration(drawn)
        size = min(self.samples, space.states)
        chosen = torch.cat([chosen, space.draw(size - 1, chosen, fold_seed(seed, 1))], 1)
        number = space.numbers(chosen)
        costs = torch.cat([first, cost.of_states(variable, number[1:], self.chunk)]) if size > 1 else first
        log_p = space.log_prob(chosen)
        weights, others = inclusion_weights(log_p, space.remainder(chosen))
        weights = space.by_cost(weights)
        # Rows of costs, like the weights: a state that cannot occur may have any cost.
        known = costs.detach().reshape(size, space.rows).T.to(log_p.dtype)
        known = torch.where(log_p == -torch.inf, 0.0, known)
        baseline = (others @ known[..., None])[..., 0]
        signal = costs.detach() - space.by_cost(baseline).to(costs.dtype)
        score = sum_variables(variable.expand(size).log_prob(variable.state(number)), costs)
        return score_loss(costs, signal, score, weights)
