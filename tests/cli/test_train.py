"""`drawgrad train` from its first line to its last, and through kills, interrupts and damaged checkpoints."""

from __future__ import annotations

import json
import re
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
from drawgrad.studies.runs.journal import read_metrics

TINY = ["--hidden", "8", "--variables", "3", "--categories", "4", "--batch-size", "200", "--test-samples", "5"]
LONG = [*TINY, "--epochs", "40", "--checkpoint-every", "9"]
STEPS = 40 * 7


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


def test_a_loss_that_explodes_is_one_line(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert main(["train", *TINY, "--epochs", "40", "--optimizer", "sgd", "--lr", "1e38", "--out", out]) == 1
    error = capsys.readouterr().err
    assert re.match(r"drawgrad train: \w+ is (nan|-?inf) by step \d+; lower the learning rate", error)
    assert error.count("\n") == 1


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
