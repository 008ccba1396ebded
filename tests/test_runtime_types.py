"""The run-time checker of annotations notices what it is for, and stays out of the way elsewhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from jaxtyping import TypeCheckError

import drawgrad.functional
from tests import runtime_types

SOURCE = """
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Named(Protocol):
    name: str


def name_of(thing: Named) -> str:
    return thing.name


def double(x: Float[Tensor, "*batch k"], y: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
    return x + y


def wrong_result(x: Float[Tensor, "n k"]) -> Float[Tensor, "n"]:
    return x


def careful(x: Float[Tensor, "n"]) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError("x must be a tensor, in our words")
    return x


@contextmanager
def opened(name: str) -> Iterator[str]:
    yield name


@dataclass
class Scale:
    factor: float

    def __call__(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return self.factor * x

    @property
    def half(self) -> float:
        return "half"

    @classmethod
    def of(cls, factor: float) -> Scale:
        return cls(factor)

    @staticmethod
    def add(a: float, b: float) -> float:
        return a + b
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package that is imported under the checker, with a subpackage that is left alone."""
    (tmp_path / "checked_package" / "kernels").mkdir(parents=True)
    (tmp_path / "checked_package" / "__init__.py").write_text(SOURCE)
    (tmp_path / "checked_package" / "kernels" / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    runtime_types.install("checked_package", exclude=["checked_package.kernels"])
    yield importlib.import_module("checked_package")
    for name in [name for name in sys.modules if name.startswith("checked_package")]:
        del sys.modules[name]


class TestChecked:
    def test_what_fits_passes(self, package: ModuleType) -> None:
        assert package.double(torch.ones(2, 3), torch.ones(2, 3)).shape == (2, 3)
        assert package.Scale(2)(torch.ones(3)).tolist() == [2, 2, 2]
        assert package.Scale.of(2.0).factor == package.Scale.add(1, 1)
        with package.opened("file") as name:
            assert name == "file"

    def test_shapes_that_contradict_each_other_are_noticed(self, package: ModuleType) -> None:
        with pytest.raises(TypeCheckError):
            package.double(torch.ones(2, 3), torch.ones(2, 1))

    def test_a_wrong_dtype_is_noticed(self, package: ModuleType) -> None:
        with pytest.raises(TypeCheckError):
            package.double(torch.ones(2, dtype=torch.int64), torch.ones(2))

    def test_a_wrong_result_is_noticed(self, package: ModuleType) -> None:
        with pytest.raises(TypeCheckError, match="return value"):
            package.wrong_result(torch.ones(2, 3))

    def test_methods_are_checked(self, package: ModuleType) -> None:
        with pytest.raises(TypeCheckError):
            package.Scale("2")
        with pytest.raises(TypeCheckError):
            package.Scale.of("2")
        with pytest.raises(TypeCheckError):
            package.Scale.add("a", "b")
        with pytest.raises(TypeCheckError):
            package.Scale(2)(torch.ones(2, 3))
        with pytest.raises(TypeCheckError):
            _ = package.Scale(2).half

    def test_what_cannot_be_checked_is_left_alone(self, package: ModuleType) -> None:
        assert package.name_of(Path("a/b")) == "b"

    def test_a_refusal_in_own_words_comes_first(self, package: ModuleType) -> None:
        with pytest.raises(TypeError, match="in our words"):
            package.careful(3)

    def test_an_excluded_subpackage_is_left_alone(self, package: ModuleType) -> None:
        kernels = importlib.import_module("checked_package.kernels")
        assert kernels.wrong_result(torch.ones(2, 3)).shape == (2, 3)

    def test_a_compiled_graph_stays_whole_and_its_sizes_free(self, package: ModuleType) -> None:
        graphs = []

        def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
            graphs.append(graph)
            return graph

        compiled = torch.compile(package.double, fullgraph=True, dynamic=True, backend=backend)
        assert all(compiled(torch.ones(n, 3), torch.ones(n, 3)).shape == (n, 3) for n in (2, 5, 7))
        assert len(graphs) == 1

    def test_a_package_that_is_imported_already_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="drawgrad was imported before"):
            runtime_types.install("drawgrad")


def test_the_package_itself_is_checked() -> None:
    with pytest.raises(TypeCheckError):
        drawgrad.estimators.sum_variables("values", torch.ones(3))  # It has no words of its own for that.
