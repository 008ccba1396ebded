"""Mistakes of every kind end in one line on standard error and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drawgrad.cli import main


def errors_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.endswith("\n")
    return captured.err.strip()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("train --temperatur 1", "drawgrad train: there is no option --temperatur; see drawgrad train --help"),
        ("train --tau-mni 1", "drawgrad train: there is no option --tau-mni; did you mean --tau-min?"),
        ("train --tau 0", "drawgrad train: --tau must be at least 1e-06, but it is 0.0; try 1.0"),
        ("train --tau -1", "drawgrad train: --tau must be at least 1e-06, but it is -1.0; try 1.0"),
        ("train --hidden -200", "drawgrad train: --hidden must be at least 0, but it is -200; try 200"),
        ("train --batch-size 0", "drawgrad train: --batch-size must be at least 1, but it is 0; try 100"),
        ("train --epochs ten", "drawgrad train: --epochs 'ten' is not a valid integer; see drawgrad train --help"),
        (
            "train --data cifar",
            "drawgrad train: --data 'cifar' is not one of 'digits', 'mnist', 'binarized-mnist'; see",
        ),
        ("train --lr", "drawgrad train: option '--lr' requires an argument; see drawgrad train --help"),
        ("train --device cuda:77", "drawgrad train: --device cuda:77 is not available on this machine, which has cpu"),
        (
            "train --latent gaussian --tau 1",
            "drawgrad train: --tau has no part in a run with --latent gaussian, only with categorical or",
        ),
        ("train --momentum 0", "drawgrad train: --momentum has no part in a run with --optimizer adam, only with sgd"),
        ("train mnist", "drawgrad train: got unexpected extra argument (mnist); see drawgrad train --help"),
        ("train --resume", "drawgrad train: --resume needs the folder of the run; give it with --out"),
        ("trian", "drawgrad: no such command 'trian'"),
        ("--color", "drawgrad: there is no option --color; see drawgrad --help"),
        (
            "train --data mnist --data-dir nowhere",
            "drawgrad train: nowhere/mnist/train-images-idx3-ubyte.gz is missing; put it there, or leave out the data",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert errors_of(arguments.split(), capsys).startswith(line)
    assert list(tmp_path.iterdir()) == [], "a run that never started leaves nothing"


def test_a_damaged_file_is_one_line(capsys, tmp_path):
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.parent.mkdir()
    path.write_bytes(b"\x1f\x8bdamaged")
    line = errors_of(["train", "--data", "mnist", "--data-dir", str(tmp_path), "--out", str(tmp_path / "run")], capsys)
    assert line.startswith(f"drawgrad train: {path} is damaged: it cannot be read to its end")
    assert not (tmp_path / "run").exists()


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out
    assert main([]) == 0
    assert "Usage: drawgrad" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for part in ("Model:", "--tau-min X", "[default: digits]", "DRAWGRAD_DATA_DIR", "--resume"):
        assert part in text
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("drawgrad ")


def test_without_the_extra_the_cure_is_told(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    assert errors_of(["train"], capsys) == ("drawgrad: the command line needs click; pip install 'drawgrad[study]'")


def test_help_needs_no_torch():
    code = "import sys; from drawgrad.cli import main; main(['train', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_it_runs_as_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "drawgrad", "train", "--tau", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "drawgrad train: --tau must be at least 1e-06, but it is 0.0; try 1.0\n"


def test_without_an_output_it_does_its_work():
    command = "exec >&-; exec python -m drawgrad --version"
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    run = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (run.returncode, run.stderr) == (0, "")
