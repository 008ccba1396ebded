"""Sensors: choose k pixels of an image, the same ones for all images, from which a decoder rebuilds the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from drawgrad._typing import Bool, Float, Tensor
from drawgrad.distributions import KSubset
from drawgrad.estimators import LeaveOneOut, PerturbAndMap, Simple, STGumbelTopK
from drawgrad.functional import fold_seed, relaxed_top_k
from drawgrad.studies.data import load
from drawgrad.studies.runs.loop import descend, falling

__all__ = ["CHOOSERS", "LEARNED", "Pictures", "Setting", "choose", "linear_error", "load_pictures", "network_error"]

Batch = Float[Tensor, "images pixels"]


@dataclass(frozen=True)
class Pictures:
    """Images with pixels in [0, 1].

    Args:
        train, test: The images, a row each.
        height, width: In pixels.
    """

    train: Float[Tensor, "train pixels"]
    test: Float[Tensor, "test pixels"]
    height: int
    width: int

    @property
    def variance(self) -> float:
        """Of the test images around the mean of the training ones, summed over the pixels."""
        return float((self.test - self.train.mean(0)).square().sum(1).mean())


def load_pictures(name: str, data_dir: Path | None = None) -> Pictures:
    """A data set of images by its name, as :func:`drawgrad.studies.data.load` knows it."""
    images = load(name, data_dir)
    train, test = (part.float() / images.levels for part in (images.train, images.test))
    return Pictures(train, test, images.height, images.width)


@dataclass(frozen=True)
class Setting:
    """How decoders and choices are trained.

    Args:
        steps: Of Adam.
        batch: Images a step.
        samples: Sets of pixels a step.
        units: Of the decoder's hidden layer.
        lr: Highest learning rate of the decoder; it falls along a cosine to zero.
    """

    steps: int
    batch: int = 64
    samples: int = 4
    units: int = 128
    lr: float = 2e-3


class _Decoder(nn.Module):
    """Rebuilds images from the chosen pixels, and from which ones they are."""

    mean: Tensor

    def __init__(self, pictures: Pictures, units: int) -> None:
        super().__init__()
        mean = pictures.train.mean(0)
        self.register_buffer("mean", mean)
        self.layers = nn.Sequential(nn.Linear(2 * len(mean), units), nn.ReLU(), nn.Linear(units, len(mean)))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        seen = (x - self.mean) * z
        return self.mean + self.layers(torch.cat([seen, z.expand_as(seen)], -1))


def _made(pictures: Pictures, units: int, seed: int) -> _Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Decoder(pictures, units)


def _minimize(
    loss: Callable[[Batch, int], Tensor],
    pictures: Pictures,
    setting: Setting,
    groups: list[dict[str, Any]],
    seed: int,
    listener: Callable[[int], None],
) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(groups, lr=setting.lr)

    def at(step: int) -> Tensor:
        rows = torch.randint(len(pictures.train), (setting.batch,), generator=generator)
        return loss(pictures.train[rows], step)

    for step in descend(falling(at, optimizer, setting.steps), optimizer, range(setting.steps)):
        listener(step)


# How the choice is learned: what to make of a cost of sets, of shape (samples, pixels), for logits of the pixels.
Expectation = Callable[[Callable[[Tensor], Tensor], Tensor, int, Tensor], Tensor]


def _relaxed(
    cost: Callable[[Tensor], Tensor], logits: Tensor, k: int, seed: Tensor, samples: int, tau: float
) -> Tensor:
    return cost(relaxed_top_k(logits.expand(samples, -1), k, tau, seed=seed)).mean()


def _estimated(cost: Callable[[Tensor], Tensor], logits: Tensor, k: int, seed: Tensor, estimator: Any) -> Tensor:
    return estimator(cost, KSubset(logits, k, validate_args=False), seed=seed)


LEARNED: Mapping[str, tuple[float, Callable[[int], Any]]] = {
    "Simple": (0.1, lambda samples: partial(_estimated, estimator=Simple(samples=samples))),
    "ST Gumbel-top-k": (0.1, lambda samples: partial(_estimated, estimator=STGumbelTopK(samples=samples, tau=0.5))),
    "relaxed top-k": (0.1, lambda samples: partial(_relaxed, samples=samples, tau=1.0)),
    "I-MLE": (0.03, lambda samples: partial(_estimated, estimator=PerturbAndMap(samples=samples, step=10.0))),
    "leave-one-out": (0.1, lambda samples: partial(_estimated, estimator=LeaveOneOut(samples=samples))),
}
"""Learning rate of the logits, and the expectation for a number of sets a step."""


def _learned(
    name: str, pictures: Pictures, k: int, setting: Setting, seed: int, listener: Callable[[int], None]
) -> Tensor:
    """Train logits and a decoder together; the k pixels with the largest logits."""
    rate, expectation = LEARNED[name]
    decoder = _made(pictures, setting.units, seed)
    logits = torch.zeros(pictures.train.shape[1], requires_grad=True)
    expected = expectation(setting.samples)

    def loss(x: Batch, step: int) -> Tensor:
        def cost(z: Float[Tensor, "samples pixels"]) -> Float[Tensor, "samples"]:
            return (decoder(x, z[:, None]) - x).square().sum(-1).mean(-1)

        return expected(cost, logits, k, fold_seed(torch.tensor(seed), step))

    groups: list[dict[str, Any]] = [{"params": list(decoder.parameters())}, {"params": [logits], "lr": rate}]
    _minimize(loss, pictures, setting, groups, seed, listener)
    return logits.detach().topk(k)[1]


def _random(pictures: Pictures, k: int, setting: Setting, seed: int, listener: Callable[[int], None]) -> Tensor:
    """Any k pixels."""
    return torch.randperm(pictures.train.shape[1], generator=torch.Generator().manual_seed(seed))[:k]


def _varied(pictures: Pictures, k: int, setting: Setting, seed: int, listener: Callable[[int], None]) -> Tensor:
    """The k pixels that vary most."""
    return pictures.train.var(0).topk(k)[1]


def _greedy(pictures: Pictures, k: int, setting: Setting, seed: int, listener: Callable[[int], None]) -> Tensor:
    """One pixel after the other: the one that helps a linear decoder most."""
    left = pictures.train.double().T.cov()
    chosen = []
    for _ in range(k):
        variance = left.diagonal()
        gain = torch.where(variance > 1e-9, left.square().sum(0) / variance.clamp_min(1e-9), 0.0)
        chosen.append(int(gain.argmax()))
        # What is left once this pixel has told what it can.
        column = left[:, chosen[-1]]
        left = left - torch.outer(column, column) / column[chosen[-1]]
    return torch.tensor(chosen)


CHOOSERS: Mapping[str, Callable[..., Tensor]] = {
    "random": _random,
    "most varied": _varied,
    "greedy, linear": _greedy,
    **{name: partial(_learned, name) for name in LEARNED},
}
"""Ways to choose, by name; those that learn nothing come first."""


def choose(
    name: str,
    pictures: Pictures,
    k: int,
    setting: Setting,
    seed: int,
    listener: Callable[[int], None] = lambda step: None,
) -> Bool[Tensor, "pixels"]:
    """Choose pixels.

    Args:
        name: One of :data:`CHOOSERS`.
        pictures: The images; only those for training are used.
        k: How many pixels.
        setting: How choices are trained.
        seed: Of all draws.
        listener: Told of every step.

    Returns:
        True for the chosen ones.
    """
    chosen = torch.zeros(pictures.train.shape[1], dtype=torch.bool)
    chosen[CHOOSERS[name](pictures, k, setting, seed, listener)] = True
    return chosen


def linear_error(pictures: Pictures, chosen: Bool[Tensor, "pixels"]) -> float:
    """The share of the test images' variance that the best linear decoder does not rebuild."""
    mean = pictures.train.mean(0).double()
    train, test = pictures.train.double() - mean, pictures.test.double() - mean
    weights = torch.linalg.lstsq(train[:, chosen], train, driver="gelsd").solution
    return float((test[:, chosen] @ weights - test).square().sum(1).mean() / pictures.variance)


def network_error(pictures: Pictures, chosen: Bool[Tensor, "pixels"], setting: Setting, seed: int) -> float:
    """The same for a network that is trained anew for these pixels, whoever chose them."""
    decoder = _made(pictures, setting.units, seed)
    z = chosen.float()

    def loss(x: Batch, step: int) -> Tensor:
        return (decoder(x, z) - x).square().sum(-1).mean()

    _minimize(loss, pictures, setting, [{"params": list(decoder.parameters())}], seed, lambda step: None)
    with torch.no_grad():
        return float((decoder(pictures.test, z) - pictures.test).square().sum(1).mean() / pictures.variance)
