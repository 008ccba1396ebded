"""Formulas as MathML, which browsers show by themselves: no script, no fonts, no network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

__all__ = ["markup", "setup"]

UNKNOWN = re.compile(r"\\[A-Za-z]+")
"""A command of TeX that is still one, where a reader would see it."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer Sphinx the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def markup(formula: str, display: str, node: nodes.Node | None = None) -> str:
    """A formula in MathML; a command that the converter does not know is a warning, which fails the build.

    Args:
        formula: in TeX.
        display: ``"inline"`` or ``"block"``.
        node: where it stands.
    """
    found = convert(formula.replace(r"\arg", r"\mathrm{arg}\,"), display=display)
    for command in UNKNOWN.findall(found):
        logging.getLogger(__name__).warning(
            "the formula %s has the unknown command %s", formula, command, location=node
        )
    return found


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(markup(node.astext(), "inline", node))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{markup(node.astext(), "block", node)}</div>\n')
    raise nodes.SkipNode
