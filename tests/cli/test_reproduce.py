"""`drawgrad reproduce`, with a table made small."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drawgrad.cli import main
from drawgrad.studies.papers import TABLES, Published
from drawgrad.studies.records import read
from tests.studies.reproduction.small import TABLE

ONE = ["reproduce", "small", "--cells", "sbn/relaxed", "--seeds", "2", "--protocol", "one rate", "--jobs", "1"]
PROGRAM = (
    "import sys; from drawgrad.studies.papers import TABLES, Published; "
    "from tests.studies.reproduction.small import TABLE; TABLES['small'] = Published('small', '', lambda: TABLE); "
    "from drawgrad.cli import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(TABLES, "small", Published("small", "a small one", lambda: TABLE))
    # The choices of the argument are those at import.
    from drawgrad.cli.reproduce import reproduce

    monkeypatch.setattr(reproduce.params[0].type, "choices", tuple(TABLES))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, str]:
    """The folder of a reproduction that was not stopped, and what it printed."""
    out = tmp_path_factory.mktemp("whole")
    return out, started(out).communicate()[0]


def started(out: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *ONE, "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=root,
    )  # fmt: skip


def table_of(output: str) -> list[str]:
    """The table of a reproduction, without what depends on time."""
    lines = output.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("Small digits"))
    return [line for line in lines[begin:] if not line.startswith(("2 runs of", "interrupted"))]


def test_it_prints_the_table_and_leaves_a_figure(whole):
    out, output = whole
    for text in ("30.0", "(2)", "A note of two lines.", "one epoch"):
        assert text in output
    assert {path.name for path in out.iterdir()} == {"sbn", "table.md", "figure.png"}
    assert "1/2  sbn/relaxed/seed-0" in output


def test_a_killed_study_ends_with_the_same_table(whole, tmp_path):
    process = started(tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("seed-0/result.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = started(tmp_path).communicate()[0]
    same = [line.replace(str(tmp_path), str(whole[0])) for line in table_of(again)]
    assert same == table_of(whole[1])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["small", "--cells", "sbn/relaxe"], "--cells sbn/relaxe is no cell of small; did you mean sbn/relaxed?"),
        (["small", "--protocol", "slow"], "--protocol must be one of quick, one rate, divergent, but it is 'slow'"),
        (["small", "--device", "cuda:99"], "--device cuda:99 is not available on this machine"),
        (["small", "--out", ""], "is empty, but must be the name of a folder"),
        (["smal"], "'smal' is not one of"),
        (
            ["small", "--engine", "ray", "--address", "auto", "--jobs", "3"],
            "--jobs has no part in a cluster that runs; leave it out",
        ),
        (
            ["relax-toy", "--stack", "2"],
            "is no training of one network); leave it out",
        ),
        (["small", "--stack", "0"], "0 is not in the range x>=1"),
        (["small", "--address", "auto"], "--address is that of a Ray cluster; add --engine ray, or leave it out"),
    ],
)
def test_a_mistake_is_told_in_one_line(options, error, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *options]) == 2
    told = capsys.readouterr().err
    assert error in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_a_cluster_needs_is_told_in_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*ONE, "--engine", "ray", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told == "drawgrad reproduce: --engine ray: Ray is not installed; pip install 'drawgrad[ray]'\n"


def test_cells_that_cannot_be_stacked_are_named(tmp_path, capsys, monkeypatch):
    cells = TABLE.cells[0], dataclasses.replace(TABLE.cells[1], recipe=TABLE.cells[1].recipe.changed(estimator="Relax"))
    table = dataclasses.replace(TABLE, cells=cells)
    monkeypatch.setitem(TABLES, "small", Published("small", "", lambda: table))
    assert main(["reproduce", "small", "--stack", "2", "--only-finished", "--out", str(tmp_path)]) == 0
    told = (
        "sbn/st trains one seed at a time: it has a gradient, Relax, whose control variate learns in backward() alone\n"
    )
    assert capsys.readouterr().err == told


def test_a_stacked_study_prints_the_table(whole, tmp_path, capsys):
    assert main([*ONE, "--stack", "2", "--out", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert table_of(output.out)[0] == table_of(whole[1])[0]
    assert "2/2  sbn/relaxed/seed-1" in output.out


def test_failures_are_named_and_the_exit_code_tells(capsys, tmp_path):
    options = ["--cells", "sbn/st", "--protocol", "divergent", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert main(["reproduce", "small", *options]) == 1
    output = capsys.readouterr()
    assert "failed: SBN, ST" in output.out
    assert "lower the learning rate" in output.out
    assert "runs failed, see above" in output.err


def test_tables_and_cells_are_listed(capsys):
    assert main(["reproduce", "--list"]) == 0
    assert "jang2017-table1" in capsys.readouterr().out
    assert main(["reproduce", "small", "--show-cells", "--cells", "*/st"]) == 0
    assert " ".join(capsys.readouterr().out.split()) == "sbn/st 31.0 a deviation vae/st 31.0 a deviation"


def test_a_study_goes_on_from_its_record_on_another_machine(whole, tmp_path, capsys):
    """Nothing is done again, not even without the data: only what the record does not hold needs them."""
    records, again = tmp_path / "records", tmp_path / "again"
    assert main([*ONE, "--out", str(whole[0]), "--record", str(records)]) == 0
    assert f"Record: {records / 'small-one-rate.json'}" in capsys.readouterr().out
    assert read(records / "small-one-rate.json").command == (
        "drawgrad reproduce small --protocol 'one rate' --seeds 2"
    )  # fmt: skip
    assert main([*ONE, "--out", str(again), "--record", str(records)]) == 0
    output = capsys.readouterr().out
    assert f"2 of them were not done here: {records / 'runs' / 'small.jsonl'} has them." in output
    assert {path.name for path in again.iterdir()} == {"table.md", "figure.png"}
    table = (again / "table.md").read_text()
    assert table == (whole[0] / "table.md").read_text()


def test_a_damaged_record_is_told_in_one_line_before_anything_is_done(tmp_path, capsys):
    (tmp_path / "small-one-rate.json").write_text("{")
    assert main([*ONE, "--out", str(tmp_path / "out"), "--record", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "--record" in told
    assert "small-one-rate.json is not a record" in told
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["small-one-rate.json"]


def test_what_is_finished_is_shown_without_doing_the_rest(tmp_path, capsys):
    options = ["--cells", "sbn/*", "--only-finished", "--out", str(tmp_path / "out"), "--record", str(tmp_path)]
    assert main(["reproduce", "small", *options]) == 0
    output = capsys.readouterr().out
    assert output.count("not done") == 3
    assert "0 runs of 0 minutes" in output
    assert "No record: no run is finished." in output
    assert not list(tmp_path.rglob("job.json"))


def test_missing_data_are_told_once_before_the_first_run(tmp_path, capsys):
    options = ["--cells", "vae-categorical/s*", "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["reproduce", "jang2017-table1", *options]) == 2
    output = capsys.readouterr()
    assert "drawgrad reproduce: no run was begun: " in output.err
    assert "binarized_mnist_train.amat is missing" in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert not list(tmp_path.rglob("result.json"))
