"""Pages that teach say what is so: their code runs, shows what is written, and made the pictures beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.pages import PAGES, Page, stale


@pytest.mark.parametrize("file", PAGES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_page(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page.read(file)
    assert page.run() == []
    assert [picture.file.name for picture in page.pictures() if stale(picture)] == [], "run python -m tools.pages"


DRAWS = "```python\nfrom matplotlib import pyplot as plt\nplt.plot([1, 2])\n```\n\n![A line](line.png)\n"


class TestRunner:
    @pytest.mark.parametrize(
        "text",
        [
            "```python\n>>> 1 + 1\n3\n\n```\n",
            "```python\n>>> unknown\n\n```\n",
            DRAWS.replace("![A line](line.png)", ""),  # a figure that the page does not show
            DRAWS.replace("plt.plot([1, 2])", ""),  # a picture that the code before it does not make
        ],
    )
    def test_notices(self, text: str, tmp_path: Path) -> None:
        assert len(Page(text, tmp_path / "page.md").run()) == 1

    def test_code_that_fails_is_not_passed_over(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            Page("```python\n1 / 0\n```\n", tmp_path / "page.md").run()

    def test_blocks_share_their_names(self, tmp_path: Path) -> None:
        text = (
            "```python\nfrom dataclasses import dataclass\n\n@dataclass\nclass A:\n    x: int\n```\n"
            "```python\n>>> a = A(1)\n```\n```python\n>>> a\nA(x=1)\n```\n"
        )
        assert Page(text, tmp_path / "page.md").run() == []

    def test_pictures_know_the_code_that_made_them(self, tmp_path: Path) -> None:
        page = Page(DRAWS, tmp_path / "page.md")
        (picture,) = page.pictures()
        assert stale(picture)
        assert page.run(draw=True) == []
        assert not stale(picture)
        (other,) = Page(DRAWS.replace("[1, 2]", "[2, 1]"), tmp_path / "page.md").pictures()
        assert other.file == picture.file
        assert stale(other)

    def test_a_page_without_code_has_nothing_wrong(self, tmp_path: Path) -> None:
        assert Page("Words.", tmp_path / "page.md").run() == []

    def test_other_pictures_are_left_alone(self, tmp_path: Path) -> None:
        assert Page("![A cat](cat.png)\n\n```python\n>>> 1\n1\n```\n", tmp_path / "page.md").pictures() == []
