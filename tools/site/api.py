"""Pages of the API: every public name has its entry, from its docstring, or the build fails."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.pycode import ModuleAnalyzer

from tools.layers import AREAS

__all__ = ["claims", "missing", "public", "setup", "text_of", "write"]

PRIVATE = {"kernels", "cli", "__main__"}
"""Areas without names for programs: the command line documents itself."""
CLAIM = re.compile(r"(Estimates|Requires|Bias): ")
"""What docstrings of estimators say besides Google's sections."""


def public() -> dict[str, ModuleType]:
    """The areas whose names the documentation owes an entry."""
    names = [area.name for area in AREAS if not area.name.startswith("_") and area.name not in PRIVATE]
    return {name: importlib.import_module(f"drawgrad.{name}") for name in names if _exists(name)}


def missing(documented: set[str]) -> list[str]:
    """The public names that are not among the documented ones."""
    wanted = [f"drawgrad.{area}.{name}" for area, module in public().items() for name in module.__all__]
    return sorted(set(wanted) - documented)


def write(folder: Path) -> None:
    """A page for each area, and one that lists them; what is there already is left alone where it is the same."""
    folder.mkdir(exist_ok=True)
    areas = public()
    pages = {area: _page(area, module) for area, module in areas.items()}
    pages["index"] = _index(areas)
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in folder.glob("*.rst"):
        if file.stem not in pages:
            file.unlink()


def claims(lines: list[str]) -> None:
    """Make fields of the claims in a docstring, as Sphinx makes them of arguments."""
    inside = False
    for number, line in enumerate(lines):
        begins = bool(CLAIM.match(line))
        inside = begins or (inside and bool(line))
        if begins:
            lines[number] = CLAIM.sub(r":\1: ", line)
        elif inside:
            lines[number] = f"    {line.strip()}"


def text_of(path: str) -> list[str]:
    """What stands below a name that is neither class nor function, in the module of its area that defines it."""
    area, _, name = path.rpartition(".")
    for module in sorted(sys.modules):
        if module.startswith(area) and (found := ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name))):
            return found
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    """Compare the entries with the public names at the end of a build."""
    app.connect("autodoc-process-docstring", lambda *given: claims(given[-1]), priority=100)  # before sections are read
    app.connect("autodoc-process-docstring", _describe)
    app.connect("autodoc-skip-member", _skip)
    app.connect("build-finished", _complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _complete(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        left = missing(set(app.env.domains.python_domain.objects))
        if left:
            raise ExtensionError(f"public names without an entry in the API pages: {', '.join(left)}")


def _describe(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """A constant that an area takes from its module has its own text, not that of its type."""
    if what == "data":
        lines[:] = text_of(name) or lines


def _skip(app: Sphinx, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """Leaves out a member whose text is torch's."""
    return True if inspect.isbuiltin(value) else None


def _exists(name: str) -> bool:
    return importlib.util.find_spec(f"drawgrad.{name}") is not None


def _index(areas: dict[str, ModuleType]) -> str:
    title = "API"
    lines = [title, "=" * len(title), ""]
    for area, module in areas.items():
        lines += [f":doc:`drawgrad.{area} <{area}>`", f"    {(module.__doc__ or '').partition(chr(10))[0]}", ""]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *(f"   {area}" for area in areas), ""])


def _page(area: str, module: ModuleType) -> str:
    path = f"drawgrad.{area}"
    lines = [
        path,
        "=" * len(path),
        "",
        f".. automodule:: {path}",
        "   :no-members:",
        "",
        f".. currentmodule:: {path}",
        "",
    ]
    lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in module.__all__), ""]
    for family, names in _families(path, module).items():
        if family:
            lines += [family, "-" * len(family), ""]
        for name in names:
            lines += _entry(module, name)
    return "\n".join(lines)


def _families(path: str, module: ModuleType) -> dict[str, list[str]]:
    """The names by the folder they live in, those of the area itself first."""
    families: dict[str, list[str]] = {"": []}
    for name in module.__all__:
        home = getattr(getattr(module, name), "__module__", path) or path
        inner = home.removeprefix(f"{path}.").split(".") if home.startswith(f"{path}.") else [""]
        families.setdefault(inner[0] if len(inner) > 1 else "", []).append(name)
    return families


def _entry(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", ""]
    return [f".. autofunction:: {name}", ""] if callable(value) else [f".. autodata:: {name}", "   :no-value:", ""]
