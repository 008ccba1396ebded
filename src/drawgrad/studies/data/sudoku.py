"""Sudoku boards with their solutions, in files `sudoku/<level>.csv.gz` of a data folder."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.logic import read_sudoku
from drawgrad.studies.data.files import DataError

__all__ = ["LEVELS", "load_boards", "parse_boards"]

LEVELS = ("kids", "easy", "medium", "expert", "evil")
"""From about 50 givens to 17."""


def load_boards(level: str, data_dir: Path | None) -> tuple[Int[Tensor, "boards 81"], Int[Tensor, "boards 81"]]:
    """Boards of a level and their solutions.

    Args:
        level: One of :data:`LEVELS`.
        data_dir: Folder with `sudoku/<level>.csv.gz` or `sudoku/<level>.csv`: nobody offers them for download.

    Returns:
        Values 0 to 8 of the cells, row by row, -1 for a blank one; and the same for the solutions.

    Raises:
        ValueError: If there is no such level.
        DataError: If the file is missing or damaged, or if there is no folder.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, but it is {level!r}; choose one of them")
    if data_dir is None:
        raise DataError(f"sudoku/{level}.csv cannot be downloaded; name the folder where it is as the data folder")
    packed, plain = (data_dir / "sudoku" / f"{level}.csv{ending}" for ending in (".gz", ""))
    try:
        text = gzip.decompress(packed.read_bytes()).decode() if packed.is_file() else plain.read_text()
    except FileNotFoundError as error:
        raise DataError(f"{packed} is missing; put it there, lines of a puzzle, a comma and its solution") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{packed} is damaged: it cannot be read to its end ({error}); replace it") from error
    return parse_boards(text, str(packed))


def parse_boards(text: str, name: str) -> tuple[Int[Tensor, "boards 81"], Int[Tensor, "boards 81"]]:
    """Boards and solutions from lines `puzzle,solution`, after a line with these headings.

    Args:
        text: The lines.
        name: What to call the file in errors.

    Raises:
        DataError: If a line is no board with a solution that extends it.
    """
    puzzles, solutions = [], []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        try:
            puzzle, solution = (read_sudoku(part) for part in line.split(","))
        except ValueError as error:
            raise DataError(f"line {number} of {name} is no puzzle with its solution: {error}") from error
        puzzles.append(puzzle)
        solutions.append(solution)
    given, answer = (torch.tensor(rows, dtype=torch.int64).reshape(-1, 81) for rows in (puzzles, solutions))
    wrong = ((given >= 0) & (given != answer)).any(-1) | (answer < 0).any(-1)
    if wrong.any():
        raise DataError(f"line {int(wrong.long().argmax()) + 2} of {name} has a solution that is not one of its puzzle")
    return given, answer
