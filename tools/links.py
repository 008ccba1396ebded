"""Ask every address of the web that texts and sources name whether it is still there: ``python -m tools.links``.

Links between pages are checked when the site is built, and those of README.md by the tests; neither needs a network.
"""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

__all__ = ["addresses", "answers", "main"]

ROOT = Path(__file__).parents[1]
PLACES = ("*.md", "*.toml", "*.cff", "results/*.md", "docs/**/*.md", "src/**/*.py")
FILES = [file for place in PLACES for file in sorted(ROOT.glob(place))]
ADDRESS = re.compile(r"https?://[^\s\"'`<>()\[\]{}]+[^\s\"'`<>()\[\]{}.,;:]")
NO_ADDRESS = ("http://127.0.0.1", "http://www.w3.org/2000/svg")
"""A server of one's own, and a name that looks like an address."""


def addresses() -> dict[str, Path]:
    """All addresses, each with a file that names it."""
    found = {address: file for file in FILES for address in ADDRESS.findall(file.read_text())}
    return {address: file for address, file in found.items() if not address.startswith(NO_ADDRESS)}


def answers(address: str) -> bool:
    """Whether something is there."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return True
    except urllib.error.HTTPError:
        return address.endswith("/")  # a folder of data need not show itself
    except OSError:
        return False


def main(answers: Callable[[str], bool] = answers) -> int:
    """Ask all of them; returns an exit code."""
    silent = [(address, file) for address, file in addresses().items() if not answers(address)]
    for address, file in silent:
        print(f"{file.relative_to(ROOT)} names {address}, which does not answer", file=sys.stderr)
    return int(bool(silent))


if __name__ == "__main__":
    sys.exit(main())
