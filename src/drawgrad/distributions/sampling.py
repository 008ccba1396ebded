"""Samples with a gradient from any continuous distribution, drawn from a seed."""

from __future__ import annotations

import torch
from torch.distributions import Distribution
from torch.types import _size

from drawgrad._checks import check_distribution
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import Seeded
from drawgrad.functional import draw_seed, seeded

__all__ = ["rsample"]


def rsample(
    q: Distribution,
    sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
) -> Float[Tensor, "..."]:
    """``q.rsample(sample_shape)`` of any distribution of torch, with a seed or a generator.

    Normal, Laplace, Exponential, Gumbel, Gamma, Beta, Dirichlet, StudentT, whatever is made of them, and distributions
    of your own: torch's samplers take no generator, and here they draw from one that is made of the seed. The global
    generators are neither read nor moved if a seed is given. One seed gives one sample, on any number of threads, with
    the gradient that ``q.rsample`` has. Distributions of this package draw as their own ``rsample`` does.

    Args:
        q: a distribution with ``rsample``.
        sample_shape: shape of independent draws for each element of the batch.
        generator: draws the seed; torch's default generator if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

    Returns:
        Samples of shape ``(*sample_shape, *batch_shape, *event_shape)``.

    Raises:
        TypeError: if ``q`` is no distribution, or has no ``rsample``.
        ValueError: if ``generator`` and ``seed`` are both given.

    Example:
        >>> import torch
        >>> concentration = torch.tensor([2.0, 3.0], requires_grad=True)
        >>> q = torch.distributions.Gamma(concentration, 1.0)
        >>> x = rsample(q, (1000,), seed=0)
        >>> bool((x == rsample(q, (1000,), seed=0)).all()), x.requires_grad
        (True, True)
    """
    check_distribution(q)
    if not q.has_rsample:
        raise TypeError(
            f"q must be a distribution with rsample, but {type(q).__name__} has none; use q.sample, or an estimator "
            "that needs no gradient of the sample"
        )
    if isinstance(q, Seeded):
        return q.rsample(sample_shape, generator=generator, seed=seed)
    with seeded(draw_seed(generator=generator, seed=seed)):
        return q.rsample(torch.Size(sample_shape))
