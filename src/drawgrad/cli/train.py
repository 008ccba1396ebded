"""`drawgrad train`: train a variational autoencoder with a discrete code on real images."""

from __future__ import annotations

import itertools
import os
import shlex
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drawgrad.cli.options import GroupedCommand, GroupedOption, settings_options
from drawgrad.cli.process import stop_when_interrupted, when_interrupted
from drawgrad.cli.wording import UserError, of_memory, of_system
from drawgrad.studies.runs.settings import SettingError, option_name
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, configure, refuse_idle

if TYPE_CHECKING:
    from rich.console import Console

    from drawgrad.studies.runs.folder import RunFolder

__all__ = ["train"]

SIZES = "--hidden, --variables, --categories, --batch-size, --samples or --test-samples"


@click.command(cls=GroupedCommand)
@settings_options(AutoencoderConfig, environment={"data_dir": "DRAWGRAD_DATA_DIR"})
@click.option(
    "--out",
    cls=GroupedOption,
    group="Run",
    metavar="DIR",
    help="folder of the run, a new or an empty one  [default: a new one in runs/]",
)
@click.option(
    "--resume",
    cls=GroupedOption,
    group="Run",
    is_flag=True,
    help="continue the run in --out from its newest checkpoint; if other options say how, it may also start there",
)
def train(*, out: str | None, resume: bool, **settings: Any) -> None:
    """Train a variational autoencoder with a discrete code on real images, measure it, and draw what it learned.

    Everything is left in one folder: settings, measurements (also for TensorBoard), checkpoints, results and a figure.
    """
    from drawgrad.studies.data import DataError
    from drawgrad.studies.runs.checkpoints import CheckpointError
    from drawgrad.studies.runs.folder import RunFolder, RunFolderError
    from drawgrad.studies.runs.loop import Interrupted, NotFinite

    folder: RunFolder | None = None
    with when_interrupted("train", lambda: f"interrupted{_cure(folder)}"):
        try:
            given = {name: value for name, value in settings.items() if value is not None}
            config = configure(**given)
            if resume and out is None:
                raise UserError("train", "--resume needs the folder of the run; give it with --out")
            if out is not None and not out.strip():
                raise UserError("train", "--out is empty; name a folder, or leave it out for a new one in runs/")
            folder = RunFolder(_new_folder(config) if out is None else Path(out))
            try:
                _run(config, folder, resume, set(given))
            finally:
                if out is None:
                    with suppress(OSError):  # Unless it is empty, it stays.
                        os.removedirs(folder.root)
        except SettingError as error:
            name = f"{option_name(error.setting)} " if error.setting else ""
            raise UserError("train", name + error.message) from error
        except (DataError, RunFolderError, CheckpointError) as error:
            raise UserError("train", str(error)) from error
        except NotFinite as error:
            raise UserError("train", f"{error}, and start again, in the same folder if you like", code=1) from error
        except Interrupted as error:
            raise UserError("train", f"{error}{_cure(folder)}", code=130) from error
        except OSError as error:
            cure = _cure(folder, "when that is mended, ")
            raise UserError("train", f"{of_system(error, settled=bool(cure))}{cure}", code=1) from error
        except (MemoryError, RuntimeError) as error:
            if not of_memory(error):
                raise
            raise UserError("train", f"there is not enough memory; lower {SIZES}, and start again", code=1) from error


def _new_folder(config: AutoencoderConfig) -> Path:
    """Make a folder with a name that no other start has, not even one in the same second."""
    name = f"{config.data.data}-{config.model.latent}-{time.strftime('%Y%m%d-%H%M%S')}"
    for ending in itertools.chain([""], (f"-{number}" for number in itertools.count(2))):
        path = Path("runs") / (name + ending)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not path.exists():  # It is the folder of the folders that is something else.
                raise
        else:
            return path
    raise AssertionError(name)


def _cure(folder: RunFolder | None, when: str = "") -> str:
    """How to go on with a run that stopped, if it had begun."""
    if folder is None or not os.path.exists(folder.config):
        return ""
    return f"; {when}continue with: drawgrad train --resume --out {shlex.quote(str(folder.root))}"


def _run(config: AutoencoderConfig, folder: RunFolder, resume: bool, given: set[str]) -> None:
    from rich.console import Console

    from drawgrad.cli.progress import Display, compilation_told
    from drawgrad.studies.data import load
    from drawgrad.studies.runs.loop import NotFinite
    from drawgrad.studies.tasks.autoencoder.figure import draw_figure
    from drawgrad.studies.tasks.autoencoder.gradient import idle_settings
    from drawgrad.studies.tasks.autoencoder.report import results_table
    from drawgrad.studies.tasks.autoencoder.training import (
        check_memory,
        measure,
        read_results,
        select_device,
        train_vae,
    )

    console = Console()
    with _plain_warnings(console):
        starts = not resume or (not folder.config.exists() and bool(given - {"data_dir"}))
        if not starts:
            config = folder.resume(config, given)
        refuse_idle(idle_settings(config), given)
        if not starts and folder.figure.exists() and (results := read_results(folder)) is not None:
            print(f"{results_table(config, results)}\n\nThis run is finished. Figure: {folder.figure}")
            return
        select_device(config.machine.device)
        images = load(config.data.data, config.data.data_dir)
        check_memory(config, images)
        with folder.held():
            if starts:
                folder.begin(config)
            if starts and resume:
                print(f"There is no run in {folder.root} yet: it starts there.")
            with Display(console) as display, compilation_told(console):
                with _threads(config.machine.threads), stop_when_interrupted() as stop:
                    try:
                        trained = train_vae(config, images, folder, listener=display.step, stop=stop)
                    except NotFinite as error:
                        folder.fail(str(error))
                        raise
                results = measure(trained, folder, listener=lambda done: display.images(done, len(trained.test)))
            draw_figure(trained, images, folder.metrics, folder.figure, results)
        print(f"{results_table(config, results)}\n\nFigure: {folder.figure}")


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
def _plain_warnings(console: Console) -> Iterator[None]:
    """Show warnings as lines between the progress, without the place in the source."""

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
