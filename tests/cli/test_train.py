"""`drawgrad train` from its first line to its last, and through kills, interrupts and damaged checkpoints."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from drawgrad._tables import with_spread
from drawgrad.cli import main
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.journal import read_metrics

TINY = ["--hidden", "8", "--variables", "3", "--categories", "4", "--batch-size", "200", "--test-samples", "5"]
# Long enough for a signal at some moment to come long before the end, on a busy machine too.
LONG = [*TINY, "--epochs", "120", "--checkpoint-every", "9"]
STEPS = 120 * 7


def test_it_trains_reports_and_stops(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", *TINY, "--epochs", "8", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"Figure: {out / 'figure.png'}"
    assert re.match(r"training 6/56 .* steps/s", lines[0])
    results = json.loads((out / "results.json").read_text())
    bound = with_spread(results["test_bound"], results["test_bound_error"])
    assert any(line.startswith("test bound") and bound in line for line in lines)
    assert (out / "figure.png").exists()
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000000056.pt"]
    assert len(list((out / "tensorboard").iterdir())) == 1
    assert json.loads((out / "config.json").read_text())["model"]["hidden"] == 8
    kinds = [(line["kind"], line["step"]) for line in read_metrics(out / "metrics.jsonl")]
    assert kinds.count(("train", 56)) == 1
    assert [step for kind, step in kinds if kind == "valid"] == list(range(7, 57, 7))

    # The same folder again: refused, or shown as it is.
    assert main(["train", *TINY, "--epochs", "8", "--out", str(out)]) == 2
    assert f"{out} already holds a run; continue it with --resume" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(out), "--epochs", "9"]) == 2
    assert f"--epochs is 9, but the run in {out} has 8" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(out), "--epochs", "8"]) == 0
    again = capsys.readouterr().out
    assert bound in again
    assert again.strip().endswith(f"Figure: {out / 'figure.png'}")
    assert "training 6/56" not in again


def test_without_a_folder_it_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--latent", "gaussian", "--hidden", "8", "--epochs", "1", "--test-samples", "5"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"digits-gaussian-\d{8}-\d{6}", folder.name)
    assert capsys.readouterr().out.strip().endswith(f"Figure: {Path('runs') / folder.name / 'figure.png'}")


def test_starts_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "20170424-120000")
    for _ in range(2):
        assert main(["train", *TINY, "--epochs", "1"]) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["digits-categorical-20170424-120000", "digits-categorical-20170424-120000-2"]
    # A start that comes to nothing leaves none.
    one_line(["--device", "meta"], capsys)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("a file")
    assert one_line([], capsys, code=1).startswith("runs/digits-categorical-20170424-120000: not a directory")


def test_threads_are_set_while_it_trains_only(tmp_path, monkeypatch):
    from drawgrad.studies.tasks.autoencoder import training

    seen = []
    for name in ("train_vae", "measure"):
        original = getattr(training, name)

        def spy(*args, _original=original, **options):
            seen.append(torch.get_num_threads())
            return _original(*args, **options)

        monkeypatch.setattr(training, name, spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert main(["train", *TINY, "--epochs", "1", "--out", str(tmp_path / "one")]) == 0
    assert main(["train", *TINY, "--epochs", "1", "--threads", "3", "--out", str(tmp_path / "three")]) == 0
    assert seen == [1, 2, 3, 2]
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def one_line(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """What the command writes to standard error when it fails with this code."""
    assert main(["train", *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("drawgrad train: ")
    assert error.endswith("\n")
    assert error.count("\n") == 1
    return error.removeprefix("drawgrad train: ").removesuffix("\n")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_not_its_own_stays(tmp_path, capsys):
    (tmp_path / "tensorboard").mkdir()
    for name in ("tensorboard/events.out.tfevents.1", "metrics.jsonl", "results.json", "figure.png"):
        (tmp_path / name).write_text("precious")
    before = everything(tmp_path)
    for more in ([], ["--resume"]):
        line = one_line([*TINY, "--epochs", "1", "--out", str(tmp_path), *more], capsys)
        assert line.startswith(
            f"{tmp_path} holds no run, but other files (figure.png, metrics.jsonl, results.json and 1"
        )
        assert everything(tmp_path) == before


@pytest.mark.parametrize("out", ["", "  "])
def test_an_empty_name_is_no_folder(out, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert one_line([*TINY, "--out", out], capsys).startswith("--out is empty; name a folder, or leave it out")
    assert everything(tmp_path) == {}


def test_a_run_that_failed_gives_way_to_another(tmp_path, capsys):
    out = str(tmp_path / "run")
    line = one_line([*TINY, "--epochs", "40", "--optimizer", "sgd", "--lr", "1e38", "--out", out], capsys, code=1)
    cure = "lower the learning rate or raise the temperature, and start again, in the same folder if you like"
    assert re.fullmatch(rf"\w+ is (nan|-?inf) by step \d+; {cure}", line)
    assert "start again there with other settings" in one_line(["--resume", "--out", out], capsys)
    assert main(["train", *TINY, "--epochs", "1", "--lr", "1e-3", "--out", out]) == 0
    assert main(["train", "--resume", "--out", out]) == 0


def test_resuming_a_mistyped_folder_starts_nothing(tmp_path, capsys):
    out = tmp_path / "tpyo"
    line = one_line(["--resume", "--out", str(out)], capsys)
    assert line == f"there is no run in {out}; correct --out, or leave out --resume to start one there"
    assert not out.exists()
    assert main(["train", *TINY, "--epochs", "1", "--resume", "--out", str(out)]) == 0
    assert f"There is no run in {out} yet: it starts there." in capsys.readouterr().out


def test_what_cannot_fit_leaves_nothing(tmp_path, capsys):
    sizes = ["--hidden", "1000000", "--variables", "1000000"]
    assert "GiB of memory at least" in one_line([*sizes, "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", *TINY, "--epochs", "1", "--out", str(out)]) == 0
    return out


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("missing", [["figure.png"], ["figure.png", "metrics.jsonl"], ["results.json"], ["tensorboard"],
                                     ["figure.png", "checkpoints"], ["figure.png", "results.json"]])  # fmt: skip
def test_what_is_missing_is_made_again(missing, finished, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    for name in missing:
        remove(out / name)
    if missing == ["tensorboard"]:
        remove(out / "figure.png")
    assert main(["train", "--resume", "--out", str(out)]) == 0
    output, error = capsys.readouterr()
    assert error == ""
    assert ("metrics.jsonl is lost: the record begins at step 7" in output) == ("metrics.jsonl" in missing)
    assert all((out / name).exists() for name in missing)
    times = {"seconds": 0, "test_seconds": 0}
    ours, theirs = (json.loads((folder / "results.json").read_text()) for folder in (out, finished))
    assert ours | times == theirs | times


@pytest.mark.parametrize(
    "name", ["config.json", "metrics.jsonl", "results.json", "figure.png", "tensorboard", "checkpoints"]
)
def test_something_else_in_the_place_of_a_file_is_one_line(name, finished, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (out / "figure.png").unlink()
    if (out / name).exists():
        remove(out / name)
    (out / name).write_text("no folder") if name in ("tensorboard", "checkpoints") else (out / name).mkdir()
    if name == "figure.png":
        (out / "results.json").unlink()
    line = one_line(["--resume", "--out", str(out)], capsys, code=1)
    assert line.startswith(f"{out / name}: ")
    assert line.endswith(f"; when that is mended, continue with: drawgrad train --resume --out {out}")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[", b'{"model_type": "bert"}'])
def test_damaged_settings_are_one_line(content, finished, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (out / "config.json").write_bytes(content)
    assert one_line(["--resume", "--out", str(out)], capsys).startswith(
        f"{out}/config.json: the settings cannot be read ("
    )


def test_checkpoints_of_other_settings_are_not_taken(finished, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    settings = json.loads((out / "config.json").read_text())
    settings["optimization"]["epochs"] = 2
    (out / "config.json").write_text(json.dumps(settings))
    (out / "results.json").unlink()
    line = one_line(["--resume", "--out", str(out)], capsys)
    assert line.startswith(f"{out}/checkpoints/step-000000007.pt was saved by a run with other settings; restore")


def run_with(limit: int, arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a process whose files may not grow beyond a limit, in bytes."""
    import resource

    return subprocess.run(
        [sys.executable, "-m", "drawgrad", "train", *arguments],
        env=os.environ | environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("limit", "name"), [(300, "config.json"), (20_000, "checkpoints/step-000000007.pt"), (50_000, "figure.png")]
)
def test_a_disk_without_room_is_one_line_and_the_cure_works(limit, name, tmp_path, capsys):
    out = tmp_path / "run"
    done = run_with(limit, [*TINY, "--epochs", "1", "--out", str(out)])
    assert done.returncode == 1
    assert done.stderr.startswith(f"drawgrad train: {out / name}: file too large")
    assert done.stderr.count("\n") == 1
    assert not list(out.rglob(".*.part"))
    if name == "config.json":
        assert not out.exists()
    else:
        assert done.stderr.endswith(f"continue with: drawgrad train --resume --out {out}\n")
        assert main(["train", "--resume", "--out", str(out)]) == 0


