"""Several variables of different kinds and sizes that share a cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.functional import fold_seed
from drawgrad.variables.countable import Countable
from drawgrad.variables.variable import Index, Scored, Variable

__all__ = ["Joint", "JointCountable"]


@dataclass(frozen=True, eq=False)
class Joint(Scored):
    """The variables of a list, a tuple or a dict of distributions, which are independent of each other.

    Their batch shapes begin alike. All choices beyond that count as one more dimension of the batch, whichever part
    they belong to, so that ``log_prob`` has the shape ``(*common, choices)``. Samples and indices come in the container
    in which the distributions came.

    Attributes:
        each: the variables of the distributions.
        keys: their keys in a dict, or None for a list or tuple.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli, OneHotCategorical
        >>> from drawgrad.variables import variables_of
        >>> q = {"letter": OneHotCategorical(logits=torch.zeros(5, 3)), "bits": Bernoulli(logits=torch.zeros(5, 2))}
        >>> variable = variables_of(q)
        >>> variable.cost_shape, variable.batch_shape
        (torch.Size([5]), torch.Size([5, 3]))
        >>> index = variable.draw(torch.tensor(0))
        >>> variable.sample_of(index)["bits"].shape
        torch.Size([5, 2])
    """

    each: tuple[Variable, ...]
    keys: tuple[Any, ...] | None = None
    words: ClassVar[str] = "several distributions"

    @classmethod
    def of(cls, q: Any) -> Self:
        raise NotImplementedError("variables_of makes it of a container")

    @property
    def parts(self) -> tuple[Variable, ...]:
        return self.each

    @property
    def cost_shape(self) -> torch.Size:
        """The batch dimensions that all distributions have in common."""
        shapes = [part.cost_shape for part in self.each]
        common = 0
        while all(len(shape) > common for shape in shapes) and len({shape[common] for shape in shapes}) == 1:
            common += 1
        return shapes[0][:common]

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size([*self.cost_shape, sum(self._counts())])

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Those of all parts, by names such as ``"0.logits"``."""
        names = self.keys or range(len(self.each))
        return {
            f"{key}.{name}": value
            for key, part in zip(names, self.each, strict=True)
            for name, value in part.parameters.items()
        }

    @property
    def device(self) -> torch.device | None:
        return next((part.device for part in self.each if part.device is not None), None)

    @property
    def learns(self) -> bool:
        return any(part.learns for part in self.each)

    def expand(self, samples: int, first: int = 0) -> Self:
        each = tuple(part.expand(samples, first) for part in self.each)
        return replace(self, each=each, place=self.place.copied(samples, first))

    def placed(self, row: int) -> Self:
        if row and not self.cost_shape:
            raise TypeError(
                "row_offset numbers the first batch dimension that all distributions have in common, but these have "
                "none; make their batch shapes begin alike"
            )
        return replace(self, each=tuple(part.placed(row) for part in self.each), place=self.place.at(row))

    def remade(self, parameters: dict[str, Tensor]) -> Any:
        names = self.keys or range(len(self.each))
        return self.packed(
            [
                part.remade({name: parameters[f"{key}.{name}"] for name in part.parameters})
                for key, part in zip(names, self.each, strict=True)
            ]
        )

    def flattened(self, factors: Tensor) -> dict[str, Tensor] | None:
        found = [part.flattened(factors) for part in self.each]
        names = self.keys or range(len(self.each))
        if any(parameters is None for parameters in found):
            return None
        return {
            f"{key}.{name}": value
            for key, parameters in zip(names, found, strict=True)
            for name, value in (parameters or {}).items()
        }

    def map(self, function: Callable[[Any, Tensor], Any], seed: Tensor) -> Any:
        return self.packed([function(part, fold_seed(seed, number)) for number, part in enumerate(self.each)])

    def draw(self, seed: Tensor) -> Index:
        return self.map(lambda part, own: part.draw(own), seed)

    def draw_antithetic(self, seed: Tensor) -> Index:
        return self.map(lambda part, own: part.draw_antithetic(own), seed)

    def sample_of(self, index: Index) -> Any:
        return self.packed([part.sample_of(own) for part, own in self._pairs(index)])

    def index_of(self, z: Any) -> Index:
        return self.packed([part.index_of(own) for part, own in self._pairs(z)])

    def log_prob(self, index: Index) -> Tensor:
        found = [part.log_prob(own) for part, own in self._pairs(index) if isinstance(part, Scored)]
        return torch.cat([self._as_choices(part, value) for part, value in zip(self.each, found, strict=True)], -1)

    def packed(self, values: list[Any]) -> Any:
        """Values of the parts in the container of the distributions."""
        return values if self.keys is None else dict(zip(self.keys, values, strict=True))

    def _pairs(self, container: Any) -> list[tuple[Any, Any]]:
        values = container if self.keys is None else [container[key] for key in self.keys]
        return list(zip(self.each, values, strict=True))

    def _rest(self, part: Variable) -> torch.Size:
        """The batch dimensions of a part beyond the common ones."""
        return part.batch_shape[len(self.cost_shape) :]

    def _counts(self) -> list[int]:
        """How many choices each part has, for each element of the common batch."""
        return [math.prod(self._rest(part)) for part in self.each]

    def _as_choices(self, part: Variable, values: Tensor) -> Tensor:
        """Values ``(..., *batch)`` of a part in the shape ``(..., *common, choices)``."""
        rest = self._rest(part)
        return values.reshape(*values.shape[: values.dim() - len(rest)], math.prod(rest))


@dataclass(frozen=True, eq=False)
class JointCountable(Joint, Countable):
    """The same, if the states of all can be numbered. What a choice lacks in states has probability zero."""

    @property
    def states(self) -> int:
        return max(part.states or 0 for part in self.each)

    def sizes(self, shared: int) -> list[int]:
        own = [part.states or 0 for part, count in zip(self.each, self._counts(), strict=True) for _ in range(count)]
        return own * (shared // max(1, len(own)))

    def log_probs(self) -> Tensor:
        found = []
        for part in self.each:
            assert isinstance(part, Countable)
            values = part.log_probs()
            rest = self._rest(part)
            values = values.reshape(*self.cost_shape, math.prod(rest), part.states)
            found.append(torch.nn.functional.pad(values, (0, self.states - part.states), value=-torch.inf))
        return torch.cat(found, -2)

    def state(self, number: Tensor) -> Index:
        found = []
        for part, own in zip(self.each, number.split(self._counts(), -1), strict=True):
            assert isinstance(part, Countable)
            # A number beyond the states of this part has probability zero; any state stands for it.
            found.append(part.state(own.clamp_max(part.states - 1).reshape(*own.shape[:-1], *self._rest(part))))
        return self.packed(found)

    def number(self, index: Index) -> Tensor:
        found = []
        for part, own in self._pairs(index):
            found.append(self._as_choices(part, part.number(own)))
        return torch.cat(found, -1)

    def to(self, dtype: torch.dtype) -> Self:
        return replace(self, each=tuple(part.to(dtype) for part in self.each if isinstance(part, Countable)))

    def computed(self) -> Self:
        return replace(self, each=tuple(part.computed() for part in self.each if isinstance(part, Countable)))
