"""A server and a browser for the tests of the page; without a browser they are skipped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from drawgrad.playground import page_server
from tests.playground.browser import Browser, find_browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is served."""
    with page_server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium."""
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on the path: apt-get install chromium-headless-shell, or name one in DRAWGRAD_BROWSER")
    with Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened
