"""The score function minus a relaxed control variate that is trained on the variance: what REBAR and RELAX share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from drawgrad._checks import check_count, check_temperature
from drawgrad.estimators.base import StatefulEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import finite, gradient_only, spread, sum_variables, with_gradient
from drawgrad.kernels.state import is_transformed
from drawgrad.variables import Relaxable

__all__ = ["ControlVariateEstimator", "descending", "over_lead", "relaxed_control"]

FARTHEST = 1e30
"""Scores are cut here: infinite ones, of classes that cannot occur, have no derivative for the temperature."""


class ControlVariateEstimator(StatefulEstimator):
    r"""Score function with a control variate c of the relaxed sample y = softmax(z / tau), z = l + noise.

    .. math:: (f(D) - c(\tilde y)) (D - \pi) + \partial_l c(y) - \partial_l c(\tilde y)

    The noise of y~ given D is coupled: y~ is the number y itself, and only their derivatives differ. So c is evaluated
    once. With r_j = exp(z_j - z_D) the difference of the derivatives is

    .. math:: a - \pi \textstyle\sum_j a_j, \qquad a = r \odot \partial_z c

    The estimate is unbiased whatever c is, so the gradient of its variance for the parameters of c is that of its
    square, which a single draw estimates. It is the gradient of the loss for these parameters, but not inside the
    transforms of ``torch.func``, where they are constants.

    Args:
        samples: draws to average over.
        tau: initial temperature, a number or a tensor that broadcasts to ``lead``.

    Attributes:
        log_tau: logarithm of the temperature, a parameter.
    """

    unbiased: ClassVar[bool] = True
    takes: ClassVar[type] = Relaxable
    transforms: ClassVar[bool] = False
    compiles: ClassVar[bool] = False

    def __init__(self, *, samples: int, tau: float | Tensor) -> None:
        super().__init__()
        check_count(samples, "samples", minimum=1)
        check_temperature(tau, "the control variate is a relaxed cost; 0.5 is the default")
        self.samples = samples
        self.log_tau = nn.Parameter(torch.as_tensor(tau, dtype=torch.get_default_dtype()).detach().clone().log())

    @property
    def tau(self) -> Tensor:
        """The present temperature."""
        return self.log_tau.exp()

    @abstractmethod
    def control(self, cost: Cost, y: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        """The control variate c(y), like ``costs``, and its derivative for y, like ``y``.

        Both are differentiable for the parameters of this estimator, and for ``y`` if it requires a gradient.
        """

    def evaluations(self, states: int, variables: int) -> int:
        """The hard sample alone."""
        return self.samples

    def estimate(self, cost: Cost, variable: Relaxable, seed: Tensor) -> Tensor:
        drawn = variable.computed().expand(self.samples)
        z = drawn.noisy(seed)
        index = drawn.winner(z)
        costs = cost(variable.sample_of(index))
        if not variable.learns:
            return costs.mean(0)
        tau = over_lead(self.tau, "tau", costs, z)
        y = drawn.squash(z.clamp(-FARTHEST, FARTHEST) / tau)
        # Compiled code has no second derivatives.
        control = torch.compiler.disable(self.control) if torch.compiler.is_compiling() else self.control
        value, slope = control(cost, y.to(variable.logits.dtype), costs.detach())
        along = drawn.jacobian(y, slope.to(y.dtype)) / tau
        tied = _Tied(drawn, index, z)
        gradient = tied.estimate(costs.detach() - value.detach(), along.detach())
        loss = with_gradient(costs, gradient, variable.logits)
        if is_transformed() or not any(parameter.requires_grad for parameter in self.parameters()):
            return loss
        return loss + self._square(tied, gradient, value, along).to(loss.dtype)

    def _square(self, tied: _Tied, gradient: Tensor, value: Tensor, along: Tensor) -> Tensor:
        """Zeros of shape ``lead`` with the gradient of the squared estimate for the control variate's parameters.

        A draw whose cost is not finite, or too large for a square, takes no part.
        """
        usable = sum_variables(gradient.square(), value).isfinite()
        of_value, of_slope = tied.adjoint(torch.where(spread(usable, gradient), gradient, 0.0))
        terms = sum_variables(of_value, value) * value + sum_variables(of_slope * along, value)
        return descending(2 * torch.where(terms.isfinite(), terms, 0.0).mean(0))

    def extra_repr(self) -> str:
        """What the module prints of itself."""
        return f"samples={self.samples}"


class _Tied:
    """The estimate as a linear map of (f(D) - c, dc/dz), for coupled noise, and the map's adjoint."""

    def __init__(self, drawn: Relaxable, index: Tensor, z: Tensor) -> None:
        self.variable = replace(drawn, logits=drawn.logits.detach())
        self.index, self.z = index, z
        self.score = drawn.sample_of(index) - self.variable.probs()

    def estimate(self, rest: Tensor, along: Tensor) -> Tensor:
        """The gradient for the logits."""
        moved = self.variable.conditional_pullback(self.index, self.z, along)
        return spread(rest.to(moved.dtype), moved) * self.score + moved

    def adjoint(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Half the derivative of the squared gradient for c, still for each variable, and for dc/dz."""
        moved = self.variable.conditional_pushforward(self.index, self.z, gradient)
        return -self.score * gradient, moved


def over_lead(parameter: Tensor, name: str, costs: Tensor, like: Tensor) -> Tensor:
    """A parameter that broadcasts to ``lead``, with the dimensions and in the dtype of ``like``."""
    lead = costs.shape[1:]
    shape = (1,) * (len(lead) - parameter.dim()) + tuple(parameter.shape)
    if len(shape) != len(lead) or any(size not in (1, n) for size, n in zip(shape, lead, strict=True)):
        raise ValueError(
            f"{name} must broadcast to the loss, shape {tuple(lead)}, but its shape is {tuple(parameter.shape)}; "
            f"make one {name} for all of it, a number, or one for each of its elements"
        )
    return parameter.to(like.dtype).reshape(1, *shape, *[1] * (like.dim() - len(lead) - 1))


def descending(values: Tensor) -> Tensor:
    """Zeros with the gradient of ``values``, which keeps its sign where the loss is turned into a reward."""
    return _Unsigned.apply(gradient_only(values))


class _Unsigned(torch.autograd.Function):
    """The identity, with a gradient that loses its sign: a maximized loss wants little variance as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].abs()


