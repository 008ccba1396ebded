"""Settings of the documentation site: `make docs` builds it into build/docs."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import jaxtyping  # noqa: E402, F401  before drawgrad, whose shape annotations are real only then

from tools.site import api  # noqa: E402

project = "drawgrad"
author = "The drawgrad developers"
copyright = author
release = importlib.metadata.version("drawgrad")
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "tools.site.api",
    "tools.site.mathml",
    "tools.site.playground",
]

exclude_patterns = ["_build"]
nitpicky = True
# The objects of other packages would need their inventories, and a build needs no network.
TYPE_VARIABLES = r"drawgrad\.\w+\.registry\.\w+"
nitpick_ignore_regex = [(r"py:.*", r"(?!drawgrad\.).*"), (r"py:class", TYPE_VARIABLES)]
suppress_warnings = ["myst.header"]  # pages begin with a title and go on at any level

myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "python"

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "drawgrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "source_repository": "",
}

api.write(Path(__file__).parent / "api")
