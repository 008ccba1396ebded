"""Semirings: what AND and OR mean when a truth value is more than true or false."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from drawgrad._typing import Bool, Float, Tensor

__all__ = [
    "Boolean",
    "Goedel",
    "Log",
    "Lukasiewicz",
    "MaxPlus",
    "MinPlus",
    "Probability",
    "Semiring",
    "Viterbi",
]


@dataclass(frozen=True)
class Semiring(ABC):
    r"""Two operations: :math:`\oplus` for OR, ``plus``, and :math:`\otimes` for AND, ``times``.

    ``zero`` is neutral for ``plus`` and makes every product zero; ``one`` is neutral for ``times``. Both operations are
    associative and commutative. A subclass gives these four and, where its elements are not probabilities themselves,
    :meth:`of_probs` and :meth:`log`; everything else follows from them.

    Attributes:
        zero: the element of what is impossible.
        one: the element of what is certain.
        distributive: whether a (b + c) = a b + a c, without which sums over many proofs depend on how they are
            bracketed: two formulas that are logically equal may have different values, except for zeros and ones.
    """

    zero: ClassVar[float] = 0.0
    one: ClassVar[float] = 1.0
    distributive: ClassVar[bool] = True

    @abstractmethod
    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        """OR of two tensors, element by element."""

    @abstractmethod
    def times(self, a: Tensor, b: Tensor) -> Tensor:
        """AND of two tensors, element by element."""

    def complement(self, a: Tensor) -> Tensor:
        """NOT, where there is one: it exchanges zero and one, and undoes itself.

        Raises:
            TypeError: if this semiring has none.
        """
        raise TypeError(
            f"{type(self).__name__} has no complement: nothing in it undoes NOT; write the formula without NOT, or use "
            "Probability(), Boolean(), Goedel() or Lukasiewicz()"
        )

    def of_probs(self, probs: Float[Tensor, "*shape"]) -> Tensor:
        """The elements that stand for probabilities in [0, 1]."""
        return probs

    def log(self, a: Tensor) -> Float[Tensor, "..."]:
        """The logarithms of what elements stand for; -inf, without a gradient, for zero."""
        return _safe_log(a)

    def lift(self, true: Bool[Tensor, "*shape"], like: Tensor) -> Tensor:
        """One where a condition holds, zero elsewhere, in the dtype of ``like``."""
        return torch.full_like(true, self.zero, dtype=like.dtype).masked_fill(true, self.one)

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        """Elements of which the largest along ``dim`` is one, in the same proportions.

        What is zero stays so, and where the largest is one nothing changes. Semirings whose products do not shrink
        leave their elements as they are.
        """
        return a

    def sum(self, a: Tensor, dim: int) -> Tensor:
        """OR along a dimension; zero if it is empty."""
        return _fold(self.plus, a, dim, self.zero)

    def product(self, a: Tensor, dim: int) -> Tensor:
        """AND along a dimension; one if it is empty."""
        return _fold(self.times, a, dim, self.one)

    def sum_of_others(self, a: Tensor, dim: int) -> Tensor:
        """For each element the OR of all others along a dimension; the shape stays."""
        return _fold_others(self.plus, a, dim, self.zero)

    def product_of_others(self, a: Tensor, dim: int) -> Tensor:
        """For each element the AND of all others along a dimension; the shape stays. Nothing is divided by zero."""
        return _fold_others(self.times, a, dim, self.one)


@dataclass(frozen=True)
class Boolean(Semiring):
    """True and false, as boolean tensors: OR and AND.

    Example:
        >>> import torch
        >>> Boolean().sum(torch.tensor([[False, True], [False, False]]), dim=-1)
        tensor([ True, False])
    """

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return a | b

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a & b

    def complement(self, a: Tensor) -> Tensor:
        return ~a

    def of_probs(self, probs: Float[Tensor, "*shape"]) -> Tensor:
        return probs > 0

    def log(self, a: Tensor) -> Float[Tensor, "..."]:
        return a.to(torch.get_default_dtype()).log()

    def sum(self, a: Tensor, dim: int) -> Tensor:
        return a.any(dim)

    def product(self, a: Tensor, dim: int) -> Tensor:
        return a.all(dim)


@dataclass(frozen=True)
class Probability(Semiring):
    r"""Probabilities of independent events: :math:`a \oplus b = a + b - ab`, :math:`a \otimes b = ab`.

    Both operations are what independent events have, but the events of one formula are not independent where it uses
    a variable twice: this algebra is not distributive, and a proof that counts a variable twice is off. On zeros and
    ones it is exact.

    Example:
        >>> import torch
        >>> Probability().sum(torch.tensor([0.5, 0.5, 0.5]), dim=-1)
        tensor(0.8750)

    References:
        Zadeh. Fuzzy sets. Information and Control 8, 1965 (the "algebraic" product and sum).
    """

    distributive: ClassVar[bool] = False

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        # Not 1 - (1 - a)(1 - b), in which a small number drowns.
        return a + b * (1 - a)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def complement(self, a: Tensor) -> Tensor:
        return 1 - a

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        return _divided_by_largest(a, dim)


@dataclass(frozen=True)
class Log(Semiring):
    r"""Logarithms of weights: :math:`a \oplus b = \log(e^a + e^b)`, :math:`a \otimes b = a + b`; it counts proofs.

    Example:
        >>> import torch
        >>> Log().sum(torch.zeros(4), dim=-1).exp()
        tensor(4.)
    """

    zero: ClassVar[float] = -torch.inf
    one: ClassVar[float] = 0.0

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return self.sum(torch.stack(torch.broadcast_tensors(a, b)), 0)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def of_probs(self, probs: Float[Tensor, "*shape"]) -> Tensor:
        return _safe_log(probs)

    def log(self, a: Tensor) -> Float[Tensor, "..."]:
        return a

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        return _minus_largest(a, dim)

    def sum(self, a: Tensor, dim: int) -> Tensor:
        if a.shape[dim] == 0:
            return _fold(self.times, a, dim, self.zero)
        largest = a.detach().amax(dim, keepdim=True)
        largest = torch.where(largest.isfinite(), largest, 0.0)
        total = (a - largest).exp().sum(dim)
        return _safe_log(total) + largest.squeeze(dim)

    def product(self, a: Tensor, dim: int) -> Tensor:
        return a.sum(dim)


@dataclass(frozen=True)
class MaxPlus(Semiring):
    r"""The tropical semiring of scores: :math:`a \oplus b = \max(a, b)`, :math:`a \otimes b = a + b`.

    The score of the best proof, in logarithms.

    Example:
        >>> import torch
        >>> MaxPlus().sum(torch.tensor([-1.0, -3.0]), dim=-1)
        tensor(-1.)

    References:
        Simon. Recognizable sets with multiplicities in the tropical semiring. MFCS 1988.
    """

    zero: ClassVar[float] = -torch.inf
    one: ClassVar[float] = 0.0

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def of_probs(self, probs: Float[Tensor, "*shape"]) -> Tensor:
        return _safe_log(probs)

    def log(self, a: Tensor) -> Float[Tensor, "..."]:
        return a

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        return _minus_largest(a, dim)

    def product(self, a: Tensor, dim: int) -> Tensor:
        return a.sum(dim)


@dataclass(frozen=True)
class MinPlus(Semiring):
    r"""The tropical semiring of costs: :math:`a \oplus b = \min(a, b)`, :math:`a \otimes b = a + b`.

    The cost of the cheapest proof. Costs are negative logarithms of probabilities: zero is an infinite cost.

    Example:
        >>> import torch
        >>> MinPlus().product(torch.tensor([1.0, 3.0]), dim=-1)
        tensor(4.)

    References:
        Simon. Recognizable sets with multiplicities in the tropical semiring. MFCS 1988.
    """

    zero: ClassVar[float] = torch.inf
    one: ClassVar[float] = 0.0

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def of_probs(self, probs: Float[Tensor, "*shape"]) -> Tensor:
        return -_safe_log(probs)

    def log(self, a: Tensor) -> Float[Tensor, "..."]:
        return -a

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        return -_minus_largest(-a, dim)

    def product(self, a: Tensor, dim: int) -> Tensor:
        return a.sum(dim)


@dataclass(frozen=True)
class Viterbi(Semiring):
    r"""The probability of the best proof: :math:`a \oplus b = \max(a, b)`, :math:`a \otimes b = ab`.

    Example:
        >>> import torch
        >>> Viterbi().sum(torch.tensor([0.2, 0.7]), dim=-1)
        tensor(0.7000)

    References:
        Viterbi. Error bounds for convolutional codes. IEEE Transactions on Information Theory 13, 1967.
    """

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def rescale(self, a: Tensor, dim: int) -> Tensor:
        return _divided_by_largest(a, dim)


@dataclass(frozen=True)
class Goedel(Semiring):
    r"""Fuzzy truth by the weakest link: :math:`a \oplus b = \max(a, b)`, :math:`a \otimes b = \min(a, b)`.

    Example:
        >>> import torch
        >>> Goedel().product(torch.tensor([0.2, 0.7]), dim=-1)
        tensor(0.2000)

    References:
        Goedel. Zum intuitionistischen Aussagenkalkuel. Anzeiger der Akademie der Wissenschaften in Wien 69, 1932.
    """

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)

    def complement(self, a: Tensor) -> Tensor:
        return 1 - a


@dataclass(frozen=True)
class Lukasiewicz(Semiring):
    r"""Fuzzy truth by added doubts: :math:`a \oplus b = \max(a, b)`, :math:`a \otimes b = \max(0, a + b - 1)`.

    Example:
        >>> import torch
        >>> Lukasiewicz().product(torch.tensor([0.9, 0.8, 0.7]), dim=-1)
        tensor(0.4000)

    References:
        Droste, Kuich. Semirings and formal power series. In Handbook of Weighted Automata, 2009.
    """

    def plus(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return (a + b - 1).clamp_min(0)

    def complement(self, a: Tensor) -> Tensor:
        return 1 - a


def _safe_log(a: Tensor) -> Tensor:
    """Logarithm without a gradient at zero and at what has no reciprocal; torch's is infinite there, and NaN later."""
    a = torch.where(a >= torch.finfo(a.dtype).tiny, a, a.detach())
    positive = a > 0
    return torch.where(positive, torch.where(positive, a, 1.0).log(), -torch.inf)


