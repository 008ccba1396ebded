"""The one picture of a run: what the model sees and makes, how it learned, and how its code is used."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import Distribution

from drawgrad._tables import with_spread
from drawgrad._typing import Float, Tensor
from drawgrad.functional import draw_seed
from drawgrad.studies.data import Images
from drawgrad.studies.drawing import FADED, INK, RULE, label_ends
from drawgrad.studies.files import write_atomically
from drawgrad.studies.runs.journal import read_metrics
from drawgrad.studies.tasks.autoencoder.evaluation import state_probs
from drawgrad.studies.tasks.autoencoder.gradient import is_multi_sample
from drawgrad.studies.tasks.autoencoder.report import samples_in_words
from drawgrad.studies.tasks.autoencoder.training import Results, TrainedVAE
from drawgrad.variables import variables_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_figure"]

WIDTH, HEIGHT = 13.0, 8.7
"""Inches; so are all positions below, from the top left corner."""
TRAIN, VALID, TEST = "#7d94c4", "#d1495b", "#3c7a57"
BLUES = ["#ffffff", "#b4c8ec", "#3f6bbd", "#14275a"]
DRAW_SEED = 7
TEMPERATURES = (2.0, 0.5, 0.1)
"""Nearly uniform, usual, nearly one-hot."""


@torch.no_grad()
def draw_figure(trained: TrainedVAE, images: Images, metrics: Path, target: Path, results: Results) -> None:
    """Draw the picture of a run into a file.

    Args:
        trained: The trained model.
        images: The data it was trained on.
        metrics: The `metrics.jsonl` of the run.
        target: The PNG file; replaced if it is there.
        results: What was measured after the training.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_style()):
        # Made without pyplot: no global figure, no display, safe in any thread.
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
        FigureCanvasAgg(figure)
        page = _Page(figure)
        config = trained.config
        bound = with_spread(results.test_bound, results.test_bound_error)
        page.text(
            0.4, 0.3, f"drawgrad train: {config.data.data}, {config.model.latent} code", fontsize=15, fontweight="bold"
        )
        samples = samples_in_words(config.model, results.test_samples)
        page.text(0.4, 0.62, f"test bound on log p(x): {bound} nats with {samples} an image")
        _reconstructions(page, trained, images)
        _samples(page, trained, images)
        _curves(page, trained, read_metrics(metrics), results)
        _usage(page, trained, results)
        _draws(page, trained, images)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110)
        write_atomically(target, content.getvalue())


@dataclass(frozen=True)
class _Page:
    """A figure on which everything has its place in inches from the top left corner."""

    figure: Figure

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """Write text, centered on the height `y`."""
        self.figure.text(x / WIDTH, 1 - y / HEIGHT, text, va="center", **options)

    def panel(self, x: float, y: float, title: str, note: str) -> None:
        """Write the heading of a panel."""
        self.text(x, y, title, fontsize=11, fontweight="bold")
        self.text(x, y + 0.23, note, fontsize=8.5, color=FADED)

    def axes(self, x: float, y: float, width: float, height: float, **options: Any) -> Axes:
        """Add axes."""
        return self.figure.add_axes((x / WIDTH, 1 - (y + height) / HEIGHT, width / WIDTH, height / HEIGHT), **options)

    def picture(
        self, x: float, y: float, width: float, height: float, values: np.ndarray, cmap: Any = "gray_r", frame: str = ""
    ) -> None:
        """Show numbers from 0 (white) to 1 (dark); with the color of a frame, stretched to the place."""
        axes = self.axes(x, y, width, height)
        axes.imshow(values, vmin=0, vmax=1, cmap=cmap, interpolation="nearest", aspect="auto" if frame else "equal")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(visible=bool(frame), color=frame or INK)


def _style() -> Any:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FADED,
        "xtick.color": INK,
        "ytick.color": INK,
    }


