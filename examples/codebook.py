"""What does a discrete autoencoder of MNIST lose, and how much of its codebook does it use, by how codes are assigned?

Run: ``python -m examples.codebook --data-dir DATA``
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drawgrad.estimators import ReinMax, STGumbelSoftmax
from drawgrad.nn import Quantized, Quantizer
from drawgrad.studies.drawing import COLORS, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.runs.loop import descend, falling
from examples._shown import Digits, mnist, options, show

__all__ = ["main"]

PLACES, WIDTH = 8, 16
"""An image becomes eight codes of this width."""
WAYS: dict[str, Callable[[int], Quantizer]] = {
    "nearest code": lambda codes: Quantizer(codes, WIDTH),
    "nearest code, restarts": lambda codes: Quantizer(codes, WIDTH, restart=0.1),
    "nearest code, running means, restarts": lambda codes: Quantizer(codes, WIDTH, decay=0.99, restart=0.1),
    "straight-through Gumbel-Softmax": lambda codes: Quantizer(codes, WIDTH, estimator=STGumbelSoftmax(tau=1.0)),
    "ReinMax": lambda codes: Quantizer(codes, WIDTH, estimator=ReinMax(tau=1.1)),
    "Gumbel, linear logits": lambda codes: Quantizer(codes, WIDTH, estimator=STGumbelSoftmax(), inputs=WIDTH),
}
DIVERSITY = 0.1
"""Weight of the diversity loss where codes are drawn, in nats of a place."""


@dataclass(frozen=True)
class Setting:
    """How much is trained."""

    steps: int
    seeds: int
    codes: int
    batch: int = 100


FULL, SHORT = Setting(400, 1, 64), Setting(3, 1, 64)


class Autoencoder(nn.Module):
    """An encoder to eight vectors, a quantizer, and a decoder to the logits of the pixels."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, PLACES * WIDTH))
        self.quantizer = quantizer
        self.decoder = nn.Sequential(nn.Linear(PLACES * WIDTH, 256), nn.ReLU(), nn.Linear(256, 784))

    def forward(self, images: Tensor) -> tuple[Tensor, Quantized]:
        """Logits of the pixels, and what the quantizer did."""
        # Encodings as large as codes are at the start: normal numbers.
        x = nn.functional.layer_norm(self.encoder(images).reshape(-1, PLACES, WIDTH), (WIDTH,))
        out = self.quantizer(x)
        return self.decoder(out.values.flatten(1)), out


def nats(logits: Tensor, images: Tensor) -> Tensor:
    """The cross entropy of grey pixels, summed over an image, in the mean."""
    return nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)


def trained(way: str, digits: Digits, setting: Setting, seed: int) -> Autoencoder:
    """An autoencoder that assigns codes in one way."""
    torch.manual_seed(seed)
    model = Autoencoder(WAYS[way](setting.codes))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    outs: list[Quantized] = []

    def loss(step: int) -> Tensor:
        images = digits.train[torch.randint(len(digits.train), (setting.batch,))]
        logits, out = model(images)
        outs.append(out)
        # The quantizer's loss is a mean over numbers: here one of all numbers of an image.
        value = nats(logits, images) + PLACES * WIDTH * out.loss
        return value + PLACES * DIVERSITY * out.diversity if model.quantizer.choice else value

    for step in descend(falling(loss, optimizer, setting.steps), optimizer, range(setting.steps)):
        out = outs.pop()
        # Codes that the rate no longer moves are left where they are.
        if model.quantizer.inputs is None and step < 0.8 * setting.steps:
            model.quantizer.update(out, seed=step)
    return model.eval()


@torch.no_grad()
def looked_at(model: Autoencoder, digits: Digits) -> dict[str, float]:
    """Loss, perplexity and dead codes on the test images, with the most probable codes."""
    logits, out = model(digits.test)
    indices = out.indices.flatten()
    dead = model.quantizer.codes - len(indices.unique())
    return {
        "reconstruction": float(nats(logits, digits.test)),
        "perplexity": float(out.perplexity),
        "dead": float(dead),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure and show."""
    chosen = options(__doc__, arguments)
    setting = SHORT if chosen.short else FULL
    digits = mnist(chosen)
    cells: list[Measurement] = []
    pictures: dict[str, Tensor] = {"images": digits.test[:8]}
    values: dict[str, list[dict[str, float]]] = {}
    for way in WAYS:
        models = [trained(way, digits, setting, seed) for seed in range(setting.seeds)]
        values[way] = [looked_at(model, digits) for model in models]
        for name, (quantity, unit) in QUANTITIES.items():
            cells.append(mean_of(way, quantity, [found[name] for found in values[way]], unit))
        with torch.no_grad():
            pictures[way] = models[0](digits.test[:8])[0].sigmoid()
    title = f"MNIST in {PLACES} codes of {setting.codes}: test images, after {setting.steps} steps"
    show(chosen, "codebook", title, cells, lambda figure: drawn(figure, values, pictures), size=(9.0, 4.6))


QUANTITIES = {
    "reconstruction": ("reconstruction", "nats"), "perplexity": ("perplexity", ""), "dead": ("dead codes", ""),
}  # fmt: skip


def drawn(figure: Any, values: dict[str, list[dict[str, float]]], pictures: dict[str, Tensor]) -> None:
    """Reconstruction over perplexity, and images as each way rebuilds them."""
    rows = figure.add_gridspec(1, 2, width_ratios=(1, 1.25))
    axes = figure.add_subplot(rows[0])
    signs = []
    for color, (way, found) in zip(COLORS[1:], values.items(), strict=False):
        axes.plot([one["perplexity"] for one in found], [one["reconstruction"] for one in found], "o", color=color)
        signs.append(sign(way, color, ls="none", marker="o"))
    plain_axes(axes, "Use and loss", "perplexity of the codes", "nats an image")
    below = rows[1].subgridspec(len(pictures), 1, hspace=0.0)
    for row, (way, images) in enumerate(pictures.items()):
        axes = figure.add_subplot(below[row])
        axes.imshow(torch.cat(list(images.reshape(-1, 28, 28)), 1).numpy(), cmap="Greys", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        color = COLORS[list(values).index(way) + 1] if way in values else COLORS[0]
        axes.spines[:].set_color(color)
        axes.set_ylabel(way if way == "images" else "", rotation=0, ha="right", va="center", fontsize=8)
    titled(figure, "Codebooks on MNIST: the color of a frame says how codes were assigned", signs)


if __name__ == "__main__":
    main()
