"""`drawgrad train`: train a variational autoencoder with a discrete code on real images."""

from __future__ import annotations

import json
import shlex
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from drawgrad.cli.options import GroupedCommand, GroupedOption, given_settings, settings_options
from drawgrad.cli.wording import UserError
from drawgrad.studies.tasks.autoencoder.config import ConfigError, TrainConfig, option_name

if TYPE_CHECKING:
    from rich.console import Console

    from drawgrad.studies.runs.folder import RunFolder

__all__ = ["train"]


@click.command(cls=GroupedCommand)
@settings_options(TrainConfig, environment={"data_dir": "DRAWGRAD_DATA_DIR"})
@click.option(
    "--out",
    cls=GroupedOption,
    group="Run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="folder of the run  [default: a new one in runs/]",
)
@click.option(
    "--resume",
    cls=GroupedOption,
    group="Run",
    is_flag=True,
    help="continue the run in --out from its newest checkpoint, or start it there",
)
@click.pass_context
def train(context: click.Context, /, out: Path | None, resume: bool, **settings: Any) -> None:
    """Train a variational autoencoder with a discrete code on real images, measure it, and draw what it learned.

    Everything is left in one folder: settings, measurements (also for TensorBoard), checkpoints, results and a figure.
    """
    from drawgrad.studies.data import DataError
    from drawgrad.studies.runs.checkpoints import CheckpointError
    from drawgrad.studies.runs.folder import RunFolder, RunFolderError
    from drawgrad.studies.runs.loop import Interrupted, NotFinite

    try:
        config = TrainConfig(**{name: value for name, value in settings.items() if value is not None})
        given = given_settings(context, TrainConfig)
        if resume and out is None:
            raise UserError("train", "--resume needs the folder of the run; give it with --out")
        folder = RunFolder(out or _new_folder(config))
        _run(config, folder, resume, given)
    except ConfigError as error:
        name = f"{option_name(error.setting)} " if error.setting else ""
        raise UserError("train", name + error.message) from error
    except (DataError, RunFolderError, CheckpointError) as error:
        raise UserError("train", str(error)) from error
    except NotFinite as error:
        raise UserError("train", str(error), code=1) from error
    except Interrupted as error:
        raise UserError("train", f"{error}; continue with: {_resume_command(folder)}", code=130) from error
    except KeyboardInterrupt as error:
        cure = f"; continue with: {_resume_command(folder)}" if folder.config.exists() else ""
        raise UserError("train", f"interrupted{cure}", code=130) from error


def _new_folder(config: TrainConfig) -> Path:
    return Path("runs") / f"{config.data}-{config.latent}-{time.strftime('%Y%m%d-%H%M%S')}"


def _resume_command(folder: RunFolder) -> str:
    return f"drawgrad train --resume --out {shlex.quote(str(folder.root))}"


def _run(config: TrainConfig, folder: RunFolder, resume: bool, given: set[str]) -> None:
    from rich.console import Console

    from drawgrad.cli.progress import Display
    from drawgrad.studies.data import load
    from drawgrad.studies.tasks.autoencoder.figure import draw_figure
    from drawgrad.studies.tasks.autoencoder.gradient import check_estimator
    from drawgrad.studies.tasks.autoencoder.report import results_table
    from drawgrad.studies.tasks.autoencoder.training import measure, select_device, train_vae

    console = Console()
    config = folder.resume(config, given) if resume else config
    config.check_parts(given)
    check_estimator(config, given)
    if resume and folder.results.exists() and folder.figure.exists():
        console.print(results_table(config, json.loads(folder.results.read_text())))
        click.echo(f"This run is finished. Figure: {folder.figure}")
        return
    select_device(config.device)
    images = load(config.data, Path(config.data_dir) if config.data_dir else None)
    if not resume:
        folder.begin(config)
    with _plain_warnings(console), Display(console) as display:
        with _threads(config.threads), _stop_on_signal() as stop:
            trained = train_vae(config, images, folder, listener=display.step, stop=stop)
        results = measure(trained, folder, listener=lambda done: display.images(done, len(trained.test)))
    draw_figure(trained, images, folder.metrics, folder.figure, results)
    console.print(results_table(config, results))
    click.echo(f"Figure: {folder.figure}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """That many threads on the CPU, in torch's operations and in drawgrad's own."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _stop_on_signal() -> Iterator[Any]:
    """A function that tells whether Ctrl-C was pressed. Pressed again, it interrupts at once."""
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _plain_warnings(console: Console) -> Iterator[None]:
    """Show warnings as lines between the progress, without the place in the source."""

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
