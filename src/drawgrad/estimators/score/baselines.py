"""Baselines for the score function: what a cost is compared with before it becomes a learning signal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn

from drawgrad._checks import check_flag
from drawgrad._typing import Float, Tensor
from drawgrad.variables import Distributions, variables_of

__all__ = ["Baseline", "MovingAverage", "NoBaseline", "Nvil"]


class Baseline(nn.Module, ABC):
    """Turns costs into the learning signal of :class:`~drawgrad.estimators.Reinforce`.

    A subclass writes :meth:`forward`. What it compares a cost with must not depend on the samples of the same call:
    it may remember the costs for the calls after.
    """

    @abstractmethod
    def forward(self, costs: Float[Tensor, "samples *lead"], q: Distributions) -> Float[Tensor, "samples *lead"]:
        """The learning signal: the costs, less what was expected of them.

        Args:
            costs: shape ``(samples, *lead)``, without a gradient.
            q: the distribution that the samples were drawn for.

        Returns:
            The signal. If it depends on parameters of this baseline, then the backward pass of the loss gives them the
            gradient of half the signal's square.
        """


class NoBaseline(Baseline):
    """No baseline: the signal is the cost.

    Example:
        >>> from drawgrad.estimators import Reinforce
        >>> Reinforce(NoBaseline(), samples=3)
        Reinforce(
          samples=3
          (baseline): NoBaseline()
        )
    """

    def forward(self, costs: Float[Tensor, "samples *lead"], q: Distributions) -> Float[Tensor, "samples *lead"]:
        """The costs themselves."""
        return costs


class MovingAverage(Baseline):
    r"""The mean cost of the calls so far, recent ones first.

    .. math:: b_{t+1} \propto \textstyle\sum_{i \le t} \mathrm{decay}^{t - i}\, \bar f_i, \qquad b_0 = 0

    Before the first call it is zero, from then on a weighted mean (no bias towards zero). It is updated in training
    mode only, after the call that used it, from the finite costs: one that is NaN or infinite leaves no trace.

    Args:
        decay: weight of a call relative to the one after it, from 0 (only the last call counts) to below 1.
        synchronized: whether all processes of ``torch.distributed`` count as one, so that their states stay equal. Then
            each of them has to make each call.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> from drawgrad.estimators import Reinforce
        >>> estimator = Reinforce(MovingAverage(decay=0.9))
        >>> loss = estimator(lambda z: z + 10, Bernoulli(logits=torch.tensor(-20.0)))
        >>> estimator.state_dict()["baseline.costs.mean"]
        tensor(10.)

    References:
        Williams. Simple statistical gradient-following algorithms for connectionist reinforcement learning. 1992.
    """

    def __init__(self, decay: float = 0.9, synchronized: bool = False) -> None:
        super().__init__()
        self.costs = _Moments(decay, synchronized)

    def __repr__(self) -> str:
        return f"MovingAverage(decay={self.costs.decay})"

    def forward(self, costs: Float[Tensor, "samples *lead"], q: Distributions) -> Float[Tensor, "samples *lead"]:
        """The costs less the mean of earlier calls."""
        signal = costs - self.costs.mean
        if self.training:
            self.costs.update(costs)
        return signal


class Nvil(Baseline):
    r"""The baseline of NVIL: a network's prediction, a moving average of what it misses, and a signal of unit size.

    .. math:: \frac{f - C(x) - c}{\max(1, \sigma)}

    C(x) is the network, c and sigma are mean and standard deviation of f - C(x) over the calls so far, as in
    :class:`MovingAverage`. The loss carries the network's training: ``loss.backward()`` also gives the network's
    parameters the gradient of half the signal's square (with the weight, but not the sign, that the loss has in what is
    minimized), so that one optimizer may hold them all.

    **What the network sees.** By default the probabilities of q, which are a function of whatever q was computed from,
    in nested expectations as well. Other inputs are given around the call, for any q::

        with baseline.given(x):
            loss = estimator(lambda z: cost(z, x), encoder(x))

    **Bias.** Division by max(1, sigma) makes the gradient for q that many times smaller, for all its parameters alike,
    and leaves the gradient for what the cost closes over as it is. Where that matters (one learning rate for both,
    several losses) use ``normalize=False``, which has no bias.

    Args:
        network: maps inputs ``(*lead, features)`` to predictions ``(*lead, 1)``; inputs that are ``given`` may have any
            shape, as long as predictions broadcast to ``(*lead, 1)``. The features of q are the probabilities of all
            variables that share a cost: K for each categorical, 1 for each Bernoulli variable.
        decay: as in :class:`MovingAverage`.
        normalize: whether the signal is divided by max(1, sigma).
        synchronized: as in :class:`MovingAverage`. The network's gradients are left to whoever averages all others.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.estimators import Reinforce
        >>> baseline = Nvil(torch.nn.Linear(6, 1))
        >>> estimator = Reinforce(baseline)
        >>> q = OneHotCategorical(logits=torch.zeros(5, 2, 3, requires_grad=True))
        >>> loss = estimator(lambda z: z[..., 0].sum(-1), q)
        >>> loss.mean().backward()
        >>> baseline.network.weight.grad.shape
        torch.Size([1, 6])

    References:
        Mnih, Gregor. Neural variational inference and learning in belief networks. ICML 2014.
    """

    def __init__(
        self, network: nn.Module, decay: float = 0.9, normalize: bool = True, synchronized: bool = False
    ) -> None:
        super().__init__()
        check_flag(normalize, "normalize")
        self.network = network
        self.normalize = normalize
        self.residuals = _Moments(decay, synchronized)
        self._inputs: Tensor | None = None

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"decay={self.residuals.decay}, normalize={self.normalize}"

    @contextmanager
    def given(self, inputs: Tensor) -> Iterator[None]:
        """Give the network other inputs than the probabilities of q, for all calls inside a ``with`` block.

        Args:
            inputs: what the network takes; no gradient reaches them.
        """
        before = self._inputs
        self._inputs = inputs.detach()
        try:
            yield
        finally:
            self._inputs = before

    def forward(self, costs: Float[Tensor, "samples *lead"], q: Distributions) -> Float[Tensor, "samples *lead"]:
        """The costs less prediction and moving average, differentiable in the network's parameters."""
        residuals = costs - self._predict(costs, q)
        signal = residuals - self.residuals.mean
        if self.normalize:
            signal = signal / self.residuals.variance.sqrt().clamp_min(1)
        if self.training:
            self.residuals.update(residuals.detach())
        return signal

    def _predict(self, costs: Tensor, q: Distributions) -> Tensor:
        lead = costs.shape[1:]
        inputs = self._features(q, len(lead)) if self._inputs is None else self._inputs
        found = self.network(inputs)
        shape = tuple(found.shape)
        trailing = zip(reversed(shape[:-1]), reversed(lead), strict=False)
        if shape[-1:] != (1,) or len(shape) > len(lead) + 1 or any(n not in (1, m) for n, m in trailing):
            raise ValueError(
                f"the network of Nvil must return one prediction for each cost, shape {(*lead, 1)} or one that "
                f"broadcasts to it, but for inputs of shape {tuple(inputs.shape)} it returned shape {shape}; end it in "
                "nn.Linear(..., 1)"
            )
        return found[..., 0].to(costs.dtype)

    def _features(self, q: Distributions, lead: int) -> Tensor:
        p = variables_of(q).mean()
        if p is None:
            raise TypeError(
                f"Nvil can show its network the mean of a q such as OneHotCategorical or Bernoulli, but q is a "
                f"{type(q).__name__}; say what it sees with `with baseline.given(x):` around the call"
            )
        p = p.detach()
        features = p.flatten(lead) if p.dim() > lead else p[..., None]
        return features.to(next((weight.dtype for weight in self.network.parameters()), p.dtype))


