"""The tree of the package, each room with the first line of its docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["tree"]

SOURCE = Path(__file__).parents[1] / "src" / "drawgrad"
WIDTH = 44
"""Column at which the explanations begin."""


def tree(root: Path = SOURCE) -> str:
    """Markdown: folders and files of the package, annotated by their own first lines."""
    lines = [_line("", f"{root.name}/", _first_line(root / "__init__.py")), *_below(root, "  ")]
    return "\n```text\n" + "\n".join(lines) + "\n```\n"


def _below(folder: Path, indent: str) -> Iterator[str]:
    rooms = [path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    for path in sorted(rooms, key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir():
            yield _line(indent, f"{path.name}/", _first_line(path / "__init__.py"))
            yield from _below(path, indent + "  ")
        elif path.name != "__init__.py":
            yield _line(indent, path.name, _first_line(path))


def _line(indent: str, name: str, text: str) -> str:
    return f"{indent + name:{WIDTH}}{text}"


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n")[0].rstrip(".")
