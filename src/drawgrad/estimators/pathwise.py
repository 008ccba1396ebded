"""The pathwise estimator: gradients through a sample that is a smooth function of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import ReparameterizedEstimator
from drawgrad.functional import seeded
from drawgrad.variables import Distributions, Variable, bound_to_batch, variables_of

__all__ = ["Pathwise"]


@register
@dataclass(frozen=True, kw_only=True)
class Pathwise(ReparameterizedEstimator):
    r"""Pathwise, or reparameterization: the cost's gradient, carried through the sampler of ``q``.

    .. math:: f'(z)\, \partial z / \partial \theta, \qquad z = \texttt{q.rsample}()

    Explicit (Normal, Laplace, ...) or implicit (Gamma, Beta, Dirichlet, ...), as the distribution's own ``rsample``.

    Estimates: the value at the samples z; the gradient above.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: none, for a cost without jumps, as far as ``rsample`` has the gradient of an exact sample: that of a
    straight-through distribution has not.

    Args:
        samples: draws to average over.

    Example:
        >>> import torch
        >>> from torch.distributions import Normal
        >>> q = Normal(torch.zeros((), requires_grad=True), 1.0)
        >>> loss = Pathwise(samples=8)(lambda z: 3 * z, q)
        >>> torch.autograd.grad(loss, q.loc)[0]
        tensor(3.)

    References:
        Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014.
        Figurnov, Mohamed, Mnih. Implicit reparameterization gradients. NeurIPS 2018.
    """

    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    takes: ClassVar[type] = Variable
    compiles: ClassVar[bool] = False

    def obstacle(self, q: Distributions) -> str | None:
        lacking = next((part.q for part in variables_of(q).parts if not part.q.has_rsample), None)
        return (
            None if lacking is None else f"takes q = any distribution with rsample, but q is a {type(lacking).__name__}"
        )

    def reparameterized(self, variable: Variable, seed: Tensor) -> Any:
        if variable.place.row:
            raise bound_to_batch(variable.q)
        return variable.map(self._rsample, seed)

    def _rsample(self, variable: Variable, seed: Tensor) -> Tensor:
        with seeded(seed):
            return variable.q.rsample(torch.Size([self.samples]))
