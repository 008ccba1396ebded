"""Run-time checking of the package's annotations, shapes included, for the test run only.

Every function and method of the package that is imported after :func:`install` checks its arguments and its result
against its annotations, with jaxtyping and beartype. Three things differ from jaxtyping's own import hook, which
decorates every ``def`` of the source text:

* nested functions are left alone, because decorating one at each call of its parent takes milliseconds;
* nothing is checked while a graph is captured, because the checks would be traced, break the graph and fix its sizes;
* a call that the package refuses by itself is refused in the package's words, so that those can be tested.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import inspect
import sys
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import FunctionType, ModuleType
from typing import Any

import torch
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.roar import BeartypeDecorHintException
from jaxtyping import TypeCheckError, jaxtyped

__all__ = ["checked", "install"]

# An int is welcome wherever a float is asked for, as in type checkers, and so are all that count as such in Python.
WELCOME = FrozenDict({int: int | Integral, float: float | Real})
CHECKER = beartype(conf=BeartypeConf(hint_overrides=WELCOME))


def install(package: str, exclude: Sequence[str] = ()) -> None:
    """Check the annotations of ``package`` in every module that is imported from now on.

    Args:
        package: name of a package that is not imported yet.
        exclude: full names of subpackages to leave alone.

    Raises:
        RuntimeError: if the package is imported already: its modules could not be checked any more.
    """
    if package in sys.modules:
        raise RuntimeError(f"{package} was imported before its annotations could be checked; import it later")
    sys.meta_path.insert(0, _Finder(package, tuple(exclude)))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which raises ``jaxtyping.TypeCheckError`` where a value contradicts its annotation."""
    try:
        strict = jaxtyped(function, typechecker=CHECKER)
    except BeartypeDecorHintException:
        # The annotation is one that values cannot be held against, such as a protocol for type checkers only.
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        try:
            return strict(*args, **kwargs)
        except TypeCheckError as mismatch:
            try:
                function(*args, **kwargs)
            except (TypeError, ValueError):
                raise  # A refusal in the function's own words comes first.
            except Exception:
                raise mismatch from None
            raise

    return call


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, package: str, exclude: tuple[str, ...]) -> None:
        self.package = package
        self.exclude = exclude

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _within(fullname, self.package) or any(_within(fullname, name) for name in self.exclude):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                _check_class(value)
            elif _is_plain(value):
                setattr(module, name, checked(value))


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _is_plain(value: object) -> bool:
    # The annotations of a decorated function are those of the function inside, not of what it returns.
    return isinstance(value, FunctionType) and not hasattr(value, "__wrapped__")


def _check_class(cls: type) -> None:
    for name, value in list(vars(cls).items()):
        if name.startswith("__") and name not in ("__init__", "__call__"):
            continue
        if name == "_make":
            continue  # Of a named tuple: torch.compile makes them by it, and would go round in circles.
        if _is_plain(value):
            setattr(cls, name, checked(value))
        elif isinstance(value, classmethod | staticmethod) and _is_plain(value.__func__):
            setattr(cls, name, type(value)(checked(value.__func__)))
        elif isinstance(value, property) and _is_plain(value.fget):
            setattr(cls, name, property(checked(value.fget), value.fset, value.fdel, value.__doc__))
