"""Jobs: their keys, their folders, and what is left in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drawgrad.studies import records
from drawgrad.studies.engine import Job, JobFolderError
from drawgrad.studies.engine.jobs import perform
from tests.studies.engine.recipes import Failing, Square

JOB = Job("square", Square(3.0), 7)


class TestKey:
    def test_depends_on_all_that_decides_and_on_nothing_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        same = Job("elsewhere", Square(3.0, where="there"), 7)
        others = [Job("square", Square(3.1), 7), Job("square", Square(3.0), 8), Job("square", Failing("raises"), 7)]
        assert same.key == JOB.key
        assert len({JOB.key, *(other.key for other in others)}) == 4
        before = JOB.key
        monkeypatch.setattr(records, "NUMERICS", records.NUMERICS + 1)
        assert JOB.key != before

    def test_is_the_same_in_every_process(self) -> None:
        code = (
            "from drawgrad.studies.engine import Job; from tests.studies.engine.recipes import Square; "
            "print(Job('square', Square(3.0), 7).key)"
        )
        root = Path(__file__).parents[3]
        found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == JOB.key


class TestFolder:
    def test_holds_the_settings_and_what_was_found(self, tmp_path: Path) -> None:
        threads = torch.get_num_threads()
        JOB.claim(tmp_path)
        told: list[tuple[str, str]] = []
        (outcome,) = perform(JOB, tmp_path, lambda *said: told.append(said))
        assert outcome.result is not None
        assert (outcome.result["square"], outcome.result["threads"], told) == (9.0, 1, [("square", "squaring")])
        assert torch.get_num_threads() == threads
        assert json.loads((tmp_path / "square" / "job.json").read_text())["settings"] == {
            "recipe": "Square", "seed": 7, "number": 3.0, "numerics": records.NUMERICS
        }  # fmt: skip
        left = json.loads((tmp_path / "square" / "result.json").read_text())
        assert left["result"] == outcome.result
        assert left["provenance"]["commit"] == records.provenance().commit
        found = JOB.earlier(tmp_path)
        assert found is not None
        assert (found.result, found.earlier) == (outcome.result, True)
        assert found.origin == outcome.origin == left["provenance"]

    @pytest.mark.parametrize("content", ["", "{", "[1]", '{"key": "another"}', f'{{"key": "{JOB.key}"}}', "\udcff"])
    def test_a_damaged_result_is_none(self, tmp_path: Path, content: str) -> None:
        JOB.claim(tmp_path)
        (tmp_path / "square" / "result.json").write_bytes(content.encode(errors="surrogateescape"))
        assert JOB.earlier(tmp_path) is None

    def test_is_claimed_again_by_the_same_job(self, tmp_path: Path) -> None:
        JOB.claim(tmp_path)
        JOB.claim(tmp_path)
        assert JOB.earlier(tmp_path) is None

    def test_is_claimed_again_after_an_interrupt_in_the_middle_of_it(self, tmp_path: Path) -> None:
        (tmp_path / "square").mkdir()
        (tmp_path / "square" / ".job.json.part").write_text("{")
        JOB.claim(tmp_path)
        assert [path.name for path in (tmp_path / "square").iterdir()] == ["job.json"]

    def test_of_another_job_is_refused(self, tmp_path: Path) -> None:
        JOB.claim(tmp_path)
        before = (tmp_path / "square" / "job.json").read_text()
        with pytest.raises(JobFolderError, match=r"square holds the results of seed 7, number 3.0, not of seed 8, num"):
            Job("square", Square(4.0), 8).claim(tmp_path)
        assert (tmp_path / "square" / "job.json").read_text() == before

    @pytest.mark.parametrize(("file", "said"), [("mine.txt", "files that are not"), ("job.json", "cannot be read")])
    def test_of_something_else_is_refused(self, tmp_path: Path, file: str, said: str) -> None:
        (tmp_path / "square").mkdir()
        (tmp_path / "square" / file).write_text("mine")
        with pytest.raises(JobFolderError, match=said):
            JOB.claim(tmp_path)
        assert (tmp_path / "square" / file).read_text() == "mine"
