"""How many boards of 17 clues a second: the hard engine, OR-tools CP-SAT and python-constraint, side by side.

The hard engine takes all boards in one call, on all threads that torch has. The others have no batches: for each board
a model is built, the way their documentation shows it, and solved, on one thread. A board that takes python-constraint
longer than a limit is given up, with the time that it took.

Run: ``python -m benchmarks.logic_engine DATA``, where DATA holds ``sudoku/evil.csv.gz``.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks import RESULTS
from drawgrad.logic import sudoku
from drawgrad.studies.data.sudoku import load_boards
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["give_up", "main", "measure", "with_constraint"]

Board = list[int]
UNITS = [constraint.scope for constraint in sudoku().constraints]
REPEATS = 9
PATIENCE = 3.0
"""Seconds after which python-constraint is given up on a board."""


def measure(clues: torch.Tensor, answers: torch.Tensor, singles: tuple[int, int], patience: float) -> list[Measurement]:
    """Boards a second of each solver.

    Args:
        clues: boards, ``(boards, 81)``, -1 for a blank.
        answers: their solutions.
        singles: how many of them CP-SAT and python-constraint get.
        patience: seconds after which python-constraint is given up on a board.
    """
    problem = sudoku()
    rates = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        found = problem.solve(problem.fixed(clues)).first()
        rates.append(len(clues) / (time.perf_counter() - begin))
        assert torch.equal(found, answers)
    engine = median_of("drawgrad, all in one call", "boards/s", rates[1:], "")
    cells = [engine, _share(engine.case, 1.0, len(clues))]
    for case, solve, count in (
        ("OR-tools CP-SAT, board by board", _cp_sat, singles[0]),
        (
            f"python-constraint, given up after {patience:g} s",
            partial(with_constraint, patience=patience),
            singles[1],
        ),
    ):
        solved, seconds = _one_by_one(solve, clues[:count].tolist(), answers[:count].tolist())
        cells.append(Measurement(case, "boards/s", solved / seconds, 0.0, "", count))
        cells.append(_share(case, solved / count, count))
        if solved:
            cells.append(Measurement(case, "drawgrad against it", engine.value * seconds / solved, 0.0, "x", count))
    return cells


def _share(case: str, share: float, count: int) -> Measurement:
    return Measurement(case, "solved", 100 * share, 0.0, "%", count)


def _one_by_one(solve: Callable[[Board], Board | None], boards: list[Board], answers: list[Board]) -> tuple[int, float]:
    """How many were solved, and the seconds for all of them, given up or not."""
    solved, begin = 0, time.perf_counter()
    for board, answer in zip(boards, answers, strict=True):
        found = solve(board)
        assert found in (None, answer)
        solved += found is not None
    return solved, time.perf_counter() - begin


def _cp_sat(board: Board) -> Board:
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    cells = [model.new_int_var(0, 8, "") if clue < 0 else model.new_constant(clue) for clue in board]
    for unit in UNITS:
        model.add_all_different([cells[place] for place in unit])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.solve(model)
    return [solver.value(cell) for cell in cells]


PLAIN = """
import sys
from constraint import AllDifferentConstraint, Problem
units = eval(sys.argv[1])
for line in sys.stdin:
    problem = Problem()
    for cell, clue in enumerate(eval(line)):
        problem.addVariable(cell, [clue] if clue >= 0 else list(range(9)))
    for unit in units:
        problem.addConstraint(AllDifferentConstraint(), unit)
    found = problem.getSolution()
    print([found[cell] for cell in range(81)], flush=True)
"""
"""In a process of its own, because only a process can be given up."""


def with_constraint(board: Board, patience: float) -> Board | None:
    """The solution by python-constraint, None if it takes longer than that many seconds."""
    process = _constraint_process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{board}\n")
    process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], patience)
    if ready:
        return [int(number) for number in process.stdout.readline().strip("[]\n").split(",")]
    give_up()
    return None


_process: list[subprocess.Popen[str]] = []


def _constraint_process() -> subprocess.Popen[str]:
    if not _process:
        command = [sys.executable, "-c", PLAIN, repr([list(unit) for unit in UNITS])]
        _process.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    return _process[0]


def give_up() -> None:
    """End the process of python-constraint."""
    while _process:
        process = _process.pop()
        process.kill()
        process.wait()


def main(
    data: Path, boards: int = 5000, singles: tuple[int, int] = (100, 8), patience: float = PATIENCE,
    folder: Path = RESULTS,
) -> Path:  # fmt: skip
    """Measure and write the record."""
    start = time.perf_counter()
    clues, answers = load_boards("evil", data)
    try:
        cells = measure(clues[:boards], answers[:boards], singles, patience)
    finally:
        give_up()
    path = write(
        "logic-engine",
        title=f"{min(boards, len(clues)):,} Sudoku boards with 17 clues",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.logic_engine DATA",
        seconds=time.perf_counter() - start,
        folder=folder,
        packages=("numba", "ortools", "python-constraint2", "torch"),
    )
    for cell in cells:
        print(f"{cell.case:50} {cell.quantity:20} {cell.value:12.3f} {cell.unit}")
    print(path)
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]))
