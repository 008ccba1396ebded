"""The documentation site leaves out no public name and no page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("sphinx")

from tools.site import api, mathml, playground

DOCS = Path(__file__).parents[2] / "docs"


def _names() -> set[str]:
    return {f"drawgrad.{area}.{name}" for area, module in api.public().items() for name in module.__all__}


class TestApi:
    def test_areas_are_those_that_a_program_imports(self) -> None:
        assert {"functional", "distributions", "variables", "estimators", "logic", "diagnostics"} <= set(api.public())
        assert not {"kernels", "cli", "_checks"} & set(api.public())

    def test_a_name_without_an_entry_is_noticed(self) -> None:
        names = _names()
        assert api.missing(names) == []
        assert api.missing(names - {"drawgrad.functional.gumbel_max"}) == ["drawgrad.functional.gumbel_max"]

    def test_pages_have_every_name(self, tmp_path: Path) -> None:
        api.write(tmp_path)
        entries = set()
        for area in api.public():
            text = (tmp_path / f"{area}.rst").read_text()
            entries |= {f"drawgrad.{area}.{name}" for name in re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE)}
        assert entries == _names()

    def test_pages_of_areas_that_are_gone_go(self, tmp_path: Path) -> None:
        (tmp_path / "gone.rst").write_text("gone")
        api.write(tmp_path)
        assert not (tmp_path / "gone.rst").exists()

    def test_areas_are_listed_with_what_they_are(self, tmp_path: Path) -> None:
        api.write(tmp_path)
        index = (tmp_path / "index.rst").read_text()
        assert ":doc:`drawgrad.schedules <schedules>`\n    Schedules for temperatures" in index

    def test_a_constant_has_its_own_text(self) -> None:
        assert "".join(api.text_of("drawgrad.playground.PAGE")).startswith("The folder of the page")
        assert api.text_of("drawgrad.playground.nothing") == []

    def test_claims_become_fields(self) -> None:
        lines = ["Estimates: the value", "at D.", "Bias: none.", "", "Plain: text."]
        api.claims(lines)
        assert lines == [":Estimates: the value", "    at D.", ":Bias: none.", "", "Plain: text."]


class TestFormulas:
    def test_have_no_command_left(self, caplog: pytest.LogCaptureFixture) -> None:
        found = mathml.markup(r"D = \arg\max_i (l_i + g_i)", "block")
        assert "\\" not in found
        assert "max" in found
        assert not caplog.records

    def test_a_command_that_is_unknown_is_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        mathml.markup(r"\nonsense x", "inline")
        assert [r"\nonsense" in record.getMessage() for record in caplog.records] == [True]


def test_the_playground_is_in_the_site_without_its_source(tmp_path: Path) -> None:
    page = playground.copy(tmp_path)
    files = {file.relative_to(page).as_posix() for file in page.rglob("*") if file.is_file()}
    text = (page / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="([\w./-]+\.(?:js|css))"', text))
    assert named
    assert named <= files
    assert not [name for name in files if name.endswith((".py", ".pyc"))]


def test_every_page_has_its_place_in_the_site() -> None:
    listed = {
        (index.parent / f"{name}.md").resolve()
        for index in DOCS.rglob("index.md")
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", index.read_text(), re.DOTALL | re.MULTILINE)
        for name in re.findall(r"^([\w/-]+)$", block, re.MULTILINE)
    }
    pages = {page.resolve() for page in DOCS.rglob("*.md")} - {DOCS / "index.md"}
    assert pages - listed == set()
