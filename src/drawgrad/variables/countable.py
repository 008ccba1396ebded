"""Variables whose states can be numbered."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.functional import gumbel_max
from drawgrad.variables.place import logistic_noise_like
from drawgrad.variables.variable import Index, Scored

__all__ = ["Countable"]


@dataclass(frozen=True, eq=False)
class Countable(Scored):
    """A variable of K states, which have the numbers from 0 to K - 1.

    What a subclass must say is :meth:`log_probs`, :meth:`sample_of` and :meth:`of`. If its index is not the number of
    the state, :meth:`state` and :meth:`number` lead from one to the other. The rest follows, though a subclass may know
    a quicker way.
    """

    words: ClassVar[str] = "a distribution whose states can be counted"

    @abstractmethod
    def log_probs(self) -> Tensor:
        """Log-probabilities of all states, shape ``(*batch, k)``, differentiable."""

    @property
    def batch_shape(self) -> torch.Size:
        return self.log_probs().shape[:-1]

    @property
    def states(self) -> int:
        return self.log_probs().shape[-1]

    def sizes(self, shared: int) -> list[int]:
        """How many states each of the last ``shared`` choices of the batch has."""
        return [self.states] * shared

    def state(self, number: Tensor) -> Index:
        """The index of the states with these numbers, shape ``(..., *batch)``."""
        return number

    def number(self, index: Index) -> Tensor:
        """The numbers of states, int64, shape ``(..., *batch)``."""
        return index

    def to(self, dtype: torch.dtype) -> Self:
        """The same variables with parameters of another dtype."""
        converted: dict[str, Any] = {name: value.to(dtype) for name, value in self.parameters.items()}
        return replace(self, **converted)

    def computed(self) -> Self:
        """The same variables in the dtype in which formulas are computed: float32, or float64 as it is."""
        dtype = next(iter(self.parameters.values())).dtype
        return self if dtype in (torch.float32, torch.float64) else self.to(torch.float32)

    def draw(self, seed: Tensor) -> Index:
        return self.state(self.drawn(gumbel_max, self.log_probs().detach(), seed))

    def log_prob(self, index: Index) -> Tensor:
        number = self.number(index)
        log_probs = self.log_probs()
        front = number.shape[: number.dim() - (log_probs.dim() - 1)]
        return log_probs.expand(*front, *log_probs.shape).gather(-1, number[..., None])[..., 0]

    def index_of(self, z: Tensor) -> Index:
        every = torch.arange(self.states, device=z.device)
        shape = self.batch_shape
        samples = self.sample_of(self.state(every.reshape(-1, *[1] * len(shape)).expand(-1, *shape)))
        event = samples.dim() - 1 - len(shape)
        front = z.shape[: z.dim() - event - len(shape)]
        samples = samples.reshape(len(every), *[1] * len(front), *samples.shape[1:])
        same = z == samples
        return self.state((same.flatten(same.dim() - event).all(-1) if event else same).to(torch.uint8).argmax(0))

    def mean(self) -> Tensor | None:
        p = self.log_probs().exp()
        every = torch.arange(self.states, device=p.device).reshape(-1, *[1] * (p.dim() - 1))
        samples = self.sample_of(self.state(every.expand(-1, *self.batch_shape)))
        if not samples.is_floating_point():
            return None
        weights = p.movedim(-1, 0)
        return (weights.reshape(*weights.shape, *[1] * (samples.dim() - weights.dim())) * samples).sum(0)

    def draw_antithetic(self, seed: Tensor) -> Index:
        """Pairs of states, as far apart as their probabilities allow.

        States have no order. They lie side by side on a circle of length 1, and the pair is at u and u + 1/2: both are
        state i with probability max(0, 2 pi_i - 1), the least that is possible.
        """
        p = self.log_probs().detach().double().softmax(-1)
        u = self.drawn(logistic_noise_like, p[..., 0], seed).sigmoid()
        ends = p.cumsum(-1)
        # Scaled by the last end, which rounding may leave beside 1.
        at = torch.stack([u, (u + 0.5) % 1])[..., None] * ends[..., -1:]
        return self.state((ends <= at).sum(-1).flatten(0, 1))
