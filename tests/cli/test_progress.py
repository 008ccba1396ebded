"""The progress of a run, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re

from rich.console import Console

from drawgrad.cli.progress import Display
from drawgrad.studies.runs.loop import Progress

LATEST = {"train/elbo": -22.5, "valid/elbo": -23.25, "train/tau": 0.5}


def show(terminal: bool, begin: int = 0) -> str:
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=terminal, width=120)) as display:
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
