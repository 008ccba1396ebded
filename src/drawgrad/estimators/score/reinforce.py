"""REINFORCE: the score function, with a baseline, antithetic pairs, or samples of another distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from drawgrad._checks import check_count, check_flag
from drawgrad.estimators.base import StatefulEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import score_loss, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.estimators.score.baselines import Baseline, NoBaseline
from drawgrad.variables import Scored, variables_of

__all__ = ["Reinforce"]


@register
class Reinforce(StatefulEstimator):
    r"""REINFORCE: the score function, weighted by how much the cost differs from a baseline.

    .. math:: (f(D) - b)\, \partial \log q(D) / \partial \theta

    Estimates: the value at the samples D; the gradient above.
    Requires: a ``q`` with ``log_prob`` (discrete or not), one evaluation a sample, no gradient of the cost.
    Bias: none, in derivatives of any order; with :class:`Nvil`, which divides the signal by max(1, sigma), none in the
    first one up to that factor.

    Args:
        baseline: :class:`NoBaseline` (the default), :class:`MovingAverage`, :class:`Nvil`, or one of your own. Its
            state and parameters are those of this module.
        samples: draws to average over.
        antithetic: whether samples come in pairs F^-1(u), F^-1(1 - u), or one-hot ones in pairs of different classes,
            as far as their probabilities allow. That needs an even number of ``samples``. The pairs cancel much of what
            is constant in a cost; for a cost that is alike on opposite sides they are a waste.
        proposal: maps q to the distribution r to draw from instead, which must be able to draw whatever q can. Costs
            and gradients are weighted by q(D) / r(D) (importance sampling): for costs that hang on rare samples.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.estimators import MovingAverage
        >>> estimator = Reinforce(MovingAverage(), samples=4)
        >>> q = OneHotCategorical(logits=torch.zeros(5, 3, requires_grad=True))
        >>> loss = estimator(lambda z: (z * torch.arange(3.0)).sum(-1), q, seed=0)
        >>> loss.mean().backward()
        >>> flat = lambda q: OneHotCategorical(logits=q.logits / 2)
        >>> Reinforce(proposal=flat)(lambda z: z[..., 0], q).shape
        torch.Size([5])

    References:
        Williams. Simple statistical gradient-following algorithms for connectionist reinforcement learning. Machine
        Learning 8, 1992.
        Mnih, Gregor. Neural variational inference and learning in belief networks. ICML 2014.
    """

    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Scored

    def __init__(
        self,
        baseline: Baseline | None = None,
        *,
        samples: int = 1,
        antithetic: bool = False,
        proposal: Callable[[Distribution], Distribution] | None = None,
    ) -> None:
        super().__init__()
        baseline = NoBaseline() if baseline is None else baseline
        if not isinstance(baseline, Baseline):
            raise TypeError(
                f"baseline must be a Baseline object such as MovingAverage(), but it is {baseline!r} "
                f"({type(baseline).__name__}); make one"
            )
        check_count(samples, "samples", minimum=1)
        check_flag(antithetic, "antithetic")
        if antithetic and samples % 2:
            raise ValueError(
                f"samples must be even with antithetic=True, for they come in pairs, but it is {samples}; "
                f"use samples={samples + 1}"
            )
        if proposal is not None and not callable(proposal):
            raise TypeError(
                f"proposal must be a function of q that returns a distribution, but it is a {type(proposal).__name__}; "
                "wrap it: proposal=lambda q: ..."
            )
        self.baseline = baseline
        self.samples = samples
        self.antithetic = antithetic
        self.proposal = proposal

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        options = [f"samples={self.samples}"]
        options += ["antithetic=True"] if self.antithetic else []
        options += [f"proposal={self.proposal}"] if self.proposal else []
        return ", ".join(options)

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample."""
        return self.samples

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        source = variable if self.proposal is None else self._proposed(variable)
        if self.antithetic:
            index = source.expand(self.samples // 2).draw_antithetic(seed)
        else:
            index = source.expand(self.samples).draw(seed)
        costs = cost(source.sample_of(index))
        signal = self.baseline(costs.detach(), variable.q)
        drawn = variable.expand(self.samples)
        log_q = drawn.log_prob(index if source is variable else variable.index_of(source.sample_of(index)))
        weights = None
        if source is not variable:
            log_r = source.expand(self.samples).log_prob(index)
            weights = sum_variables(log_q.detach() - log_r, costs).exp() / self.samples
        loss = score_loss(costs, signal, sum_variables(log_q, costs), weights)
        if signal.requires_grad:
            error = torch.where(signal.isfinite(), signal, 0.0).square() / 2
            loss = loss + _Descent.apply(error.mean(0))
        return loss

    def _proposed(self, variable: Scored) -> Scored:
        assert self.proposal is not None
        q = variable.q
        source = self.proposal(q)
        if not isinstance(source, Distribution):
            raise TypeError(f"proposal must return a distribution, but it returned {type(source).__name__}")
        if (source.batch_shape, source.event_shape) != (q.batch_shape, q.event_shape):
            raise ValueError(
                f"proposal must return a distribution of q's shape, batch {tuple(q.batch_shape)} and event "
                f"{tuple(q.event_shape)}, but it returned batch {tuple(source.batch_shape)} and event "
                f"{tuple(source.event_shape)}; expand it"
            )
        found = variables_of(source)
        if not isinstance(found, Scored):
            raise TypeError(f"proposal must return a distribution with log_prob, but {type(source).__name__} has none")
        return found.placed(variable.place.row)


class _Descent(torch.autograd.Function):
    """Zeros whose gradient lowers ``error``, also where the loss is turned into a reward by a minus sign."""

    generate_vmap_rule = True

    @staticmethod
    def forward(error: Tensor) -> Tensor:
        return torch.zeros_like(error)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].abs()
