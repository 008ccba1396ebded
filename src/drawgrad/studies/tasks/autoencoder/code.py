"""Kinds of latent variables, behind one interface: how a network's outputs become a posterior, a sample and a KL.

An image has a code of several independent variables. The posterior and the prior are `torch.distributions` objects
with batch shapes `(images, variables)` and `(variables,)`. Samples come in two forms: relaxed or straight-through ones
carry a gradient and are used to train; exact ones, called codes, are compact and are used to evaluate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, OneHotCategorical
from torch.nn import functional as F

from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional import binary_concrete, gumbel_softmax
from drawgrad.studies.tasks.autoencoder.config import ModelSettings

__all__ = ["BernoulliCode", "CategoricalCode", "Code", "GaussianCode", "code_of"]


Q = TypeVar("Q", bound=Distribution)


@dataclass(frozen=True)
class Code(ABC, Generic[Q]):
    """What a model, a loss and a bound need to know of a kind of latent variable, whose distribution is a Q.

    Args:
        variables: The number of variables of a code.
    """

    variables: int
    has_temperature: ClassVar[bool] = True

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
    def sample(self, q: Q, tau: float, hard: bool, generator: torch.Generator) -> Tensor:
        """A sample with a gradient, shape `(*batch, variables, *event)`; hard ones are hard forward only."""

    def flat(self, z: Tensor) -> Float[Tensor, "*batch features"]:
        """A sample as the input of the decoder."""
        return z

    @abstractmethod
    def kl(self, q: Q, p: Q) -> Float[Tensor, "*batch variables"]:
        """KL(q, p) of each variable in nats, in closed form."""

    @abstractmethod
    def class_probabilities(self, q: Q) -> Float[Tensor, "*batch variables classes"] | None:
        """The probability of every class of every variable, or None if there are no classes."""

    @abstractmethod
    def codes(self, q: Q, samples: int, generator: torch.Generator) -> Tensor:
        """Exact samples in compact form, shape `(images, samples, variables)`."""

    def first_layer(self, codes: Tensor, weight: Tensor, bias: Tensor) -> Float[Tensor, "images samples hidden"]:
        """`linear(flat(z), weight, bias)` for codes z."""
        return F.linear(codes, weight, bias)

    @abstractmethod
    def log_ratio(self, codes: Tensor, q: Q, p: Q) -> Float[Tensor, "images samples"]:
        """`log p(z) - log q(z|x)` of codes z, summed over the variables."""


@dataclass(frozen=True)
class CategoricalCode(Code[OneHotCategorical]):
    """Variables with several classes each; trained through the Gumbel-Softmax. A code holds the classes' indices.

    References:
        Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.
    """

    categories: int

    @property
    def features(self) -> int:
        return self.variables * self.categories

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> OneHotCategorical:
        logits = parameters.unflatten(-1, (self.variables, self.categories))
        # Assembled, because the constructor checks the logits whatever validate_args is: that costs a tenth of a step,
        # and a NaN would raise here instead of where a run is watched.
        q = OneHotCategorical.__new__(OneHotCategorical)
        q._categorical = Categorical(logits=logits, validate_args=False)
        Distribution.__init__(q, logits.shape[:-1], logits.shape[-1:], validate_args=False)
        return q

    def sample(self, q: OneHotCategorical, tau: float, hard: bool, generator: torch.Generator) -> Tensor:
        return gumbel_softmax(q.logits, tau, hard, generator=generator)

    def flat(self, z: Tensor) -> Float[Tensor, "*batch features"]:
        return z.flatten(-2)

    def kl(self, q: OneHotCategorical, p: OneHotCategorical) -> Float[Tensor, "*batch variables"]:
        # torch's own KL is infinite as soon as a probability of p underflows.
        return (q.logits.exp() * (q.logits - p.logits)).sum(-1)

    def class_probabilities(self, q: OneHotCategorical) -> Float[Tensor, "*batch variables classes"]:
        return q.probs

    def codes(
        self, q: OneHotCategorical, samples: int, generator: torch.Generator
    ) -> Int[Tensor, "images samples variables"]:
        rows = q.probs.flatten(0, 1)
        classes = torch.multinomial(rows, samples, replacement=True, generator=generator)
        return classes.view(-1, self.variables, samples).transpose(1, 2)

    def first_layer(
        self, codes: Int[Tensor, "images samples variables"], weight: Tensor, bias: Tensor
    ) -> Float[Tensor, "images samples hidden"]:
        # The product with a one-hot vector is a row of the matrix: add the chosen rows instead of multiplying zeros.
        begins = self.categories * torch.arange(self.variables, device=codes.device)
        rows = (codes + begins).flatten(0, 1)
        return F.embedding_bag(rows, weight.T.contiguous(), mode="sum").add_(bias).view(*codes.shape[:2], -1)

    def log_ratio(
        self, codes: Int[Tensor, "images samples variables"], q: OneHotCategorical, p: OneHotCategorical
    ) -> Float[Tensor, "images samples"]:
        return (p.logits - q.logits).gather(-1, codes.transpose(1, 2)).sum(1)


@dataclass(frozen=True)
class BernoulliCode(Code[Bernoulli]):
    """Variables that are 0 or 1; trained through the binary Concrete distribution. A code holds zeros and ones.

    References:
        Maddison, Mnih and Teh, "The Concrete Distribution", ICLR 2017.
    """

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> Bernoulli:
        return Bernoulli(logits=parameters, validate_args=False)

    def sample(self, q: Bernoulli, tau: float, hard: bool, generator: torch.Generator) -> Tensor:
        return binary_concrete(q.logits, tau, hard, generator=generator)

    def kl(self, q: Bernoulli, p: Bernoulli) -> Float[Tensor, "*batch variables"]:
        # log(1 - sigmoid(l)) = log sigmoid(-l) = log sigmoid(l) - l.
        difference = F.logsigmoid(-q.logits) - F.logsigmoid(-p.logits)
        return q.probs * (q.logits - p.logits) + difference

    def class_probabilities(self, q: Bernoulli) -> Float[Tensor, "*batch variables classes"]:
        return torch.stack([1 - q.probs, q.probs], -1)

    def codes(
        self, q: Bernoulli, samples: int, generator: torch.Generator
    ) -> Float[Tensor, "images samples variables"]:
        logits = q.logits.unsqueeze(1).expand(-1, samples, -1)
        return binary_concrete(logits, hard=True, generator=generator)

    def log_ratio(
        self, codes: Float[Tensor, "images samples variables"], q: Bernoulli, p: Bernoulli
    ) -> Float[Tensor, "images samples"]:
        # log p(z) = z l + log sigmoid(-l), for z in {0, 1}.
        slope = (p.logits - q.logits).unsqueeze(-1)
        constant = (F.logsigmoid(-p.logits) - F.logsigmoid(-q.logits)).sum(-1, keepdim=True)
        return (codes @ slope).squeeze(-1) + constant


@dataclass(frozen=True)
class GaussianCode(Code[Normal]):
    """Normal variables with diagonal covariance, reparameterized exactly: the temperature has no part in it.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    """

    has_temperature: ClassVar[bool] = False

    @property
    def parameters(self) -> int:
        return 2 * self.variables

    def distribution(self, parameters: Float[Tensor, "*batch parameters"]) -> Normal:
        mean, log_scale = parameters.chunk(2, dim=-1)
        return Normal(mean, log_scale.exp(), validate_args=False)

    def sample(self, q: Normal, tau: float, hard: bool, generator: torch.Generator) -> Tensor:
        noise = torch.empty_like(q.loc).normal_(generator=generator)
        return q.loc + q.scale * noise

    def kl(self, q: Normal, p: Normal) -> Float[Tensor, "*batch variables"]:
        return torch.distributions.kl_divergence(q, p)

    def class_probabilities(self, q: Normal) -> None:
        return None

    def codes(self, q: Normal, samples: int, generator: torch.Generator) -> Float[Tensor, "images samples variables"]:
        images, variables = q.loc.shape
        noise = q.loc.new_empty(images, samples, variables).normal_(generator=generator)
        return noise.mul_(q.scale.unsqueeze(1)).add_(q.loc.unsqueeze(1))

    def log_ratio(
        self, codes: Float[Tensor, "images samples variables"], q: Normal, p: Normal
    ) -> Float[Tensor, "images samples"]:
        posterior = Normal(q.loc.unsqueeze(1), q.scale.unsqueeze(1), validate_args=False)
        return (p.log_prob(codes) - posterior.log_prob(codes)).sum(-1)


def code_of(model: ModelSettings) -> Code[Any]:
    """The code that the settings of a model describe."""
    match model.latent:
        case "categorical":
            return CategoricalCode(model.variables, model.categories)
        case "bernoulli":
            return BernoulliCode(model.variables)
        case "gaussian":
            return GaussianCode(model.variables)
        case _:
            raise AssertionError(model.latent)
