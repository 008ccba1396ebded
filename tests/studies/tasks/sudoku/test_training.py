"""A reader learns from the values of blank cells, and from nothing else."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from drawgrad.studies.tasks.sudoku.data import Boards
from drawgrad.studies.tasks.sudoku.evaluation import accuracy, annealed, evaluate
from drawgrad.studies.tasks.sudoku.training import Progress, Reader, SudokuConfig, blank_cell_loss, train_reader
from tests.studies.tasks.sudoku.boards import boards, digits, handwritten


def test_the_loss_knows_no_given() -> None:
    """Neither the puzzle's values nor the solution's at the givens have a part in it: no label leaks."""
    some = boards()
    logits = torch.randn(int(some.given.sum()), 9, generator=torch.Generator().manual_seed(0))
    told = blank_cell_loss(logits, some, rounds=2)
    hidden = Boards(some.puzzles.masked_fill(some.given, 0), some.solutions.masked_fill(some.given, 0))
    assert torch.equal(blank_cell_loss(logits, hidden, rounds=2), told)
    shuffled = Boards(some.puzzles, some.solutions.masked_fill(~some.given, 0))
    assert not torch.equal(blank_cell_loss(logits, shuffled, rounds=2), told)


def test_its_gradient_corrects_what_was_misread() -> None:
    some = boards(count=16, blanks=25)
    truth = some.puzzles[some.given]
    noise = torch.randn(len(truth), 9, generator=torch.Generator().manual_seed(0))
    logits = (one_hot(truth, 9) + 0.7 * noise).requires_grad_()

    def right() -> float:
        return float((logits.argmax(-1) == truth).double().mean())

    before = right()
    assert before < 0.6
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for _ in range(25):
        optimizer.zero_grad()
        blank_cell_loss(logits, some, rounds=2).backward()
        optimizer.step()
    assert right() > before + 0.15


def test_training_lowers_the_loss_and_is_reproducible() -> None:
    data = handwritten()
    seen: list[Progress] = []
    readers = [train_reader(SudokuConfig(steps=3, batch=4, rounds=1), data, seen.append) for _ in range(2)]
    assert [progress.step for progress in seen] == [1, 2, 3, 1, 2, 3]
    assert seen[:3] == seen[3:]
    for one, other in zip(*(reader.parameters() for reader in readers), strict=True):
        assert torch.equal(one, other)


class Perfect(Reader):
    """Sees the bright row."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 20.0 * images.mean(-1)[:, 0, 1::3][:, :9]


def test_evaluation_of_a_reader_that_is_right() -> None:
    assert accuracy(Perfect(), digits()) == 1.0
    found = evaluate(Perfect(), boards(seed=3), digits(), seed=0)
    assert (found.read, found.annealed, found.likely, found.limited) == (1.0, 1.0, 1.0, 0.0)


def test_evaluation_of_one_that_is_not() -> None:
    torch.manual_seed(0)
    found = evaluate(Reader(), boards(seed=3, count=3, blanks=20), digits(), seed=0)
    assert found.read == found.annealed == 0.0


def test_the_most_likely_solution_repairs_what_was_misread() -> None:
    some = boards(seed=3, blanks=20)
    truth = some.puzzles[some.given]
    logits = 4.0 * one_hot(truth, 9).double()
    logits[0] = logits[0].roll(1) * 1.1
    assert logits[0].argmax() != truth[0]
    assert torch.equal(annealed(logits.softmax(-1), some), some.solutions)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"steps": 0}, "steps must be at least 1"), ({"lr": 2.0}, "lr must be above 0 and below 1")],
)
def test_mistakes(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SudokuConfig(**settings)
