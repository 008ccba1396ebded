"""One-hot categorical and Bernoulli variables under one interface, so that a formula is written once for both."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad._independent import innermost
from drawgrad._typing import Tensor
from drawgrad.functional import (
    binary_concrete,
    conditional_gumbel,
    conditional_logistic,
    gumbel_max,
    gumbel_softmax,
)

__all__ = ["Binary", "Discrete", "OneHot", "discrete"]


@dataclass(frozen=True)
class Discrete(ABC):
    """Discrete variables with ``logits``; a *code* is a compact sample, :meth:`encode` makes the sample z of it.

    Attributes:
        logits: shape ``(*batch, k)`` of a one-hot variable, ``(*batch,)`` of a binary one; z has the same shape.
    """

    logits: Tensor

    @property
    @abstractmethod
    def classes(self) -> int:
        """K, the number of states of a variable."""

    @property
    @abstractmethod
    def batch_shape(self) -> torch.Size:
        """Shape of the variables."""

    @property
    def rows(self) -> int:
        """How many rows of noise one draw uses: the least ``row_offset`` of an independent draw from the same seed."""
        return math.prod(self.logits.shape[:-1])

    def expand(self, samples: int) -> Discrete:
        """The same variables, ``samples`` times along a new first dimension."""
        return replace(self, logits=self.logits.expand(samples, *self.logits.shape))

    def computed(self) -> Discrete:
        """The same variables in the dtype in which formulas are computed: float32, or float64 as it is."""
        return self if self.logits.dtype == torch.float64 else replace(self, logits=self.logits.float())

    @abstractmethod
    def draw(self, seed: Tensor, row_offset: int = 0) -> Tensor:
        """Code of a sample: index of the class, or True for a one."""

    @abstractmethod
    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor, row_offset: int = 0) -> Tensor:
        """Relaxed sample of temperature ``tau``, differentiable; with ``hard`` its value is that of :meth:`draw`."""

    @abstractmethod
    def code(self, state: Tensor) -> Tensor:
        """Code of the states that are numbered from 0 to K - 1."""

    @abstractmethod
    def encode(self, code: Tensor) -> Tensor:
        """The sample z of a code, in the dtype of the logits."""

    @abstractmethod
    def log_prob(self, code: Tensor) -> Tensor:
        """Log-probability of a code, shape ``batch_shape``, differentiable."""

    @abstractmethod
    def perturbed(self, code: Tensor, seed: Tensor, row_offset: int = 0) -> Tensor:
        """Logits with noise, drawn given that ``code`` was sampled; differentiable."""

    @abstractmethod
    def midpoint(self, code: Tensor) -> Discrete:
        """The variables whose probabilities are (pi + D) / 2, half way between the mean and the sample."""

    @abstractmethod
    def plus(self, sample: Tensor) -> Tensor:
        """The logits plus a sample, hard or relaxed, as a vector over the classes."""

    @abstractmethod
    def separated(self, code: Tensor, gap: float) -> Tensor:
        """The logits, moved as little as it takes for the sample's class to lead all others by ``gap``."""

    @abstractmethod
    def squash(self, scores: Tensor) -> Tensor:
        """Softmax or sigmoid."""

    @abstractmethod
    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """Inner product of two vectors of a variable; broadcasts against them."""

    @abstractmethod
    def pick(self, values: Tensor, code: Tensor) -> Tensor:
        """Inner product of the sample D of a code with a vector; broadcasts against it."""

    @abstractmethod
    def bump(self, values: Tensor, code: Tensor, amount: Tensor) -> Tensor:
        """The vector plus the sample D of a code times ``amount``, which is like the result of :meth:`pick`."""

    @property
    @abstractmethod
    def centre(self) -> float:
        """Every entry of the uniform probabilities."""

    def probs(self, tau: float | Tensor = 1.0) -> Tensor:
        """Probabilities pi of the logits divided by ``tau``."""
        return self.squash(self.logits / tau)

    def jacobian(self, p: Tensor, grad: Tensor) -> Tensor:
        """J(p) grad with J(p) = diag(p) - p p^T."""
        return p * (grad - self.inner(p, grad))