class _Moments(nn.Module):
    """Exponentially weighted mean and variance of numbers that come in batches."""

    weight: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, decay: float, synchronized: bool) -> None:
        super().__init__()
        check_flag(synchronized, "synchronized")
        self.synchronized = synchronized
        if not 0 <= decay < 1:
            raise ValueError(
                f"decay must be at least 0 and below 1, but it is {decay!r}; 0.9 remembers about ten calls"
            )
        self.decay = decay
        for name in ("weight", "mean", "variance"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Take a batch in, as far as it is finite; one without a finite number changes nothing."""
        values = values.to(self.mean)
        finite = values.isfinite()
        total = self._all(torch.stack([torch.where(finite, values, 0.0).sum(), finite.sum()]))
        count = total[1]
        mean = total[0] / count
        spread = self._all(torch.where(finite, values - mean, 0.0).square().sum()) / count
        # Deviations from the means: sums of squares would lose small variances of large numbers.
        weight = self.decay * self.weight + (1 - self.decay)
        share = (1 - self.decay) / weight
        step = mean - self.mean
        variance = (1 - share) * (self.variance + share * step.square()) + share * spread
        usable = variance.isfinite()
        self.weight.copy_(torch.where(usable, weight, self.weight))
        self.mean.copy_(torch.where(usable, self.mean + share * step, self.mean))
        self.variance.copy_(torch.where(usable, variance, self.variance))

    def _all(self, values: Tensor) -> Tensor:
        """Sums over this process, or over all of them."""
        if self.synchronized and distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(values)
        return values
