"""The dial turns while frames are counted. How many there are is not tested: that depends on the machine."""

from __future__ import annotations

import pytest

from benchmarks.playground_frames import TURN, measured
from tests.playground.browser import Browser
from tests.playground.conftest import address, browser

__all__ = ["address", "browser"]


def test_turns_and_counts(browser: Browser, address: str) -> None:
    rate, longest = measured(browser, address, 1200, seconds=0.3)
    assert rate > 0
    assert longest >= 1000 / rate * 0.99
    assert browser.evaluate("document.getElementById('tau-value').textContent") != "0.5"
    assert browser.complaints() == []


def test_a_page_without_a_dial_is_an_error(browser: Browser) -> None:
    browser.open("data:text/html,<p>nothing</p>")
    with pytest.raises(RuntimeError, match="null"):
        browser.evaluate(TURN.replace("SECONDS", "1"))
