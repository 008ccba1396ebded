"""`drawgrad solve`: puzzles in, verdicts and solutions out."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from drawgrad.cli import main

BOARD = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, text: str | bytes = ""
) -> tuple[int, list[str], list[str]]:
    """Exit code, lines of standard output and of standard error."""
    content = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code = main(["solve", *arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


class TestSudoku:
    def test_each_verdict(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        wrong = "55" + BOARD[2:]
        text = "\n".join(["puzzle,solution", f"{BOARD},{ANSWER}", "", BOARD.replace("0", "."), wrong, "." * 81])
        code, out, err = run(capsys, monkeypatch, text=text)
        assert code == 0
        assert out[:3] == [f"solved\t{ANSWER}", f"solved\t{ANSWER}", "contradiction"]
        assert [line.split("\t")[0] for line in out[3:]] == ["several", "several"]
        assert len(err) == 1
        assert err[0].startswith("4 puzzles in ")
        assert err[0].endswith("s: 2 solved, 1 contradiction, 1 several")

    def test_limits(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        blank = "." * 81
        _, out, _ = run(capsys, monkeypatch, "--limit", "1", text=blank)
        assert [line.split("\t")[0] for line in out] == ["found"]
        _, out, _ = run(capsys, monkeypatch, "--limit", "5", text=blank)
        assert len({*out}) == 5
        _, out, _ = run(capsys, monkeypatch, "--nodes", "0", text=blank)
        assert out == ["limit"]
        _, out, err = run(capsys, monkeypatch, "--seconds", "0", text=blank)
        assert out == ["limit"]
        assert err[0].startswith("1 puzzle in ")

    def test_bad_lines_are_named_and_skipped(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, out, err = run(capsys, monkeypatch, text=f"123\n{BOARD}\nx{BOARD[1:]}\n{BOARD},{ANSWER[:-1]}8\n")
        assert code == 1
        assert out == [f"solved\t{ANSWER}"] * 2
        assert err[0].startswith("drawgrad solve: line 1: a board has 81 characters, but the line has 3")
        assert "line 3: a board has digits and . only, but character 1 is 'x'" in err[1]
        assert "line 4: the solution beside the board is not its solution" in err[2]
        assert err[-1] == "drawgrad solve: 3 lines are not as they should be, see above; correct what is wrong"

    def test_show_draws_the_board(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        _, out, _ = run(capsys, monkeypatch, "--show", text=BOARD)
        assert out[1] == "5 3 4 | 6 7 8 | 9 1 2"
        assert out[4] == "------+-------+------"
        assert len(out) == 13

    def test_files_packed_or_not(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        plain, packed = tmp_path / "boards.txt", tmp_path / "boards.csv.gz"
        plain.write_text(BOARD)
        packed.write_bytes(gzip.compress(f"{BOARD},{ANSWER}\n".encode()))
        for path in (plain, packed):
            assert run(capsys, monkeypatch, str(path))[:2] == (0, [f"solved\t{ANSWER}"])

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("missing", None, "no such file or directory; give a file of puzzles, or - for standard input"),
            ("bytes", b"\xff\xfe", "is no text of puzzles"),
            ("damaged.gz", b"\x1f\x8b\x08", "is no text of puzzles"),
        ],
    )
    def test_files_that_cannot_be_read(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        name: str,
        content: bytes | None,
        message: str,
    ) -> None:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        code, out, err = run(capsys, monkeypatch, str(path))
        assert (code, out, len(err)) == (2, [], 1)
        assert message in err[0]


class TestDimacs:
    def test_all_solutions(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        path = tmp_path / "problem.cnf"
        path.write_text("p cnf 2 1\n1 -2 0\n")
        code, out, _ = run(capsys, monkeypatch, str(path), "--limit", "9")
        assert (code, out) == (0, ["several\t-1 -2 0", "several\t1 -2 0", "several\t1 2 0"])

    def test_a_contradiction_and_a_mistake(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, out, _ = run(capsys, monkeypatch, "--format", "dimacs", text="p cnf 1 2\n1 0\n-1 0\n")
        assert (code, out) == (0, ["contradiction"])
        code, out, err = run(capsys, monkeypatch, "--format", "dimacs", text="p cnf 1 1\n2 0\n")
        assert (code, out) == (2, [])
        assert "line 2: 2 is beyond the 1 variables" in err[0]


def test_boards_at_hand(shared_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with gzip.open(shared_data / "sudoku" / "evil.csv.gz", "rt") as file:
        lines = [next(file) for _ in range(301)]
    code, out, err = run(capsys, monkeypatch, text="".join(lines))
    assert code == 0
    assert len(out) == 300
    assert err[0].endswith("300 solved")
