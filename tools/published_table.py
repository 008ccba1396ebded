"""The record of a reproduced table as a page shows it: printed figures beside ours, then the claims.

`drawgrad.studies.reproduction.record` tells what is in such a record.
"""

from __future__ import annotations

from drawgrad._tables import markdown_table, with_spread
from drawgrad.studies.records import Measurement, Record

__all__ = ["published_table"]

LEVEL = 0.05


def published_table(record: Record) -> str:
    """The figures of the methods, and if there are any the claims, in Markdown."""
    cells = {(cell.case, cell.quantity): cell for cell in record.measurements}
    rows = [
        quantity.removesuffix(", evaluations")
        for quantity in dict.fromkeys(cell.quantity for cell in record.measurements)
        if quantity.endswith(", evaluations")
    ]
    printed = {row for row in rows if any(quantity == f"{row}, printed" for _, quantity in cells)}
    methods = dict.fromkeys(case for case, quantity in cells if quantity.endswith(", evaluations"))
    headings = ["", "evaluations"]
    for row in rows:
        headings += [f"{row}, printed", "ours"] if row in printed else [row]
    lines = []
    for method in methods:
        counts = {cell.value for row in rows if (cell := cells.get((method, f"{row}, evaluations"))) is not None}
        line = [method, " or ".join(f"{count:g}" for count in sorted(counts))]
        for row in rows:
            if row in printed:
                of_paper = cells.get((method, f"{row}, printed"))
                line.append("" if of_paper is None else f"{of_paper.value:.1f}")
            known = (method, f"{row}, evaluations") in cells
            line.append(_ours(cells.get((method, row)), cells.get((method, f"{row}, failed"))) if known else "")
        lines.append(line)
    text = markdown_table(headings, lines)
    claims = [(case, cell) for (case, quantity), cell in cells.items() if quantity == "gain"]
    if claims:
        told = [_claim(case, cell, cells) for case, cell in claims]
        text += "\n\n" + markdown_table(("claim of the paper", "printed gain", "ours", "p", ""), told, align="<>>><")
    return text


def _ours(cell: Measurement | None, failed: Measurement | None) -> str:
    lost = f"{failed.value:g} failed" if failed is not None and failed.value else ""
    if cell is None:
        return lost or "not done"
    text = f"{cell.value:.1f}" if cell.samples == 1 else with_spread(cell.value, cell.spread, places=2)
    return ", ".join(part for part in (f"{text} ({cell.samples})", lost) if part)


def _claim(case: str, gain: Measurement, cells: dict[tuple[str, str], Measurement]) -> tuple[str, ...]:
    printed, p = cells.get((case, "printed gain")), cells.get((case, "p"))
    ours = f"{gain.value:.2f}" if gain.samples == 1 else with_spread(gain.value, gain.spread, places=2)
    if p is None:
        verdict = "one seed"
    elif p.value >= LEVEL:
        verdict = "undecided"
    else:
        verdict = "holds" if gain.value > 0 else "the reverse"
    return (
        case,
        "" if printed is None else f"{printed.value:.1f}",
        f"{ours} ({gain.samples})",
        "" if p is None else f"{p.value:.2g}",
        verdict,
    )
