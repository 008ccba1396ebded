"""ReDGE: gradients through the steps of a diffusion that turns normal noise into a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_count
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import SurrogateEstimator
from drawgrad.functional import fold_seed, straight_through
from drawgrad.kernels.log_probs import softmax
from drawgrad.variables import Relaxable, logistic_noise_like

__all__ = ["ReDGE"]

FAINTEST = 1e-4
"""What is left of the sample where the diffusion begins, as in the paper's code."""


@register
@dataclass(frozen=True, kw_only=True)
class ReDGE(SurrogateEstimator):
    r"""ReDGE: a hard sample forward, the steps of a denoising diffusion that led to it backward.

    .. math:: \hat x(t) = \mathrm{softmax}(l + \alpha_t x_t / \sigma_t^2), \qquad
        x_{t - 1} = \alpha_{t - 1} \hat x(t) + \frac{\sigma_{t - 1}}{\sigma_t} (x_t - \alpha_t \hat x(t)), \qquad
        x_T \sim \mathcal{N}(0, 1)

    .. math:: (\partial \hat x(1) / \partial l)^\top g(D), \qquad D \sim \hat x(1)

    A sample that normal noise was added to, x_t = alpha_t D + sigma_t noise, has the mean x^(t) given x_t, in closed
    form. The deterministic steps (DDIM) go down from pure noise, T = ``steps``, to t = 1. The schedule is that of the
    paper's code: sigma_t = 1 - alpha_t, evenly spaced from ``last`` to almost 1.

    Estimates: the value at D; the gradient through x^(1), for all steps.
    Requires: the gradient of the cost, one evaluation a sample. A Bernoulli variable counts as two classes.
    Bias: some, falling with ``last``, while the variance rises. The steps are discrete, so D is only nearly distributed
        as q, the more nearly the more there are. For one step and ``last=1`` it is, and the gradient is that of
        :class:`StraightThrough`.

    Args:
        samples: draws to average over.
        steps: how many times the sample is guessed, from 1 on: one less than ``n_steps`` in the paper's code.
        last: sigma_1, how much noise there is at the last guess, above 0 and at most 1; the paper's t_1. What a
            temperature is to :class:`GumbelSoftmax`.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> z = ReDGE().rsample(q, seed=0)
        >>> z.sum(-1).detach()
        tensor([1.])

    References:
        Gourevitch, Durmus, Moulines, Olsson, Janati. Categorical reparameterization with denoising diffusion models.
        arXiv 2601.00781, 2026.
    """

    steps: int = 4
    last: float = 0.5
    hard: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.steps, "steps", minimum=1)
        if not isinstance(self.last, int | float) or not 0 < self.last <= 1:
            raise ValueError(
                f"last must be a number above 0 and at most 1, but it is {self.last!r}; 0.5 is the default, and less "
                "means less bias and more variance"
            )

    def surrogate(self, variable: Relaxable, seed: Tensor) -> Tensor:
        scores = self._scores(variable.computed(), seed)
        guess = replace(variable.computed(), logits=variable.from_scores(scores))
        hard = replace(guess, logits=guess.logits.detach()).draw(fold_seed(seed, 1))
        return straight_through(variable.sample_of(hard), guess.probs().to(variable.logits.dtype))

    def _scores(self, variable: Relaxable, seed: Tensor) -> Tensor:
        """Log-probabilities of the classes at the last guess, up to a shift, shape ``(*batch, k)``."""
        log_pi = variable.log_probs()
        x = _normal(variable.drawn(logistic_noise_like, log_pi, seed))
        first, end = 1 - self.last, min(FAINTEST, 1 - self.last)
        alphas = [first + (end - first) * step / max(1, self.steps - 1) for step in range(self.steps)]
        scores = log_pi
        for step in range(self.steps - 1, -1, -1):
            alpha, sigma = alphas[step], 1 - alphas[step]
            scores = log_pi + alpha * x / sigma**2
            if step:
                guess, below = softmax(scores), alphas[step - 1]
                x = below * guess + (1 - below) / sigma * (x - alpha * guess)
        return scores


def _normal(noise: Tensor) -> Tensor:
    """Standard normal noise from logistic noise."""
    # Both tails from the small probability, which has all its digits.
    return -noise.sign() * torch.special.ndtri((-noise.abs()).sigmoid())
