"""How many frames a second does the playground draw while the temperature is turned, with its 5,000 points?

Needs a Chromium, as the tests of the page do.

Run: ``python -m benchmarks.playground_frames``
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks import RESULTS
from drawgrad.playground import PAGE
from drawgrad.studies.records import Measurement, median_of, write
from tests.playground.browser import Browser, find_browser

__all__ = ["TURN", "main", "measured"]

WIDTHS = (1200, 360)
SECONDS, REPEATS = 3, 3

TURN = """new Promise((done) => {
  const dial = document.getElementById("tau"), { min, max, step } = dial;
  const frames = [];
  const turn = (now) => {
    frames.push(now);
    if (now - frames[0] > SECONDS * 1000) return done(frames);
    const range = max - min, along = (frames.length * step) % (2 * range);
    dial.value = Number(min) + (along < range ? along : 2 * range - along);
    dial.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
})"""
"""Turns the dial by one step at every frame, there and back; when the frames began, in milliseconds."""


def measured(browser: Browser, address: str, width: int, seconds: float = SECONDS) -> tuple[float, float]:
    """Frames a second, and the longest time between two of them in milliseconds."""
    browser.open(address, width)
    began = browser.evaluate(TURN.replace("SECONDS", str(seconds)))
    apart = [after - before for before, after in pairwise(began)]
    return 1000 * len(apart) / (began[-1] - began[0]), max(apart)


def main() -> int:
    """Measure and write the record; returns an exit code."""
    begin = time.perf_counter()
    program = find_browser()
    if program is None:
        print("there is no Chromium on the path; DRAWGRAD_BROWSER names one", file=sys.stderr)
        return 1
    cells: list[Measurement] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Browser(program, Path(profile)) as browser:
        address = (PAGE / "index.html").as_uri()
        measured(browser, address, WIDTHS[0], 1)  # its scripts are compiled while they run
        for width in WIDTHS:
            found = [measured(browser, address, width) for _ in range(REPEATS)]
            cells.append(median_of(f"{width} pixels wide", "frames a second", (rate for rate, _ in found), ""))
            cells.append(median_of(f"{width} pixels wide", "longest frame", (longest for _, longest in found), "ms"))
        version = browser.call("Browser.getVersion")["product"]
    print(version)
    write(
        "playground-frames",
        title="The playground while its temperature is turned, 5,000 points, without a GPU; a browser draws 60 at most",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.playground_frames",
        seconds=time.perf_counter() - begin,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:28} {cell.quantity:18} {cell.value:10.2f} +- {cell.spread:.2f} {cell.unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
