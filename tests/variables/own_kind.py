"""A kind of variable that only the tests know: two of four items, each of the six pairs with a score of its own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from drawgrad.variables import Countable, register_variable

__all__ = ["PAIRS", "TwoOfFour", "TwoOfFourVariable"]

PAIRS = torch.tensor([[float(item in pair) for item in range(4)] for pair in itertools.combinations(range(4), 2)])
"""The six samples, shape ``(6, 4)``."""


class TwoOfFour(Distribution):
    """Subsets of two of four items, drawn from a table: no product of anything, so no formula of another kind fits."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "scores": constraints.independent(constraints.real, 1)
    }
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, scores: Tensor, validate_args: bool | None = None) -> None:
        self.scores = scores
        super().__init__(scores.shape[:-1], torch.Size([4]), validate_args=validate_args)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        number = torch.distributions.Categorical(logits=self.scores).sample(sample_shape)
        return PAIRS.to(self.scores)[number]

    def log_prob(self, value: Tensor) -> Tensor:
        number = (value[..., None, :] == PAIRS.to(value)).all(-1).to(torch.uint8).argmax(-1)
        scores = self.scores.log_softmax(-1)
        return scores.expand(*number.shape, 6).gather(-1, number[..., None])[..., 0]


@register_variable(TwoOfFour)
@dataclass(frozen=True, eq=False)
class TwoOfFourVariable(Countable):
    """What a user writes for it: the parameters, the probabilities of all states, and the sample of a state."""

    scores: Tensor
    words: ClassVar[str] = "TwoOfFour"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q.scores)

    def log_probs(self) -> Tensor:
        return self.scores.log_softmax(-1)

    def sample_of(self, index: Tensor) -> Tensor:
        return PAIRS.to(self.scores)[index]
