"""IndeCateR: every class of every variable, with the other variables sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost, check_chunk
from drawgrad.estimators.loss import first_order
from drawgrad.estimators.registry import register
from drawgrad.variables import Countable

__all__ = ["IndeCateR"]


@register
@dataclass(frozen=True, kw_only=True)
class IndeCateR(SampleEstimator):
    r"""IndeCateR: for each variable the exact sum over its classes, with the other variables sampled.

    .. math:: \sum_n \sum_k \frac{\partial \pi_{nk}}{\partial \theta}\, E[f(D_{-n}, k)]

    D_{-n} is a joint sample D of all variables, in which variable n is replaced by each class in turn.

    Estimates: the value by the same evaluations, mean_n sum_k pi_nk f(D_{-n}, k); the gradient above.
    Requires: 1 + N (K - 1) evaluations a sample (f(D) itself serves all variables), no gradient of the cost.
    Bias: none. For one variable it is the exact sum.

    Args:
        samples: joint samples to average over.
        chunk: how many states the cost sees at once, as in :class:`Exact`.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(10, 4, requires_grad=True))  # ten variables
        >>> estimator = IndeCateR(samples=2)
        >>> estimator(lambda z: z[..., 0].sum(-1) ** 2, q, seed=0).backward()
        >>> estimator.evaluations(states=4, variables=10)
        62

    References:
        De Smet, Sansone, Zuidberg Dos Martires. Differentiable sampling of categorical distributions using the
        CatLog-derivative trick. NeurIPS 2023.
    """

    chunk: int | None = None
    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Countable

    def __post_init__(self) -> None:
        super().__post_init__()
        check_chunk(self.chunk)

    def evaluations(self, states: int, variables: int) -> int:
        """S (1 + N (K - 1))."""
        return self.samples * (1 + variables * (states - 1))

    def estimate(self, cost: Cost, variable: Countable, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(variable.sample_of(index))
        lead = variable.batch_shape[: costs.dim() - 1]
        shared = variable.batch_shape[len(lead) :].numel()
        others = variable.states - 1
        if not shared:
            return costs.mean(0)  # no choice to make: the only state there is
        number = variable.number(index).reshape(self.samples, *lead, shared)

        # Class D_n + 1, D_n + 2, ... (modulo K) of one variable n at a time.
        shift = torch.arange(1, variable.states, device=number.device)
        which = torch.eye(shared, dtype=torch.int64, device=number.device)
        moves = (shift[:, None] * which[:, None]).reshape(shared, others, *[1] * len(lead), shared)
        changed = (number[:, None, None] + moves) % variable.states
        by_class = costs[:, None, None].expand(-1, shared, -1, *lead)
        if others and shared:
            states = changed.reshape(self.samples * shared * others, *variable.batch_shape)
            found = cost.of_states(variable, states, self.chunk).reshape(self.samples, shared, others, *lead)
            by_class = torch.cat([by_class, found], 2)
        # From (samples, n, k, *lead) to (samples, *lead, n, k), like the probabilities.
        by_class = by_class.permute(0, *range(3, by_class.dim()), 1, 2)

        p = variable.computed().log_probs().exp().reshape(*lead, shared, variable.states)
        every = torch.arange(variable.states, device=number.device)
        p = p.expand(self.samples, *p.shape).gather(-1, (number[..., None] + every) % variable.states)
        # A class that cannot occur may have any cost, also an infinite one.
        by_class = torch.where(p == 0, 0.0, by_class)
        if shared == 1:
            return (p * by_class).sum((-1, -2)).mean(0).to(costs.dtype)
        value = (p.detach() * by_class).sum(-1).mean(-1)
        gradient = first_order((p * by_class.detach()).sum((-1, -2)), costs)
        return (value + gradient).mean(0).to(costs.dtype)
