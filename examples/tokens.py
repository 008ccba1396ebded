"""What does a small vision transformer lose, and how much time does it save, if it goes on with a part of its patches?

Run: ``python -m examples.tokens --data-dir DATA``
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drawgrad.nn import TokenMerger, TokenSelector
from drawgrad.studies.drawing import COLORS, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of, median_of
from examples._shown import error, mnist, options, show, train

__all__ = ["main"]

WIDTH, HEADS, BEFORE, AFTER, PATCH = 32, 4, 1, 3, 7
PATCHES = (28 // PATCH) ** 2


class Random(nn.Module):
    """Any tokens: what a selection must beat."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.left = -(-int(PATCHES * keep * 1000) // 1000)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """The tokens that a permutation, which evaluation repeats, begins with."""
        source = None if self.training else torch.Generator().manual_seed(0)
        places = torch.rand(x.shape[:2], generator=source).topk(self.left, -1)[1].sort(-1)[0]
        return (x.gather(1, places[..., None].expand(-1, -1, x.shape[-1])),)


WAYS: dict[str, Callable[[], nn.Module] | None] = {
    "all patches": None,
    "half, selected": lambda: TokenSelector(WIDTH, keep=0.5),
    "half, merged": lambda: TokenMerger(WIDTH, keep=0.5),
    "half, any": lambda: Random(0.5),
    "a quarter, selected": lambda: TokenSelector(WIDTH, keep=0.25),
    "a quarter, any": lambda: Random(0.25),
}


@dataclass(frozen=True)
class Setting:
    """How much is trained."""

    steps: int
    seeds: int
    turns: int
    timed: int
    batch: int = 64


FULL, SHORT = Setting(1000, 3, 7, 256), Setting(2, 1, 2, 8, batch=8)


class Layer(nn.Module):
    """A layer of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.mixed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.network = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then each token by itself."""
        parts = self.mixed(self.norms[0](x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(-2))
        return x + self.network(self.norms[1](x))


class VisionTransformer(nn.Module):
    """Images, as rows of pixels, to logits of digits; after the first layer with fewer tokens."""

    def __init__(self, shorten: Callable[[], nn.Module] | None) -> None:
        super().__init__()
        self.patches = nn.Linear(PATCH * PATCH, WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn(PATCHES, WIDTH))
        self.before = nn.Sequential(*(Layer() for _ in range(BEFORE)))
        self.after = nn.Sequential(*(Layer() for _ in range(AFTER)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))
        # Last, so that all ways begin with the same weights elsewhere.
        self.shorten = None if shorten is None else shorten()

    def tokens(self, images: Tensor) -> Tensor:
        """One for each patch, after the first layer."""
        side = 28 // PATCH
        cut = images.reshape(-1, side, PATCH, side, PATCH).transpose(2, 3).flatten(3).flatten(1, 2)
        return self.before(self.patches(cut) + self.places)

    def forward(self, images: Tensor) -> Tensor:
        """The logits, which are read off the mean of the tokens."""
        x = self.tokens(images)
        if self.shorten is not None:
            x = self.shorten(x)[0]
        return self.head(self.after(x).mean(1))


def seconds(network: nn.Module, images: Tensor, labels: Tensor, *, learns: bool) -> float:
    """How long a step takes, or a forward pass."""
    start = time.perf_counter()
    if learns:
        network.train()
        nn.functional.cross_entropy(network(images), labels).backward()
    else:
        network.eval()
        with torch.no_grad():
            network(images)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure and show."""
    chosen = options(__doc__, arguments)
    setting = SHORT if chosen.short else FULL
    digits = mnist(chosen)
    networks: dict[str, nn.Module] = {}
    errors: dict[str, list[float]] = {}
    for way, shorten in WAYS.items():
        errors[way] = []
        for seed in range(setting.seeds):
            torch.manual_seed(seed)
            network = train(VisionTransformer(shorten), digits, setting.steps, seed, batch=setting.batch, lr=3e-3)
            errors[way].append(error(network, digits))
            networks.setdefault(way, network)
        print(way, errors[way], flush=True)
    times = timed(networks, digits.train[: setting.timed], digits.labels[: setting.timed], setting.turns)
    cells: list[Measurement] = []
    for way in WAYS:
        cells.append(mean_of(way, "test error", errors[way], "%"))
        for what, each in times.items():
            cells.append(median_of(way, what, [1e3 * turn[way] for turn in each], "ms"))
            cells.append(median_of(way, f"{what}, faster by", [turn["all patches"] / turn[way] for turn in each], "x"))
    title = (
        f"MNIST by a vision transformer that drops patches after its first of four layers, after {setting.steps} "
        f"steps; times for {setting.timed} images"
    )
    picture = kept(networks["a quarter, selected"], digits.test[:8])
    show(
        chosen, "tokens", title, cells, lambda figure: drawn(figure, errors, times, picture),
        spread="standard error over seeds; of times half the interquartile range",
    )  # fmt: skip


def timed(
    networks: dict[str, nn.Module], images: Tensor, labels: Tensor, turns: int
) -> dict[str, list[dict[str, float]]]:
    """Times of all ways, turn by turn; the first turn is warm-up."""
    return {
        what: [
            {way: seconds(network, images, labels, learns=what == "step") for way, network in networks.items()}
            for _ in range(turns + 1)
        ][1:]
        for what in ("forward pass", "step")
    }


@torch.no_grad()
def kept(network: Any, images: Tensor) -> Tensor:
    """Images in which the patches that were dropped are grey."""
    positions = network.shorten(network.tokens(images)).positions
    mask = torch.zeros(len(images), PATCHES).scatter(1, positions, 1.0)
    side = 28 // PATCH
    whole = mask.reshape(-1, side, 1, side, 1).expand(-1, side, PATCH, side, PATCH).reshape(-1, 28, 28)
    return torch.where(whole > 0, images.reshape(-1, 28, 28), 0.35 + 0.3 * images.reshape(-1, 28, 28))


def drawn(
    figure: Any, errors: dict[str, list[float]], times: dict[str, list[dict[str, float]]], picture: Tensor
) -> None:
    """Error over time, and the patches that were kept."""
    rows = figure.add_gridspec(2, 1, height_ratios=(2.4, 1))
    axes = figure.add_subplot(rows[0])
    signs = []
    for number, (way, values) in enumerate(errors.items()):
        color = COLORS[number % len(COLORS)]
        x = statistics.median(1e3 * turn[way] for turn in times["forward pass"])
        axes.plot([x] * len(values), values, "o", color=color)
        signs.append(sign(way, color, ls="none", marker="o"))
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    plain_axes(axes, "Error and time of a forward pass", "ms", "test error, %")
    below = figure.add_subplot(rows[1])
    below.imshow(torch.cat(list(picture), 1).numpy(), cmap="Greys", vmin=0, vmax=1)
    below.set(xticks=[], yticks=[])
    below.set_title("the quarter of the patches that was selected", fontsize=9)
    titled(figure, "Token selection on MNIST", signs)


if __name__ == "__main__":
    main()
