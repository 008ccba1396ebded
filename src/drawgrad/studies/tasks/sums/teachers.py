"""Teachers: what a sum says about how its digits should be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch.distributions import Categorical

from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import Estimator, IndeCateR, LeaveOneOut, Reinforce
from drawgrad.studies.tasks.sums.exact import column_sums, sum_log_prob

__all__ = ["TEACHERS", "ExactSum", "SampledSum", "SumTeacher"]


class SumTeacher(Protocol):
    """A loss from sums."""

    def loss(self, logits: Float[Tensor, "count addends digits 10"], totals: Int[Tensor, "count"]) -> Tensor:
        """The loss of the digits' logits."""


@dataclass(frozen=True)
class ExactSum:
    """The negative log-probability of the sum."""

    def loss(self, logits: Tensor, totals: Tensor) -> Tensor:
        """See :class:`SumTeacher`."""
        return -sum_log_prob(column_sums(logits.log_softmax(-1)), totals, logits.shape[1]).mean()


@dataclass(frozen=True)
class SampledSum:
    """How often sampled digits have another sum.

    Args:
        estimator: Of the gradient; it knows no more of the sum than whether it is right.
    """

    estimator: Estimator

    def loss(self, logits: Tensor, totals: Tensor) -> Tensor:
        """See :class:`SumTeacher`."""
        worth = 10 ** logits.new_tensor(range(logits.shape[2] - 1, -1, -1)).long()

        def wrong(digits: Tensor) -> Tensor:
            return ((digits.long() * worth).sum((-2, -1)) != totals).to(logits.dtype)

        return self.estimator(wrong, Categorical(logits=logits, validate_args=False)).mean()


TEACHERS: dict[str, SumTeacher] = {
    "exact": ExactSum(),
    "IndeCateR": SampledSum(IndeCateR(samples=10)),
    "leave-one-out": SampledSum(LeaveOneOut(samples=100)),
    "REINFORCE": SampledSum(Reinforce(samples=100)),
}
