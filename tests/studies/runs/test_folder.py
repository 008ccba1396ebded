"""Where a run may start, and with which settings it continues."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from drawgrad.studies.runs.folder import RunFolder, RunFolderError
from drawgrad.studies.runs.settings import SettingError, read_settings, setting


@dataclass(frozen=True)
class Config:
    """The settings of some model, unknown to the package."""

    epochs: int = 3
    rate: float = 0.01
    data_dir: str | None = setting("where the data is", default=None, moves=True)


CONFIG = Config(epochs=5)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "one")


def begin(folder: RunFolder, config: Config = CONFIG) -> None:
    with folder.held():
        folder.begin(config)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class TestBegin:
    def test_takes_a_new_or_an_empty_folder(self, folder):
        begin(folder)
        assert read_settings(Config, folder.config) == CONFIG
        empty = RunFolder(folder.root.parent / "empty")
        empty.root.mkdir()
        begin(empty)
        assert read_settings(Config, empty.config) == CONFIG

    @pytest.mark.parametrize(
        "name",
        ["notes.txt", "metrics.jsonl", "results.json", "figure.png", "tensorboard/events.out.tfevents.1", ".hidden",
         "checkpoints/step-000000005.pt", "big-download.part"],
    )  # fmt: skip
    def test_refuses_what_is_not_its_own_and_leaves_it(self, folder, name):
        path = folder.root / name
        path.parent.mkdir(parents=True)
        path.write_text("precious")
        first = Path(name).parts[0]
        message = rf"^{folder.root} holds no run, but other files \({first}\); give a new or an empty folder with --out"
        with pytest.raises(RunFolderError, match=message):
            begin(folder)
        assert everything(folder.root) == {name: b"precious"}

    @pytest.mark.parametrize("content", ['{"model_type": "bert"}', "{", "", "\udcff"])
    def test_refuses_the_settings_of_another_program(self, folder, content):
        folder.root.mkdir(parents=True)
        folder.config.write_text(content, errors="surrogateescape")
        before = everything(folder.root)
        with pytest.raises(RunFolderError, match=f"^{folder.config} does not hold the settings of such a run; give"):
            begin(folder)
        assert everything(folder.root) == before

    @pytest.mark.parametrize("kept", ["results", "checkpoint"])
    def test_refuses_a_run_that_has_something_to_keep(self, folder, kept):
        begin(folder)
        if kept == "results":
            folder.results.write_text("{}")
        else:
            folder.saved(CONFIG).save(2, {})
        before = everything(folder.root)
        with pytest.raises(RunFolderError, match=f"^{folder.root} already holds a run; continue it with --resume, or"):
            begin(folder, Config(epochs=7))
        assert everything(folder.root) == before

    @pytest.mark.parametrize("failed", [True, False])
    def test_replaces_a_run_that_failed_or_saved_nothing_and_nothing_else(self, folder, failed):
        begin(folder)
        journal = folder.journal(0)
        journal.write("train", 1, loss=1.0)
        journal.close()
        if failed:
            folder.saved(CONFIG).save(2, {})
            folder.fail("loss is nan")
        (folder.root / "notes.txt").write_text("precious")
        (folder.events / "mine").write_text("precious")
        begin(folder, Config(epochs=7))
        assert set(everything(folder.root)) == {"config.json", "notes.txt", "tensorboard/mine"}
        assert read_settings(Config, folder.config) == Config(epochs=7)

    def test_takes_the_place_of_a_start_that_was_killed(self, folder):
        folder.root.mkdir(parents=True)
        (folder.root / ".config.json.part").write_text("{")
        begin(folder)
        assert set(everything(folder.root)) == {"config.json"}


class TestHeld:
    def test_is_told_where_no_folder_can_be(self, tmp_path):
        (tmp_path / "file").write_text("precious")
        with pytest.raises(
            RunFolderError, match=r"file/run cannot be written \(Not a directory\); give another folder"
        ):
            begin(RunFolder(tmp_path / "file" / "run"))
        with pytest.raises(RunFolderError, match=r"file is a file, not a folder; give another one with --out"):
            begin(RunFolder(tmp_path / "file"))
        with pytest.raises(RunFolderError, match=r"cannot be written \(File name too long\); give another folder"):
            begin(RunFolder(tmp_path / ("x" * 300)))
        assert everything(tmp_path) == {"file": b"precious"}

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything may be written here")
    def test_is_told_where_it_may_not_write(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(RunFolderError, match=r"cannot be written \(Permission denied\); give another folder"):
            begin(RunFolder(tmp_path / "run"))
        tmp_path.chmod(0o700)

    def test_keeps_other_processes_out_until_it_ends(self, folder):
        program = (
            "import pathlib, sys\n"
            "from drawgrad.studies.runs.folder import RunFolder\n"
            "with RunFolder(pathlib.Path(sys.argv[1])).held():\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n"
        )
        arguments = [sys.executable, "-c", program, str(folder.root)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "held\n"
            with pytest.raises(
                RunFolderError, match=f"^another process is training in {folder.root}; wait for its end"
            ):
                begin(folder)
            other.kill()
        begin(folder)

    def test_leaves_nothing_if_it_was_for_nothing(self, folder):
        with folder.held():
            pass
        assert not folder.root.exists()
        folder.root.mkdir()
        with folder.held():
            pass
        assert folder.root.exists(), "an empty folder of the user's own"


class TestResume:
    def test_takes_the_settings_of_the_run(self, folder):
        begin(folder)
        assert folder.resume(Config(), given=set()) == CONFIG
        assert folder.resume(Config(epochs=5), given={"epochs"}) == CONFIG

    def test_needs_a_run(self, folder):
        with pytest.raises(
            RunFolderError, match=f"^there is no run in {folder.root}; correct --out, or leave out --res"
        ):
            folder.resume(CONFIG, given=set())
        assert not folder.root.exists()

    def test_refuses_a_setting_that_differs_with_both_values(self, folder):
        begin(folder)
        message = f"^--rate is 0.5, but the run in {folder.root} has 0.01; leave out --rate, or start in another folder"
        with pytest.raises(RunFolderError, match=message):
            folder.resume(Config(rate=0.5), given={"rate"})

    def test_lets_move_what_may(self, folder):
        begin(folder)
        assert folder.resume(Config(data_dir="elsewhere"), given={"data_dir"}).data_dir == "elsewhere"

    def test_names_damaged_settings(self, folder):
        begin(folder)
        folder.config.write_text("{")
        with pytest.raises(SettingError, match="the settings cannot be read"):
            folder.resume(CONFIG, given=set())

    def test_tells_of_a_failure_with_a_cure_that_works(self, folder):
        begin(folder)
        folder.fail("loss is nan by step 50")
        message = f"^the run in {folder.root} failed: loss is nan by step 50; start again there with other settings and"
        with pytest.raises(RunFolderError, match=message):
            folder.resume(CONFIG, given=set())
        begin(folder, Config(rate=0.5))
        assert folder.resume(CONFIG, given=set()) == Config(rate=0.5)
