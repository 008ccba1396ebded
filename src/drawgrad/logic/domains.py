"""Domains: which values each variable may still take, soft as numbers or hard as bits, and the ways between them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from drawgrad._checks import check_count, check_flag, check_floating
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.functional import gumbel_max, gumbel_softmax, straight_through
from drawgrad.logic._bits import WORD, pack_bits, unpack_bits, words_for
from drawgrad.logic.semirings import Probability, Semiring

__all__ = ["Draw", "HardDomains", "Hardening", "Mode", "SoftDomains", "Threshold"]

# Not the default of an argument: compiled code cannot see where that comes from.
PROBABILITY = Probability()


@dataclass(frozen=True, init=False)
class SoftDomains:
    r"""How possible each value of each variable is: elements of a semiring, in [0, 1] unless it is another one.

    An element of zero is a value that is ruled out. A domain with nothing but zeros is empty: a contradiction, which
    is a result like another (:meth:`contradiction`), never an exception or NaN.

    Args:
        elements: shape ``(*batch, variables, values)``.
        semiring: what the elements are elements of; :class:`Probability` if None.

    Raises:
        ValueError: if ``elements`` has fewer than two dimensions.
        TypeError: if they are neither floating-point nor, for :class:`Boolean`, boolean.

    Example:
        >>> import torch
        >>> domains = SoftDomains(torch.tensor([[0.2, 0.2, 0.6], [0.0, 0.0, 1.0]]))
        >>> domains.most_likely()
        tensor([2, 2])
        >>> domains.log_prob(torch.tensor([2, 2])).exp()
        tensor([0.6000, 1.0000])
    """

    elements: Tensor
    semiring: Semiring

    def __init__(self, elements: Tensor, semiring: Semiring | None = None) -> None:
        semiring = PROBABILITY if semiring is None else semiring
        if not isinstance(semiring, Semiring):
            raise TypeError(f"semiring must be a Semiring such as Probability(), but it is {semiring!r}; make one")
        if not isinstance(elements, Tensor) or elements.dtype != torch.bool:
            check_floating(elements, "elements")
        if elements.dim() < 2:
            raise ValueError(
                f"elements must have shape (*batch, variables, values), but it is {tuple(elements.shape)}; add a "
                "dimension of variables"
            )
        object.__setattr__(self, "elements", elements)
        object.__setattr__(self, "semiring", semiring)

    @classmethod
    def relaxed(
        cls,
        logits: Float[Tensor, "*batch variables values"],
        tau: float | Tensor = 1.0,
        hard: bool = False,
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> SoftDomains:
        """Domains drawn by Gumbel-Softmax: the lower the temperature, the closer to a single value each.

        Args:
            logits: unnormalized log-probabilities of the values, shape ``(*batch, variables, values)``.
            tau: temperature.
            hard: whether each domain is exactly one value, with the gradient of the soft one (straight-through).
            generator: draws the seed; torch's default one if None.
            seed: the seed itself.

        Returns:
            Domains that sum to one.

        Example:
            >>> import torch
            >>> SoftDomains.relaxed(torch.zeros(2, 3), tau=0.5, hard=True, seed=0).elements.sum(-1)
            tensor([1., 1.])
        """
        check_flag(hard, "hard")
        return cls(gumbel_softmax(logits, tau, hard, generator=generator, seed=seed))

    def within(self, semiring: Semiring) -> SoftDomains:
        """The same domains with elements of another semiring.

        Raises:
            TypeError: if the elements are of another one than :class:`Probability` already.

        Example:
            >>> import torch
            >>> from drawgrad.logic import Log
            >>> SoftDomains(torch.tensor([[1.0, 0.0]])).within(Log()).elements
            tensor([[0., -inf]])
        """
        if not isinstance(semiring, Semiring):
            raise TypeError(f"semiring must be a Semiring such as Probability(), but it is {semiring!r}; make one")
        if semiring == self.semiring:
            return self
        if not isinstance(self.semiring, Probability):
            raise TypeError(
                f"domains have elements of {type(self.semiring).__name__} already, which cannot become those of "
                f"{type(semiring).__name__}; start from probabilities"
            )
        return SoftDomains(semiring.of_probs(self.elements), semiring)

    def log_probs(self) -> Float[Tensor, "..."]:
        """Logarithms of the normalized domains, ``(*batch, variables, values)``; all -inf for an empty one."""
        log = self.semiring.log(self.elements)
        largest = log.detach().amax(-1, keepdim=True)
        log = log - torch.where(largest.isfinite(), largest, 0.0)
        total = log.exp().sum(-1, keepdim=True)
        return log - torch.where(total > 0, total, 1.0).log()

    def log_prob(self, assignment: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probabilities of values, variable by variable.

        Args:
            assignment: a value for each variable, ``(*batch, variables)``.

        Returns:
            Shape ``(*batch, variables)``; -inf, without a gradient, for a value that is ruled out.

        Raises:
            ValueError: if the shape does not fit.

        Example:
            >>> import torch
            >>> SoftDomains(torch.ones(1, 4)).log_prob(torch.tensor([2])).exp()
            tensor([0.2500])
        """
        shape = self.elements.shape[:-1]
        if assignment.shape != shape:
            raise ValueError(
                f"assignment must have shape {tuple(shape)}, a value for each variable, but it is "
                f"{tuple(assignment.shape)}; expand it to the batch"
            )
        return self.log_probs().gather(-1, assignment[..., None]).squeeze(-1)

    def entropy(self) -> Float[Tensor, "..."]:
        """Entropy of each normalized domain in nats, ``(*batch, variables)``; 0 for an empty one.

        Example:
            >>> import torch
            >>> SoftDomains(torch.tensor([[1.0, 1.0], [1.0, 0.0]])).entropy()
            tensor([0.6931, 0.0000])
        """
        log = self.log_probs()
        possible = log > -torch.inf
        log = torch.where(possible, log, 0.0)
        return -torch.where(possible, log.exp() * log, 0.0).sum(-1) + 0.0

    def most_likely(self) -> Int[Tensor, "..."]:
        """The most possible value of each variable by itself, ``(*batch, variables)``; the first one of equals."""
        return self.semiring.log(self.elements).argmax(-1)

    def contradiction(self) -> Int[Tensor, "..."]:
        """The first variable whose domain is empty, ``(*batch,)``; -1 where there is none."""
        return _first((self.semiring.log(self.elements) == -torch.inf).all(-1))

    def harden(self, by: Hardening | None = None) -> HardDomains:
        """Hard domains.

        Args:
            by: :class:`Threshold` (the default, at one half of the largest element), :class:`Mode` or :class:`Draw`.

        Example:
            >>> import torch
            >>> SoftDomains(torch.tensor([[0.9, 0.8, 0.0]])).harden().mask()
            tensor([[ True,  True, False]])
            >>> SoftDomains(torch.tensor([[0.9, 0.8, 0.0]])).harden(Mode()).bits
            tensor([1])
        """
        return HardDomains.from_mask((Threshold() if by is None else by).mask(self))

    def straight_through(self, by: Hardening | None = None) -> SoftDomains:
        """Domains of zeros and ones, as :meth:`harden` gives them, with the gradient of these.

        Raises:
            TypeError: if the elements are of another semiring than probabilities.
        """
        if not isinstance(self.semiring, Probability):
            raise TypeError(
                f"straight_through needs elements of Probability(), but they are of {type(self.semiring).__name__}; "
                "make domains of log_probs().exp() first"
            )
        hard = (Threshold() if by is None else by).mask(self)
        return SoftDomains(straight_through(hard.to(self.elements.dtype), self.elements))


