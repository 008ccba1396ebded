"""The layers of the package and its public paths, read from the import statements of the source."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.layers import LAYERS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "drawgrad"

STUDIES = LAYERS["studies"]
"""The lowest layer that may import the packages of the extra ``study``."""
PRIVATE = {"_checks", "_independent", "_tables", "_typing", "kernels"}
"""Areas without a public path."""
ON_FIRST_USE = {"jaxtyping", "llvmlite", "numba", "numpy", "triton"}
"""Packages that the core loads when they are first used, besides torch, which it loads at once."""
TWINS = ("drawgrad.kernels.cpu", "drawgrad.kernels.gpu", "drawgrad.logic.engine")
"""Loaded on first use as a whole, so their modules import what they like."""


def _study_packages() -> set[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in extras["study"]}
    return {{"scikit-learn": "sklearn"}.get(name, name) for name in names} - ON_FIRST_USE


class Import(NamedTuple):
    """One imported name: the module it comes from, the name or None for the module itself, whether at once."""

    module: str
    member: str | None
    at_once: bool


def imports(tree: ast.AST, at_once: bool = True) -> Iterator[Import]:
    """All imports below a node; those inside functions and under ``if TYPE_CHECKING`` do not run at once."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import("." * node.level + (node.module or ""), alias.name, at_once) for alias in node.names)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(node, ast.If) and ast.unparse(node.test).startswith("TYPE_CHECKING")
            )
            yield from imports(node, at_once and not later)


def violations(module: str, text: str, modules: set[str]) -> list[str]:
    """The rules that the source text of a module breaks.

    Args:
        module: full name of the module, ``drawgrad.<area>...``.
        text: its source.
        modules: full names of all modules of the package.
    """
    tree = ast.parse(text)
    found = [] if _declares_all(tree) else ["has no __all__"]
    area = module.split(".")[1] if "." in module else None
    if area is not None and area not in LAYERS:
        return [*found, f"the area {area} has no layer"]
    for item in imports(tree):
        found += _about(item, module, area, modules)
    return found


def _declares_all(tree: ast.Module) -> bool:
    targets: list[ast.expr] = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, ast.AnnAssign):
            targets.append(node.target)
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _about(item: Import, module: str, area: str | None, modules: set[str]) -> Iterator[str]:
    root = item.module.partition(".")[0]
    layer = LAYERS[area] if area else 0
    if item.member == "*":
        yield f"star import of {item.module}"
    if not root:
        yield f"relative import of {item.module}{item.member}"
    elif root == "drawgrad":
        full = f"{item.module}.{item.member}"
        yield from _about_own(full if full in modules else item.module, item.at_once, area)
    elif root in _study_packages() and layer < STUDIES:
        yield f"imports {root} of the extra study below layer {STUDIES}"
    elif root in ON_FIRST_USE and item.at_once and layer < STUDIES and not module.startswith(TWINS):
        yield f"imports {root} at once: import it where it is used"


def _about_own(target: str, at_once: bool, area: str | None) -> Iterator[str]:
    parts = target.split(".")
    if area is None:
        if at_once:
            yield f"the package itself imports {target} at once"
        return
    if len(parts) == 1:
        yield "imports the whole package: name the area"
        return
    other = parts[1]
    if other == area:
        return
    if other not in LAYERS:
        yield f"imports {target}, whose area has no layer"
    elif LAYERS[other] >= LAYERS[area]:
        yield f"layer {LAYERS[area]} imports {target} of layer {LAYERS[other]}"
    elif len(parts) > 2 and other not in PRIVATE and LAYERS[other] < STUDIES:
        yield f"imports {target}: the public path is drawgrad.{other}.<name>"


def _sources() -> dict[str, str]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text()
    return found


def _is_core(module: str) -> bool:
    """Whether users take the names of a module from its area."""
    area, name = module.split(".")[1:]
    return area not in PRIVATE and LAYERS.get(area, STUDIES) < STUDIES and not name.startswith("_")


SOURCES = _sources()
PUBLIC = sorted({name.split(".")[1] for name in SOURCES if "." in name} & {*LAYERS} - PRIVATE - {"cli", "playground"})


