"""Mixtures of normal distributions whose samples carry a gradient, to the weights too."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.types import _size

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import Seeded
from drawgrad.functional import draw_seed, fold_seed, gumbel_max, implicit_sample, logistic_noise

__all__ = ["MixtureOfNormals"]


class MixtureOfNormals(Seeded, MixtureSameFamily):
    r"""torch's ``MixtureSameFamily`` of normal distributions, with samples that can be differentiated.

    .. math:: p(x) = \sum_k \pi_k\, \mathcal{N}(x; \mu_k, \sigma_k^2), \qquad
        \frac{\partial x}{\partial \theta} = -\frac{\partial F(x) / \partial \theta}{p(x)}

    The gradient is implicit: it holds F(x) fixed, and not the component that a sample came from, so it reaches the
    weights as well. Components of several dimensions must be independent ones, ``Independent(Normal(...), 1)``; their
    entries are taken in order, each by its distribution given those before.

    Args:
        mixture_distribution: ``Categorical`` over K components, batch shape ``(*batch,)``.
        component_distribution: ``Normal`` of batch shape ``(*batch, k)``, or ``Independent(Normal, 1)`` of it.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        TypeError: if the components are not normal.
        ValueError: if a shape does not fit.

    Example:
        >>> import torch
        >>> from torch.distributions import Categorical, Normal
        >>> weights = torch.zeros(3, requires_grad=True)
        >>> q = MixtureOfNormals(Categorical(logits=weights), Normal(torch.tensor([-2.0, 0.0, 3.0]), 1.0))
        >>> q.rsample((1000,), seed=0).mean().backward()
        >>> weights.grad.argmax()
        tensor(2)

    References:
        Figurnov, Mohamed, Mnih. Implicit reparameterization gradients. NeurIPS 2018.
        Graves. Stochastic backpropagation through mixture density distributions. 2016.
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Normal | Independent[Normal],
        validate_args: bool | None = None,
    ) -> None:
        inner = component_distribution
        dimensions = 0
        if isinstance(inner, Independent):
            dimensions, inner = inner.reinterpreted_batch_ndims, inner.base_dist
        if not isinstance(inner, Normal) or dimensions > 1:
            raise TypeError(
                "component_distribution must be Normal, or Independent(Normal, 1), but it is a "
                f"{type(inner).__name__} with {dimensions} dimensions of its own; other mixtures have no gradient here"
            )
        super().__init__(mixture_distribution, component_distribution, validate_args=validate_args)

    def expand(self, batch_shape: _size, _instance: Any = None) -> Any:
        """The distribution with its batch expanded to ``batch_shape``; no parameter is copied."""
        return super().expand(batch_shape, self._get_checked_instance(MixtureOfNormals, _instance))

    @property
    def _normal(self) -> Normal:
        inner: Any = self._component_distribution
        return inner.base_dist if isinstance(inner, Independent) else inner

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw samples that carry a gradient to means, standard deviations and weights.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the parameters' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Samples of shape ``(*sample_shape, *batch_shape, *event_shape)``.
        """
        shape = self._extended_shape(sample_shape)
        logits, normal = self._mixture_distribution.logits, self._normal
        # Components along the last dimension: (*batch, *event, k).
        loc, scale = (normal.loc, normal.scale)
        if self.event_shape:
            loc, scale = loc.transpose(-1, -2), scale.transpose(-1, -2)
        with torch.no_grad():
            drawn = draw_seed(generator=generator, seed=seed, device=loc.device)
            index = gumbel_max(logits.expand(*sample_shape, *logits.shape), seed=fold_seed(drawn, 0))
            index = index.reshape(*index.shape, *[1] * (len(self.event_shape) + 1)).expand(*shape, 1)
            noise = logistic_noise(shape, dtype=torch.float64, device=loc.device, seed=fold_seed(drawn, 1))
            mean, spread = (
                values.expand(*shape, values.shape[-1]).gather(-1, index)[..., 0] for values in (loc, scale)
            )
            x = mean + spread * torch.special.ndtri(noise.sigmoid()).to(loc.dtype)
        if not self.event_shape:
            return implicit_sample(x, partial(_below, weights=logits.softmax(-1), loc=loc, scale=scale))
        entries: list[Tensor] = []
        log_weights = logits.expand(*shape[:-1], logits.shape[-1])
        for place in range(shape[-1]):
            means, spreads = loc[..., place, :], scale[..., place, :]
            below = partial(_below, weights=log_weights.softmax(-1), loc=means, scale=spreads)
            entry = implicit_sample(x[..., place], below)
            # What is known of the component once this entry is known, with its gradient.
            log_weights = log_weights + Normal(means, spreads, validate_args=False).log_prob(entry[..., None])
            entries.append(entry)
        return torch.stack(entries, -1)


def _below(x: Tensor, weights: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The distribution function of a mixture with its components along the last dimension."""
    return (weights * torch.special.ndtr((x[..., None] - loc) / scale)).sum(-1)
