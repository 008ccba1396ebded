"""Gradients for discrete choices.

The public path of everything is ``drawgrad.<area>.<name>``. An area is imported when it is first asked for:

>>> import drawgrad as dg
>>> import torch
>>> dg.functional.gumbel_softmax(torch.zeros(2, 3), hard=True).sum(-1)
tensor([1., 1.])
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawgrad import (
        diagnostics,
        distributions,
        estimators,
        functional,
        integrations,
        logic,
        nn,
        schedules,
        studies,
        variables,
    )

__all__ = [
    "__version__",
    "diagnostics",
    "distributions",
    "estimators",
    "functional",
    "integrations",
    "logic",
    "nn",
    "schedules",
    "studies",
    "variables",
]

try:
    __version__ = version("drawgrad")
except PackageNotFoundError:  # A copy of the source on the path, not installed.
    __version__ = "0+unknown"


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"drawgrad has no area {name!r}; its areas are {', '.join(__all__[1:])}")
    return importlib.import_module(f"drawgrad.{name}")


def __dir__() -> list[str]:
    return __all__
