"""Rao-Blackwellized surrogates: the noise is averaged out as far as the sample leaves it open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor

from drawgrad._checks import check_count, check_nonnegative
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import StraightThroughEstimator
from drawgrad.functional import fold_seed
from drawgrad.variables import Relaxable

__all__ = ["GumbelRao", "ReinMaxCV", "ReinMaxRao"]

BLOCK = 2**22
"""Numbers of conditional noise that are drawn at once: 16 MiB in float32."""


def _gumbel_rao(
    variable: Relaxable, index: Tensor, grad: Tensor, tau: float | Tensor, draws: int, seed: Tensor
) -> Tensor:
    """The mean of J(y) grad / tau over conditional draws of y = softmax((l + G) / tau), given the sample."""
    step = max(1, BLOCK // max(1, variable.logits.numel()))
    total = None
    for start in range(0, draws, step):
        block = variable.expand(min(step, draws - start), start)
        scores = block.perturbed(index.expand(block.batch_shape), seed)
        part = variable.jacobian(variable.squash(scores / tau), grad).sum(0)
        total = part if total is None else total + part
    assert total is not None
    return total / draws / tau


def midpoint(variable: Relaxable, index: Tensor) -> Relaxable:
    """The variables whose probabilities are (pi + D) / 2, half way between the mean and the sample."""
    # Up to a shift: log pi_j for the others, log(1 + pi_D) for the sample's class.
    log_pi, winner = variable.log_probs(), variable.number(index)[..., None]
    scores = log_pi.scatter(-1, winner, log_pi.gather(-1, winner).exp().log1p())
    return replace(variable, logits=variable.from_scores(scores))


@dataclass(frozen=True, kw_only=True)
class _ConditionalEstimator(StraightThroughEstimator):
    tau: float | Tensor = 1.0
    temperature: ClassVar[str | None] = "tau"
    conditional_samples: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.conditional_samples, "conditional_samples", minimum=1)

    def averaged(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        """Gumbel-Rao at ``variable``, with noise that is independent of the sample's."""
        return _gumbel_rao(variable, index, grad, self.tau, self.conditional_samples, fold_seed(seed, 1))


@register
@dataclass(frozen=True, kw_only=True)
class GumbelRao(_ConditionalEstimator):
    r"""Gumbel-Rao (GR-MC): straight-through Gumbel-Softmax, averaged over the noise that leads to the same sample.

    .. math:: E[J(y)\, |\, D]\, g(D) / \tau, \qquad y = \mathrm{softmax}((l + G) / \tau)

    Estimates: the value at the hard sample D; the gradient by ``conditional_samples`` draws of G given D
    (:func:`~drawgrad.functional.conditional_gumbel`).
    Requires: the gradient of the cost, one evaluation a sample: further conditional draws cost no evaluation.
    Bias: that of :class:`STGumbelSoftmax`, and never more mean squared error. It tends to :class:`ZGR` as tau falls.

    Args:
        samples: draws to average over.
        tau: temperature.
        conditional_samples: draws of the noise for each sample, the paper's K.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> GumbelRao(tau=0.5, conditional_samples=100)(lambda z: (z**2).sum(-1), q, seed=0).detach()
        tensor(1.)

    References:
        Paulus, Maddison, Krause. Rao-Blackwellizing the straight-through Gumbel-Softmax gradient estimator. ICLR 2021.
    """

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        return self.averaged(variable, index, grad, seed)


@register
@dataclass(frozen=True, kw_only=True)
class ReinMaxRao(_ConditionalEstimator):
    r"""ReinMax-Rao: ReinMax whose first Jacobian is replaced by Gumbel-Rao's, at the same point.

    .. math:: 2\, E[J(y)\, |\, D]\, g(D) / \tau - \tfrac12 J(\pi)\, g(D), \qquad
        y = \mathrm{softmax}((\theta_D + G) / \tau), \quad \theta_D = \log \tfrac12(\pi + D)

    Estimates: the value at the hard sample D; the gradient above, G drawn given that D wins.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some at every ``tau``, also for linear and quadratic costs, which :class:`ReinMax` gets right.

    Args:
        samples: draws to average over.
        tau: temperature.
        conditional_samples: draws of the noise for each sample.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> ReinMaxRao()(lambda z: (z**2).sum(-1), q, seed=0).detach()
        tensor(1.)

    References:
        Wang, Bui. Beyond ReinMax: low-variance gradient estimators for discrete latent variables.
        arXiv 2603.08257, 2026.
    """

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        middle = midpoint(variable, index)
        return 2 * self.averaged(middle, index, grad, seed) - 0.5 * variable.jacobian(variable.probs(), grad)


@register
@dataclass(frozen=True, kw_only=True)
class ReinMaxCV(_ConditionalEstimator):
    r"""ReinMax-CV: ReinMax plus the difference of Gumbel-Rao and one straight-through Gumbel-Softmax draw.

    .. math:: \mathrm{ReinMax} + \eta\, (E[J(y)\, |\, D] - J(y'))\, g(D) / \tau, \qquad
        y = \mathrm{softmax}((\theta_D + G) / \tau), \quad \theta_D = \log \tfrac12(\pi + D)

    For the difference to average to zero, the noise of the single y' must be drawn given that D wins at theta_D, as
    Gumbel-Rao's own; ``control="conditional"`` does that. But then it averages to zero given D, while ReinMax is a
    function of D: the two are uncorrelated, and the formula can only add variance (it does, in the tests). What reduces
    variance is ``control="relaxed"``, the expression in the authors' public code: y' = softmax(theta_D + y_0), where
    the relaxed sample y_0 = softmax((l + G) / tau) stands in the place of the noise. Its difference does not average to
    zero.

    Estimates: the value at the hard sample D; the gradient above, with ReinMax at temperature 1.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: that of :class:`ReinMax`, none for a quadratic cost, with the conditional control; more with the relaxed one.

    Args:
        samples: draws to average over.
        tau: temperature of the difference.
        conditional_samples: draws of the noise for each sample.
        eta: weight of the difference.
        control: ``"conditional"`` or ``"relaxed"``, as above.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> ReinMaxCV(eta=0.5)(lambda z: (z**2).sum(-1), q, seed=0).detach()
        tensor(1.)

    References:
        Wang, Bui. Beyond ReinMax: low-variance gradient estimators for discrete latent variables.
        arXiv 2603.08257, 2026.
    """

    eta: float = 0.5
    control: Literal["conditional", "relaxed"] = "conditional"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative(self.eta, "eta")
        if self.control not in ("conditional", "relaxed"):
            raise ValueError(
                f"control must be 'conditional' or 'relaxed', but it is {self.control!r}; 'conditional' is the default"
            )

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        middle = midpoint(variable, index)
        reinmax = 2 * variable.jacobian(middle.probs(), grad) - 0.5 * variable.jacobian(variable.probs(), grad)
        single = middle.jacobian(self._single(variable, middle, index, seed), grad) / self.tau
        return reinmax + self.eta * (self.averaged(middle, index, grad, seed) - single)

    def _single(self, variable: Relaxable, middle: Relaxable, index: Tensor, seed: Tensor) -> Tensor:
        if self.control == "relaxed":
            relaxed = variable.by_state(variable.relax(self.tau, False, seed))
            return middle.squash(middle.logits + variable.from_scores(relaxed))
        # Noise that neither the sample nor Gumbel-Rao reads.
        return middle.squash(middle.perturbed(index, fold_seed(seed, 2)) / self.tau)
