"""The playground as a folder of the site: the page needs no server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from drawgrad.playground import PAGE

__all__ = ["copy", "setup"]

SOURCE = shutil.ignore_patterns("*.py", "__pycache__")
"""What stands beside the page in the package and is none of it."""


def copy(site: Path) -> Path:
    """Put the page into a folder of the site, and return this folder."""
    return shutil.copytree(PAGE, site / "playground", ignore=SOURCE, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Copy the page after a build."""
    app.connect("build-finished", lambda app, error: None if error else copy(Path(app.outdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