def _divided_by_largest(a: Tensor, dim: int) -> Tensor:
    """Elements over their largest; without a gradient where that is so small that a few such quotients overflow."""
    small = a.detach().amax(dim, keepdim=True) < torch.finfo(a.dtype).max ** -0.25
    a = torch.where(small, a.detach(), a)
    largest = a.amax(dim, keepdim=True)
    return a / torch.where(largest > 0, largest, 1.0)


def _minus_largest(a: Tensor, dim: int) -> Tensor:
    largest = a.amax(dim, keepdim=True)
    return a - torch.where(largest.isfinite(), largest, 0.0)


def _fold(operation: Callable[[Tensor, Tensor], Tensor], a: Tensor, dim: int, neutral: float) -> Tensor:
    """Combine along a dimension by halves: few large operations, and errors that grow with the logarithm only."""
    if a.shape[dim] == 0:
        # The sum of nothing is 0; it keeps the way of the gradient, which is zero.
        return (a.sum(dim) + neutral).to(a.dtype)
    while (count := a.shape[dim]) > 1:
        first, second, *odd = a.split(count // 2, dim)
        paired = operation(first, second)
        a = torch.cat([paired, *odd], dim) if odd else paired
    return a.squeeze(dim)


def _fold_others(operation: Callable[[Tensor, Tensor], Tensor], a: Tensor, dim: int, neutral: float) -> Tensor:
    """Combine all but one along a dimension: what the other pairs have, with each one's own partner."""
    count = a.shape[dim]
    if count <= 1:
        return torch.full_like(a, neutral)
    half = count // 2
    first, *middle, second = a.split([half, 1, half] if count % 2 else half, dim)
    if count == 2:
        return torch.cat([second, first], dim)
    others = _fold_others(operation, torch.cat([operation(first, second), *middle], dim), dim, neutral)
    paired, *rest = others.split(half, dim)
    return torch.cat([operation(paired, second), *rest, operation(paired, first)], dim)
