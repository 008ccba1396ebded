"""RODEO: leave-one-out with control variates from Stein operators of discrete distributions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from drawgrad._checks import check_count
from drawgrad.estimators.control_variate.coupled import over_lead
from drawgrad.estimators.control_variate.crossed import CrossedEstimator
from drawgrad.estimators.loss import excess, spread, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.variables import Relaxable

__all__ = ["Rodeo"]

LEAK = 0.3
"""Slope of the network's units below zero."""


@register
class Rodeo(CrossedEstimator):
    r"""RODEO: leave-one-out with Stein operators, which turn any function into one of mean zero.

    .. math:: \frac1S \sum_s \Big(f(D_s) - \frac{1}{S - 1} \sum_{j \ne s} \big(f(D_j) + \alpha\, (A h_j)(D_j)\big)\Big)
        (D_s - \pi) + \beta\, (A \tilde h_s)(D_s)

    .. math:: (A h)(x) = \frac1N \sum_n E_{y_n \sim \pi_n}[h(y) - h(x)], \qquad y = x \text{ but for } y_n

    .. math:: h_s(y) = \frac{1}{S - 1} \sum_{j \ne s} H(f(D_j), g(D_j)^\top (y - D_j)), \qquad
        \tilde h_s(y) = \frac{1}{S - 1} \sum_{j \ne s} \tilde H(f(D_j), g(D_j)^\top (y - D_j))\, (y - \pi)

    A is the Gibbs operator: one of the N variables that share a cost is drawn anew. H and H~ are the two outputs of a
    network that sees a cost and what a Taylor expansion adds to it, so a neighbor y takes no evaluation.

    Estimates: the value at the samples D; the gradient above.
    Requires: two samples at least, one evaluation a sample, the gradient of the cost at the samples, and S (S - 1)
        (N K + 1) evaluations of the network.
    Bias: none, whatever the network computes.

    The network, ``alpha`` and ``beta`` are trained like the parameters of :class:`Rebar`: put
    ``estimator.parameters()`` into an optimizer. Both weights begin as 0: leave-one-out.

    Args:
        samples: S, from 2 on.
        alpha: initial weight of the operator in the baselines, a number, or a tensor that broadcasts to the loss.
        beta: initial weight of the operator in the gradient, likewise.
        network: maps ``(..., 2)``, an expansion and the cost that it is about, to ``(..., 2)``, H and H~. The network
            of the paper's code if None, one layer of leaky rectifiers.
        hidden: units of the default network.
        seed: of the default network's initial weights.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> logits, estimator = torch.zeros(3, requires_grad=True), Rodeo()
        >>> optimizer = torch.optim.Adam([logits, *estimator.parameters()], lr=0.01)
        >>> loss = estimator(lambda b: ((b - 0.4) ** 2).sum(-1), Bernoulli(logits=logits))
        >>> loss.backward()
        >>> optimizer.step()

    References:
        Shi, Zhou, Hwang, Titsias, Mackey. Gradient estimation with discrete Stein operators. NeurIPS 2022.
    """

    def __init__(
        self,
        *,
        samples: int = 2,
        alpha: float | Tensor = 0.0,
        beta: float | Tensor = 0.0,
        network: Callable[[Tensor], Tensor] | None = None,
        hidden: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(samples=samples)
        check_count(hidden, "hidden", minimum=1)
        self.hidden = hidden
        self.network = _rectifiers(hidden, seed) if network is None else network
        self.alpha = nn.Parameter(torch.as_tensor(alpha, dtype=torch.get_default_dtype()).detach().clone())
        self.beta = nn.Parameter(torch.as_tensor(beta, dtype=torch.get_default_dtype()).detach().clone())

    def memory(self, numbers: int) -> int:
        """The units of the network wherever it is evaluated; as many as the default's if it was given."""
        return self.samples * (self.samples - 1) * (numbers + 1) * self.hidden

    def control(self, variable: Relaxable, z: Tensor, costs: Tensor, slope: Tensor) -> Tensor:
        # Pairs (s, j) of a sample and another one, from which it is seen.
        samples = len(z)
        number = torch.arange(samples, device=z.device)
        other = (number[:, None] + number[1:]) % samples
        heights = costs[other]
        here, there = variable.inner(slope[other], z[:, None]), variable.inner(slope, z)[other]
        at_sample = sum_variables(here - there, heights)
        along = variable.along(slope)[other]
        moves = along - here.reshape(*along.shape[:-1], 1)
        at_neighbors = spread(at_sample, moves) + moves
        h, h_scored = self._outputs(at_sample, heights)
        near, near_scored = self._outputs(at_neighbors, spread(heights, moves).expand_as(moves))

        pi = variable.probs()
        score, p = z - pi, variable.by_state(pi)
        shared = p[..., 0].numel() / max(1, costs.numel())
        operator = sum_variables(p * (near - spread(h, near)), costs) / shared
        scored = sum_variables(p * (near_scored - spread(h_scored, near)), costs) / shared
        # The score of the variable that is drawn anew is another one at the neighbor.
        weights = p * near_scored / shared
        turned = variable.mixture(weights) - spread(weights.sum(-1), z) * z
        in_baselines = (spread(excess(operator) - operator, z) * score).mean(0)
        in_gradient = (spread(scored, z) * score + turned).mean(0)
        alpha, beta = (over_lead(getattr(self, name), name, costs, z)[0] for name in ("alpha", "beta"))
        return alpha * in_baselines + beta * in_gradient

    def _outputs(self, expansion: Tensor, heights: Tensor) -> tuple[Tensor, Tensor]:
        """H and H~, averaged over the samples that a sample is seen from."""
        x = torch.stack([expansion, heights], -1)
        weights = self.network.parameters() if isinstance(self.network, nn.Module) else ()
        found = self.network(x.to(next((weight.dtype for weight in weights), x.dtype))).to(x.dtype)
        if found.shape != x.shape:
            raise ValueError(
                f"network must map shape {tuple(x.shape)}, (..., 2), to the same, but it returned shape "
                f"{tuple(found.shape)}; end it with a layer of two outputs"
            )
        return found[..., 0].mean(1), found[..., 1].mean(1)


def _rectifiers(hidden: int, seed: int) -> nn.Module:
    """One layer of leaky rectifiers, whose weights do not come from the global generator."""
    layers = [nn.utils.skip_init(nn.Linear, 2, hidden), nn.utils.skip_init(nn.Linear, hidden, 2)]
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        drawn = torch.empty(layer.weight.shape, device="cpu").uniform_(-bound, bound, generator=generator)
        layer.weight.data.copy_(drawn)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.LeakyReLU(LEAK), layers[1])
