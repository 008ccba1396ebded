"""The layers of the package: the one table that the tests enforce and the documentation shows."""

from __future__ import annotations

from typing import NamedTuple

from drawgrad._tables import markdown_table

__all__ = ["AREAS", "LAYERS", "Area", "layers"]


class Area(NamedTuple):
    """An area of the package: it imports itself and areas of lower layers."""

    name: str
    layer: int
    holds: str


AREAS = (
    Area("_checks", 0, "the wording of errors"),
    Area("_independent", 0, "what `Independent` wraps"),
    Area("_tables", 0, "numbers and tables as text"),
    Area("_typing", 0, "the letters of shapes"),
    Area("kernels", 1, "the fused operations in their twins; private"),
    Area("schedules", 1, "pure functions of the step"),
    Area("functional", 2, "pure functions of tensors"),
    Area("distributions", 3, "subclasses of `torch.distributions`"),
    Area("variables", 4, "what a distribution chooses among: the protocol and its kinds"),
    Area("estimators", 5, "gradients of expectations"),
    Area("logic", 6, "constraints, soft and hard"),
    Area("nn", 7, "modules"),
    Area("diagnostics", 8, "measurements of a user's own model"),
    Area("integrations", 9, "bridges to other frameworks"),
    Area("studies", 10, "data, models, training, records; packages of the extra `study` from here up only"),
    Area("playground", 11, "a page to play with"),
    Area("cli", 12, "the command line"),
    Area("__main__", 13, "`python -m drawgrad`"),
)
LAYERS = {area.name: area.layer for area in AREAS}


def layers() -> str:
    """Markdown: what lives in each area, from the ground up."""
    floors: dict[tuple[int, str], list[str]] = {}
    for area in AREAS:
        floors.setdefault((area.layer, area.holds), []).append(f"`{area.name}`")
    rows = [(str(layer), ", ".join(names), holds) for (layer, holds), names in floors.items()]
    return f"\n{markdown_table(('layer', 'areas', 'what lives there'), rows, '<')}\n"
