"""RELAX: a network as control variate of the score function, trained on the gradient's variance."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from drawgrad._checks import check_count, check_flag
from drawgrad.estimators.control_variate.coupled import ControlVariateEstimator, relaxed_control
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.registry import register
from drawgrad.kernels.state import is_transformed

__all__ = ["Relax"]


@register
class Relax(ControlVariateEstimator):
    r"""RELAX: the score function minus a control variate that a network learns.

    .. math:: (f(D) - c_\varphi(\tilde y)) (D - \pi) + \partial_l c_\varphi(y) - \partial_l c_\varphi(\tilde y), \qquad
        y = \mathrm{softmax}((l + G) / \tau), \quad D = \arg\max y

    with y~ drawn given D, coupled as in :class:`Rebar`.

    Estimates: the value at the hard sample D; the gradient above.
    Requires: one evaluation of the cost a sample and no gradient of it, and one evaluation of the network. With
        ``relaxed_cost=True``, where the network learns what REBAR leaves over, all that :class:`Rebar` requires.
    Bias: none, whatever the network computes.

    The network and ``log_tau`` are trained like the parameters of :class:`Rebar`: put ``estimator.parameters()`` into
    an optimizer. The default network, one layer of tanh units, begins as the constant zero, so the estimator begins as
    the plain score function. Without ``features`` it is sized by the first call.

    Args:
        samples: draws to average over.
        tau: initial temperature, a number, or a tensor that broadcasts to the loss.
        network: maps relaxed samples, flattened to ``(samples, *lead, features)`` with ``features`` = N K for N
            variables that share a cost (N for Bernoulli ones), to ``(samples, *lead, 1)``; twice differentiable. The
            default network if None.
        hidden: units of the default network.
        features: size of the default network's input; found out by the first call if None.
        seed: of the default network's initial weights.
        relaxed_cost: whether ``eta`` times the relaxed cost, as in :class:`Rebar`, is added to the network's output.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> logits, estimator = torch.zeros(5, 2, 3, requires_grad=True), Relax(features=6)
        >>> optimizer = torch.optim.Adam([logits, *estimator.parameters()], lr=0.01)
        >>> loss = estimator(lambda z: z[..., 0].argmax(-1).float(), OneHotCategorical(logits=logits)).mean()
        >>> loss.backward()
        >>> optimizer.step()

    References:
        Grathwohl, Choi, Wu, Roeder, Duvenaud. Backpropagation through the void: optimizing control variates for
        black-box gradient estimation. ICLR 2018.
    """

    needs_cost_gradient: ClassVar[bool] = False

    def __init__(
        self,
        *,
        samples: int = 1,
        tau: float | Tensor = 0.5,
        network: Callable[[Tensor], Tensor] | None = None,
        hidden: int = 10,
        features: int | None = None,
        seed: int = 0,
        relaxed_cost: bool = False,
    ) -> None:
        super().__init__(samples=samples, tau=tau)
        check_count(hidden, "hidden", minimum=1)
        check_flag(relaxed_cost, "relaxed_cost")
        if features is not None:
            check_count(features, "features", minimum=1)
        self.network = _perceptron(hidden, features, seed) if network is None else network
        self.relaxed_cost = relaxed_cost
        self.needs_cost_gradient = relaxed_cost  # type: ignore[misc]  # The class states what holds by default.
        if relaxed_cost:
            self.eta = nn.Parameter(torch.ones(()))

    def evaluations(self, states: int, variables: int) -> int:
        """The hard sample, and with ``relaxed_cost`` the relaxed one, for each sample."""
        return (1 + self.relaxed_cost) * self.samples

    def control(self, cost: Cost, y: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        if is_transformed():
            slope, value = torch.func.grad(lambda point: self._value(point, costs), has_aux=True)(y.detach())
        else:
            point = y if y.requires_grad else y.detach().requires_grad_()
            total, value = self._value(point, costs)
            (slope,) = torch.autograd.grad(total, point, create_graph=True)
        if not self.relaxed_cost:
            return value, slope
        relaxed_value, relaxed_slope = relaxed_control(self.eta, cost, y, costs)
        return value + relaxed_value, slope + relaxed_slope

    def _value(self, y: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        """What the network says of relaxed samples, summed, and one by one, like ``costs``."""
        x = y.flatten(costs.dim()) if y.dim() > costs.dim() else y[..., None]
        weights = self.network.parameters() if isinstance(self.network, nn.Module) else ()
        dtype = next((weight.dtype for weight in weights), x.dtype)
        value = self.network(x.to(dtype)).to(x.dtype)
        if value.shape != (*costs.shape, 1):
            raise ValueError(
                f"network must map shape {tuple(x.shape)}, (samples, *lead, features), to {(*costs.shape, 1)}, but it "
                f"returned shape {tuple(value.shape)}; end it with a layer of one output"
            )
        return value.sum(), value[..., 0]


def _perceptron(hidden: int, features: int | None, seed: int) -> nn.Module:
    """One layer of tanh units, and an output that begins as zero."""
    first = _SeededLinear(hidden, seed)
    if features is not None:
        first.initialize_parameters(torch.empty(0, features))
    last = nn.utils.skip_init(nn.Linear, hidden, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return _Perceptron(first, nn.Tanh(), last)


class _Perceptron(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        features = self[0].in_features  # zero before the first call
        if features == 0 and is_transformed():
            raise ValueError(
                f"Relax cannot size its network inside a transform of torch.func; say its size: Relax(features="
                f"{x.shape[-1]})"
            )
        if features not in (0, x.shape[-1]):
            raise ValueError(
                f"this Relax has a network for {features} features, as its first call or its argument said, but now "
                f"the variables that share a cost have {x.shape[-1]}; make one Relax for each number"
            )
        return super().forward(x)


class _SeededLinear(nn.LazyLinear):
    """A linear layer, sized by its first input, whose weights do not come from the global generator."""

    def __init__(self, features: int, seed: int) -> None:
        self.seed = seed
        super().__init__(features)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features:
            generator = torch.Generator().manual_seed(self.seed)
            bound = self.in_features**-0.5
            with torch.no_grad():
                for parameter in (self.weight, self.bias):
                    parameter.copy_(
                        torch.empty(parameter.shape, device="cpu").uniform_(-bound, bound, generator=generator)
                    )
