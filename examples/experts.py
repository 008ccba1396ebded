"""Which gradient of a router makes the better mixture of experts? A small character transformer on plays.

Run: ``python -m examples.experts --data-dir DATA``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drawgrad.estimators import ReinMax
from drawgrad.nn import FeedForwardExperts, MixtureOfExperts, Router, Routing
from drawgrad.studies.data.text import Text, load_text
from drawgrad.studies.drawing import COLORS, plain_axes, titled
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.runs.loop import descend, falling
from examples._shown import options, show

__all__ = ["main"]

WIDTH, HIDDEN, HEADS, LAYERS, LENGTH = 64, 128, 4, 2, 64
EXPERTS = 8
BALANCE, Z = 0.01, 1e-3
"""Weights of the two losses of a router."""
WAYS: dict[str, dict[str, Any] | None] = {
    "dense, of equal active size": None,
    "sparse, no noise": {"gradient": "sparse", "noise": False},
    "sparse": {"gradient": "sparse"},
    "straight-through": {"gradient": "straight-through"},
    "straight-through, ReinMax": {"gradient": "straight-through", "estimator": ReinMax()},
    "SparseMixer": {"gradient": "sparsemixer"},
    "dense gradient": {"gradient": "dense"},
}
"""Options of the router; one expert sees each character."""


@dataclass(frozen=True)
class Setting:
    """How much is trained."""

    steps: int
    seeds: int
    windows: int
    batch: int = 16


FULL, SHORT = Setting(300, 3, 200), Setting(2, 1, 4, batch=2)


class Block(nn.Module):
    """Causal attention, and a network of two layers or a mixture of them."""

    def __init__(self, router: dict[str, Any] | None) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.mixed = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.experts: nn.Module
        if router is None:
            self.experts = nn.Sequential(
                nn.Linear(WIDTH, HIDDEN, bias=False), nn.GELU(), nn.Linear(HIDDEN, WIDTH, bias=False)
            )
        else:
            self.experts = MixtureOfExperts(
                Router(WIDTH, EXPERTS, **router), FeedForwardExperts(EXPERTS, WIDTH, HIDDEN)
            )
        self.is_mixture = router is not None

    def forward(self, x: Tensor) -> tuple[Tensor, Routing | None]:
        """The tokens, and where they went."""
        parts = self.mixed(self.norms[0](x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        if not self.is_mixture:
            return x + self.experts(self.norms[1](x)), None
        y, routing = self.experts(self.norms[1](x))
        return x + y, routing


class Transformer(nn.Module):
    """Logits of the next character."""

    def __init__(self, characters: int, router: dict[str, Any] | None) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block(router) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters)

    def forward(self, text: Tensor) -> tuple[Tensor, list[Routing]]:
        """The logits, and where the characters went in each layer."""
        x = self.characters(text) + self.places.weight[: text.shape[-1]]
        routings = []
        for block in self.blocks:
            x, routing = block(x)
            routings += [routing] if routing is not None else []
        return self.head(self.norm(x)), routings


def windows(text: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Pieces of the text, and what follows each of their characters."""
    places = starts[:, None] + torch.arange(LENGTH + 1)
    return text[places][:, :-1], text[places][:, 1:]


def bits(logits: Tensor, following: Tensor) -> Tensor:
    """Bits per character."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten()) / math.log(2)


def trained(way: str, text: Text, setting: Setting, seed: int) -> tuple[Transformer, list[float]]:
    """A model, and its training loss along the way, a mean of every twentieth part."""
    torch.manual_seed(seed)
    model = Transformer(len(text.alphabet), WAYS[way])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    # The same windows for all ways.
    order = torch.Generator().manual_seed(seed)
    losses: list[float] = []

    def loss(step: int) -> Tensor:
        starts = torch.randint(len(text.train) - LENGTH, (setting.batch,), generator=order)
        seen, following = windows(text.train, starts)
        logits, routings = model(seen)
        value = bits(logits, following)
        losses.append(value.item())
        for routing in routings:
            value = value + BALANCE * routing.balance_loss + Z * routing.z_loss
        return value

    for _ in descend(falling(loss, optimizer, setting.steps), optimizer, range(setting.steps)):
        pass
    each = max(1, setting.steps // 20)
    return model.eval(), [sum(losses[i : i + each]) / each for i in range(0, setting.steps - each + 1, each)]


@torch.no_grad()
def looked_at(model: Transformer, text: Text, setting: Setting) -> dict[str, float]:
    """Bits per character of the validation text, and how the experts are used there."""
    starts = torch.linspace(0, len(text.valid) - LENGTH - 1, setting.windows).long()
    total, loads = 0.0, torch.zeros(LAYERS, EXPERTS)
    for part in starts.split(100):
        seen, following = windows(text.valid, part)
        logits, routings = model(seen)
        total += float(bits(logits, following)) * len(part)
        for layer, routing in enumerate(routings):
            loads[layer] += routing.load
    found = {"bits": total / len(starts)}
    if loads.any():
        shares = loads / loads.sum(-1, keepdim=True)
        found["largest"] = 100 * float(shares.amax(-1).mean())
        # Used by less than a tenth of its fair share.
        found["dead"] = float((shares < 0.1 / EXPERTS).sum(-1).float().mean())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure and show."""
    chosen = options(__doc__, arguments)
    setting = SHORT if chosen.short else FULL
    text = load_text(chosen.data)
    cells: list[Measurement] = []
    curves: dict[str, list[list[float]]] = {}
    ends: dict[str, list[float]] = {}
    for way in WAYS:
        runs = [trained(way, text, setting, seed) for seed in range(setting.seeds)]
        curves[way] = [curve for _, curve in runs]
        values = [looked_at(model, text, setting) for model, _ in runs]
        ends[way] = [value["bits"] for value in values]
        cells += [
            mean_of(way, quantity, [value[name] for value in values], unit)
            for name, (quantity, unit) in QUANTITIES.items()
            if name in values[0]
        ]
        print(way, ends[way], flush=True)
    title = (
        f"Validation text of a character transformer with {EXPERTS} experts of which one sees a character, after "
        f"{setting.steps} steps"
    )
    show(chosen, "experts", title, cells, lambda figure: drawn(figure, curves, ends, setting))


QUANTITIES = {
    "bits": ("bits per character", ""), "largest": ("largest share of an expert", "%"), "dead": ("dead experts", ""),
}  # fmt: skip


def drawn(figure: Any, curves: dict[str, list[list[float]]], ends: dict[str, list[float]], setting: Setting) -> None:
    """Learning curves, and where they end on the validation text."""
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    palette = [COLORS[number % len(COLORS)] for number in range(len(curves))]
    for color, (way, runs) in zip(palette, curves.items(), strict=True):
        mean = torch.tensor(runs).mean(0)
        steps = torch.linspace(setting.steps / len(mean), setting.steps, len(mean))
        left.plot(steps.tolist(), mean.tolist(), color=color, ls="--" if ends and way.startswith("dense,") else "-")
    plain_axes(left, "Training", "step", "bits per character")
    for row, (color, values) in enumerate(zip(palette, ends.values(), strict=True)):
        right.plot(values, [row] * len(values), "o", color=color)
    right.set_yticks(range(len(ends)), list(ends))
    right.invert_yaxis()
    plain_axes(right, "Validation, each seed", "bits per character", "")
    titled(figure, "One of eight experts for each character: gradients of the router", [])


if __name__ == "__main__":
    main()
