"""What an extra adds is read off the packages that are installed, and off nothing else."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from benchmarks.install_size import IMPORTS, PROJECT, added, needed, seconds, size


def test_needs_of_needs_are_found() -> None:
    torch = needed(["torch"])
    assert {"torch", "sympy", "mpmath"} <= torch
    assert torch <= needed([PROJECT["name"]])
    assert "drawgrad" not in needed([PROJECT["name"]])


def test_markers_and_extras_are_heeded() -> None:
    assert needed(["torch; python_version < '3'"]) == set()
    assert added("matching") == {"scipy"}
    assert added("study") > added("matching")  # an extra that names another one
    assert "sphinx" not in added("study")


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(PackageNotFoundError, match="no-such-package"):
        needed(["no-such-package>=1"])
    with pytest.raises(PackageNotFoundError, match="no-such-package"):
        size("no-such-package")


def test_a_size_is_that_of_all_its_files() -> None:
    files = [file.locate() for file in distribution("jaxtyping").files or [] if file.suffix == ".py"]
    sources = sum(file.stat().st_size for file in files)
    assert sources < size("jaxtyping") < 10 * sources


def test_an_import_is_timed_after_another_one() -> None:
    assert seconds("assert known == 1", before="known = 1") >= 0
    with pytest.raises(subprocess.CalledProcessError):
        seconds("known", before="pass")


def test_every_extra_that_a_user_installs_is_measured() -> None:
    assert set(PROJECT["optional-dependencies"]) - set(IMPORTS) == {"clients", "dev"}
    assert not [extra for extra in IMPORTS if not re.search(r"\bimport\b", IMPORTS[extra])]
