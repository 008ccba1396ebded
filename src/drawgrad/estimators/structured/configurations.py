"""Joint states of the variables that share a cost: the most probable ones, and samples without replacement.

There are K^N of them, but a beam as wide as the number that is asked for finds either exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad.functional import fold_seed, gumbel_given_largest
from drawgrad.variables import Countable, gumbel_noise_like

__all__ = ["Configurations"]


@dataclass(frozen=True)
class Configurations:
    """Joint states of N variables for each of ``rows`` costs: a *configuration* is N class numbers.

    Attributes:
        variable: the variables.
        lead: how many of their batch dimensions are dimensions of the costs.
        log_pi: log-probabilities of the classes, float64, shape ``(rows, n, k)``.
    """

    variable: Countable
    lead: int
    log_pi: Tensor

    @classmethod
    def of(cls, variable: Countable, lead: int) -> Configurations:
        """The configurations of variables, ``lead`` of whose batch dimensions are dimensions of the costs."""
        # Probabilities of many variables multiply, and so would the rounding of narrow dtypes.
        log_pi = variable.to(torch.float64).log_probs().detach()
        rows = variable.batch_shape[:lead].numel()
        shared = variable.batch_shape[lead:].numel()
        return cls(variable, lead, log_pi.reshape(rows, shared, variable.states))

    @property
    def states(self) -> int:
        """K^N, how many there are for each cost."""
        return math.prod(self.variable.sizes(self.log_pi.shape[1]))

    @property
    def rows(self) -> int:
        """Number of costs."""
        return int(self.log_pi.shape[0])

    def repeat(self, times: int) -> Configurations:
        """The same variables for ``times`` as many costs, the first of which are ``rows`` long."""
        variable = self.variable.expand(times)
        return Configurations(variable, self.lead + 1, self.log_pi.repeat(times, 1, 1))

    def mode(self) -> Tensor:
        """The most probable configuration, shape ``(rows, 1, n)``."""
        return self.log_pi.argmax(-1)[:, None]

    def configuration(self, numbers: Tensor) -> Tensor:
        """The configuration of states with these numbers, shape ``batch_shape``, shape ``(rows, 1, n)``."""
        return numbers.reshape(self.rows, 1, self.log_pi.shape[1])

    def numbers(self, chosen: Tensor) -> Tensor:
        """Numbers of the states in configurations ``(rows, count, n)``, shape ``(count, *batch)``."""
        return chosen.transpose(0, 1).reshape(chosen.shape[1], *self.variable.batch_shape)

    def by_cost(self, values: Tensor) -> Tensor:
        """Values ``(rows, count)`` in the shape of costs, ``(count, *lead)``."""
        return values.T.reshape(values.shape[1], *self.variable.batch_shape[: self.lead])

    def log_prob(self, chosen: Tensor) -> Tensor:
        """Log-probabilities of configurations ``(rows, count, n)``, float64, shape ``(rows, count)``."""
        return self.log_pi[:, None].expand(-1, chosen.shape[1], -1, -1).gather(-1, chosen[..., None])[..., 0].sum(-1)

    def remainder(self, chosen: Tensor) -> Tensor:
        """The probability of all configurations but those of ``(rows, count, n)``, float64, shape ``(rows,)``.

        Summed over the classes that leave the tree of the chosen ones, and not as a difference from one, which would
        lose what is small.
        """
        count = chosen.shape[1]
        log_p = self.log_pi.new_zeros(chosen.shape[:2])
        alike = torch.ones(self.rows, count, count, dtype=torch.bool, device=chosen.device)
        found = self.log_pi.new_zeros(self.rows)
        earlier = torch.ones(count, count, dtype=torch.bool, device=chosen.device).tril(-1)
        for n in range(chosen.shape[2]):
            # One of those that are alike so far stands for all.
            repeated = (alike & earlier).any(-1)
            taken = torch.zeros(self.rows, count, self.log_pi.shape[2], device=chosen.device)
            own = chosen[:, None, :, n].expand(-1, count, -1)
            taken = taken.scatter_add(-1, own, alike.to(taken.dtype))
            leaving = torch.where(taken > 0, -torch.inf, self.log_pi[:, None, n]).logsumexp(-1)
            found = found + torch.where(repeated, 0.0, (log_p + leaving).exp()).sum(-1)
            log_p = log_p + self.log_pi[:, n].gather(-1, chosen[..., n])
            alike = alike & (chosen[:, :, None, n] == chosen[:, None, :, n])
        return found

    def top(self, count: int, without: Tensor) -> Tensor:
        """The ``count`` most probable configurations but those of ``without``, shape ``(rows, count, n)``."""
        return self._beam(count, without, None)

    def draw(self, count: int, without: Tensor, seed: Tensor) -> Tensor:
        """Draw ``count`` configurations without replacement, none of ``without``, in the order of their draw.

        Args:
            count: how many; those that ``without`` leaves over suffice.
            without: configurations that are drawn already, shape ``(rows, m, n)``, different ones.
            seed: 0-dim int64 tensor.

        Returns:
            Configurations, shape ``(rows, count, n)``. One of probability zero comes after all others.
        """
        return self._beam(count, without, seed)

    def _noise(self, values: Tensor, seed: Tensor) -> Tensor:
        """Gumbel noise for values ``(rows, ...)``, which a cost has by its number."""
        place, lead = self.variable.place, self.variable.batch_shape[: self.lead]
        by_cost = values.reshape(*lead, *values.shape[1:])
        batch = len(lead) - len(place.copies)
        return place.draw(gumbel_noise_like, by_cost, seed, batch=batch).reshape(values.shape)

    def _beam(self, count: int, without: Tensor, seed: Tensor | None) -> Tensor:
        """Stochastic beam search, or beam search if there is no seed.

        One variable is added after the other. The perturbed log-probability of a prefix is the largest of those of its
        continuations (Kool et al., 2019), so no prefix that is dropped could have led to one of the best.
        """
        rows, shared, classes = self.log_pi.shape
        width = count + without.shape[1]
        chosen = torch.zeros(rows, 1, 0, dtype=torch.int64, device=self.log_pi.device)
        log_p = ranks = self.log_pi.new_zeros(rows, 1)
        for n in range(shared):
            extended = log_p[..., None] + self.log_pi[:, None, n]
            scores = extended
            if seed is not None:
                scores = gumbel_given_largest(extended + self._noise(extended, fold_seed(seed, n)), ranks)
            ranks, place = scores.flatten(1).topk(min(width, extended.shape[1] * classes))
            log_p = extended.flatten(1).gather(1, place)
            prefix = chosen.gather(1, (place // classes)[..., None].expand(-1, -1, n))
            chosen = torch.cat([prefix, (place % classes)[..., None]], -1)
        known = (chosen[:, :, None] == without[:, None]).all(-1).any(-1)
        order = known.long().argsort(dim=1, stable=True)[:, :count]
        return chosen.gather(1, order[..., None].expand(-1, -1, shared))
