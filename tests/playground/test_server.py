"""The server gives browsers on this machine the page, and nothing else."""

from __future__ import annotations

import re
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from drawgrad.playground import PAGE


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "text/html"), ("index.html", "text/html"), ("style.css", "text/css"), ("js/page.js", "text/javascript")],
)
def test_files_of_the_page(path: str, kind: str, address: str) -> None:
    with urlopen(address + path) as answer:
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert answer.read() == (PAGE / (path or "index.html")).read_bytes()


@pytest.mark.parametrize(
    "path", ["server.py", "js/", "../cli/program.py", "%2e%2e/py.typed", "nothing.html", "__pycache__"]
)
def test_nothing_else(path: str, address: str) -> None:
    with pytest.raises(HTTPError, match="404"):
        urlopen(address + path)


def test_the_page_names_every_script_and_no_other() -> None:
    named = set(re.findall(r'src="([^"]+)"', (PAGE / "index.html").read_text()))
    assert named == {str(path.relative_to(PAGE)) for path in PAGE.rglob("*.js")}
