"""An autoencoder whose code is the class of an image, and normal variables for all else that there is to say of it."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import OneHotCategorical
from torch.nn import functional as F

from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import Estimator, Pathwise
from drawgrad.studies.tasks.autoencoder.code import CategoricalCode, GaussianCode
from drawgrad.studies.tasks.autoencoder.model import RAREST

__all__ = ["SemiSupervisedVAE"]


class SemiSupervisedVAE(nn.Module):
    r"""Binary images x of a class y: p(x) = sum_y 1/K E_{N(z; 0, 1)} prod_i Bernoulli(x_i; decoder(y, z)_i).

    The posteriors q(y|x) and q(z|x, y) are networks of two convolutions each, with halved height and width, and a
    hidden layer; the decoder is such a network in reverse. What q(z|x, y) sees of the image does not depend on the
    class, and is computed once for all of them.

    Args:
        classes: K.
        normals: How many normal variables z has.
        height: Of an image, in pixels, a multiple of four.
        width: The same.
        channels: Of the first convolution; the second has twice as many.
        units: Of the layers that are no convolutions.
        base_rates: Probability that a pixel is white, shape `(height * width,)`.
        estimator: Of the gradient for y; a part of the model, because some learn.
        seed: Of the initial weights.

    References:
        Kingma, Rezende, Mohamed and Welling, "Semi-supervised learning with deep generative models", NIPS 2014.
    """

    mean: Float[Tensor, "pixels"]
    uniform: Float[Tensor, "1 classes"]

    def __init__(
        self,
        *,
        classes: int,
        normals: int,
        height: int,
        width: int,
        channels: int,
        units: int,
        base_rates: Float[Tensor, "pixels"],
        estimator: Estimator,
        seed: int,
    ) -> None:
        super().__init__()
        self.classes = CategoricalCode(1, classes)
        self.normals = GaussianCode(normals)
        self.estimator = estimator
        self.shape = (height, width)
        small = (2 * channels, height // 4, width // 4)
        features = small[0] * small[1] * small[2]

        def convolutions() -> list[nn.Module]:
            return [
                nn.Conv2d(1, channels, 5, 2, 2), nn.ReLU(), nn.Conv2d(channels, 2 * channels, 5, 2, 2), nn.ReLU(),
                nn.Flatten(), nn.Linear(features, units),
            ]  # fmt: skip

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = nn.Sequential(*convolutions(), nn.ReLU(), nn.Linear(units, classes))
            self.encoder = nn.Sequential(*convolutions())
            self.encoder_class = nn.Linear(classes, units, bias=False)
            self.encoder_out = nn.Linear(units, self.normals.parameters)
            self.decoder_in = nn.Sequential(
                nn.Linear(classes + normals, units), nn.ReLU(), nn.Linear(units, features), nn.ReLU()
            )
            self.decoder_out = nn.Sequential(
                nn.Unflatten(1, small),
                nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(channels, 1, 4, 2, 1),
            )
        last = self.decoder_out[-1]
        assert isinstance(last, nn.ConvTranspose2d)
        assert last.bias is not None
        nn.init.constant_(last.bias, float(base_rates.mean().clamp(RAREST, 1 - RAREST).logit()))
        self.register_buffer("mean", base_rates.clone())
        self.register_buffer("uniform", torch.zeros(1, classes))
        # Half the time of a convolution with few channels on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def posterior(self, x: Float[Tensor, "batch pixels"]) -> OneHotCategorical:
        """q(y|x), batch shape `(batch, 1)`."""
        return self.classes.distribution(self.classifier(self._pictures(x)))

    def log_probs(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch classes"]:
        """log q(y|x)."""
        return self.classifier(self._pictures(x)).log_softmax(-1)

    def bound(
        self, x: Float[Tensor, "batch pixels"], estimator: Estimator, generator: torch.Generator
    ) -> Float[Tensor, "batch"]:
        """Minus the bound on log p(x) of images without a label, in nats, with the gradient of an estimator.

        Args:
            x: Binary images.
            estimator: Of the expectation over y.
            generator: Source of the seeds.
        """
        q, features = self.posterior(x), self.encoder(self._pictures(x))
        cost = estimator(lambda y: self._cost(y[..., 0, :], x, features, generator), q, generator=generator)
        return cost + self.classes.kl(q, self.classes.distribution(self.uniform.flatten()))[:, 0]

    def labeled_bound(
        self, x: Float[Tensor, "batch pixels"], y: Int[Tensor, "batch"], generator: torch.Generator
    ) -> Float[Tensor, "batch"]:
        """Minus the bound on log p(x, y), but for log 1/K of the class."""
        one_hot = F.one_hot(y, self.classes.categories).to(x.dtype)
        return self._cost(one_hot[None], x, self.encoder(self._pictures(x)), generator)[0]

    def _cost(
        self,
        y: Float[Tensor, "samples batch classes"],
        x: Float[Tensor, "batch pixels"],
        features: Float[Tensor, "batch units"],
        generator: torch.Generator,
    ) -> Float[Tensor, "samples batch"]:
        """E_q(z|x,y)[-log p(x|y, z)] + KL(q(z|x, y), p(z)), for one-hot or relaxed classes."""
        q = self.normals.distribution(self.encoder_out(F.relu(features + self.encoder_class(y))))
        cost = Pathwise()(lambda z: self._nll(y, z, x), q, generator=generator)
        prior = self.normals.distribution(torch.zeros(self.normals.parameters, dtype=x.dtype, device=x.device))
        return cost + self.normals.kl(q, prior).sum(-1)

    def _nll(
        self, y: Float[Tensor, "samples batch classes"], z: Tensor, x: Float[Tensor, "batch pixels"]
    ) -> Float[Tensor, "draws samples batch"]:
        code = torch.cat([y.expand(*z.shape[:-1], -1), z], -1)
        logits = self.decoder_out(self.decoder_in(code.flatten(0, -2))).view(*code.shape[:-1], -1)
        # -log p for log-odds o: softplus(o) - x o.
        return F.softplus(logits).sum(-1) - torch.einsum("dsbp,bp->dsb", logits, x)

    def _pictures(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch 1 height width"]:
        return (x - self.mean).view(-1, 1, *self.shape).contiguous(memory_format=torch.channels_last)
