"""Where a run may start, and with which settings it continues."""

from __future__ import annotations

import pytest

from drawgrad.studies.tasks.autoencoder.config import ConfigError, TrainConfig
from drawgrad.studies.runs.folder import RunFolder, RunFolderError

CONFIG = TrainConfig(epochs=3, lr=0.01)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "one")


def test_a_run_begins_where_there_is_none(folder):
    folder.begin(CONFIG)
    assert TrainConfig.read(folder.config) == CONFIG
    with pytest.raises(RunFolderError, match=f"^{folder.root} already holds a run; continue it with --resume, or give"):
        folder.begin(CONFIG)


def test_resuming_takes_the_settings_of_the_run(folder):
    folder.begin(CONFIG)
    assert folder.resume(TrainConfig(), given=set()) == CONFIG
    assert folder.resume(TrainConfig(epochs=3), given={"epochs"}) == CONFIG


def test_resuming_where_there_is_no_run_begins_one(folder):
    assert folder.resume(CONFIG, given={"epochs", "lr"}) == CONFIG
    assert TrainConfig.read(folder.config) == CONFIG


def test_a_setting_that_differs_is_an_error_with_both_values(folder):
    folder.begin(CONFIG)
    message = f"^--lr is 0.5, but the run in {folder.root} has 0.01; leave out --lr, or start in another folder"
    with pytest.raises(RunFolderError, match=message):
        folder.resume(TrainConfig(lr=0.5), given={"lr"})


def test_data_may_move(folder):
    folder.begin(CONFIG)
    assert folder.resume(TrainConfig(data_dir="elsewhere"), given={"data_dir"}).data_dir == "elsewhere"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"file/run cannot be written .*; give another folder with --out"):
        RunFolder(tmp_path / "file" / "run").begin(CONFIG)


def test_damaged_settings_are_told(folder):
    folder.begin(CONFIG)
    folder.config.write_text("{")
    with pytest.raises(ConfigError, match="the settings cannot be read"):
        folder.resume(CONFIG, given=set())
