"""Angles with a gradient: the von Mises distribution."""

from __future__ import annotations

import functools
import math

import torch
from torch.types import _size

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import Seeded
from drawgrad.functional import draw_seed, implicit_sample, seeded

__all__ = ["VonMises"]

NODES = 64
NEGLIGIBLE = 45.0
"""What is exp(-45) times less likely than the sample adds nothing to an integral in float64."""


class VonMises(Seeded, torch.distributions.VonMises):
    r"""torch's ``VonMises`` with samples that can be differentiated.

    .. math:: p(x) = \frac{e^{\kappa \cos(x - \mu)}}{2 \pi I_0(\kappa)}, \qquad
        \frac{\partial x}{\partial \kappa} = -\frac{\partial F(x) / \partial \kappa}{p(x)}

    The gradient is implicit: it holds the distribution function F at the sample fixed. Its derivative for the
    concentration is an integral from the sample to the far side, found by Gauss and Legendre's rule to about 1e-10.

    Args:
        loc: mean direction in radians, a tensor of any shape.
        concentration: how narrow it is, positive; broadcasts with ``loc``.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        ValueError: if a parameter or a value breaks its rule.

    Example:
        >>> import torch
        >>> concentration = torch.tensor(2.0, requires_grad=True)
        >>> x = VonMises(torch.tensor(0.0), concentration).rsample((1000,), seed=0)
        >>> x.cos().mean().backward()
        >>> concentration.grad > 0
        tensor(True)

    References:
        Figurnov, Mohamed, Mnih. Implicit reparameterization gradients. NeurIPS 2018. Best, Fisher. Efficient simulation
        of the von Mises distribution. Applied Statistics 28, 1979.
    """

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw angles in [-pi, pi) that carry a gradient to mean direction and concentration.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the parameters' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Samples of shape ``(*sample_shape, *batch_shape)``.
        """
        loc, concentration = self.loc, self.concentration
        with torch.no_grad():
            with seeded(draw_seed(generator=generator, seed=seed, device=loc.device)):
                x = torch.distributions.VonMises.sample(self, sample_shape)
            apart = torch.remainder(x.double() - loc.double() + math.pi, 2 * math.pi) - math.pi
            slope = _slope(apart, concentration.double().expand_as(apart)).to(x.dtype)
        # A function with the derivatives that the distribution function has, divided by the density.
        return implicit_sample(x, lambda point: point - loc - slope * concentration)


def _slope(x: Tensor, kappa: Tensor) -> Tensor:
    r"""The derivative of a sample at x, in [-pi, pi), for the concentration.

    It is the integral of (cos t - A) exp(kappa (cos t - cos x)) for t from abs(x) to pi, with the sign of x and A the
    mean of cos t: the same integral from the near side is its negative, but for rounding.
    """
    near = x.abs()
    mean = torch.special.i1e(kappa) / torch.special.i0e(kappa)
    # Up to where the integrand has fallen to nothing, if that is before pi.
    far = (near.cos() - NEGLIGIBLE / kappa).clamp_min(-1.0).acos().maximum(near)
    nodes, weights = _legendre()
    nodes, weights = nodes.to(x.device), weights.to(x.device)
    t = near[..., None] + (far - near)[..., None] * nodes
    # cos t - cos x as a product, which does not cancel.
    fall = -2 * (0.5 * (t + near[..., None])).sin() * (0.5 * (t - near[..., None])).sin()
    inside = (t.cos() - mean[..., None]) * (kappa[..., None] * fall).exp()
    return (inside * weights).sum(-1) * (far - near) * x.sign()


@functools.cache
def _legendre() -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1]: eigenvalues of the Jacobi matrix of Legendre's polynomials (Golub, Welsch)."""
    with torch.inference_mode(False):
        k = torch.arange(1, NODES, dtype=torch.float64, device="cpu")
        side = k / (4 * k**2 - 1).sqrt()
        values, vectors = torch.linalg.eigh(torch.diag(side, 1) + torch.diag(side, -1))
        return (values + 1) / 2, vectors[0] ** 2
