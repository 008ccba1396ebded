"""Run the Python code of documentation pages from top to bottom, and draw the figures that it makes.

python -m tools.pages                     # the first page, docs/learn and docs/how-to: check the code, draw the figures
python -m tools.pages docs/learn/x.md     # one of them

A block with prompts has to show what is written. A block without is run as it stands; a figure that it leaves open is
the picture right below it on the page. The file of a picture holds a digest of the code that led to it, so a test can
tell a picture that is no longer that of its page without drawing it.
"""

from __future__ import annotations

import doctest
import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
from matplotlib import pyplot as plt
from PIL import Image

__all__ = ["PAGES", "Page", "Picture", "main", "stale"]

mpl.use("agg")

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "docs" / "index.md",
    *sorted(path for folder in ("learn", "how-to") for path in (ROOT / "docs" / folder).glob("*.md")),
]
PART = re.compile(r"^ *```python\n(?P<code>.*?)^ *```$|^!\[[^\]]*\]\((?P<picture>[^)]+)\)", re.DOTALL | re.MULTILINE)
DIGEST = "Code"
"""Key of the digest among the texts of a PNG file."""


@dataclass(frozen=True)
class Picture:
    """A picture that code of a page makes."""

    file: Path
    digest: str


class Page:
    """A page, as the code on it and the pictures between."""

    def __init__(self, text: str, file: Path) -> None:
        self.file = file
        self.parts = [(match["code"], match["picture"]) for match in PART.finditer(text)]

    @classmethod
    def read(cls, file: Path) -> Page:
        """The page in a file."""
        return cls(file.read_text(), file)

    def run(self, draw: bool = False) -> list[str]:
        """Run all code, and save the figures if ``draw``; returns what went otherwise than it is written."""
        module = ModuleType(f"page_{self.file.stem.replace('-', '_')}")
        sys.modules[module.__name__] = module  # where dataclasses look for it
        wrong: list[str] = []
        plt.close("all")
        with mpl.rc_context(mpl.rcParamsDefault):
            for number, (code, picture) in enumerate(self._with_pictures()):
                if ">>> " in code:
                    wrong += _examples(code, vars(module), f"{self.file.name}, block {number}")
                else:
                    exec(compile(code, str(self.file), "exec", dont_inherit=True), vars(module))
                left = plt.get_fignums()
                if len(left) != (picture is not None):
                    wrong.append(
                        f"{len(left)} figures are open where the page shows {int(picture is not None)}:\n{code}"
                    )
                elif draw and picture is not None:
                    picture.file.parent.mkdir(exist_ok=True)
                    plt.gcf().savefig(picture.file, dpi=120, bbox_inches="tight", metadata={DIGEST: picture.digest})
                plt.close("all")
        del sys.modules[module.__name__]
        return wrong

    def pictures(self) -> list[Picture]:
        """The pictures that the code makes. Others have no block without prompts right before them."""
        return [picture for _, picture in self._with_pictures() if picture is not None]

    def _with_pictures(self) -> Iterator[tuple[str, Picture | None]]:
        digest = hashlib.sha256()
        for (code, _), (_, after) in pairwise([*self.parts, (None, None)]):
            if code is not None:
                digest.update(code.encode())
                draws = after is not None and ">>> " not in code
                yield code, Picture((self.file.parent / after).resolve(), digest.hexdigest()[:16]) if draws else None


def stale(picture: Picture) -> bool:
    """Whether the file is missing, or was drawn by other code than the page shows now."""
    if not picture.file.exists():
        return True
    with Image.open(picture.file) as image:
        return image.info.get(DIGEST) != picture.digest


def main(arguments: list[str]) -> int:
    """Run the command line; returns its exit code."""
    failed = 0
    for file in map(Path, arguments) if arguments else PAGES:
        for line in Page.read(file.resolve()).run(draw=True):
            print(f"{file}:\n{line}", file=sys.stderr)
            failed = 1
    return failed


def _examples(code: str, names: dict[str, object], title: str) -> list[str]:
    told: list[str] = []
    test = doctest.DocTestParser().get_doctest(code, names, title, title, 0)
    test.globs = names  # what examples define is there for the code after them
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=told.append, clear_globs=False)
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
