"""Records of measurements: written, read back, refused when they are wrong, and rendered."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks import RESULTS
from drawgrad.studies import records
from drawgrad.studies.records import (
    Measurement,
    Provenance,
    Record,
    mean_of,
    median_of,
    number,
    provenance,
    read,
    tabulated,
    together,
    write,
)
from tools.render_readme import main, render

CELLS = [
    median_of("8 x 2", "torch", [3.0, 4.0, 5.0, 6.0, 7.0], "ms"),
    median_of("8 x 2", "drawgrad", [0.9, 1.0, 1.3], "ms"),
    Measurement("9 x 3", "torch", 12.0, 0.0, "ms", 3),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(
        "speed-of-light",
        "How fast it is",
        CELLS,
        spread="half the interquartile range",
        command="python -m benchmarks.light",
        seconds=1.25,
        folder=tmp_path,
    )


def _changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


class TestRecord:
    def test_is_read_as_it_was_written(self, path: Path) -> None:
        record = read(path)
        assert isinstance(record, Record)
        assert record.measurements == tuple(CELLS)
        assert (record.name, record.seconds) == ("speed-of-light", 1.2)
        assert record.device.partition(" cores, ")[0].isdigit()
        assert set(record.versions) == {"python", "torch", "numba", "drawgrad"}

    def test_a_median_comes_with_half_its_interquartile_range(self) -> None:
        assert (CELLS[0].value, CELLS[0].spread, CELLS[0].samples) == (5.0, 1.0, 5)

    def test_a_mean_comes_with_its_standard_error(self) -> None:
        cell = mean_of("8 x 2", "torch", [1.0, 2.0, 3.0], "ms")
        assert (cell.value, cell.spread, cell.samples) == (2.0, pytest.approx(1 / 3**0.5), 3)
        assert mean_of("8 x 2", "torch", [4.0]) == Measurement("8 x 2", "torch", 4.0, 0.0, "", 1)

    def test_its_table_has_a_row_for_each_case(self) -> None:
        headings, rows = tabulated(CELLS)
        assert headings == ("", "torch", "drawgrad")
        assert rows == [("8 x 2", "5.0 ± 1.0 ms", "1.00 ± 0.10 ms"), ("9 x 3", "12 ms", "")]

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"measurements": []}, "no measurement"),
            ({"measurements": [vars(CELLS[0]), vars(CELLS[0])]}, "more than once"),
            ({"measurements": [vars(CELLS[0]) | {"spread": -1}]}, "make no sense"),
            ({"measurements": [vars(CELLS[0]) | {"samples": 0}]}, "make no sense"),
            ({"measurements": [vars(CELLS[0]) | {"color": "red"}]}, "color"),
            ({"host": "turing"}, "host"),
            ({"name": "other"}, "need one name"),
        ],
    )
    def test_a_wrong_one_is_refused_with_its_path(self, path: Path, fields: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=rf"speed-of-light\.json.*{said}"):
            read(_changed(path, **fields))

    @pytest.mark.parametrize("text", ["", "{}", '{"name": "speed-of-light"'])
    def test_what_is_no_record_is_refused(self, path: Path, text: str) -> None:
        path.write_text(text)
        with pytest.raises(ValueError, match=r"speed-of-light\.json is not a record"):
            read(path)

    @pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
    def test_a_committed_one_is_right(self, path: Path) -> None:
        assert read(path).measurements


class TestProvenance:
    """Where the numbers come from, however the package came onto the machine."""

    @pytest.fixture
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The package in a folder as an installer leaves it, without a repository; returns its metadata's folder."""
        package = tmp_path / "site" / "drawgrad" / "studies" / "records.py"
        package.parent.mkdir(parents=True)
        package.write_text("")
        metadata = tmp_path / "site" / "drawgrad-0.0.7.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drawgrad\nVersion: 0.0.7\n")
        monkeypatch.setattr(records, "__file__", str(package))
        monkeypatch.syspath_prepend(tmp_path / "site")
        return metadata

    def test_of_a_repository_is_its_commit(self) -> None:
        found = provenance()
        (head,) = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=RESULTS.parent, capture_output=True, text=True, check=True
        ).stdout.split()
        assert head.startswith(found.commit)
        assert len(found.commit) == 10

    def test_of_a_package_is_the_commit_that_the_installer_noted(self, installed: Path) -> None:
        noted = {"url": "https://host/drawgrad", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}
        (installed / "direct_url.json").write_text(json.dumps(noted))
        found = provenance()
        assert (found.commit, found.clean, found.versions["drawgrad"]) == ("0123456789", True, "0.0.7")

    def test_of_a_package_from_an_index_is_its_version(self, installed: Path) -> None:
        found = provenance()
        assert (found.commit, found.clean, found.versions["drawgrad"]) == ("unknown", False, "0.0.7")

    def test_is_not_the_repository_that_a_package_was_installed_inside(self, installed: Path) -> None:
        for arguments in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c",
                                           "--allow-empty"]):  # fmt: skip
            subprocess.run(["git", *arguments], cwd=installed.parents[1], check=True)
        assert provenance().commit == "unknown"

    def test_of_another_copy_than_the_installed_one_is_not_that_ones(
        self, installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (installed / "direct_url.json").write_text(json.dumps({"vcs_info": {"commit_id": "0123456789abcdef"}}))
        monkeypatch.setattr(records, "__file__", str(tmp_path / "records.py"))
        assert provenance().commit == "unknown"

    def test_needs_neither_git_nor_an_installation(self) -> None:
        with (
            mock.patch.object(subprocess, "run", side_effect=FileNotFoundError("git")),
            mock.patch.object(records, "version", side_effect=PackageNotFoundError("drawgrad")),
            mock.patch.object(records, "distribution", side_effect=PackageNotFoundError("drawgrad")),
        ):
            found = provenance()
        assert (found.commit, found.clean, found.versions["drawgrad"]) == ("unknown", False, "not installed")

    def test_may_be_told(self) -> None:
        assert provenance(commit="abc").commit == "abc"


class TestTogether:
    HERE = Provenance(date="2026-01-02", commit="a", clean=True, device="x", threads=1, versions={"torch": "1"})
    THERE = Provenance(date="2026-01-01", commit="b", clean=False, device="x", threads=2, versions={"torch": "2"})

    def test_of_one_run_it_is_what_it_was(self) -> None:
        assert together([self.HERE, self.HERE]) == self.HERE

    def test_of_several_it_names_them_all(self) -> None:
        assert together([self.HERE, self.THERE]) == Provenance(
            date="2026-01-02", commit="a, b", clean=False, device="x", threads=2, versions={"torch": "1, 2"}
        )

    def test_a_record_may_be_of_other_runs_than_the_one_that_writes_it(self, tmp_path: Path) -> None:
        written = write(
            "light", "Light", CELLS, spread="none", command="light", seconds=1, folder=tmp_path, origin=self.THERE
        )
        record = read(written)
        assert (record.commit, record.clean, record.device, record.versions) == ("b", False, "x", {"torch": "2"})


class TestNumber:
    @pytest.mark.parametrize(
        ("value", "spread", "unit", "text"),
        [
            (21.346, 0.42, "x", "21.3 ± 0.4×"),
            (21.346, 0.12, "ms", "21.35 ± 0.12 ms"),
            (94.5, 0.31, "nats", "94.5 ± 0.3 nats"),
            (1234.5, 25.0, "", "1230 ± 20"),
            (3.0, 0.0, "", "3"),
            (97.0, 1.9, "%", "97.0 ± 1.9 %"),
        ],
    )
    def test_shows_the_digits_that_are_certain(self, value: float, spread: float, unit: str, text: str) -> None:
        assert number(Measurement("case", "quantity", value, spread, unit, 5)) == text


class TestRender:
    TEXT = "before\n<!-- record: speed-of-light -->\nold\n<!-- end -->\nafter\n"

    def test_writes_the_table_between_the_comments(self, path: Path) -> None:
        text = render(self.TEXT, path.parent)
        assert text.startswith("before\n<!-- record: speed-of-light -->\n")
        assert text.endswith("<!-- end -->\nafter\n")
        assert "old" not in text
        assert "|  | torch | drawgrad |\n| --- | ---: | ---: |\n" in text
        assert "| 8 x 2 | 5.0 ± 1.0 ms | 1.00 ± 0.10 ms |\n| 9 x 3 | 12 ms |  |\n" in text
        assert "n = 3 to 5" in text

    def test_twice_is_once(self, path: Path) -> None:
        once = render(self.TEXT, path.parent)
        assert render(once, path.parent) == once

    def test_an_unknown_record_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="speed-of-light"):
            render(self.TEXT, tmp_path)

    def test_the_check_fails_until_the_text_is_written(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = path.parent / "README.md"
        text.write_text(self.TEXT)
        where = ["--file", str(text), "--records", str(path.parent)]
        assert main(["--check", *where]) == 1
        assert "python -m tools.render_readme" in capsys.readouterr().err
        assert main(where) == 0
        assert main(["--check", *where]) == 0
