"""One-hot vectors: the variable of ``OneHotCategorical``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.distributions import OneHotCategorical

from drawgrad._typing import Tensor
from drawgrad.functional import conditional_gumbel, gumbel_max, gumbel_softmax
from drawgrad.kernels.log_probs import log_softmax, softmax
from drawgrad.variables.place import gumbel_noise_like
from drawgrad.variables.registry import register_variable
from drawgrad.variables.relaxable import Relaxable

__all__ = ["OneHot"]


@register_variable(OneHotCategorical)
@dataclass(frozen=True, eq=False)
class OneHot(Relaxable):
    """One-hot vectors of K classes, the last dimension of the logits; the index is the number of the class.

    Example:
        >>> import torch
        >>> variable = OneHot(torch.zeros(5, 3))
        >>> variable.batch_shape, variable.states
        (torch.Size([5]), 3)
        >>> variable.sample_of(torch.tensor([0, 2]))
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """

    words: ClassVar[str] = "OneHotCategorical"

    @property
    def states(self) -> int:
        return self.logits.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    def log_probs(self) -> Tensor:
        return log_softmax(self.logits)

    def draw(self, seed: Tensor) -> Tensor:
        return self.drawn(gumbel_max, self.logits, seed)

    def sample_of(self, index: Tensor) -> Tensor:
        return (index[..., None] == torch.arange(self.states, device=index.device)).to(self.logits.dtype)

    def index_of(self, z: Tensor) -> Tensor:
        return z.argmax(-1)

    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor) -> Tensor:
        return self.relaxed(gumbel_softmax, tau, hard, seed)

    def noisy(self, seed: Tensor) -> Tensor:
        logits = self.logits.detach()
        return logits + self.drawn(gumbel_noise_like, logits, seed)

    def winner(self, scores: Tensor) -> Tensor:
        return scores.argmax(-1)

    def perturbed(self, index: Tensor, seed: Tensor) -> Tensor:
        return self.drawn(conditional_gumbel, self.logits, seed, index)

    def conditional_pullback(self, index: Tensor, scores: Tensor, grad: Tensor) -> Tensor:
        moved = self._ratio(index, scores) * grad
        return moved - self.probs() * moved.sum(-1, keepdim=True)

    def conditional_pushforward(self, index: Tensor, scores: Tensor, direction: Tensor) -> Tensor:
        return self._ratio(index, scores) * (direction - self.inner(self.probs(), direction))

    def _ratio(self, index: Tensor, scores: Tensor) -> Tensor:
        return (scores - scores.gather(-1, index[..., None])).exp()

    def squash(self, scores: Tensor) -> Tensor:
        return softmax(scores)

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1, keepdim=True)

    def by_state(self, y: Tensor) -> Tensor:
        return y

    def along(self, slope: Tensor) -> Tensor:
        return slope

    def mixture(self, weights: Tensor) -> Tensor:
        return weights

    def from_scores(self, scores: Tensor) -> Tensor:
        return scores
