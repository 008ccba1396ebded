"""Zeros and ones: the variable of ``Bernoulli``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch.distributions import Bernoulli

from drawgrad._typing import Tensor
from drawgrad.functional import binary_concrete, conditional_logistic
from drawgrad.variables.parameters import exact_logits
from drawgrad.variables.place import logistic_noise_like
from drawgrad.variables.registry import register_variable
from drawgrad.variables.relaxable import Relaxable

__all__ = ["Binary"]


@register_variable(Bernoulli)
@dataclass(frozen=True, eq=False)
class Binary(Relaxable):
    """Zeros and ones; the index is a bool, True for a one, and the logits are log-odds.

    Every formula is that of two classes with logits (l, 0).

    Example:
        >>> import torch
        >>> variable = Binary(torch.zeros(2))
        >>> variable.log_prob(torch.tensor([True, False])).exp()
        tensor([0.5000, 0.5000])
    """

    words: ClassVar[str] = "Bernoulli"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(exact_logits(q, binary=True))

    @property
    def states(self) -> int:
        return 2

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape

    def log_probs(self) -> Tensor:
        return torch.nn.functional.logsigmoid(torch.stack([-self.logits, self.logits], -1))

    def state(self, number: Tensor) -> Tensor:
        return number == 1

    def number(self, index: Tensor) -> Tensor:
        return index.long()

    def draw(self, seed: Tensor) -> Tensor:
        return self.drawn(binary_concrete, self.logits.detach(), seed, 1.0, True) == 1

    def sample_of(self, index: Tensor) -> Tensor:
        return index.to(self.logits.dtype)

    def index_of(self, z: Tensor) -> Tensor:
        return z == 1

    def log_prob(self, index: Tensor) -> Tensor:
        return torch.nn.functional.logsigmoid(torch.where(index, self.logits, -self.logits))

    def draw_antithetic(self, seed: Tensor) -> Tensor:
        """Pairs F^-1(u), F^-1(1 - u): each of the two a sample, on opposite sides of the median."""
        logits = self.logits.detach().double()
        x = self.drawn(logistic_noise_like, logits, seed)
        return torch.cat([logits + x > 0, logits - x > 0])

    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor) -> Tensor:
        return self.relaxed(binary_concrete, tau, hard, seed)

    def noisy(self, seed: Tensor) -> Tensor:
        logits = self.logits.detach()
        return logits + self.drawn(logistic_noise_like, logits, seed)

    def winner(self, scores: Tensor) -> Tensor:
        return scores > 0

    def perturbed(self, index: Tensor, seed: Tensor) -> Tensor:
        return self.drawn(conditional_logistic, self.logits, seed, index)

    def conditional_pullback(self, index: Tensor, scores: Tensor, grad: Tensor) -> Tensor:
        # One score, the difference of two classes' scores: 1 - P(b) (1 - exp(-|z|)).
        p = self.probs()
        return (1 + torch.where(index, p, 1 - p) * torch.expm1(-scores.abs())) * grad

    def conditional_pushforward(self, index: Tensor, scores: Tensor, direction: Tensor) -> Tensor:
        return self.conditional_pullback(index, scores, direction)

    def squash(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def by_state(self, y: Tensor) -> Tensor:
        return torch.stack([1 - y, y], -1)

    def along(self, slope: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(slope), slope], -1)

    def mixture(self, weights: Tensor) -> Tensor:
        return weights[..., 1]

    def from_scores(self, scores: Tensor) -> Tensor:
        return scores[..., 1] - scores[..., 0]
