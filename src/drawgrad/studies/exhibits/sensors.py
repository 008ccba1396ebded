"""Where to measure: k pixels, the same ones for all images, from which a decoder rebuilds the image best.

A choice is learned together with a decoder: logits of the pixels give a distribution of sets of k, and every estimator
that takes sets may train them. In the end the k largest logits count. Other choices learn nothing: any pixels, those
that vary most, or one after the other as a linear decoder would have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from drawgrad.studies.drawing import COLORS, plain_axes, sign
from drawgrad.studies.exhibits.study import Found, Sweep
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.tasks.sensors import (
    CHOOSERS,
    LEARNED,
    Setting,
    choose,
    linear_error,
    load_pictures,
    network_error,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STEPS", "Sensors", "SensorsRecipe"]

STEPS = 400
DECODERS = {"network": "network", "linear": "linear"}


@dataclass(frozen=True)
class SensorsRecipe:
    """Choose pixels in one way, and measure what they are worth.

    Args:
        way: Of choosing, one of :data:`~drawgrad.studies.tasks.sensors.CHOOSERS`.
        k: How many pixels.
        data: The images.
        steps: Of the training of the choice, and again of the decoder that measures it.
        data_dir: Folder of the images, where they need one.
    """

    way: str
    k: int
    data: str = "digits"
    steps: int = STEPS
    data_dir: Path | None = field(default=None, compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Choose and measure; see :class:`~drawgrad.studies.engine.Recipe`."""
        pictures, setting = load_pictures(self.data, self.data_dir), Setting(self.steps)

        def tell(step: int) -> None:
            if step % 20 == 0:
                listener(f"step {step} of {self.steps}")

        chosen = choose(self.way, pictures, self.k, setting, seed, tell)
        listener("a decoder for the chosen pixels")
        return {
            "chosen": chosen.nonzero()[:, 0].tolist(),
            "network": network_error(pictures, chosen, setting, seed + 1000),
            "linear": linear_error(pictures, chosen),
            "shape": [pictures.height, pictures.width],
            "mean": pictures.train.mean(0).tolist(),
        }


@dataclass(frozen=True)
class Sensors(Sweep):
    """All ways to choose.

    Args:
        seeds: Choices of each way.
        steps: See :class:`SensorsRecipe`.
        counts: How many pixels.
        data: The images.
        data_dir: Their folder, where they need one.
    """

    steps: int = STEPS
    counts: tuple[int, ...] = (8, 16)
    data: str = "digits"
    data_dir: Path | None = field(default=None, compare=False)
    name: ClassVar[str] = "sensors"
    title: ClassVar[str] = "Images rebuilt from k of their pixels: share of the variance that is missing"

    def cases(self) -> Mapping[str, SensorsRecipe]:
        """One for each way and number of pixels; the slowest first."""
        return {
            self._case(way, k): SensorsRecipe(way, k, self.data, self.steps, self.data_dir)
            for way in sorted(CHOOSERS, key=lambda way: way not in LEARNED)
            for k in self.counts
        }

    def cells(self, found: Found) -> list[Measurement]:
        """Errors by way, number of pixels and decoder."""
        return [
            mean_of(way, f"k = {k}, {words}", [100 * one[decoder] for one in found[self._case(way, k)]], "%")
            for way in CHOOSERS
            for decoder, words in DECODERS.items()
            for k in self.counts
            if self._case(way, k) in found
        ]

    def note(self, found: Found) -> str:
        """The set-up."""
        seeds = self.words(found)
        setting = Setting(self.steps)
        rates = ", ".join(f"{name} {rate:g}" for name, (rate, _) in LEARNED.items())
        return (
            f"Share of the variance of the test images of {self.data} that is not rebuilt from the chosen pixels, by a "
            f"network of {setting.units} units that is trained anew for {self.steps} steps for each choice, whoever "
            f"made it, and by the best linear decoder; mean and standard error over {seeds}. Learning takes "
            f"{self.steps} steps of Adam with {setting.batch} images and {setting.samples} sets each; rates of the "
            f"logits: {rates}; temperatures: ST Gumbel-top-k 0.5, relaxed top-k 1; I-MLE has step 10. All these are "
            "among a few that were tried by hand, with other seeds. The greedy choice takes one pixel after the other, "
            "each time the one that helps a linear decoder most."
        )

    def draw(self, figure: Figure, found: Found) -> None:
        """Errors above, how often each pixel was chosen below."""
        ways = [way for way in CHOOSERS if any(self._case(way, k) in found for k in self.counts)]
        rows = figure.add_gridspec(1 + len(self.counts), len(ways), height_ratios=[2.2] + [1] * len(self.counts))
        errors = figure.add_subplot(rows[0, :])
        for color, k in zip(COLORS[1:], self.counts, strict=False):
            for shift, decoder in enumerate(DECODERS):
                cells = {ways.index(way): mean_of("", "", [100 * one[decoder] for one in found[self._case(way, k)]])
                         for way in ways if self._case(way, k) in found}  # fmt: skip
                errors.errorbar([place + 0.14 * shift - 0.07 for place in cells], [c.value for c in cells.values()],
                                yerr=[c.spread for c in cells.values()], color=color, ls="none", capsize=2, ms=5,
                                marker="os"[shift], mfc=color if shift == 0 else "white")  # fmt: skip
        errors.set(xticks=range(len(ways)), xticklabels=ways, xlim=(-0.5, len(ways) - 0.5))
        errors.set_ylim(0, None)
        plain_axes(errors, "Variance that is not rebuilt", "", "%")
        for row, k in enumerate(self.counts, start=1):
            for column, way in enumerate(ways):
                axes = figure.add_subplot(rows[row, column])
                if self._case(way, k) in found:
                    _picture(axes, found[self._case(way, k)])
                axes.set(xticks=[], yticks=[])
                if column == 0:
                    axes.set_ylabel(f"k = {k}")

    def signs(self) -> list[Artist]:
        """One for each number of pixels and decoder."""
        kinds = [
            sign(f"k = {k}, {words}", color, ls="none", marker="os"[shift], ms=5, mfc=color if shift == 0 else "white")
            for color, k in zip(COLORS[1:], self.counts, strict=False)
            for shift, words in enumerate(DECODERS.values())
        ]
        return [*kinds, sign("chosen, the darker the more seeds", COLORS[2], ls="none", marker="s", ms=7)]

    @property
    def size(self) -> tuple[float, float]:
        """A column for each way."""
        return 1.35 * len(CHOOSERS) + 0.4, 3.6 + 1.5 * len(self.counts)

    def _case(self, way: str, k: int) -> str:
        return f"{self.data}-{k}-{way.replace(',', '').replace(' ', '-').lower()}"


def _picture(axes: Axes, of: list[dict[str, Any]]) -> None:
    """How often each pixel was chosen, over the mean image."""
    import numpy as np

    height, width = of[0]["shape"]
    mean = np.array(of[0]["mean"]).reshape(height, width)
    often = np.zeros(height * width)
    for one in of:
        often[one["chosen"]] += 1 / len(of)
    axes.imshow(mean, cmap="Greys", vmin=0, vmax=2 * mean.max())
    color = np.ones((height, width, 4)) * np.array([0xD1 / 255, 0x49 / 255, 0x5B / 255, 0])
    color[..., 3] = often.reshape(height, width)
    axes.imshow(color)
