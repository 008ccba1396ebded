"""The one picture of a run: what the model sees and makes, how it learned, and how its code is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from drawgrad._typing import Float, Tensor
from drawgrad.studies.checkpoint import write_atomically
from drawgrad.studies.data import Images
from drawgrad.studies.journal import read_metrics
from drawgrad.studies.latents import CategoricalLatent
from drawgrad.studies.train_vae import TrainedVAE

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

__all__ = ["draw_figure"]

INK = "#1f2430"
FADED = "#8a8f9c"
TRAIN, VALID, HEAT = "#9aa7c7", "#d1495b", "#2e5aac"
DRAW_SEED = 7
TEMPERATURES = (2.0, 0.5, 0.1)
"""Nearly uniform, the usual one, nearly one-hot."""


@torch.no_grad()
def draw_figure(trained: TrainedVAE, images: Images, metrics: Path, target: Path, results: dict[str, Any]) -> None:
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
        figure = Figure(figsize=(13, 8.4), layout="constrained")
        FigureCanvasAgg(figure)
        config = trained.config
        figure.suptitle(
            f"{config.data}, {config.latent} code: log p(x) ≥ {results['test_bound']:.2f} ± "
            f"{results['test_bound_error']:.2f} nats on the test images ({results['test_samples']} samples)",
            fontsize=14,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.25], hspace=0.06)
        left, right = top.subfigures(1, 2, width_ratios=[1.35, 1], wspace=0.04)
        _reconstructions(left, trained, images)
        _samples(right, trained, images)
        curves, usage, draws = bottom.subfigures(1, 3, width_ratios=[1.25, 0.85, 1.35], wspace=0.04)
        _curves(curves, read_metrics(metrics))
        _usage(usage, trained, results)
        _draws(draws, trained, images)
        write_atomically(target, lambda part: figure.savefig(part, format="png", dpi=110))


def _style() -> Any:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FADED,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
    }


def _title(part: SubFigure, title: str, note: str) -> None:
    part.suptitle(f"{title}\n", x=0.02, ha="left", fontsize=11, fontweight="bold")
    part.text(0.02, 0.915, note, fontsize=8.5, color=FADED, va="top")


def _tiles(pictures: Float[Tensor, "pictures pixels"], images: Images, columns: int) -> np.ndarray:
    """Pictures side by side in rows, with a gap between them."""
    gap = max(1, images.height // 10)
    tiles = pictures.cpu().reshape(-1, columns, images.height, images.width)
    tiles = torch.nn.functional.pad(tiles, (0, gap, 0, gap))
    return tiles.permute(0, 2, 1, 3).reshape(tiles.shape[0] * tiles.shape[2], -1)[:-gap, :-gap].numpy()


def _show(axes: Axes, picture: np.ndarray, **options: Any) -> None:
    axes.imshow(picture, vmin=0, vmax=1, **({"cmap": "gray_r", "interpolation": "nearest"} | options))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _reconstructions(part: SubFigure, trained: TrainedVAE, images: Images) -> None:
    _title(part, "Reconstructions", "binary test images above, their reconstructions from one hard sample below")
    # Evenly spaced, because a test set may be sorted by class.
    chosen = torch.linspace(0, len(trained.test) - 1, 10).long().to(trained.test.device)
    x = trained.test[chosen]
    generator = torch.Generator(x.device).manual_seed(DRAW_SEED)
    z = trained.model.latent.sample(trained.model.posterior(x), 1.0, True, generator)
    _show(part.subplots(), _tiles(torch.cat([x, trained.model.decode(z).sigmoid()]), images, 10))


def _samples(part: SubFigure, trained: TrainedVAE, images: Images) -> None:
    _title(part, "Samples from the prior", "mean images of random codes")
    model, columns, rows = trained.model, 8, 3
    parameters = model.prior_parameters.expand(rows * columns, -1)
    generator = torch.Generator(parameters.device).manual_seed(DRAW_SEED)
    z = model.latent.sample(model.latent.distribution(parameters), 1.0, True, generator)
    _show(part.subplots(), _tiles(model.decode(z).sigmoid(), images, columns))


def _curves(part: SubFigure, lines: list[dict[str, Any]]) -> None:
    _title(part, "Learning", "bound while training (relaxed samples) and on the validation images (hard samples)")
    upper, lower = part.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for kind, color, label in (("train", TRAIN, "train, relaxed"), ("valid", VALID, "valid, hard")):
        steps, values = zip(*[(line["step"], line["elbo"]) for line in lines if line["kind"] == kind], strict=True)
        upper.plot(steps, values, color=color, lw=1.4, label=label)
        upper.annotate(
            f"{values[-1]:.1f}",
            (steps[-1], values[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            color=color,
            va="center",
            fontsize=8.5,
        )
    late = [line["elbo"] for line in lines if line["step"] > 0.02 * lines[-1]["step"]]
    upper.set_ylim(min(late) - 0.05 * (max(late) - min(late)) - 0.1, max(late) + 0.08 * (max(late) - min(late)) + 0.1)
    upper.set_ylabel("ELBO (nats)")
    upper.legend(frameon=False, loc="lower right")
    steps, values = zip(*[(line["step"], line["tau"]) for line in lines if line["kind"] == "train"], strict=True)
    lower.plot(steps, values, color=INK, lw=1.2, drawstyle="steps-pre")
    lower.set_ylim(0, max(values) * 1.15)
    lower.set_ylabel("temperature")
    lower.set_xlabel("step")
    for axes in (upper, lower):
        axes.grid(axis="y", color="#e4e6ec", lw=0.7)
        axes.set_axisbelow(True)


def _grid(values: Tensor) -> np.ndarray:
    """Numbers of a code as a picture: a row for each variable, or a near square if a variable is one number."""
    if values.dim() == 2:
        return values.cpu().numpy()
    rows = max(size for size in range(1, int(len(values) ** 0.5) + 1) if len(values) % size == 0)
    return values.view(-1, rows).cpu().numpy()


def _usage(part: SubFigure, trained: TrainedVAE, results: dict[str, Any]) -> None:
    q = trained.model.posterior(trained.test)
    classes = trained.model.latent.class_probabilities(q)
    axes = part.subplots()
    if classes is None:
        _title(
            part, "Usage of the variables", f"{results['active_variables']} of {results['variables']} carry information"
        )
        kl = trained.model.latent.kl(q, trained.model.prior()).mean(0).cpu()
        axes.barh(range(1, len(kl) + 1), kl, color=HEAT)
        axes.invert_yaxis()
        axes.set_xlabel("KL (nats)")
        axes.set_ylabel("variable")
        return
    average = classes.mean(0)
    if isinstance(trained.model.latent, CategoricalLatent):
        note = f"how often each class is chosen; {results['perplexity']:.1f} classes in effect"
        _title(part, "Usage of the categories", note)
        scaled = average / average.max()
        axes.set_xlabel("class")
        axes.set_ylabel("variable")
    else:
        _title(part, "Usage of the variables", "how often each variable is 1")
        scaled = average[:, 1]
    picture = axes.imshow(_grid(scaled), cmap=_heat(), vmin=0, vmax=1, aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    top = float(average.max()) if isinstance(trained.model.latent, CategoricalLatent) else 1.0
    bar = part.colorbar(picture, ax=axes, shrink=0.6, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels([f"{top * tick:.2f}" for tick in (0, 0.5, 1)])
    bar.outline.set_visible(False)


def _heat() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("heat", ["#ffffff", "#a9c1ea", HEAT, "#14275a"])


def _draws(part: SubFigure, trained: TrainedVAE, images: Images) -> None:
    model = trained.model
    x = trained.test[len(trained.test) // 2].unsqueeze(0)
    q = model.posterior(x)
    if model.latent.class_probabilities(q) is None:
        _title(part, "One posterior", "mean and standard deviation of every variable for one test image")
        axes = part.subplots()
        axes.errorbar(q.mean[0].cpu(), range(1, q.mean.shape[1] + 1), xerr=q.stddev[0].cpu(), fmt="o", color=HEAT, ms=3)
        axes.invert_yaxis()
        axes.set_ylabel("variable")
        return
    _title(
        part,
        "One draw at three temperatures",
        "the same seed, the same test image; its picture made of that code below",
    )
    grid = part.subplots(2, 3, height_ratios=[2.6, 1])
    for column, tau in zip(grid.T, TEMPERATURES, strict=True):
        z = model.latent.sample(q, tau, False, torch.Generator(x.device).manual_seed(DRAW_SEED))
        _show(column[0], _grid(z[0]), cmap=_heat(), aspect="auto")
        column[0].set_title(f"τ = {tau:g}")
        for spine in column[0].spines.values():
            spine.set_visible(True)
        _show(column[1], _tiles(model.decode(z).sigmoid(), images, 1))