@dataclass(frozen=True)
class HardDomains:
    """Which values each variable may take, as bits: value v is bit v % 64 of word v // 64.

    Args:
        bits: int64, shape ``(*batch, variables)`` for up to 64 values, ``(*batch, variables, words)`` for more.
        values: number of values.

    Raises:
        ValueError: if the shape does not fit the number of values.
        TypeError: if ``bits`` is not an int64 tensor.

    Example:
        >>> import torch
        >>> domains = HardDomains(torch.tensor([0b011, 0b100, 0b000]), values=3)
        >>> domains.count(), domains.contradiction(), domains.assignment()
        (tensor([2, 1, 0]), tensor(2), tensor([-1,  2, -1]))
    """

    bits: Tensor
    values: int

    def __post_init__(self) -> None:
        check_count(self.values, "values", minimum=1)
        if not isinstance(self.bits, Tensor) or self.bits.dtype != torch.int64:
            what = self.bits.dtype if isinstance(self.bits, Tensor) else type(self.bits).__name__
            raise TypeError(f"bits must be an int64 tensor, but it is {what}; convert it with .long()")
        words = words_for(self.values)
        if self.bits.dim() == 0 or (words > 1 and (self.bits.dim() < 2 or self.bits.shape[-1] != words)):
            wanted = "(*batch, variables)" if words == 1 else f"(*batch, variables, {words})"
            raise ValueError(
                f"bits of {self.values} values must have shape {wanted}, but it is {tuple(self.bits.shape)}; "
                "HardDomains.from_mask packs a boolean tensor"
            )

    @classmethod
    def from_mask(cls, mask: Bool[Tensor, "*batch variables values"]) -> HardDomains:
        """Domains from booleans, True where a value is possible.

        Example:
            >>> import torch
            >>> HardDomains.from_mask(torch.tensor([[True, False, True]])).bits
            tensor([5])
        """
        words = pack_bits(mask)
        return cls(words.squeeze(-1) if mask.shape[-1] <= WORD else words, mask.shape[-1])

    @property
    def words(self) -> Int[Tensor, "..."]:
        """The bits with a dimension of words, ``(*batch, variables, words)``, however many values there are."""
        return self.bits if self.values > WORD else self.bits[..., None]

    def mask(self) -> Bool[Tensor, "..."]:
        """The domains as booleans, ``(*batch, variables, values)``."""
        return unpack_bits(self.words, self.values)

    def soften(self, dtype: torch.dtype | None = None) -> SoftDomains:
        """Soft domains of zeros and ones, in torch's default dtype if None.

        Example:
            >>> import torch
            >>> HardDomains(torch.tensor([5]), values=3).soften().elements
            tensor([[1., 0., 1.]])
        """
        return SoftDomains(self.mask().to(torch.get_default_dtype() if dtype is None else dtype))

    def count(self) -> Int[Tensor, "..."]:
        """How many values each variable may take, ``(*batch, variables)``."""
        return self.mask().sum(-1)

    def contradiction(self) -> Int[Tensor, "..."]:
        """The first variable whose domain is empty, ``(*batch,)``; -1 where there is none."""
        return _first((self.words == 0).all(-1))

    def assignment(self) -> Int[Tensor, "..."]:
        """The value of each variable that has just one, ``(*batch, variables)``; -1 for the others."""
        mask = self.mask()
        return torch.where(mask.sum(-1) == 1, mask.long().argmax(-1), -1)


