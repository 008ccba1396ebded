"""How reports look: text, markdown, JSON, and the digits of their numbers."""

from __future__ import annotations

import json
import math

import pytest
import torch
from matplotlib.figure import Figure
from torch.distributions import Bernoulli

from drawgrad.diagnostics import Estimate, Report, Verdict, compare
from drawgrad.estimators import Exact, LeaveOneOut, STGumbelSoftmax, StraightThrough, Vimco
from tests.diagnostics.comparison.rows import REPORT, row


class TestText:
    def test_is_a_table_whose_columns_are_aligned(self) -> None:
        lines = REPORT.text().splitlines()
        assert len({line.index("0.500") for line in lines[2:5]}) == 1
        assert lines[2].startswith("A(tau=0.5)  ")
        assert "0.123 ± 0.006" in lines[2]
        assert "none (< 0.20)" in lines[3]
        assert "? (< 0.20)" in lines[4]
        assert lines[4].endswith("25.0 µs")
        assert str(REPORT) == REPORT.text()

    def test_fits_a_terminal(self) -> None:
        q = Bernoulli(logits=torch.zeros(2))
        listed = [StraightThrough(), LeaveOneOut(samples=4), STGumbelSoftmax(tau=0.3), Exact(), Vimco()]
        report = compare(listed, lambda z: z.sum(-1) ** 2, q, draws=400, generator=torch.Generator().manual_seed(0))
        assert max(map(len, report.text().splitlines())) <= 100

    def test_says_what_the_reference_is(self) -> None:
        assert "Reference: the exact gradient, by enumeration, of length 1.25.\n" in REPORT.text()
        drawn = Report(REPORT.rows, "the mean of 400 gradients of X", Estimate(1.25, 0.04), 12, 1000, 0.1)
        assert "the mean of 400 gradients of X, of length 1.25, off by about 0.0400.\n" in drawn.text()

    @pytest.mark.parametrize("verdict", ["not finite", "other objective"])
    def test_of_rows_without_a_bias(self, verdict: Verdict) -> None:
        assert verdict in Report((row("A", verdict),), "r", Estimate(1.0, 0.0), 1, 2, 0.1).text()

    def test_holds_no_distances_of_another_objective(self) -> None:
        q = Bernoulli(logits=torch.zeros(2))
        report = compare([Vimco(), LeaveOneOut()], lambda z: z.sum(-1) ** 2, q, draws=100)
        line, other = report.text().splitlines()[2:4]
        assert line.split()[:3] == ["Vimco", "other", "objective"]
        assert line.count(" - ") == 2
        assert other.count(" - ") == 0
        assert report.note().endswith("Other objective: Vimco has the gradient of a multi-sample bound.")
        assert json.loads(report.json())["rows"][0]["cosine"] == {"value": None, "error": None}
        axes = Figure().add_subplot()
        report.plot(axes)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["LeaveOneOut"]


class TestMarkdown:
    def test_is_a_table(self) -> None:
        lines = REPORT.markdown().splitlines()
        assert lines[0].startswith("| estimator | bias | variance |")
        assert lines[1] == "| --- |" + " ---: |" * 7
        assert lines[2].count("|") == 9
        assert REPORT.note() in REPORT.markdown()


class TestJson:
    def test_holds_everything(self) -> None:
        found = json.loads(REPORT.json())
        assert found["reference_norm"] == {"value": 1.25, "error": 0.0}
        assert [item["name"] for item in found["rows"]] == ["A(tau=0.5)", "B", "Longer name"]
        assert found["rows"][0]["variance"] == {"value": 1.5, "error": 0.03}
        assert found["rows"][1]["verdict"] == "none seen"

    def test_has_null_for_what_is_not_finite(self) -> None:
        report = compare([Exact()], lambda z: z.sum(-1), Bernoulli(logits=torch.zeros(2)))
        assert report.rows[0].signal_to_noise == math.inf
        assert json.loads(report.json())["rows"][0]["signal_to_noise"] is None


def test_the_rows_of_a_real_comparison_render() -> None:
    q = Bernoulli(logits=torch.zeros(2))
    report = compare([StraightThrough(), LeaveOneOut()], lambda z: z.sum(-1) ** 2, q, draws=100)
    assert len(report.text().splitlines()) == 2 + 2 + 5
