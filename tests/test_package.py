"""What importing the package does, and what it must not do."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import drawgrad

SOURCE = Path(drawgrad.__file__).parent
AREAS = [name for name in drawgrad.__all__ if name != "__version__"]
CORE_AREAS = [area for area in AREAS if area != "studies"]

PROBE = """
import builtins, json, sys, warnings
import torch, torch.nn.functional

def settings():
    return {
        "seed": torch.initial_seed(),
        "state": hash(bytes(torch.get_rng_state().tolist())),
        "dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "filters": len(warnings.filters),
    }

def attributes():
    # Submodules are left out: importing one makes it an attribute of its parent.
    owners = [builtins, torch, torch.Tensor, torch.nn.Module, torch.nn.functional, torch.distributions]
    owners += [torch.distributions.Distribution, torch.optim.Optimizer, torch.Generator]
    kept = {}
    for owner in owners:
        for name, value in vars(owner).items():
            if name != "_" and not isinstance(value, type(sys)):
                kept[f"{owner.__name__}.{name}"] = id(value)
    return kept

def loaded():
    return {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)

def differing(before, after):
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]

for action in json.loads(sys.argv[1]):
    before = loaded(), attributes(), settings()
    exec(action)
    print(json.dumps({
        "loaded": sorted(loaded() - before[0]),
        "patched": differing(before[1], attributes()),
        "changed": differing(before[2], settings()),
    }))
"""

IMPORT = f"import drawgrad\nfor area in {CORE_AREAS}: getattr(drawgrad, area)"
MISDEEDS = {
    "import jaxtyping": ("loaded", "jaxtyping"),
    "torch.Tensor.draw = lambda self: self": ("patched", "Tensor.draw"),
    "torch.softmax = torch.sigmoid": ("patched", "torch.softmax"),
    "torch.manual_seed(0)": ("changed", "seed"),
    "torch.rand(1)": ("changed", "state"),
    "torch.set_default_dtype(torch.float64)": ("changed", "dtype"),
    "warnings.simplefilter('ignore')": ("changed", "filters"),
}


def _effects(actions: Iterable[str]) -> list[dict[str, list[str]]]:
    """What each action loads and changes, one after the other in a fresh interpreter that has torch loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(list(actions))], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_importing_loads_torch_only_and_changes_nothing() -> None:
    first, *effects = _effects([IMPORT, *MISDEEDS])
    assert first == {"loaded": ["drawgrad"], "patched": [], "changed": []}
    missed = [
        action
        for (action, (kind, name)), effect in zip(MISDEEDS.items(), effects, strict=True)
        if name not in effect[kind]
    ]
    assert missed == [], "the probe does not notice these misdeeds"


class TestAreas:
    @pytest.mark.parametrize("area", AREAS)
    def test_is_an_attribute(self, area: str) -> None:
        assert getattr(drawgrad, area).__name__ == f"drawgrad.{area}"

    def test_every_public_module_is_an_area(self) -> None:
        without_a_public_path = {"kernels", "cli", "playground"}
        found = {module.name for module in pkgutil.iter_modules([str(SOURCE)]) if not module.name.startswith("_")}
        assert found - without_a_public_path == set(AREAS)

    def test_an_unknown_one_is_an_error_that_names_the_others(self) -> None:
        with pytest.raises(AttributeError, match=r"no area 'functionals'; its areas are .*functional"):
            drawgrad.functionals  # noqa: B018

    def test_dir_lists_them(self) -> None:
        assert dir(drawgrad) == sorted(drawgrad.__all__)


def test_the_version_is_that_of_the_changelog() -> None:
    changelog = (SOURCE.parents[1] / "CHANGELOG.md").read_text()
    released = drawgrad.__version__.partition(".dev")[0]
    assert ("## [Unreleased]" if "dev" in drawgrad.__version__ else f"## [{released}]") in changelog


def test_a_copy_of_the_source_on_the_path_works_without_being_installed() -> None:
    hidden = (
        "import importlib.metadata as metadata, torch\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = version\n"
        "import drawgrad\n"
        "print(drawgrad.__version__)"
    )
    run = subprocess.run([sys.executable, "-c", hidden], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "0+unknown"


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").is_file()