class Hardening(ABC):
    """A rule that says which values of soft domains are possible."""

    @abstractmethod
    def mask(self, domains: SoftDomains) -> Bool[Tensor, "..."]:
        """True where a value is possible; nowhere in an empty domain."""


@dataclass(frozen=True)
class Threshold(Hardening):
    """Values that are at least a fraction as possible as the most possible one of their variable.

    Args:
        fraction: the fraction; the higher, the fewer values remain. At 1 it is the most possible one, and its equals.

    Raises:
        ValueError: if the fraction is not above 0 and at most 1.
    """

    fraction: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1, but it is {self.fraction!r}; 0.5 is usual")

    def mask(self, domains: SoftDomains) -> Bool[Tensor, "..."]:
        log = domains.semiring.log(domains.elements.detach())
        largest = log.amax(-1, keepdim=True)
        return (log - torch.where(largest.isfinite(), largest, 0.0) >= math.log(self.fraction)) & (log > -torch.inf)


@dataclass(frozen=True)
class Mode(Hardening):
    """The most possible value alone, the first one of equals."""

    def mask(self, domains: SoftDomains) -> Bool[Tensor, "..."]:
        log = domains.semiring.log(domains.elements.detach())
        return _only(log.argmax(-1), log)


@dataclass(frozen=True)
class Draw(Hardening):
    """One value, drawn by the Gumbel-max rule with the normalized domain as its distribution.

    Args:
        generator: draws the seed; torch's default one if None.
        seed: the seed itself.
    """

    generator: torch.Generator | None = None
    seed: int | Tensor | None = None

    def mask(self, domains: SoftDomains) -> Bool[Tensor, "..."]:
        log = domains.semiring.log(domains.elements.detach())
        return _only(gumbel_max(log, generator=self.generator, seed=self.seed).clamp_min(0), log)


def _only(chosen: Tensor, log: Tensor) -> Tensor:
    marked = torch.zeros_like(log, dtype=torch.bool).scatter(-1, chosen[..., None], True)
    return marked & (log > -torch.inf)


def _first(where: Tensor) -> Tensor:
    """Index of the first True along the last dimension, -1 if there is none."""
    if where.shape[-1] == 0:
        return torch.full(where.shape[:-1], -1, device=where.device)
    return torch.where(where.any(-1), where.long().argmax(-1), -1)