class OneHot(Discrete):
    """One-hot vectors of K classes, the last dimension of the logits."""

    @property
    def classes(self) -> int:
        return self.logits.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    def draw(self, seed: Tensor, row_offset: int = 0) -> Tensor:
        return gumbel_max(self.logits, seed=seed, row_offset=row_offset)

    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor, row_offset: int = 0) -> Tensor:
        return gumbel_softmax(self.logits, tau, hard, seed=seed, row_offset=row_offset)

    def code(self, state: Tensor) -> Tensor:
        return state

    def encode(self, code: Tensor) -> Tensor:
        return (code[..., None] == torch.arange(self.classes, device=code.device)).to(self.logits.dtype)

    def log_prob(self, code: Tensor) -> Tensor:
        return self.logits.log_softmax(-1).gather(-1, code[..., None])[..., 0]

    def perturbed(self, code: Tensor, seed: Tensor, row_offset: int = 0) -> Tensor:
        return conditional_gumbel(self.logits, code, seed=seed, row_offset=row_offset)

    def midpoint(self, code: Tensor) -> Discrete:
        # Up to a shift: log pi_j for the others, log(1 + pi_D) for the sample's class.
        log_pi = self.logits.log_softmax(-1)
        winner = code[..., None]
        return OneHot(log_pi.scatter(-1, winner, log_pi.gather(-1, winner).exp().log1p()))

    def plus(self, sample: Tensor) -> Tensor:
        return self.logits + sample

    def separated(self, code: Tensor, gap: float) -> Tensor:
        top = self.logits.amax(-1, keepdim=True)
        return torch.minimum(self.logits, top - gap).scatter(-1, code[..., None], top)

    def squash(self, scores: Tensor) -> Tensor:
        return scores.softmax(-1)

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1, keepdim=True)

    def pick(self, values: Tensor, code: Tensor) -> Tensor:
        return values.gather(-1, code[..., None])

    def bump(self, values: Tensor, code: Tensor, amount: Tensor) -> Tensor:
        return values.scatter_add(-1, code[..., None], amount)

    @property
    def centre(self) -> float:
        return 1 / self.classes


class Binary(Discrete):
    """Zeros and ones; the logits are log-odds. Every formula is that of two classes with logits (l, 0)."""

    @property
    def classes(self) -> int:
        return 2

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape

    def draw(self, seed: Tensor, row_offset: int = 0) -> Tensor:
        return binary_concrete(self.logits.detach(), hard=True, seed=seed, row_offset=row_offset) == 1

    def relax(self, tau: float | Tensor, hard: bool, seed: Tensor, row_offset: int = 0) -> Tensor:
        return binary_concrete(self.logits, tau, hard, seed=seed, row_offset=row_offset)

    def code(self, state: Tensor) -> Tensor:
        return state == 1

    def encode(self, code: Tensor) -> Tensor:
        return code.to(self.logits.dtype)

    def log_prob(self, code: Tensor) -> Tensor:
        return torch.nn.functional.logsigmoid(torch.where(code, self.logits, -self.logits))

    def perturbed(self, code: Tensor, seed: Tensor, row_offset: int = 0) -> Tensor:
        return conditional_logistic(self.logits, code, seed=seed, row_offset=row_offset)

    def midpoint(self, code: Tensor) -> Discrete:
        # The log-odds of (1 + p) / 2 are log(1 + 2 e^l); those of p / 2 follow by symmetry.
        sign = torch.where(code, 1.0, -1.0).to(self.logits.dtype)
        return Binary(sign * torch.nn.functional.softplus(sign * self.logits + math.log(2)))

    def plus(self, sample: Tensor) -> Tensor:
        return self.logits + 2 * sample - 1

    def separated(self, code: Tensor, gap: float) -> Tensor:
        return torch.where(code, self.logits.clamp_min(gap), self.logits.clamp_max(-gap))

    def squash(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def pick(self, values: Tensor, code: Tensor) -> Tensor:
        return torch.where(code, values, 0.0)

    def bump(self, values: Tensor, code: Tensor, amount: Tensor) -> Tensor:
        return values + self.pick(amount, code)

    @property
    def centre(self) -> float:
        return 0.5


def discrete(q: Distribution) -> Discrete:
    """The variables of a one-hot categorical or Bernoulli distribution, also inside ``Independent``.

    The gradient of the result's logits reaches the parameters that ``q`` was made of, logits or probs.
    """
    q = innermost(q)
    if isinstance(q, OneHotCategorical):
        return OneHot(q.logits)
    if isinstance(q, Bernoulli):
        return Binary(q.logits)
    raise AssertionError(q)
