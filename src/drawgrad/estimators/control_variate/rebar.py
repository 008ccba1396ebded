"""REBAR: the cost of a relaxed sample as control variate of the score function."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from drawgrad.estimators.control_variate.coupled import ControlVariateEstimator, relaxed_control
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.registry import register

__all__ = ["Rebar"]


@register
class Rebar(ControlVariateEstimator):
    r"""REBAR: the score function minus the cost of a relaxed sample.

    .. math:: (f(D) - \eta f(\tilde y)) (D - \pi) + \eta\, \partial_l f(y) - \eta\, \partial_l f(\tilde y), \qquad
        y = \mathrm{softmax}((l + G) / \tau), \quad D = \arg\max y

    with y~ drawn given D. Its noise is coupled to that of y so that both are the same number and only their derivatives
    differ: one evaluation of the relaxed cost serves for both, at about the variance that independent noise has.

    Estimates: the value at the hard sample D; the gradient above.
    Requires: a cost that is defined and differentiable between the corners of the simplex, two evaluations a sample;
        twice differentiable, unless the temperature is frozen with ``estimator.log_tau.requires_grad_(False)``.
    Bias: none.

    ``eta`` and ``log_tau`` are parameters. Put ``estimator.parameters()`` into an optimizer, next to those of the model
    or into one of its own: ``loss.backward()`` gives them the gradient of the variance (of the squared gradient for the
    logits, summed over the variables and weighted by the size of the loss's own weight), and everything else the
    gradient of the loss. Whoever does not optimize them uses them as they are.

    Args:
        samples: draws to average over.
        tau: initial temperature, a number, or a tensor that broadcasts to the loss.
        eta: initial weight of the control variate, likewise.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> logits, estimator = torch.zeros(3, requires_grad=True), Rebar()
        >>> optimizer = torch.optim.Adam([logits, *estimator.parameters()], lr=0.01)
        >>> loss = estimator(lambda b: ((b - 0.4) ** 2).sum(-1), Bernoulli(logits=logits))
        >>> loss.backward()
        >>> optimizer.step()
        >>> sorted(estimator.state_dict())
        ['eta', 'log_tau']

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein. REBAR: low-variance, unbiased gradient estimates for discrete
        latent variable models. NeurIPS 2017.
    """

    needs_cost_gradient: ClassVar[bool] = True

    def __init__(self, *, samples: int = 1, tau: float | Tensor = 0.5, eta: float | Tensor = 1.0) -> None:
        super().__init__(samples=samples, tau=tau)
        self.eta = nn.Parameter(torch.as_tensor(eta, dtype=torch.get_default_dtype()).detach().clone())

    def evaluations(self, states: int, variables: int) -> int:
        """The hard sample and the relaxed one, for each sample."""
        return 2 * self.samples

    def control(self, cost: Cost, y: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        return relaxed_control(self.eta, cost, y, costs)