def relaxed_control(eta: Tensor, cost: Cost, y: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
    """The control variate eta f(y) and its derivative for y, with no graph but those towards eta and y.

    Where the cost is not finite the value is NaN, and the graphs see zeros.
    """
    side = cost.aside()
    value, slope = side.gradient(y) if is_transformed() else _SecondOrder.apply(y, side)
    usable = value.isfinite() & sum_variables(slope, value).isfinite()
    flaw = torch.zeros_like(value).masked_fill(~usable, torch.nan)
    value = over_lead(eta, "eta", costs, costs) * finite(value) + flaw
    return value, over_lead(eta, "eta", costs, y) * finite(slope)


class _SecondOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, cost: Cost) -> tuple[Tensor, Tensor]:
        if not ctx.needs_input_grad[0]:
            return cost.gradient(y)
        with torch.enable_grad():
            ctx.leaf = y.detach().requires_grad_()
            value = cost(ctx.leaf.clone())  # the cost may work in place
            slope = None
            if value.requires_grad:
                (slope,) = torch.autograd.grad(value.sum(), ctx.leaf, create_graph=True, allow_unused=True)
        if slope is None:
            raise cost.lacks_gradient("cost")
        ctx.name, ctx.value, ctx.slope = cost.asker, value, slope
        return value.detach(), slope.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        # The slope of a linear cost is a constant.
        order = 2 if ctx.slope.requires_grad else 1
        outputs = (ctx.value, ctx.slope)[:order]
        try:
            (found,) = torch.autograd.grad(outputs, ctx.leaf, grads[:order], retain_graph=True)
        except RuntimeError as error:
            raise RuntimeError(
                f"{ctx.name} learns its temperature from second derivatives of the cost, and could not compute them; "
                f"freeze the temperature with estimator.log_tau.requires_grad_(False) if the cost has none"
            ) from error
        return finite(found), None
