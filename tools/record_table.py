"""All committed records: what each one measured, which command repeats it, and which pages show it."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import RESULTS, ROOT
from drawgrad._tables import markdown_table
from drawgrad.studies.records import read

__all__ = ["records"]

DOCS = ROOT / "docs"
SHOWN = re.compile(r"<!-- (?:record|published): ([\w-]+) -->")


def records(folder: Path = RESULTS) -> str:
    """Markdown: a row for each record, for a page of the folder docs/."""
    pages: dict[str, list[Path]] = {}
    for page in sorted(DOCS.rglob("*.md")):
        for name in SHOWN.findall(page.read_text()):
            pages.setdefault(name, []).append(page)
    rows = []
    for file in sorted(folder.glob("*.json")):
        record = read(file)
        shown = ", ".join(f"[{_title(page)}]({page.relative_to(DOCS).as_posix()})" for page in pages.get(file.stem, ()))
        title = record.title.replace("|", "\\|")  # else it would end the cell
        rows.append((title, shown or "the file alone", record.device, record.date, f"`{record.command}`"))
    return f"\n{markdown_table(('measured', 'shown in', 'on', 'day', 'again'), rows, '<')}\n"


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].removeprefix("# ")
