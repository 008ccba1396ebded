"""The progress of a run, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from drawgrad.cli.progress import Display, compilation_told
from drawgrad.studies.runs.loop import Progress

LATEST = {"train/elbo": -22.5, "valid/elbo": -23.25, "train/tau": 0.5}


def show(terminal: bool, begin: int = 0, width: int = 120) -> str:
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=terminal, width=width)) as display:
        for step in range(begin, 201):
            display.step(Progress(step, 200, seconds=3.0 + step / 100, latest=LATEST if step > 50 else {}))
        for done in range(3, 31, 3):
            display.images(done, 30)
    return file.getvalue()


def test_elsewhere_a_line_is_written_now_and_then():
    lines = show(terminal=False).splitlines()
    assert len(lines) == 20
    assert lines[0] == "training 20/200   100 steps/s"
    assert lines[9] == "training 200/200  ELBO -22.50  valid -23.25  tau 0.50   100 steps/s"
    assert lines[-1] == "testing 30/30  images"


def test_a_resumed_run_shows_its_own_speed_and_not_what_was_done_before():
    lines = show(terminal=False, begin=150).splitlines()
    assert lines[0] == "training 160/200  ELBO -22.50  valid -23.25  tau 0.50   100 steps/s"
    assert show(terminal=False, begin=200).splitlines()[0] == "testing 3/30  images"


def test_a_terminal_shows_bars():
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", show(terminal=True))
    assert "200/200 ELBO -22.50  valid -23.25  tau 0.50   100 steps/s" in text
    assert "30/30" in text
    assert "━" in text


def plain(text: str) -> list[str]:
    return [
        line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "\n").splitlines() if line.strip()
    ]


@pytest.mark.parametrize("width", [50, 60, 72, 80, 100])
def test_a_narrow_terminal_loses_words_and_not_the_count(width):
    lines = [line for line in plain(show(terminal=True, width=width)) if line.startswith("training")]
    assert all("200" in line and len(line) <= width for line in lines)
    assert "200/200" in lines[-1]
    assert ("steps/s" in lines[-1]) == (width >= 80)
    assert ("tau" in lines[-1]) == (width >= 100)


def test_the_speed_is_that_of_now_and_knows_no_compilation():
    file = io.StringIO()
    with Display(Console(file=file, width=120)) as display:
        seconds = 0.0
        for step in range(101):
            # The first step and a later validation compile; from step 51 on, another program wants the machine.
            seconds += 0.0 if step == 0 else 30.0 if step in (1, 7) else 0.1 if step <= 50 else 1.0
            display.step(Progress(step, 100, seconds=seconds))
    lines = file.getvalue().splitlines()
    assert lines[0] == "training 10/100    10 steps/s"
    assert lines[-1] == "training 100/100     1 steps/s"


def test_a_compilation_is_told_once():
    import numba

    file = io.StringIO()
    with compilation_told(Console(file=file, width=120)):
        numba.njit(lambda x: x + 1)(1)
        numba.njit(lambda x: x + 2)(1)
    numba.njit(lambda x: x + 3)(1)
    assert file.getvalue() == "compiling kernels for this machine, which takes some seconds the first time\n"