class TestLayers:
    @pytest.mark.parametrize("module", SOURCES)
    def test_every_module_keeps_to_them(self, module: str) -> None:
        assert violations(module, SOURCES[module], set(SOURCES)) == []

    @pytest.mark.parametrize(
        ("module", "line", "found"),
        [
            ("drawgrad.functional.noise", "from drawgrad.estimators import X", f"of layer {LAYERS['estimators']}"),
            ("drawgrad.functional.noise", "import drawgrad.distributions", f"of layer {LAYERS['distributions']}"),
            ("drawgrad.functional.noise", "from drawgrad import distributions", f"of layer {LAYERS['distributions']}"),
            ("drawgrad.functional.noise", "def f():\n    from drawgrad.studies import run", f"of layer {STUDIES}"),
            ("drawgrad.logic.solver", "from drawgrad.nn import Router", f"of layer {LAYERS['nn']}"),
            ("drawgrad.diagnostics.x", "from drawgrad.integrations import x", f"of layer {LAYERS['integrations']}"),
            ("drawgrad.functional.noise", "import drawgrad", "imports the whole package"),
            ("drawgrad.functional.noise", "from drawgrad.secret import x", "no layer"),
            ("drawgrad.secret", "", "no layer"),
            ("drawgrad.nn.router", "from drawgrad.functional.noise import x", "the public path is"),
            ("drawgrad.nn.router", "from drawgrad.functional import noise", "the public path is"),
            ("drawgrad.nn.router", "from drawgrad.functional import *", "star import"),
            ("drawgrad.nn.router", "from . import gates", "relative import"),
            ("drawgrad.nn.router", "def f():\n    import matplotlib.pyplot", "imports matplotlib of the extra"),
            ("drawgrad.nn.router", "from sklearn.datasets import load_digits", "imports sklearn of the extra"),
            ("drawgrad.kernels.ops", "import numba", "imports numba at once"),
            ("drawgrad.nn.router", "class A:\n    import numpy as np", "imports numpy at once"),
            ("drawgrad", "from drawgrad import functional", "imports drawgrad.functional at once"),
        ],
    )
    def test_a_breach_is_noticed(self, module: str, line: str, found: str) -> None:
        known = {"drawgrad", *(f"drawgrad.{area}" for area in LAYERS), "drawgrad.functional.noise"}
        said = violations(module, f"__all__ = []\n{line}\n", known)
        assert len(said) == 1
        assert found in said[0]

    def test_all_may_be_annotated(self) -> None:
        assert violations("drawgrad.nn.router", "__all__: list[str] = []\n", set()) == []

    def test_a_missing_all_is_noticed(self) -> None:
        assert violations("drawgrad.nn.router", "def f():\n    __all__ = []\n", set()) == ["has no __all__"]

    @pytest.mark.parametrize(
        ("module", "line"),
        [
            ("drawgrad.nn.router", "import math\nimport torch\nfrom drawgrad.nn.gates import Gate"),
            ("drawgrad.nn.router", "from drawgrad.functional import gumbel_softmax"),
            ("drawgrad.nn.router", "def f():\n    import numpy"),
            ("drawgrad.nn.router", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
            ("drawgrad.functional.noise", "from drawgrad.kernels import ops"),
            ("drawgrad.kernels.cpu.launch", "import numba"),
            ("drawgrad.studies.figures", "import matplotlib"),
            ("drawgrad.cli", "from drawgrad.studies.training import train"),
        ],
    )
    def test_what_is_right_passes(self, module: str, line: str) -> None:
        known = {"drawgrad.kernels.ops", "drawgrad.studies.training"}
        assert violations(module, f"__all__ = []\n{line}\n", known) == []


class TestPublicPaths:
    @pytest.mark.parametrize("area", PUBLIC)
    def test_an_area_offers_what_it_lists(self, area: str) -> None:
        package = import_module(f"drawgrad.{area}")
        assert sorted(set(package.__all__)) == sorted(package.__all__)
        missing = [name for name in package.__all__ if not hasattr(package, name)]
        assert missing == []

    @pytest.mark.parametrize("module", [name for name in SOURCES if name.count(".") == 2 and _is_core(name)])
    def test_an_area_lists_what_its_modules_offer(self, module: str) -> None:
        area = module.split(".")[1]
        package = import_module(f"drawgrad.{area}")
        missing = set(import_module(module).__all__) - set(package.__all__)
        assert missing == set()
