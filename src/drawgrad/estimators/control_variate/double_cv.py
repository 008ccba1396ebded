"""DoubleCV: leave-one-out, with a Taylor expansion in each cost and in each baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from drawgrad.estimators.control_variate.coupled import over_lead
from drawgrad.estimators.control_variate.crossed import CrossedEstimator
from drawgrad.estimators.loss import excess, spread, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.variables import Relaxable

__all__ = ["DoubleCV"]


@register
class DoubleCV(CrossedEstimator):
    r"""DoubleCV: leave-one-out, with a Taylor expansion in each cost and in each baseline.

    .. math:: \frac1S \sum_s \Big(h_s - \frac{1}{S - 1} \sum_{j \ne s} h_j\Big) (D_s - \pi) + \alpha\, J(\pi)\, \bar g,
        \qquad h_s = f(D_s) - \alpha\, \bar g_{-s}^\top (D_s - \pi)

    with the mean slope g of the cost at all samples, and that at all but one. The paper has it for Bernoulli variables,
    where J(pi) = pi (1 - pi); nothing in it depends on that. Its alpha has the opposite sign.

    Estimates: the value at the samples D; the gradient above.
    Requires: two samples at least, one evaluation a sample, and the gradient of the cost at the samples: unlike
        :class:`MuProp` and :class:`Rebar` it asks for no cost between them.
    Bias: none, whatever alpha is.

    ``alpha`` is a parameter, which begins as 0: leave-one-out. Put ``estimator.parameters()`` into an optimizer, as
    with :class:`Rebar`; ``loss.backward()`` gives it the gradient of the variance.

    Args:
        samples: S, from 2 on.
        alpha: initial weight of the expansion, a number, or a tensor that broadcasts to the loss. One is the whole
            expansion, which leaves no variance for a linear cost.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros(3, requires_grad=True))
        >>> cost = lambda b: (b * torch.arange(3.0)).sum(-1)
        >>> loss = DoubleCV(alpha=1.0)(cost, q)  # exact for a linear cost, whatever is drawn
        >>> torch.autograd.grad(loss, q.logits)[0]
        tensor([0.0000, 0.2500, 0.5000])

    References:
        Titsias, Shi. Double control variates for gradient estimation in discrete latent variable models. AISTATS 2022.
    """

    def __init__(self, *, samples: int = 2, alpha: float | Tensor = 0.0) -> None:
        super().__init__(samples=samples)
        self.alpha = nn.Parameter(torch.as_tensor(alpha, dtype=torch.get_default_dtype()).detach().clone())

    def control(self, variable: Relaxable, z: Tensor, costs: Tensor, slope: Tensor) -> Tensor:
        pi = variable.probs()
        others = slope - excess(slope)
        expansion = sum_variables(variable.inner(others, z - pi), costs)
        taken = (spread(excess(expansion), z) * (z - pi)).mean(0)
        given_back = variable.jacobian(pi, slope).mean(0)
        return over_lead(self.alpha, "alpha", costs, z)[0] * (given_back - taken)
