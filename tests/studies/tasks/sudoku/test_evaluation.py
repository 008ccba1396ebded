"""Boards solved with what was read."""

from __future__ import annotations

import itertools

import torch
from torch.nn.functional import one_hot

from drawgrad.logic import SoftDomains, sudoku
from drawgrad.studies.tasks.reading.network import Reader
from drawgrad.studies.tasks.sudoku.evaluation import TEMPERATURES, annealed, evaluate, single
from tests.studies.tasks.sudoku.boards import boards, digits


class Perfect(Reader):
    """Sees the bright row, at any of the shifts."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.sum((1, 3)).cumsum(-1)
        return 2.0 * (rows[:, 2::3] - torch.nn.functional.pad(rows[:, 2:-3:3], (1, 0)))[:, :9]


def test_a_reader_that_is_right() -> None:
    found = evaluate(Perfect(9), boards(seed=3), digits(), seed=0)
    assert (found.read, found.annealed, found.likely, found.single, found.limited) == (1.0, 1.0, 1.0, 1.0, 0.0)
    assert found.determined == 0.0  # 30 blank cells leave 51 givens open.
    assert len(found.annealing.right) == len(found.annealing.gap) == len(TEMPERATURES)
    assert found.annealing.gap[-1] < 1e-6


def test_one_that_is_not() -> None:
    torch.manual_seed(0)
    found = evaluate(Reader(9), boards(seed=3, count=3, blanks=20), digits(), seed=0)
    assert found.read == found.annealed == found.single == 0.0


def domains_of(logits: torch.Tensor, given: torch.Tensor) -> SoftDomains:
    return sudoku().domains(logits.softmax(-1), where=given)


def test_annealing_repairs_what_was_misread() -> None:
    some = boards(seed=3, blanks=20)
    truth = some.puzzles[some.given]
    logits = 4.0 * one_hot(truth, 9).double()
    logits[0] = logits[0].roll(1) * 1.1
    assert logits[0].argmax() != truth[0]
    *_, last = annealed(domains_of(logits, some.given))
    assert torch.equal(last.most_likely(), some.solutions)


def test_a_reading_with_one_solution_is_preferred() -> None:
    """Few givens, of which one is misread so that there are several solutions, or none."""
    some = boards(seed=1, count=4, blanks=40)
    truth = some.puzzles[some.given]
    logits = 6.0 * one_hot(truth, 9).double()
    starts = some.given.sum(-1).cumsum(0) - some.given.sum(-1)
    for start in starts.tolist():
        logits[start] = logits[start] / 2 + 3.5 * one_hot((truth[start] + 1) % 9, 9)
    assert torch.equal(single(domains_of(logits, some.given), some.given), some.solutions)
    assert (single(domains_of(logits, some.given), some.given, count=1) == -1).all()


def test_readings_are_tried_from_the_most_probable_one_on() -> None:
    """Against all readings of a board in which three givens are open, by enumeration."""
    some = boards(seed=2, count=4, blanks=40).take(slice(1))
    given, cells = some.given[0], some.puzzles[0]
    logits = torch.full((int(given.sum()), 9), -torch.inf, dtype=torch.float64)
    logits.scatter_(-1, cells[given][:, None], 0.0)
    logits[:3] = torch.randn(3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log = logits.log_softmax(-1)
    best, expected = -torch.inf, None
    for values in itertools.product(range(9), repeat=3):
        score = sum(float(log[place, value]) for place, value in enumerate(values))
        reading = cells.clone()
        reading[given.nonzero()[:3, 0]] = torch.tensor(values)
        found = sudoku().solve(sudoku().fixed(reading), limit=2)
        if int(found.counts) == 1 and score > best:
            best, expected = score, found.first()
    assert expected is not None
    assert torch.equal(single(domains_of(logits, some.given), some.given, count=729)[0], expected)


def test_what_the_blank_cells_say_by_themselves() -> None:
    """Against a count of all boards that have them, with enough blank cells that some givens follow and some do not."""
    some = boards(seed=3, count=6, blanks=42)
    found = evaluate(Perfect(9), some, digits(), 0)
    blanks = some.solutions.masked_fill(some.given, -1)
    counts = [len(sudoku().solve(sudoku().fixed(row), limit=10_000).solutions()) for row in blanks]
    assert found.determined == sum(count == 1 for count in counts) / 6
    assert 0 < found.determined < 1
