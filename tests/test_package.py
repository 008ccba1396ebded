"""What importing the package does, and what it must not do."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
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

modules = {name.partition(".")[0] for name in sys.modules}
before = settings(), attributes()
ACTION
after = settings(), attributes()
loaded = {name.partition(".")[0] for name in sys.modules} - modules - set(sys.stdlib_module_names)
patched = [name for name in {**before[1], **after[1]} if before[1].get(name) != after[1].get(name)]
changed = [name for name in before[0] if before[0][name] != after[0][name]]
print(json.dumps({"loaded": sorted(loaded), "patched": patched, "changed": changed}))
"""

IMPORT = f"import drawgrad\nfor area in {CORE_AREAS}: getattr(drawgrad, area)"


def _effects(action: str) -> dict[str, list[str]]:
    """What running ``action`` in a fresh interpreter loads and changes, beyond what torch itself has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.replace("ACTION", action)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


class TestImport:
    def test_loads_torch_only_and_changes_nothing(self) -> None:
        assert _effects(IMPORT) == {"loaded": ["drawgrad"], "patched": [], "changed": []}

    @pytest.mark.parametrize(
        ("action", "key", "found"),
        [
            ("import jaxtyping", "loaded", "jaxtyping"),
            ("torch.Tensor.draw = lambda self: self", "patched", "Tensor.draw"),
            ("torch.softmax = torch.sigmoid", "patched", "torch.softmax"),
            ("torch.manual_seed(0)", "changed", "seed"),
            ("torch.rand(1)", "changed", "state"),
            ("torch.set_default_dtype(torch.float64)", "changed", "dtype"),
            ("warnings.simplefilter('ignore')", "changed", "filters"),
        ],
    )
    def test_the_probe_notices(self, action: str, key: str, found: str) -> None:
        assert found in _effects(action)[key]


class TestAreas:
    @pytest.mark.parametrize("area", AREAS)
    def test_is_an_attribute(self, area: str) -> None:
        assert getattr(drawgrad, area).__name__ == f"drawgrad.{area}"

    def test_every_public_module_is_an_area(self) -> None:
        without_a_public_path = {"kernels", "cli"}
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


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").is_file()
