"""The record of a reproduced table as a page shows it, also of a part of its cells: figures, claims, what it took.

`drawgrad.studies.reproduction.record` tells what is in such a record.
"""

from __future__ import annotations

from drawgrad._tables import markdown_table, significant, with_spread
from drawgrad.studies.records import Measurement, Record
from drawgrad.studies.reproduction.significance import words_of

__all__ = ["cost", "printed_table", "published_table"]

Cells = dict[tuple[str, str], Measurement]


def published_table(record: Record) -> str:
    """The figures in Markdown: tables of methods, then one of claims, then what it took.

    Rows of the published table are columns here. Those with printed figures come first, the others stand in a table of
    their own. A cell that the table has and the record has no figure for is called not done.
    """
    cells = {(cell.case, cell.quantity): cell for cell in record.measurements}
    rows = _with(cells, ", evaluations")
    printed = [row for row in rows if row in _with(cells, ", printed")]
    others = [row for row in rows if row not in printed]
    parts = [_figures(cells, some, _methods(cells, some)) for some in (printed, others) if some]
    claims = _claims(cells)
    if claims:
        parts += ["Claims of the paper, by paired t-tests over seeds; p is corrected for their number (Holm).", claims]
    details = _details(cells, rows)
    return "\n\n".join([*parts, *([details] if details else []), cost(record)])


def printed_table(record: Record) -> str:
    """The cells that the paper prints, beside ours, and nothing else."""
    cells = {(cell.case, cell.quantity): cell for cell in record.measurements}
    rows = _with(cells, ", printed")
    methods = [method for method in _methods(cells, rows) if any((method, f"{row}, printed") in cells for row in rows)]
    return _figures(cells, rows, methods)


def cost(record: Record) -> str:
    """What the runs of a record took."""
    minutes = record.seconds / 60
    time = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.0f} minutes"
    return (
        f"The wall-clock times of all runs, those that chose learning rates included, sum to {time} ({record.device})."
    )


def _with(cells: Cells, ending: str) -> list[str]:
    found = (quantity for _, quantity in cells if quantity.endswith(ending))
    return list(dict.fromkeys(quantity.removesuffix(ending) for quantity in found))


def _methods(cells: Cells, rows: list[str]) -> list[str]:
    known = {f"{row}, evaluations" for row in rows}
    return list(dict.fromkeys(case for case, quantity in cells if quantity in known))


def _figures(cells: Cells, rows: list[str], methods: list[str]) -> str:
    printed = set(_with(cells, ", printed"))
    headings = ["", "evaluations a step"]
    for row in rows:
        headings += [f"{row}: printed", "ours"] if row in printed else [row]
    lines = []
    for method in methods:
        counts = sorted({int(cell.value) for row in rows if (cell := cells.get((method, f"{row}, evaluations")))})
        line = [method, " or ".join(map(str, counts))]
        for row in rows:
            if row in printed:
                cell = cells.get((method, f"{row}, printed"))
                line.append("" if cell is None else f"{cell.value:.1f}")
            line.append(_ours(cells, method, row))
        lines.append(line)
    return markdown_table(headings, lines)


def _ours(cells: Cells, method: str, row: str) -> str:
    if (method, f"{row}, evaluations") not in cells:
        return ""
    found, failed = cells.get((method, row)), cells.get((method, f"{row}, failed"))
    text = [] if found is None else [f"{_number(found)} ({found.samples})"]
    text += [f"{failed.value:.0f} failed"] if failed is not None and failed.value else []
    return ", ".join(text) or "not done"


def _number(cell: Measurement) -> str:
    return with_spread(cell.value, cell.spread) if cell.spread else significant(cell.value, 4)


def _claims(cells: Cells) -> str:
    lines = []
    for (case, quantity), gain in cells.items():
        if quantity != "gain":
            continue
        printed, p = cells.get((case, "printed gain")), cells.get((case, "p"))
        lines.append((
            case, "" if printed is None else f"{printed.value:.1f}", _number(gain), f"{gain.samples}",
            "" if p is None else f"{p.value:.2g}", words_of(gain.value, None if p is None else p.value),
        ))  # fmt: skip
    return markdown_table(("claim", "printed gain", "our gain", "seeds", "p", ""), lines, "<>>>><") if lines else ""


def _details(cells: Cells, rows: list[str]) -> str:
    lines = []
    for method in _methods(cells, rows):
        line = [method]
        for row in rows:
            rate, seconds = (cells.get((method, f"{row}, {what}")) for what in ("learning rate", "seconds"))
            line.append("" if rate is None or seconds is None else f"{rate.value:g}, {seconds.value:.0f} s")
        lines.append(line)
    rates = {cell.value for (_, quantity), cell in cells.items() if quantity.endswith(", learning rate")}
    if len(rates) < 2:
        return ""
    title = "Learning rates that were chosen, and the wall-clock time of a run, whatever else the machine did."
    return f"{title}\n\n{markdown_table(['', *rows], lines)}"
