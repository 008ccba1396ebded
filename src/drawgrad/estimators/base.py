"""What an estimator is: an expectation whose value and gradient are estimated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

import torch
from torch import nn

from drawgrad._checks import check_count, check_offset, check_temperature
from drawgrad._typing import Int, Tensor
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.registry import LISTED, names
from drawgrad.functional import draw_seed
from drawgrad.variables import Distributions, Variable, described, variables_of

__all__ = ["ESTIMATORS", "Estimator", "SampleEstimator", "StatefulEstimator"]


class Estimator(ABC):
    r"""An estimator of an expectation and of its gradient: ``loss = estimator(cost, q)``.

    .. math:: \mathrm{loss} \approx E_{z \sim q}[\mathrm{cost}(z)]

    Its value is the Monte Carlo estimate of the expectation. Its gradient is the estimator's, for the parameters of
    ``q`` and for everything that ``cost`` closes over, so that an expectation may be part of another one's cost.

    A subclass declares what it claims, and writes :meth:`estimate`:

    Attributes:
        unbiased: whether the gradient's expectation is the exact gradient, for every cost.
        needs_cost_gradient: whether the cost must be differentiable in ``z``.
        takes: what it asks of the variable of ``q``: a class of :mod:`drawgrad.variables`.
        hard: whether the cost sees exact samples of ``q`` alone; if not, the value is that of a relaxation.
        multi_sample_bound: whether value and gradient are those of -log mean exp(-cost) over several samples, in place
            of the expectation.
        exact: whether it draws nothing: value and gradient have no variance.
        fewest_samples: the least number of ``samples``.
        temperature: the name of the option that :meth:`at` sets, or None if there is none or if it is learned.
        twice_differentiable: whether further derivatives of the loss, for the parameters of ``q`` and what the cost
            closes over, estimate those of the expectation without bias. Where the first one is unbiased and this is
            not declared, they are refused, as they are where a biased estimator's formula depends on the sample; those
            of other biased estimators are their formula's.
        transforms: whether the gradients that the transforms of ``torch.func`` see are all that ``backward()`` gives;
            not where a control variate learns from the variance of the gradient.
        compiles: whether one compiled graph holds it, for a ``q`` whose variable this package knows.
    """

    unbiased: ClassVar[bool]
    needs_cost_gradient: ClassVar[bool]
    takes: ClassVar[type]
    hard: ClassVar[bool] = True
    multi_sample_bound: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    fewest_samples: ClassVar[int] = 1
    temperature: ClassVar[str | None] = None
    twice_differentiable: ClassVar[bool] = False
    transforms: ClassVar[bool] = True
    compiles: ClassVar[bool] = True

    @abstractmethod
    def evaluations(self, states: int, variables: int) -> int:
        """How many samples z one call gives to the cost, for each element of the result.

        Args:
            states: K, states of a variable; 2 for a Bernoulli one.
            variables: N, variables that share a cost.
        """

    def memory(self, numbers: int) -> int:
        """About how many numbers one call holds besides its samples and what the cost makes of them, for each element.

        Most hold a few times the samples at most, and say 0. Where it is more, ``recommend`` takes fewer samples and
        averages over more calls.

        Args:
            numbers: in that part of a sample z on which an element of the result depends.
        """
        return 0

    @abstractmethod
    def estimate(self, cost: Cost, variable: Any, seed: Tensor) -> Tensor:
        """The loss, shape ``lead``; all randomness is that of ``seed``, a 0-dim int64 tensor.

        Args:
            cost: the user's cost, checked.
            variable: what q chooses among, of the class :attr:`takes`.
            seed: of all draws of this call.
        """

    def __call__(
        self,
        cost: Callable[[Any], Any],
        q: Distributions,
        *,
        generator: torch.Generator | None = None,
        seed: int | Int[Tensor, ""] | None = None,
        row_offset: int = 0,
        has_aux: bool = False,
    ) -> Any:
        """Estimate E[cost(z)] for z drawn from q.

        Args:
            cost: maps samples ``z`` of shape ``(samples, *batch, *event)`` to costs of shape ``(samples, *lead)``, with
                ``lead`` a prefix of ``q.batch_shape``. The batch dimensions after ``lead`` are independent variables
                that share a cost.
            q: the distribution of the sample; or several independent ones, in a list or a dict, whose samples come in
                the same container.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. The same seed in several
                calls is the same noise; :func:`~drawgrad.functional.fold_seed` makes seeds of independent draws.
            row_offset: number of the first entry of q's first batch dimension, when q is one part of a larger batch: a
                micro-batch, or the part of one process. With the seed of the whole, the parts draw what the whole
                would, and their gradients are its own. What is drawn by torch's own samplers cannot be cut like that,
                and a baseline that learns between calls does so between parts too.
            has_aux: whether the cost returns ``(costs, aux)``, where aux is anything: logits for a metric, a picture.

        Returns:
            The loss, of shape ``lead``; with ``has_aux`` a tuple of it and of aux, that of all hard samples that the
            cost saw, in a row (those that only serve a gradient are left out).

        Raises:
            TypeError: if the estimator does not take this ``q``, or ``row_offset`` is given and cannot be heeded.
            ValueError: if the cost returns a wrong shape, or has no gradient where one is needed.
        """
        self.check_supported(q)
        variable = placed(variables_of(q), row_offset)
        seed = draw_seed(generator=generator, seed=seed, device=variable.device)
        checked = Cost(cost, variable.cost_shape, type(self).__name__, has_aux)
        loss = self.estimate(checked, variable, seed)
        checked.warn()
        return (loss, checked.aux) if has_aux else loss

    def at(self, tau: float | Tensor) -> Self:
        """The same estimator at another temperature.

        Args:
            tau: the new value of the option that :attr:`temperature` names.

        Raises:
            TypeError: if it has no temperature that can be set.
        """
        if self.temperature is None:
            raise TypeError(
                f"{type(self).__name__} has no temperature to set; look at its attribute temperature before, which is "
                "None"
            )
        changed: Any = {self.temperature: tau}
        return replace(cast(Any, self), **changed)

    def obstacle(self, q: Distributions) -> str | None:
        """Why this estimator does not take a distribution, or None if it does."""
        return None if isinstance(variables_of(q), self.takes) else self.refusal(q)

    def refusal(self, q: Distributions) -> str:
        """The words for a ``q`` that is not what this estimator takes."""
        return f"takes q = {described(self.takes)}, but q is a {type(q).__name__}"

    def check_supported(self, q: Distributions) -> None:
        """Refuse a distribution that this estimator does not take, and name those that take it."""
        obstacle = self.obstacle(q)
        if obstacle is not None:
            others = ", ".join(names(lambda cls: cls().obstacle(q) is None)) or "none of this package"
            raise TypeError(f"{type(self).__name__} {obstacle}; estimators that take it: {others}")


@dataclass(frozen=True, kw_only=True)
class SampleEstimator(Estimator):
    """An estimator that averages over ``samples`` draws, and may have a temperature."""

    samples: int = 1

    def __post_init__(self) -> None:
        check_count(self.samples, "samples", minimum=self.fewest_samples)
        if self.temperature is not None:
            tau = getattr(self, self.temperature)
            check_temperature(tau, "for the limit of zero use an estimator without a temperature", self.temperature)

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample."""
        return self.samples


class StatefulEstimator(Estimator, nn.Module):
    """An estimator that learns or remembers something: a module, whose state is in its ``state_dict``."""

    __call__ = nn.Module.__call__  # so that hooks run

    def forward(
        self,
        cost: Callable[[Any], Any],
        q: Distributions,
        *,
        generator: torch.Generator | None = None,
        seed: int | Int[Tensor, ""] | None = None,
        row_offset: int = 0,
        has_aux: bool = False,
    ) -> Any:
        """Estimate E[cost(z)], as :class:`Estimator` describes."""
        return Estimator.__call__(self, cost, q, generator=generator, seed=seed, row_offset=row_offset, has_aux=has_aux)


def placed(variable: Variable, row_offset: int) -> Variable:
    """A variable as a part of a larger batch, if it begins somewhere in it."""
    if type(row_offset) is int and not row_offset:
        return variable
    check_offset(row_offset, "row_offset")
    return variable.placed(row_offset)


ESTIMATORS: Mapping[str, type[Estimator]] = MappingProxyType(LISTED)
"""Every estimator by its name."""
