"""Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017: Figure 5.

Steps a second of the semi-supervised training against the number of classes, for marginalization and Gumbel-Softmax.
The text prints two of the ratios, on a GPU (GTX Titan X); it states neither the batch size nor the sizes of the layers,
on which ratios depend.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from drawgrad.studies.drawing import COLORS, INK, plain_axes, sign
from drawgrad.studies.reproduction import Cell, Picture, Protocol, Table, TimeClassifier
from drawgrad.studies.reproduction.significance import error_bar

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from drawgrad.studies.reproduction import Found

__all__ = ["FIGURE5"]

CLASSES = (5, 10, 20, 50, 100)
CHANNELS = (8, 32)
"""Of the first convolution: the model of `jang2017-table2`, and a larger one."""
PRINTED = {10: 2.0, 100: 9.9}
QUANTITIES = {"marginalization": "slow", "Gumbel-Softmax": "fast", "ratio": "value"}


def _row(quantity: str, channels: int) -> str:
    return f"{quantity}, {channels} channels"


def _cells() -> tuple[Cell, ...]:
    recipes = {
        (channels, classes): TimeClassifier({"data": "mnist", "channels": channels, "categories": classes})
        for channels in CHANNELS
        for classes in CLASSES
    }
    return tuple(
        Cell(
            _row(quantity, channels), f"K = {classes}", recipes[channels, classes],
            PRINTED.get(classes) if quantity == "ratio" else None, ("a CPU",), name,
        )
        for channels in CHANNELS
        for quantity, name in QUANTITIES.items()
        for classes in CLASSES
    )  # fmt: skip


NOTES = (
    """The whole step of the training of a classifier: bounds of 50 images without a label and of 10 with one,
    cross-entropy, gradients, Adam. Both gradients train the same model and are timed in turn in one process; labels
    are random. Ratio: steps a second with Gumbel-Softmax over those with marginalization.""",
    """Marginalization computes the first class, which tells the shape of the cost, and all others in one batch, without
    a loop over them; what the encoder sees of an image it computes once. Evaluations are those of marginalization;
    Gumbel-Softmax has one.""",
)


def _draw(figure: Figure, found: Found) -> None:
    left, right = figure.subplots(1, 2)
    done = {(cell.row, cell.column) for cell in found.cells}
    for channels, style in zip(CHANNELS, ("-", "--"), strict=True):
        for quantity, color in zip(QUANTITIES, COLORS, strict=False):
            axes = right if quantity == "ratio" else left
            row = _row(quantity, channels)
            values = {
                classes: list(found.values(row, f"K = {classes}").values())
                for classes in CLASSES
                if (row, f"K = {classes}") in done
            }
            values = {classes: these for classes, these in values.items() if these}
            axes.errorbar(
                list(values), [statistics.fmean(these) for these in values.values()],
                [error_bar(these) for these in values.values()], color=color, ls=style, marker="o", ms=4, lw=1.4,
            )  # fmt: skip
    right.plot(list(PRINTED), list(PRINTED.values()), "o", mfc="none", mec=INK, ms=8)
    for axes, title, text in ((left, "speed", "steps a second"), (right, "ratio", "times as many steps a second")):
        axes.set(xscale="log", yscale="log", xticks=CLASSES, xticklabels=list(map(str, CLASSES)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="x", which="minor", bottom=False)
        plain_axes(axes, title, "classes", text)


def _signs() -> list[Artist]:
    small, large = CHANNELS
    return [
        *(sign(quantity, color, marker="o", ms=4, lw=1.4) for quantity, color in zip(QUANTITIES, COLORS, strict=False)),
        sign(f"{small} and {2 * small} channels", ls="-"),
        sign(f"{large} and {2 * large} channels", ls="--"),
        sign("printed ratio, on a GPU", INK, marker="o", ms=8, ls="", mfc="none"),
    ]


FIGURE5 = Table(
    "jang2017-figure5",
    "Training speed by the number of classes",
    "Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017, Figure 5",
    "steps a second, and their ratio",
    _cells(),
    (),
    {
        "quick": Protocol(
            "five rounds of 0.3 s or one step each, one thread, batches of 50 images and 10 labeled ones; a seed is a "
            "repetition; with --jobs 1",
            {"batch_size": 50, "labeled_batch": 10},
            (1e-3,),
            {},
        )
    },
    NOTES,
    higher=True,
    picture=Picture(_draw, _signs, (8.2, 4.2)),
)
