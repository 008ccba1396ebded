"""What the network needs to know of a kind of code, besides what its variables tell of themselves.

An image has a code of several independent variables. Its posterior and its prior are `torch.distributions` objects with
batch shapes `(images, variables)` and `(variables,)`; how they are drawn, scored and counted is the matter of
`drawgrad.variables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, OneHotCategorical, kl_divergence
from torch.nn import functional as F

from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional import bernoulli_kl, categorical_kl
from drawgrad.kernels.log_probs import log_softmax
from drawgrad.studies.tasks.autoencoder.config import CodeSettings

__all__ = ["BernoulliCode", "CategoricalCode", "Code", "GaussianCode", "code_of"]

Q = TypeVar("Q", bound=Distribution)


@dataclass(frozen=True)
class Code(ABC, Generic[Q]):
    """A kind of code, whose distribution is a Q.

    Args:
        variables: The number of variables of a code.
    """

    variables: int

    @property
    def parameters(self) -> int:
        """How many numbers describe the distribution of a code."""
        return self.features

    @property
    def features(self) -> int:
        """How many numbers a sample hands to the decoder."""
        return self.variables

    @abstractmethod
    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> Q:
        """The distribution of a code, batch shape `(*batch, variables)`."""

    @abstractmethod
    def kl(self, q: Q, p: Q) -> Float[Tensor, "*batch variables"]:
        """KL(q, p) of each variable in nats, in closed form."""

    def log_prob(self, q: Q, z: Tensor) -> Float[Tensor, "*batch variables"]:
        """log q(z) of each variable, by a formula that has a gradient for z, and goes on between hard samples."""
        found: Tensor = q.log_prob(z)
        return found

    def flat(self, z: Tensor) -> Float[Tensor, "*batch features"]:
        """A sample as the input of the decoder."""
        return z

    def first_layer(self, index: Tensor, weight: Tensor, bias: Tensor) -> Float[Tensor, "samples images hidden"]:
        """`linear(flat(z), weight, bias)` for the samples z of an index, shape `(samples, images, variables)`."""
        return F.linear(index.to(weight.dtype), weight, bias)


@dataclass(frozen=True)
class CategoricalCode(Code[OneHotCategorical]):
    """Variables with several classes each."""

    categories: int

    @property
    def features(self) -> int:
        return self.variables * self.categories

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> OneHotCategorical:
        logits = parameters.unflatten(-1, (self.variables, self.categories))
        # Assembled, because the constructors check the logits whatever validate_args is, which costs a tenth of a step,
        # and normalize them in twenty times the time; and a NaN would raise here instead of where a run is watched.
        q, each = OneHotCategorical.__new__(OneHotCategorical), Categorical.__new__(Categorical)
        each.logits = each._param = log_softmax(logits)
        each._num_events = self.categories
        Distribution.__init__(each, logits.shape[:-1], validate_args=False)
        q._categorical = each
        Distribution.__init__(q, logits.shape[:-1], logits.shape[-1:], validate_args=False)
        return q

    def kl(self, q: OneHotCategorical, p: OneHotCategorical) -> Float[Tensor, "*batch variables"]:
        return categorical_kl(q.logits, p.logits)

    def log_prob(self, q: OneHotCategorical, z: Tensor) -> Float[Tensor, "*batch variables"]:
        # That of torch looks for the largest entry, through which no gradient leads.
        return (z * q.logits).sum(-1)

    def flat(self, z: Tensor) -> Float[Tensor, "*batch features"]:
        return z.flatten(-2)

    def first_layer(
        self, index: Int[Tensor, "samples images variables"], weight: Tensor, bias: Tensor
    ) -> Float[Tensor, "samples images hidden"]:
        # The product with a one-hot vector is a row of the matrix: add the chosen rows instead of multiplying zeros.
        begins = self.categories * torch.arange(self.variables, device=index.device)
        rows = (index + begins).flatten(0, 1)
        return F.embedding_bag(rows, weight.T.contiguous(), mode="sum").add_(bias).view(*index.shape[:2], -1)


@dataclass(frozen=True)
class BernoulliCode(Code[Bernoulli]):
    """Variables that are 0 or 1."""

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> Bernoulli:
        return Bernoulli(logits=parameters, validate_args=False)

    def kl(self, q: Bernoulli, p: Bernoulli) -> Float[Tensor, "*batch variables"]:
        return bernoulli_kl(q.logits, p.logits)


@dataclass(frozen=True)
class GaussianCode(Code[Normal]):
    """Normal variables with diagonal covariance.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    """

    @property
    def parameters(self) -> int:
        return 2 * self.variables

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> Normal:
        mean, log_scale = parameters.chunk(2, dim=-1)
        return Normal(mean, log_scale.exp(), validate_args=False)

    def kl(self, q: Normal, p: Normal) -> Float[Tensor, "*batch variables"]:
        return kl_divergence(q, p)


def code_of(model: CodeSettings) -> Code[Any]:
    """The code that settings describe."""
    match model.latent:
        case "categorical":
            return CategoricalCode(model.variables, model.categories)
        case "bernoulli":
            return BernoulliCode(model.variables)
        case "gaussian":
            return GaussianCode(model.variables)
        case _:
            raise AssertionError(model.latent)