def test_a_terminal_of_ascii_gets_the_results(finished):
    done = run_with(10**9, ["--resume", "--out", str(finished)], PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert re.search(r"test bound on log p\(x\)  -\d+\.\d \+- ", done.stdout)


def test_a_second_start_in_one_folder_is_one_line(tmp_path, capsys):
    out = tmp_path / "run"
    with RunFolder(out).held():
        line = one_line([*TINY, "--out", str(out)], capsys)
    assert line == f"another process is training in {out}; wait for its end, or give another folder with --out"


def test_ctrl_c_during_the_measurement_keeps_the_training(tmp_path, capsys, monkeypatch):
    from drawgrad.studies.tasks.autoencoder import training

    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "measure", interrupt)
        assert main(["train", *TINY, "--epochs", "1", "--out", str(out)]) == 130
    error = capsys.readouterr().err
    assert error == f"drawgrad train: interrupted; continue with: drawgrad train --resume --out {out}\n"
    assert main(["train", "--resume", "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert "training" not in output.splitlines()[0]
    assert output.strip().endswith(f"Figure: {out / 'figure.png'}")


def start(out: Path) -> subprocess.Popen[str]:
    arguments = ["train", *LONG, "--resume", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "drawgrad", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def when(process: subprocess.Popen[str], moment: Callable[[], bool], number: int) -> tuple[int, str]:
    """Wait for the moment, send the signal, and return the exit code and what was written to standard error."""
    try:
        end = time.monotonic() + 300
        while not moment():
            assert process.poll() is None, f"it ended before the moment came: {process.stderr.read()}"
            assert time.monotonic() < end, "the moment never came"
            time.sleep(0.0005)
        process.send_signal(number)
        _, error = process.communicate(timeout=300)
        return process.returncode, error
    finally:
        process.kill()
        process.wait()


def newest(out: Path) -> int:
    paths = Checkpoints(out / "checkpoints", "").paths()
    return int(paths[0].stem.split("-")[1]) if paths else 0


def weights(out: Path) -> dict[str, torch.Tensor]:
    state = torch.load(out / "checkpoints" / f"step-{STEPS:09d}.pt", weights_only=True)
    return state["model"]


def measurements(out: Path) -> list[dict[str, object]]:
    return [
        {key: value for key, value in line.items() if key != "seconds"} for line in read_metrics(out / "metrics.jsonl")
    ]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight") / "run"
    process = start(out)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


def test_killed_and_stopped_at_any_moment_it_ends_with_the_same_weights(straight, tmp_path):
    out = tmp_path / "run"
    part = out / "checkpoints"
    moments = [
        lambda: (out / "config.json").exists(),
        lambda: newest(out) > 0,
        # While a checkpoint is being written.
        lambda: newest(out) > 60 and any(part.glob(".*.part")),
        lambda: newest(out) > 150,
    ]
    for moment in moments:
        before = newest(out)
        code, _ = when(start(out), moment, signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert before <= newest(out) < STEPS

    code, error = when(start(out), lambda: newest(out) > 190, signal.SIGINT)
    assert code == 130
    step = newest(out)
    assert step < STEPS
    assert error == f"drawgrad train: stopped after step {step}; continue with: drawgrad train --resume --out {out}\n"

    # The newest checkpoint is cut short, as by a disk that was full.
    damaged = Checkpoints(part, "").paths()[0]
    damaged.write_bytes(damaged.read_bytes()[:-500])

    process = start(out)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert error == ""
    assert f"warning: {damaged} is damaged and is skipped" in output
    assert weights(out).keys() == weights(straight).keys()
    assert all(torch.equal(weights(out)[name], value) for name, value in weights(straight).items())
    assert measurements(out) == measurements(straight)
    times = {"seconds": 0, "test_seconds": 0}
    ours, theirs = (json.loads((folder / "results.json").read_text()) for folder in (out, straight))
    assert ours | times == theirs | times


def test_if_no_checkpoint_can_be_read_it_is_one_line(straight, tmp_path, capsys):
    out = tmp_path / "run"
    checkpoints = Checkpoints(out / "checkpoints", "")
    out.mkdir()
    (out / "config.json").write_text((straight / "config.json").read_text())
    checkpoints.save(9, {}).write_bytes(b"")
    assert main(["train", "--resume", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"drawgrad train: none of the 1 checkpoints in {out / 'checkpoints'} can be read; delete")
    assert error.count("\n") == 1
