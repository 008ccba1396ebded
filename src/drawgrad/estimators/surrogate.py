"""Estimators that are samples with a gradient: of any distribution, of choices, and hard ones with a closed form."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.estimators.base import SampleEstimator, placed
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import no_second
from drawgrad.functional import draw_seed, not_differentiable
from drawgrad.kernels.state import apply_of
from drawgrad.variables import Distributions, Place, Relaxable, Variable, variables_of

__all__ = ["ReparameterizedEstimator", "StraightThroughEstimator", "SurrogateEstimator"]


@dataclass(frozen=True, kw_only=True)
class ReparameterizedEstimator(SampleEstimator):
    """An estimator that is a sample: its gradient goes through the cost and then through the sample.

    Such a sample serves without a mean of costs as well: :meth:`rsample` is what a layer calls, and what
    :func:`~drawgrad.functional.multi_sample_bound` is of.
    """

    needs_cost_gradient: ClassVar[bool] = True

    @abstractmethod
    def reparameterized(self, variable: Variable, seed: Tensor) -> Any:
        """As many samples z of ``variable`` as :attr:`samples` says, with this estimator's gradient."""

    def rsample(
        self,
        q: Distributions,
        *,
        generator: torch.Generator | None = None,
        seed: int | Int[Tensor, ""] | None = None,
        row_offset: int = 0,
    ) -> Any:
        """Draw samples of ``q`` that carry this estimator's gradient.

        Args:
            q: the distribution.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, instead of ``generator``.
            row_offset: number of the first entry of q's first batch dimension, when q is one part of a larger batch.

        Returns:
            Samples, shape ``(samples, *batch, *event)``; of several distributions in their container.

        Raises:
            TypeError: if the estimator does not take this ``q``, or ``row_offset`` is given and cannot be heeded.
        """
        self.check_supported(q)
        variable = placed(variables_of(q), row_offset)
        seed = draw_seed(generator=generator, seed=seed, device=variable.device)
        return self.reparameterized(variable, seed)

    def estimate(self, cost: Cost, variable: Variable, seed: Tensor) -> Tensor:
        return cost.through(self.reparameterized(variable, seed)).mean(0)


@dataclass(frozen=True, kw_only=True)
class SurrogateEstimator(ReparameterizedEstimator):
    """Such an estimator for choices, whose sample has no gradient of its own and gets one in its place."""

    unbiased: ClassVar[bool] = False
    takes: ClassVar[type] = Relaxable

    @abstractmethod
    def surrogate(self, variable: Relaxable, seed: Tensor) -> Tensor:
        """Samples z of ``variable`` with this estimator's gradient for its logits."""

    def obstacle(self, q: Distributions) -> str | None:
        found = [part for part in variables_of(q).parts if not isinstance(part, self.takes)]
        return self.refusal(found[0].q) if found else None

    def reparameterized(self, variable: Variable, seed: Tensor) -> Any:
        return variable.expand(self.samples).map(self.surrogate, seed)


@dataclass(frozen=True, kw_only=True)
class StraightThroughEstimator(SurrogateEstimator):
    """A hard sample of ``q`` with a gradient in closed form; backward keeps the logits, the sample's index and seed.

    Attributes:
        holds_sample: whether the closed form depends on the sample. Its derivative holds the sample fixed, and misses
            how its probability moves: half of the Hessian, already for a linear cost. So it is refused.
    """

    holds_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, Tensor) and value.requires_grad:
                raise ValueError(
                    f"{option.name} must not require a gradient, because {type(self).__name__} has none for it; "
                    f"detach it, or learn the temperature of GumbelSoftmax or STGumbelSoftmax"
                )

    @abstractmethod
    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        """The gradient for the logits.

        Args:
            variable: the variables, detached.
            index: the sample that was drawn.
            grad: gradient for the sample, like the logits.
            seed: the seed of the draw, of which ``variable`` knows the place.

        Returns:
            Gradient for the logits.
        """

    def surrogate(self, variable: Relaxable, seed: Tensor) -> Tensor:
        return self.attach(variable, self.draw(variable, seed), seed)

    def draw(self, variable: Relaxable, seed: Tensor) -> Tensor:
        """The index of the hard sample."""
        return variable.draw(seed)

    def attach(self, variable: Relaxable, index: Tensor, seed: Tensor) -> Tensor:
        """The sample z of a given index, with this estimator's gradient."""
        return _hard_sample(variable.logits, index, seed, self, type(variable), variable.place)


class _HardSample(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        logits: Tensor,
        index: Tensor,
        seed: Tensor,
        estimator: StraightThroughEstimator,
        kind: type[Relaxable],
        place: Place,
    ) -> Tensor:
        return kind(logits).sample_of(index)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, index, seed, ctx.estimator, ctx.kind, ctx.place = inputs
        ctx.save_for_backward(logits, index, seed)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logits, index, seed = ctx.saved_tensors
        variable = ctx.kind(logits, place=ctx.place).computed()
        grad = grads[0].to(variable.logits.dtype)
        found = ctx.estimator.pullback(variable, index, grad, seed)
        if ctx.estimator.holds_sample:
            found = not_differentiable(found, no_second)
        return found.to(logits.dtype), None, None, None, None, None


_hard_sample = apply_of(_HardSample)
