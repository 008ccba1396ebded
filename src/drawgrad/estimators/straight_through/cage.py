"""CAGE: straight-through with a temperature that follows how sure the choices are."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_count, check_flag, check_temperature
from drawgrad.estimators.base import StatefulEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.registry import register
from drawgrad.functional import straight_through
from drawgrad.variables import Relaxable

__all__ = ["Cage"]


@register
class Cage(StatefulEstimator):
    r"""CAGE, confidence-adaptive straight-through: the backward pass is the warmer, the less sure the choices are.

    .. math:: J(\pi_\tau)\, g(D) / \tau, \qquad D = \arg\max_i l_i, \quad \pi_\tau = \mathrm{softmax}(l / \tau), \qquad
        \tau = \tau_{\max} - (\tau_{\max} - \tau_{\min}) \frac{c - 1/K}{1 - 1/K}

    where the confidence c is the largest probability max_i pi_i, averaged over all variables of a call and, with
    weights that fall, over the calls so far. It begins as 1/K, that of no preference at all. The paper takes the most
    probable class in training as well as in use, so that there is no gap between the two.

    Estimates: the value at D, which is no sample of q but its mode, or with ``greedy=False`` at a sample D; the
        gradient through pi_tau.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some; with ``greedy=False`` it is :class:`SlopeAnnealedStraightThrough` at the present temperature.

    The confidence is a buffer, updated in training mode only, after the call that used it.

    Args:
        samples: draws to average over; more than one are of use with ``greedy=False`` only.
        coldest: tau_min, the temperature when every choice is certain.
        warmest: tau_max, the temperature when all classes are equally probable.
        decay: weight of a call relative to the one after it, from 0 to below 1.
        greedy: whether D is the most probable class; if not, it is drawn.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> estimator = Cage(decay=0.0)
        >>> estimator.tau
        tensor(3.)
        >>> q = OneHotCategorical(logits=torch.tensor([0.0, 50.0], requires_grad=True))
        >>> estimator(lambda z: z[..., 1], q).backward()
        >>> estimator.tau
        tensor(0.5000)

    References:
        Kim. Align forward, adapt backward: closing the discretization gap in logic gate networks. ICML 2026.
    """

    unbiased: ClassVar[bool] = False
    needs_cost_gradient: ClassVar[bool] = True
    takes: ClassVar[type] = Relaxable
    hard: ClassVar[bool] = False
    exact: ClassVar[bool] = True
    compiles: ClassVar[bool] = False

    certainty: Tensor

    def __init__(
        self,
        *,
        samples: int = 1,
        coldest: float = 0.5,
        warmest: float = 3.0,
        decay: float = 0.99,
        greedy: bool = True,
    ) -> None:
        super().__init__()
        check_count(samples, "samples", minimum=1)
        for name, value in (("coldest", coldest), ("warmest", warmest)):
            check_temperature(value, "the paper's code goes from 0.5 to 3", name)
        check_flag(greedy, "greedy")
        if warmest < coldest:
            raise ValueError(f"warmest must not be below coldest, {coldest!r}, but it is {warmest!r}; swap them")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, but it is {decay!r}; 0.99 is the default")
        self.samples, self.coldest, self.warmest, self.decay = samples, coldest, warmest, decay
        self.greedy = greedy
        self.exact = self.greedy  # type: ignore[misc]  # The class states what holds by default.
        self.hard = not self.greedy  # type: ignore[misc]
        self.register_buffer("certainty", torch.zeros(()))

    @property
    def tau(self) -> Tensor:
        """The present temperature."""
        return self.warmest - (self.warmest - self.coldest) * self.certainty

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        options = f"samples={self.samples}, coldest={self.coldest}, warmest={self.warmest}, decay={self.decay}"
        return options if self.greedy else f"{options}, greedy=False"

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample."""
        return self.samples

    def estimate(self, cost: Cost, variable: Relaxable, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.state(drawn.log_probs().argmax(-1)) if self.greedy else drawn.draw(seed)
        soft = drawn.computed().probs(self.tau.to(drawn.computed().logits.dtype)).to(variable.logits.dtype)
        loss = cost.through(straight_through(drawn.sample_of(index), soft)).mean(0)
        if self.training:
            self._look(variable)
        return loss

    @torch.no_grad()
    def _look(self, variable: Relaxable) -> None:
        """Take in how sure the choices of a call are: 0 without preference, 1 where all are certain."""
        largest = variable.computed().log_probs().amax(-1).exp()
        least = 1 / variable.states
        found = ((largest.mean() - least) / (1 - least)).clamp(0, 1).to(self.certainty)
        # A call without choices, or with one that is NaN, leaves no trace.
        found = torch.where(found.isfinite(), found, self.certainty)
        # A tensor of its own: the old one may be part of a graph that has yet to go backward.
        self.certainty = self.decay * self.certainty + (1 - self.decay) * found
