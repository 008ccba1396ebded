"""The page in a real browser: what it shows, how keys move it, and that nothing goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from drawgrad.functional import gumbel_max, gumbel_softmax
from drawgrad.playground import PAGE
from tests.playground.browser import Browser

NAMELESS = """[
  ...[...document.querySelectorAll("input, select, button")].filter((e) => !e.labels?.length && !e.textContent.trim()),
  ...[...document.querySelectorAll("svg, canvas")].filter((e) => e.role !== "img" || !e.ariaLabel),
].map((e) => e.outerHTML.slice(0, 99))"""
"""What a screen reader could not name."""
PAINTED = """(() => {
  const canvas = document.querySelector("#simplex canvas"), copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, copy.width, copy.height).data.filter((value, i) => i % 4 === 3 && value).length;
})()"""
"""How many pixels of the simplex have a colour."""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Browser]:
    """The page, just opened; whatever the console said after the test is a failure."""
    browser.open(address)
    yield browser
    assert browser.complaints() == []


def set_to(page: Browser, name: str, value: object, event: str = "input") -> None:
    page.evaluate(
        f"(() => {{ const field = document.getElementById('{name}'); field.value = '{value}'; "
        f"field.dispatchEvent(new Event('{event}', {{ bubbles: true }})); }})()"
    )
    page.settle()


def bars(page: Browser) -> torch.Tensor:
    """The numbers below the bars: a row for each class, the first column is that of the dial."""
    return torch.tensor(page.evaluate(
        "[...document.querySelectorAll('#bars tbody tr')].map((row) => [...row.querySelectorAll('td')]"
        ".map((cell) => Number(cell.textContent)))"
    ))  # fmt: skip


class TestValues:
    def test_are_those_of_the_library(self, page: Browser) -> None:
        set_to(page, "classes", 5, "change")
        set_to(page, "logit-3", 1.3)
        set_to(page, "seed", -12345)
        set_to(page, "tau", 1)
        logits = torch.tensor([1.0, 0.5, -0.5, 1.3, 0.8], dtype=torch.float64)
        shown = [gumbel_softmax(logits, tau=2.0, seed=-12345), gumbel_softmax(logits, hard=True, seed=-12345)]
        shown += [gumbel_softmax(logits, tau=tau, seed=-12345) for tau in (0.1, 0.3, 1.0, 3.0, 10.0)]
        torch.testing.assert_close(bars(page), torch.stack(shown, -1).float(), rtol=0, atol=5.1e-5)
        said = page.evaluate("document.getElementById('said').textContent")
        assert said == f"Seed -12345: class {gumbel_max(logits, seed=-12345)} is drawn."

    def test_the_lines_of_python_draw_them(self, page: Browser) -> None:
        code = page.evaluate("document.getElementById('python').textContent")
        names: dict[str, Any] = {}
        exec(code, names)
        claimed = re.search(r"# \[(.*)\]", code)
        assert claimed is not None
        expected = torch.tensor([float(number) for number in claimed[1].split(",")], dtype=torch.float64)
        torch.testing.assert_close(names["y"], expected, rtol=0, atol=5.1e-5)
        torch.testing.assert_close(names["points"][0], names["y"])
        torch.testing.assert_close(bars(page)[:, 0].double(), expected, rtol=0, atol=5.1e-5)

    def test_a_seed_that_is_none_is_refused_in_words(self, page: Browser) -> None:
        before = bars(page)
        for wrong in ("1.5", 2**64, "seven", ""):
            set_to(page, "seed", wrong)
            assert "must be an integer" in page.evaluate("document.getElementById('seed-error').textContent")
            assert page.evaluate("document.getElementById('seed').getAttribute('aria-invalid')") == "true"
            assert torch.equal(bars(page), before)
        set_to(page, "seed", 8)
        assert page.evaluate("document.getElementById('seed-error').textContent") == ""
        assert not torch.equal(bars(page), before)

    @pytest.mark.parametrize(("given", "classes"), [(1, 3), (99, 10), ("", 3), (4.4, 4)])
    def test_the_number_of_classes_stays_in_its_range(self, given: object, classes: int, page: Browser) -> None:
        set_to(page, "classes", given, "change")
        assert len(bars(page)) == classes
        assert page.evaluate("document.getElementById('classes').value") == str(classes)


class TestKeys:
    def test_reach_every_control_in_order(self, page: Browser) -> None:
        reached = []
        for _ in range(14):
            page.press("Tab", 9)
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName.toLowerCase()"))
        controls = ["a", "theme", "tau", "seed", "again", "classes", "even", "logit-0", "logit-1", "logit-2"]
        assert reached[: len(controls)] == controls

    def test_turn_the_temperature(self, page: Browser) -> None:
        before = bars(page)
        page.evaluate("document.getElementById('tau').focus()")
        page.press("ArrowRight", 39)
        assert page.evaluate("document.getElementById('tau').getAttribute('aria-valuetext')") == "0.518"
        after = bars(page)
        assert not torch.equal(after[:, 0], before[:, 0])
        assert torch.equal(after[:, 1:], before[:, 1:])

    def test_draw_again(self, page: Browser) -> None:
        page.evaluate("document.getElementById('again').focus()")
        page.press("Enter", 13, "\r")
        assert page.evaluate("document.getElementById('seed').value") == "8"

    def test_type_a_seed(self, page: Browser) -> None:
        page.evaluate("document.getElementById('seed').select()")
        page.type("41")
        assert page.evaluate("document.getElementById('said').textContent").startswith("Seed 41:")


class TestPictures:
    def test_the_points_are_those_of_the_library(self, page: Browser) -> None:
        set_to(page, "tau", -3)
        points = gumbel_softmax(torch.tensor([1.0, 0.5, -0.5], dtype=torch.float64).expand(5000, 3), tau=0.125, seed=7)
        near = f"{100 * (points.amax(-1) > 0.95).double().mean():.1f} %"
        assert near in page.evaluate("document.querySelector('#simplex canvas').ariaLabel")
        won = page.evaluate(
            "[...document.querySelectorAll('#simplex tbody tr')].map((row) => row.lastChild.textContent)"
        )
        assert won == [
            f"{share:.3f}" for share in (points.argmax(-1, keepdim=True) == torch.arange(3)).double().mean(0)
        ]
        painted = page.evaluate(PAINTED)
        for layer in ("show-points", "show-density"):
            page.evaluate(f"document.getElementById('{layer}').click()")
            page.settle()
            now = page.evaluate(PAINTED)
            assert now < painted
            painted = now

    def test_straight_through(self, page: Browser) -> None:
        logits = torch.tensor([1.0, 0.5, -0.5], dtype=torch.float64)
        target = torch.tensor([0.2, 0.45, 0.35], dtype=torch.float64)
        every = logits.expand(5000, 3).clone().requires_grad_()
        z = gumbel_softmax(every, tau=0.5, hard=True, seed=7)
        (gradient,) = torch.autograd.grad((z - target).square().sum(), every)
        rows = "[...document.querySelectorAll('#straight tbody tr')]"
        cells = f"{rows}.map((row) => [4, 5].map((i) => row.cells[i].textContent))"
        shown = [
            [f"{value:.3f}".replace("-", "−") for value in pair]
            for pair in zip(gradient[0], gradient.mean(0), strict=True)
        ]
        assert page.evaluate(cells) == shown

    def test_the_cost_decides_which_estimators_there_are(self, page: Browser) -> None:
        rows = "[...document.querySelectorAll('#dial tbody th')].map((cell) => cell.textContent)"
        options = "[...document.querySelectorAll('#estimator option')].map((option) => option.textContent)"
        assert len(page.evaluate(rows)) == len(page.evaluate(options)) == 5
        set_to(page, "kind", "table", "change")
        assert page.evaluate(rows) == page.evaluate(options) == ["Reinforce"]
        assert "no slope" in page.evaluate("document.getElementById('straight').textContent")

    def test_a_training_runs_to_its_end_or_until_it_is_stopped(self, page: Browser) -> None:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
        page.evaluate("document.getElementById('train').click()")
        page.wait_for("document.getElementById('lesson-said').textContent !== ''")
        assert page.evaluate("document.getElementById('lesson-said').textContent").startswith("After 400 steps with ST")
        assert page.evaluate("document.querySelectorAll('#lesson svg').length") == 3
        page.call("Emulation.setEmulatedMedia", features=[])
        page.evaluate("document.getElementById('train').click()")
        page.settle()
        page.evaluate("document.getElementById('stop').click()")
        assert page.evaluate("document.getElementById('stop').disabled")

    def test_each_wrong_answer_is_told_why(self, page: Browser) -> None:
        for number in range(4):
            page.evaluate(f"document.querySelectorAll('#quiz input[name=question-0]')[{number}].click()")
            reason = page.evaluate("document.getElementById('reason-0').textContent")
            assert reason.startswith("Right." if number == 1 else "Not so. ")


class TestReading:
    def test_every_control_and_picture_has_a_name(self, page: Browser) -> None:
        nameless = page.evaluate(NAMELESS)
        assert nameless == []
        assert page.evaluate("document.querySelectorAll('input, button').length") >= 9

    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("width", [1200, 360])
    def test_nothing_is_wider_than_the_screen(self, width: int, dark: bool, browser: Browser, address: str) -> None:
        browser.open(address, width, 800, dark)
        set_to(browser, "classes", 10, "change")
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate("document.documentElement.classList.contains('dark')") is dark
        browser.evaluate("document.getElementById('theme').click()")
        assert browser.evaluate("document.documentElement.classList.contains('dark')") is not dark
        assert browser.complaints() == []


class TestAlone:
    def test_it_asks_nobody_else(self, page: Browser, address: str) -> None:
        asked = {sent for sent in page.requests() if not sent.startswith("data:")}
        assert asked
        assert all(sent.startswith(address) for sent in asked if sent.startswith("http"))

    def test_it_opens_without_a_server(self, browser: Browser) -> None:
        browser.open((PAGE / "index.html").as_uri())
        assert bars(browser).shape == (3, 7)
        assert browser.complaints() == []

    def test_what_goes_wrong_is_noticed(self, browser: Browser, address: str) -> None:
        browser.open(address)
        browser.evaluate(
            "setTimeout(() => { throw new Error('on purpose') }); new Promise((done) => setTimeout(done, 20))"
        )
        assert any("on purpose" in complaint for complaint in browser.complaints())
        browser.forget()
