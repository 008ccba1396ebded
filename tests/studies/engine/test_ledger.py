"""A ledger of finished jobs: what it holds is not done again, and nothing that it holds is ever lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drawgrad.studies.engine import Job, Ledger, LedgerError, Outcome, finished, run
from tests.studies.engine.recipes import Failing, Square

JOBS = [Job("two", Square(2.0), 0), Job("three", Square(3.0), 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with both jobs, which were done in the folder `here`."""
    found = tmp_path / "records" / "squares.jsonl"
    list(run(JOBS, tmp_path / "here", ledger=Ledger(found)))
    return found


def test_another_machine_takes_what_is_finished_and_does_the_rest(path: Path, tmp_path: Path) -> None:
    before = path.read_text()
    there, told = tmp_path / "there", []
    jobs = [*JOBS, Job("four", Square(4.0), 0)]
    found = list(run(jobs, there, ledger=Ledger(path), before=told.append))
    assert [(o.job.name, o.earlier, o.recorded, o.result["square"]) for o in found] == [
        ("two", True, True, 4.0), ("three", True, True, 9.0), ("four", False, False, 16.0)
    ]  # fmt: skip
    assert [[job.name for job in jobs] for jobs in told] == [["four"]]
    assert [path.name for path in there.iterdir()] == ["four"]
    first = JOBS[0].earlier(tmp_path / "here")
    assert (found[0].result, found[0].origin, found[0].seconds) == (first.result, first.origin, first.seconds)
    # What was there stays as it was, and a line is added.
    assert path.read_text().startswith(before)
    assert [json.loads(line)["job"] for line in path.read_text().splitlines()] == ["two", "three", "four"]
    assert Ledger(path).seeds == {0, 1}


def test_a_job_is_known_by_what_it_is_and_not_by_its_name(path: Path, tmp_path: Path) -> None:
    renamed, another = Job("deux", Square(2.0), 0), Job("two", Square(2.0), 5)
    assert [o.job for o in finished([renamed, another], tmp_path / "there", Ledger(path))] == [renamed]


def test_what_only_a_folder_holds_is_added_and_nothing_is_begun(path: Path, tmp_path: Path) -> None:
    path.unlink()
    ledger = Ledger(path)
    found = list(finished([*JOBS, Job("four", Square(4.0), 0)], tmp_path / "here", ledger))
    assert [(o.job.name, o.recorded) for o in found] == [("two", False), ("three", False)]
    assert not (tmp_path / "here" / "four").exists()
    assert len(Ledger(path)) == 2


def test_a_job_that_failed_is_not_in_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "squares.jsonl")
    list(run([Job("bad", Failing("raises"), 0)], tmp_path, ledger=ledger))
    assert len(ledger) == 0
    assert not ledger.path.exists()


def test_nothing_begins_if_what_is_looked_at_before_is_wrong(tmp_path: Path) -> None:
    def refuse(jobs: object) -> None:
        raise FileNotFoundError("no data")

    with pytest.raises(FileNotFoundError):
        list(run(JOBS, tmp_path, before=refuse))
    assert not list(tmp_path.rglob("runs"))


def test_processes_that_add_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from drawgrad.studies.engine import Job, Ledger, Outcome; "
        "from tests.studies.engine.recipes import Square; ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(30): ledger.add(Outcome(Job(f'{sys.argv[2]} {n}', Square(float(n)), int(sys.argv[2])), "
        "Path(), 1.0, {'square': n}))"
    )
    path = tmp_path / "squares.jsonl"
    command = [sys.executable, "-c", code, str(path)]
    processes = [subprocess.Popen([*command, str(seed)], cwd=Path(__file__).parents[3]) for seed in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(Ledger(path)) == 60


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-20], "line 2"),
        (lambda text: f"<<<<<<< ours\n{text}", "line 1"),
        (lambda text: text.replace('"number": 2.0', '"number": 2.5'), "line 1"),
        (lambda text: text.replace('"seconds"', '"minutes"'), "line 1"),
        (lambda text: f"{text}[1]\n", "line 3"),
        (lambda text: text.replace("\n", "\n\n", 1), "line 2"),
        (lambda text: text.replace("two", "\udcff"), "is no ledger"),
    ],
)
def test_a_damaged_one_is_refused_and_stays_as_it_is(path: Path, tmp_path: Path, damage, said: str) -> None:
    whole = Ledger(path)
    content = damage(path.read_text()).encode(errors="surrogateescape")
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=said):
        Ledger(path)
    # Nor is it replaced by who has read it before.
    with pytest.raises(LedgerError, match=said):
        whole.add(Outcome(Job("four", Square(4.0), 0), tmp_path, 1.0, {"square": 16.0}))
    assert path.read_bytes() == content


def test_a_last_line_without_an_end_is_whole(path: Path, tmp_path: Path) -> None:
    path.write_text(path.read_text().rstrip("\n"))
    Ledger(path).add(Outcome(Job("four", Square(4.0), 0), tmp_path, 1.0, {"square": 16.0}))
    assert len(Ledger(path)) == 3
