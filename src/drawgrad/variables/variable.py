"""What a distribution chooses among, whatever its type: draws, samples, probabilities, parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch.distributions import Distribution, Independent

from drawgrad._independent import innermost
from drawgrad._typing import Tensor
from drawgrad.variables.place import Place

__all__ = ["Index", "Scored", "Variable"]

Index = Any
"""The compact form of a sample: a tensor of class numbers, of bools, ..., or several of them for a joint variable."""


@dataclass(frozen=True, eq=False)
class Variable(ABC):
    """What ``q`` chooses among: one choice for each element of ``batch_shape``.

    An *index* is the compact form of a sample: the number of a class, a bool, the number of a subset.
    :meth:`sample_of` makes the sample z of it. Indices and samples may have dimensions in front of the batch.

    A subclass is a frozen dataclass, whose fields that are tensors are the parameters of the distribution; each has the
    shape ``(*batch, ...)``.

    Attributes:
        reinterpreted: how many of the last batch dimensions ``Independent`` makes a part of the event.
        place: where the batch stands in a larger one, and which copies these are; all that is drawn heeds it.
        q: the distribution that it was looked up for.
        words: what kind of ``q`` this is, in words.
    """

    reinterpreted: int = field(default=0, kw_only=True)
    place: Place = field(default=Place(), kw_only=True)
    q: Any = field(default=None, kw_only=True)
    words: ClassVar[str] = "any distribution"

    @classmethod
    @abstractmethod
    def of(cls, q: Any) -> Self:
        """The variable of a distribution; its gradient reaches the parameters that ``q`` was made of."""

    @property
    @abstractmethod
    def batch_shape(self) -> torch.Size:
        """Shape of the choices."""

    @property
    def cost_shape(self) -> torch.Size:
        """``q.batch_shape``: the shape of the costs is a prefix of it."""
        return self.batch_shape[: len(self.batch_shape) - self.reinterpreted]

    @property
    def parts(self) -> tuple[Variable, ...]:
        """The variables that this one consists of: itself, unless it is a joint one."""
        return (self,)

    @property
    def states(self) -> int | None:
        """K, how many states a choice has; None if they are not counted."""
        return None

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that it is made of, by their names."""
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    @property
    def arguments(self) -> dict[str, Any]:
        """What else the constructor of the distribution takes, besides the parameters."""
        return {}

    @property
    def device(self) -> torch.device | None:
        """Where the parameters are; None if that is not known."""
        return next((value.device for value in self.parameters.values()), None)

    @property
    def learns(self) -> bool:
        """Whether anybody asks for the gradient of the parameters."""
        return torch.is_grad_enabled() and any(value.requires_grad for value in self.parameters.values())

    def expand(self, samples: int, first: int = 0) -> Self:
        """The same variables, ``samples`` times along a new first dimension.

        Args:
            samples: how many copies.
            first: the number of the first one. A copy draws by its number, so they may be drawn some at a time.
        """
        expanded: dict[str, Any] = {name: _repeated(value, samples) for name, value in self.parameters.items()}
        return replace(self, place=self.place.copied(samples, first), **expanded)

    def placed(self, row: int) -> Self:
        """The same variables as a part of a larger batch, of which ``row`` is the number of the first entry.

        Raises:
            TypeError: if what they draw is bound to the size of the batch.
        """
        return replace(self, place=self.place.at(row))

    def drawn(self, function: Callable[..., Tensor], values: Tensor, seed: Tensor, *others: Any) -> Tensor:
        """What a sampler draws for ``values``, shape ``(*batch_shape, ...)``, at this place: :meth:`Place.draw`."""
        return self.place.draw(function, values, seed, *others, batch=len(self.batch_shape) - len(self.place.copies))

    def remade(self, parameters: dict[str, Tensor]) -> Any:
        """A distribution of the same kind with other parameters, which may have dimensions in front of their own.

        Raises:
            TypeError: if the distribution cannot be made anew from its parameters.
        """
        family: Any = type(innermost(self.q))
        try:
            made = family(**parameters, **self.arguments, validate_args=False)
        except (TypeError, ValueError) as error:
            raise cannot_remake(family, f"{family.__name__}({', '.join(parameters)}) is no way to make one") from error
        own = self.parameters
        front = [value.shape[: value.dim() - own[name].dim()] for name, value in parameters.items()]
        inner = self.reinterpreted
        made = Independent(made, inner, validate_args=False) if inner else made
        if made.batch_shape != torch.broadcast_shapes(*front) + self.cost_shape:
            raise cannot_remake(family, f"made of {', '.join(parameters)} it has batch shape {tuple(made.batch_shape)}")
        return made

    def map(self, function: Callable[[Any, Tensor], Any], seed: Tensor) -> Any:
        """What a function of a variable and a seed makes of the parts, in the container of the distributions."""
        return function(self, seed)

    def flattened(self, factors: Tensor) -> dict[str, Tensor] | None:
        """Parameters on the way from the uniform distribution to this one, or None where no such way is known.

        Args:
            factors: shape ``(n,)``; 0 is the uniform distribution, 1 this one. What is impossible stays so.

        Returns:
            The parameters, ``n`` of each along a new first dimension, without a gradient.
        """
        return None

    @abstractmethod
    def draw(self, seed: Tensor) -> Index:
        """The index of one sample of each choice, without a gradient; all randomness is that of ``seed``.

        Drawn through :meth:`drawn`, it depends on the number of a row and not on the size of the batch.
        """

    @abstractmethod
    def sample_of(self, index: Index) -> Any:
        """The sample z of an index, shape ``(..., *batch, *event)``; a tensor that nothing else holds."""

    @abstractmethod
    def index_of(self, z: Any) -> Index:
        """The index of a sample."""

    def mean(self) -> Tensor | None:
        """The mean of z, differentiable, or None where there is none to be had."""
        return None

    def mode(self) -> Tensor | None:
        """The most probable z, without a gradient, or None where it is not known."""
        return None

    def draw_antithetic(self, seed: Tensor) -> Index:
        """Indices of pairs of samples that lie as far apart as one uniform number for both allows.

        Returns:
            Twice as many indices as variables, along the first dimension: the partner of entry s of ``expand(n)`` is
            entry s + n.

        Raises:
            TypeError: if there is no way to draw such pairs.
        """
        raise TypeError(f"antithetic=True cannot draw pairs of a {type(self).__name__}; use antithetic=False")


@dataclass(frozen=True, eq=False)
class Scored(Variable):
    """A variable whose samples have a probability, or a density."""

    words: ClassVar[str] = "any distribution with log_prob"

    @abstractmethod
    def log_prob(self, index: Index) -> Tensor:
        """Log-probability of an index, shape ``(..., *batch)``, differentiable in the parameters."""


def cannot_remake(family: type[Distribution], reason: str) -> TypeError:
    """The error for a distribution whose constructor does not take the parameters that it holds."""
    return TypeError(
        f"q must be a distribution that can be made anew from its parameters, but {reason} ({family.__name__}); use "
        "one of torch's basic distributions, such as OneHotCategorical, Bernoulli or Normal"
    )


def _repeated(value: Tensor, times: int) -> Tensor:
    """A tensor so many times along a new first dimension."""
    # The gradient of an expansion is summed, even over one.
    return value[None] if times == 1 else value.expand(times, *value.shape)
