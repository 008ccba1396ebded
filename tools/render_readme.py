"""Write the tables of README.md and docs/ from the records of ``results/`` and from the source.

python -m tools.render_readme           # rewrite what is between the comments
python -m tools.render_readme --check   # change nothing; exit code 1 if the text is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import RESULTS, ROOT
from drawgrad._tables import markdown_table
from drawgrad.studies.records import Record, read, tabulated
from tools.estimator_table import claims, ideas, structures
from tools.layers import layers
from tools.published_table import printed_table, published_table
from tools.record_table import records
from tools.tree import tree

__all__ = ["main", "render", "table"]

BLOCK = re.compile(
    r"(<!-- (?P<kind>record|published|printed|made): (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL
)
MADE = {
    "claims": claims,
    "ideas": ideas,
    "layers": layers,
    "records": records,
    "structures": structures,
    "tree": tree,
}
"""What is made from the source: declarations of the estimators, layers and tree of the package."""
NOT_DONE = "\nNot done yet.\n"
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def render(text: str, folder: Path) -> str:
    """The text with every table that it names."""

    def replace(found: re.Match[str]) -> str:
        name = found["name"]
        match found["kind"]:
            case "record" | "published" | "printed" as kind:
                path = folder / f"{name}.json"
                # Tables of papers stand on a page before they are trained; any other name without a record is mistyped.
                inside = NOT_DONE if kind != "record" and not path.exists() else SHOWN[kind](read(path))
            case _:
                inside = MADE[name]()
        return found[1] + inside + found[4]

    return BLOCK.sub(replace, text)


def table(record: Record) -> str:
    """A record in Markdown: title, one row for each case, and the circumstances."""
    return _shown(record, markdown_table(*tabulated(record.measurements)))


def _shown(record: Record, body: str) -> str:
    return f"\n{record.title}\n\n{body}\n\n{_circumstances(record)}\n"


def _circumstances(record: Record) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    samples = sorted({cell.samples for cell in record.measurements})
    times = f"{samples[0]}" if len(samples) == 1 else f"{samples[0]} to {samples[-1]}"
    commit = record.commit + ("" if record.clean else " with changes")
    return (
        f"<sub>± {record.spread}, n = {times}. {record.device}, CPU threads: {record.threads}; {versions}; "
        f"commit {commit}, {record.date}. `{record.command}`</sub>"
    )


SHOWN: dict[str, Callable[[Record], str]] = {
    "record": table,
    "published": lambda record: _shown(record, published_table(record)),
    "printed": lambda record: _shown(record, printed_table(record)),
}
"""What is made of a record: its table, that of a published one with all that is known of it, or its printed cells."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(description="Write the tables of README.md and docs/ anew.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a text is not up to date")
    parser.add_argument("--file", type=Path, action="append", help="a text (default: README.md and the pages of docs/)")
    parser.add_argument("--records", type=Path, default=RESULTS, help="folder of the records (default: results)")
    chosen = parser.parse_args(arguments)
    old = 0
    for file in chosen.file or TEXTS:
        text = file.read_text()
        rendered = render(text, chosen.records)
        if not chosen.check:
            file.write_text(rendered)
        elif rendered != text:
            print(f"{file} does not show what is so; run: python -m tools.render_readme", file=sys.stderr)
            old = 1
    return old


if __name__ == "__main__":
    sys.exit(main())
