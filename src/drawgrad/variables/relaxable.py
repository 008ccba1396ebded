"""Variables with logits, whose samples have a continuous relaxation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import exact_logits, flattened_logits
from drawgrad.variables.place import aligned
from drawgrad.variables.variable import Index

__all__ = ["Relaxable"]


@dataclass(frozen=True, eq=False)
class Relaxable(Countable):
    """A variable that is made of ``logits``, and whose sample is the largest of them after noise was added.

    Its relaxed sample y = softmax((l + noise) / tau) and its probabilities pi are points between the hard samples. All
    three are of one shape with the logits.

    Attributes:
        logits: the only parameter; z has the same shape.
    """

    logits: Tensor
    words: ClassVar[str] = "a distribution with logits and a relaxation"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(exact_logits(q))

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits}

    @property
    def device(self) -> torch.device:
        return self.logits.device

    @property
    def learns(self) -> bool:
        return torch.is_grad_enabled() and self.logits.requires_grad

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return flattened_logits(self.logits, factors)

    def to(self, dtype: torch.dtype) -> Self:
        return replace(self, logits=self.logits.to(dtype))

    def computed(self) -> Self:
        return self if self.logits.dtype == torch.float64 else replace(self, logits=self.logits.float())

    @abstractmethod
    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor) -> Tensor:
        """Relaxed sample of temperature ``tau``, differentiable; with ``hard`` its value is that of :meth:`draw`."""

    def relaxed(self, sampler: Callable[..., Tensor], tau: float | Tensor, hard: bool, seed: Tensor) -> Tensor:
        """What a sampler ``(logits, tau, hard)`` draws at this place, where ``tau`` broadcasts to the logits."""
        return self.drawn(sampler, self.logits, seed, aligned(tau, self.logits), hard)

    @abstractmethod
    def noisy(self, seed: Tensor) -> Tensor:
        """Logits with noise, without a gradient; :meth:`winner` of them is a sample."""

    @abstractmethod
    def winner(self, scores: Tensor) -> Index:
        """The index that logits with noise lead to."""

    @abstractmethod
    def perturbed(self, index: Index, seed: Tensor) -> Tensor:
        """Logits with noise, drawn given that the sample was ``index``; differentiable."""

    @abstractmethod
    def conditional_pullback(self, index: Index, scores: Tensor, grad: Tensor) -> Tensor:
        """Gradient for the logits from that for ``scores``, which :meth:`perturbed` drew given ``index``."""

    @abstractmethod
    def conditional_pushforward(self, index: Index, scores: Tensor, direction: Tensor) -> Tensor:
        """How ``scores``, which :meth:`perturbed` drew given ``index``, move with the logits."""

    @abstractmethod
    def squash(self, scores: Tensor) -> Tensor:
        """Softmax or sigmoid: scores like the logits to a point between the samples."""

    @abstractmethod
    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """Inner product of two vectors of a variable; broadcasts against them."""

    @abstractmethod
    def by_state(self, y: Tensor) -> Tensor:
        """A point between the samples as weights of all states, shape ``(..., k)``."""

    @abstractmethod
    def along(self, slope: Tensor) -> Tensor:
        """Inner products of a vector like z with every state of a variable, shape ``(..., k)``."""

    @abstractmethod
    def mixture(self, weights: Tensor) -> Tensor:
        """The states of a variable, summed with weights ``(..., k)``: a vector like z."""

    @abstractmethod
    def from_scores(self, scores: Tensor) -> Tensor:
        """Logits from scores of all states, shape ``(..., k)``, such as :meth:`log_probs`."""

    def probs(self, tau: float | Tensor = 1.0) -> Tensor:
        """Probabilities pi of the logits divided by ``tau``."""
        return self.squash(self.logits / tau)

    def mean(self) -> Tensor:
        return self.probs()

    def mode(self) -> Tensor:
        return self.sample_of(self.winner(self.logits.detach()))

    def jacobian(self, p: Tensor, grad: Tensor) -> Tensor:
        """J(p) grad with J(p) = diag(p) - p p^T."""
        return p * (grad - self.inner(p, grad))