def _tiles(pictures: Float[Tensor, "pictures pixels"], images: Images, columns: int) -> np.ndarray:
    """Pictures side by side in rows, with a gap between them."""
    gap = max(1, images.height // 10)
    tiles = pictures.cpu().reshape(-1, columns, images.height, images.width)
    tiles = torch.nn.functional.pad(tiles, (0, gap, 0, gap))
    return tiles.permute(0, 2, 1, 3).reshape(tiles.shape[0] * tiles.shape[2], -1)[:-gap, :-gap].numpy()


def _reconstructions(page: _Page, trained: TrainedVAE, images: Images) -> None:
    page.panel(
        0.4, 1.15, "Reconstructions", "test images, and what the decoder makes of one exact sample of their code"
    )
    grey = images.levels > 1
    # Evenly spaced, because a test set may be sorted by class.
    chosen = torch.linspace(0, len(trained.test) - 1, 10 if grey else 20).long()
    x = trained.test[chosen.to(trained.test.device)]
    generator = torch.Generator(x.device).manual_seed(DRAW_SEED)
    z = _exact(trained.model.posterior(x), generator)
    decoded = trained.model.decode(z).sigmoid()
    if grey:
        rows = [("image", images.test[chosen] / images.levels), ("binarized", x), ("decoded", decoded)]
    else:
        rows = [("image", x[:10]), ("decoded", decoded[:10]), ("image", x[10:]), ("decoded", decoded[10:])]
    side = 2.55 / len(rows)
    for index, (name, pictures) in enumerate(rows):
        y = 1.55 + index * side
        page.text(0.4, y + side / 2, name, fontsize=8.5, color=FADED)
        page.picture(1.05, y, 6.4, 0.93 * side, _tiles(pictures, images, 10))


def _exact(q: Distribution, generator: torch.Generator) -> Tensor:
    """Exact samples."""
    variable = variables_of(q)
    return variable.sample_of(variable.draw(draw_seed(generator=generator)))


def _samples(page: _Page, trained: TrainedVAE, images: Images) -> None:
    page.panel(7.9, 1.15, "Samples from the prior", "what the decoder makes of random codes")
    model, columns, rows = trained.model, 8, 4
    parameters = model.prior_parameters.expand(rows * columns, -1)
    generator = torch.Generator(parameters.device).manual_seed(DRAW_SEED)
    z = _exact(model.code.distribution(parameters), generator)
    page.picture(7.9, 1.55, 4.7, 2.45, _tiles(model.decode(z).sigmoid(), images, columns))


def _curves(page: _Page, trained: TrainedVAE, lines: list[dict[str, Any]], results: Results) -> None:
    estimator = trained.model.estimator
    relaxed = not estimator.hard
    note = "bounds over the steps" + ("; training uses relaxed samples" if relaxed else "")
    page.panel(0.4, 4.55, "Learning", note)
    upper = page.axes(0.95, 5.0, 3.05, 2.3)
    lower = page.axes(0.95, 7.45, 3.05, 0.75, sharex=upper)
    # Where the record was lost there may be no curve, but what came out is known.
    ends = [("test bound", results.test_bound, TEST)]
    shown = [results.test_bound]
    trained_on = "bound" if is_multi_sample(trained.config, estimator) else "ELBO"
    for kind, word, value, color in (
        ("train", trained_on, results.train_elbo, TRAIN),
        ("valid", "ELBO", results.valid_elbo, VALID),
    ):
        steps, values = _series(lines, kind, "elbo")
        _plot(upper, steps, values, color)
        ends.append((f"{kind} {word}", value, color))
        # The first steps, which are far below all others, would press these together.
        shown += [value, *(y for step, y in zip(steps, values, strict=True) if step > 0.03 * results.steps)]
    upper.axhline(results.test_bound, color=TEST, lw=1.1, ls=(0, (4, 3)))
    span = max(shown) - min(shown) or 1.0
    upper.set(xlim=(0, results.steps), ylim=(min(shown) - 0.05 * span, max(shown) + 0.07 * span), ylabel="nats")
    upper.tick_params(labelbottom=False)
    label_ends(upper, [(f"{name} {value:.2f}", value, color) for name, value, color in ends])
    below, label = ("tau", "temp. τ") if results.tau is not None else ("kl", "KL, nats")
    steps, values = _series(lines, "train", below)
    _plot(lower, steps, values, INK)
    lower.set(xlim=(0, results.steps), ylim=(0, 1.2 * max(values, default=0.0) or 1.0), xlabel="step", ylabel=label)
    if values:
        label_ends(lower, [(f"{values[-1]:.2f}", values[-1], INK)])
    for axes in (upper, lower):
        axes.grid(axis="y", color=RULE, lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    page.figure.align_ylabels([upper, lower])


def _series(lines: list[dict[str, Any]], kind: str, name: str) -> tuple[list[int], list[float]]:
    chosen = [line for line in lines if line["kind"] == kind and name in line]
    return [line["step"] for line in chosen], [line[name] for line in chosen]


def _plot(axes: Axes, steps: list[int], values: list[float], color: str) -> None:
    """A curve; one point alone is a dot, because a line through it would not be seen."""
    axes.plot(steps, values, color=color, lw=1.3, marker="o" if len(steps) == 1 else "", ms=4, clip_on=len(steps) > 1)


def _grid(values: Tensor) -> np.ndarray:
    """Numbers of a code as a picture: a row for each variable, or a rectangle if a variable is one number."""
    if values.dim() == 2:
        return values.cpu().numpy()
    columns = max(size for size in range(1, int(len(values) ** 0.5) + 1) if len(values) % size == 0)
    return values.view(-1, columns).cpu().numpy()


def _heat() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("heat", BLUES)


def _usage(page: _Page, trained: TrainedVAE, results: Results) -> None:
    q = trained.model.posterior(trained.test)
    classes = state_probs(q)
    x, y, width, height = 5.65, 5.0, 2.1, 3.2
    if classes is None:
        page.panel(x, 4.55, "Usage of the variables", f"{results.active_variables} of {results.variables} are active")
        kl = trained.model.code.kl(q, trained.model.prior()).mean(0).sort(descending=True).values.cpu()
        axes = page.axes(x, y, width, height)
        axes.barh(range(len(kl)), kl.tolist(), color=BLUES[2])
        axes.invert_yaxis()
        axes.set(xlabel="KL, nats", yticks=[])
        axes.spines[["top", "right"]].set_visible(False)
        return
    average = classes.mean(0)
    if trained.config.model.latent == "categorical":
        top = float(average.max())
        page.panel(x, 4.55, "Usage of the categories", f"darkest: chosen for {top:.0%}")
        page.picture(x, y, width, height, _grid(average / top), _heat(), FADED)
        page.text(x + width / 2, y + height + 0.14, f"{average.shape[1]} classes", ha="center", fontsize=8.5)
        page.text(x - 0.14, y + height / 2, f"{len(average)} variables", ha="center", rotation=90, fontsize=8.5)
    else:
        page.panel(x, 4.55, "Usage of the variables", "white: always 0, dark: 1")
        page.picture(x, y, width, height, _grid(average[:, 1]), _heat(), FADED)
        page.text(x + width / 2, y + height + 0.14, f"{len(average)} variables", ha="center", fontsize=8.5)


def _draws(page: _Page, trained: TrainedVAE, images: Images) -> None:
    model = trained.model
    x = trained.test[len(trained.test) // 2].unsqueeze(0)
    q = model.posterior(x)
    classes = state_probs(q)
    left, top, width, height = 8.4, 5.2, 0.97, 2.0
    if classes is None:
        page.panel(left, 4.55, "One posterior", "mean and standard deviation of every variable, for one test image")
        axes = page.axes(left, 5.0, 4.2, 3.2)
        axes.errorbar(
            q.mean[0].tolist(),
            range(q.mean.shape[1]),
            xerr=q.stddev[0].tolist(),
            fmt="o",
            ms=3.5,
            color=BLUES[2],
            lw=1.2,
        )
        axes.invert_yaxis()
        axes.set(xlabel="value", yticks=[])
        axes.spines[["top", "right"]].set_visible(False)
        return
    page.panel(
        left, 4.55, "One draw at three temperatures", "one test image, one seed; below, what the decoder makes of it"
    )
    posterior = classes[0] if trained.config.model.latent == "categorical" else classes[0, :, 1]
    columns = [("posterior", posterior, x)]
    variable: Any = variables_of(q)
    seed = draw_seed(generator=torch.Generator(x.device).manual_seed(DRAW_SEED))
    for tau in TEMPERATURES:
        z = variable.relax(tau, False, seed)
        columns.append((f"τ = {tau:g}", z[0], model.decode(z).sigmoid()))
    for index, (name, code, picture) in enumerate(columns):
        place = left + index * (width + 0.12)
        page.text(place + width / 2, 5.08, name, ha="center", fontsize=8.5)
        page.picture(place, top, width, height, _grid(code), _heat(), FADED)
        page.picture(place, 7.3, width, 0.9, _tiles(picture, images, 1))
    page.text(left + width / 2, 8.34, "the image", ha="center", fontsize=8.5)
    page.text(left + 2.5 * (width + 0.12), 8.34, "made of the relaxed code", ha="center", fontsize=8.5)
