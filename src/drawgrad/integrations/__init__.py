"""Bridges to other frameworks: Pyro, Lightning and Hugging Face. Each name loads its framework when it is asked for.

>>> import drawgrad as dg
>>> sorted(dg.integrations.__all__)[:2]
['LightningMonitor', 'LightningTemperature']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawgrad.integrations.lightning import LightningMonitor, LightningTemperature
    from drawgrad.integrations.pyro import TraceEstimator_ELBO, pyro_distribution, relax
    from drawgrad.integrations.swap import swapped_gumbel_softmax
    from drawgrad.integrations.transformers import TrainerMonitor, TrainerTemperature

__all__ = [
    "LightningMonitor",
    "LightningTemperature",
    "TraceEstimator_ELBO",
    "TrainerMonitor",
    "TrainerTemperature",
    "pyro_distribution",
    "relax",
    "swapped_gumbel_softmax",
]

_HOMES = {
    "LightningMonitor": "lightning",
    "LightningTemperature": "lightning",
    "TraceEstimator_ELBO": "pyro",
    "TrainerMonitor": "transformers",
    "TrainerTemperature": "transformers",
    "pyro_distribution": "pyro",
    "relax": "pyro",
    "swapped_gumbel_softmax": "swap",
}
"""The module of each name. It is called like the extra that it needs, if it needs one."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"drawgrad.integrations has no {name!r}; it has {', '.join(__all__)}")
    home = _HOMES[name]
    try:
        module = importlib.import_module(f"drawgrad.integrations.{home}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs the package {error.name}, which is not installed; pip install 'drawgrad[{home}]'"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
