"""The bound that several samples give together."""

from __future__ import annotations

import math

from drawgrad._checks import check_dim, check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.kernels.reference import compute_dtype

__all__ = ["multi_sample_bound"]


def multi_sample_bound(costs: Float[Tensor, "*shape"], dim: int = 0) -> Float[Tensor, "..."]:
    r"""What several samples bound together, as a loss.

    .. math:: L = -\log \frac1S \sum_s e^{-f_s}

    For costs f = -log p(x|z) of samples z of a prior, or f = log q(z|x) - log p(x, z) of samples of a posterior, E[L]
    is an upper bound of -log p(x) that falls towards it as there are more samples; with one sample it is E[f]. Samples
    that carry their gradient give it to this bound as to a mean: those of ``rsample``, of a distribution or of an
    estimator. :class:`~drawgrad.estimators.Vimco` is for samples that do not.

    Args:
        costs: of the samples, in nats; inf for one that is impossible.
        dim: dimension of the samples.

    Returns:
        Loss in nats, without that dimension; inf, without a gradient, where all samples are impossible.

    Raises:
        TypeError: if the costs are not of a floating dtype.
        IndexError: if they have no dimension ``dim``.
        ValueError: if there is no sample, or the costs are 0-dim.

    Example:
        >>> import torch
        >>> multi_sample_bound(torch.tensor([1.0, 3.0]))
        tensor(1.5662)
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.estimators import GumbelSoftmax
        >>> q = OneHotCategorical(logits=torch.zeros(4, 3, requires_grad=True))
        >>> z = GumbelSoftmax(tau=0.5, samples=5).rsample(q)
        >>> multi_sample_bound((z * torch.arange(3.0)).sum(-1)).sum().backward()

    References:
        Burda, Grosse, Salakhutdinov. Importance weighted autoencoders. ICLR 2016.
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017, section 4.
    """
    check_floating(costs, "costs")
    check_dim(dim, costs, "costs", of="samples")
    samples = costs.shape[dim]
    if not samples:
        raise ValueError(f"costs must be those of a sample at least, but their shape is {tuple(costs.shape)}; draw one")
    # The difference of two numbers that were rounded to a narrow dtype would have lost its digits.
    wide = costs.to(compute_dtype(costs.dtype))
    # Where all are impossible, none weighs more than another, and there is no gradient.
    hopeless = (wide == math.inf).all(dim, keepdim=True)
    # The number of samples as a tensor: a graph that is exported or traced holds for any number then.
    bound = wide.new_full((), samples).log() - (-wide.masked_fill(hopeless, 0.0)).logsumexp(dim)
    return bound.masked_fill(hopeless.squeeze(dim), math.inf).to(costs.dtype)
