"""Teachers, and what they are told."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.functional import log_softmax, one_hot

from drawgrad.logic import sudoku
from drawgrad.studies.tasks.sudoku.data import Boards, Told
from drawgrad.studies.tasks.sudoku.teachers import (
    TEACHERS,
    Completions,
    Corrected,
    Propagation,
    Sampled,
    SolverInLoop,
    Teacher,
)
from tests.studies.tasks.sudoku.boards import boards, digits


def told(some: Boards) -> Told:
    return some.told(digits(), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("teacher", [Completions(), Propagation(), SolverInLoop(nodes=50), Corrected(nodes=50)])
def test_a_teacher_corrects_what_was_misread(teacher: Teacher) -> None:
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
        teacher.loss(logits, told(some)).backward()
        optimizer.step()
    assert right() > before + 0.1


def test_leave_one_out_points_to_what_is_right() -> None:
    """With many samples its gradient raises the values that the solution has."""
    some = boards(count=4)
    truth = one_hot(some.puzzles[some.given], 9).float()
    logits = truth.clone().requires_grad_()
    Sampled(samples=1000).loss(logits, told(some)).backward()
    assert ((logits.grad * truth).sum(-1) < 0).double().mean() > 0.9


def test_the_completions_are_summed_over() -> None:
    """Against each completion by itself, for a board with few givens that the blank cells leave open."""
    some = boards(count=3, blanks=25)
    rows = told(some)
    logits = torch.randn(int(some.given.sum()), 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, place = 0.0, 0
    for board in range(3):
        given = rows.given[board]
        log = log_softmax(logits[place : place + int(given.sum())], -1)
        place += int(given.sum())
        found = sudoku().solve(sudoku().fixed(rows.blanks[board]), limit=1000).solutions()
        assert (found == some.solutions[board]).all(-1).any()
        weights = torch.stack([log.gather(-1, one[given][:, None]).sum() for one in found])
        expected -= float(weights.logsumexp(0))
    loss = Completions(limit=1000).loss(logits, rows)
    assert float(loss) == pytest.approx(expected / int(some.given.sum()))


def test_a_limit_leaves_completions_out() -> None:
    some = boards(count=8, blanks=12)
    logits = torch.zeros(int(some.given.sum()), 9)
    few, many = (float(Completions(limit).loss(logits, told(some))) for limit in (1, 256))
    assert many < few


@pytest.mark.parametrize("teacher", [SolverInLoop(), Corrected()])
def test_a_right_answer_of_the_solver_gives_no_gradient(teacher: Teacher) -> None:
    some = boards(count=4)
    truth = some.puzzles[some.given]
    logits = (5.0 * one_hot(truth, 9)).requires_grad_()
    loss = teacher.loss(logits, told(some))
    loss.backward()
    assert loss.item() == 0.0
    assert not logits.grad.any()
    wrong = (5.0 * one_hot((truth + 1) % 9, 9)).requires_grad_()
    teacher.loss(wrong, told(some)).backward()
    assert wrong.grad.any()
    assert wrong.grad.isfinite().all()


def test_samples_are_worth_what_is_left() -> None:
    some = boards(count=4, blanks=4)
    truth = some.puzzles[some.given]
    sure = 60.0 * one_hot(truth, 9)
    assert float(Sampled(samples=2).loss(sure, told(some))) == 0.0
    assert float(Sampled(samples=2).loss(sure.roll(1, -1), told(some))) > 0.0
    assert Sampled(samples=5).evaluations == 5


def test_what_is_told_holds_no_given() -> None:
    """No label can leak: nothing that training sees knows a given's value but its image."""
    some = boards()
    rows = told(some)
    assert {field.name for field in dataclasses.fields(Told)} == {"images", "given", "blanks"}
    assert (rows.blanks[rows.given] == -1).all()
    assert torch.equal(rows.blanks[~rows.given], some.solutions[~some.given])
    # Whatever else is written at the givens, the same is told.
    other = Boards(torch.where(some.given, 0, -1), torch.where(some.given, 8, some.solutions))
    again = told(other)
    assert torch.equal(rows.given, again.given)
    assert torch.equal(rows.blanks, again.blanks)


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
def test_no_loss_depends_on_a_given(teacher: Teacher) -> None:
    """Values written over at the givens change nothing, and other values of the blank cells do."""
    some = boards(count=4)
    noise = torch.randn(int(some.given.sum()), 9, generator=torch.Generator().manual_seed(0))
    logits = 4 * one_hot(some.puzzles[some.given], 9) + noise

    def loss(of: Boards) -> torch.Tensor:
        torch.manual_seed(0)
        return teacher.loss(logits, dataclasses.replace(told(some), given=of.given, blanks=told(of).blanks))

    hidden = Boards(torch.where(some.given, 0, -1), some.solutions.masked_fill(some.given, 0))
    assert torch.equal(loss(hidden), loss(some))
    exchanged = Boards(some.puzzles, torch.where(some.given, some.solutions, (some.solutions + 1) % 9))
    assert not torch.equal(loss(exchanged), loss(some))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Completions(0), "limit must be at least 1"),
        (lambda: Propagation(0), "rounds must be at least 1"),
        (lambda: SolverInLoop(nodes=0), "nodes must be at least 1"),
        (lambda: Corrected(nodes=0), "nodes must be at least 1"),
        (lambda: Sampled(1), "samples must be at least 2"),
    ],
)
def test_mistakes(make: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
