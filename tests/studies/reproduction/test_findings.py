"""What is made of runs: means, standard errors, verdicts on claims, a table, a figure, a record."""

from __future__ import annotations

import pytest

from drawgrad.studies.records import provenance
from drawgrad.studies.reproduction import Findings, RunResult
from drawgrad.studies.reproduction.significance import holm
from tests.studies.reproduction.small import TABLE

RUNS = {
    ("SBN", "relaxed"): (30.0, 30.2, 30.1),
    ("SBN", "ST"): (31.0, 31.1, 31.05),
    ("VAE", "relaxed"): (40.0, 41.0, 42.0),
    ("VAE", "ST"): (40.5, 40.5, 42.5),
    ("VAE", "ours"): (39.0,),
}
ORIGIN = vars(provenance())


def findings(runs=RUNS, failed=()) -> Findings:
    results = [
        RunResult(row, column, seed, 0.01, value, 0.1, 60.0, key=f"{row} {column} {seed}", origin=ORIGIN)
        for (row, column), values in runs.items()
        for seed, value in enumerate(values)
    ]
    results += [RunResult(row, column, 9, 0.01, failure="out of memory") for row, column in failed]
    return Findings(TABLE, "two epochs", TABLE.cells, tuple(results))


def test_the_table_has_printed_figures_beside_means_standard_errors_and_seeds():
    found = findings(failed=[("SBN", "ours")])
    assert found.header() == ("", "evaluations", "SBN, printed", "ours", "VAE, printed", "ours")
    assert found.lines() == [
        ["relaxed", "1", "30.0", "30.10 ± 0.06 (3)", "30.0", "41.0 ± 0.6 (3)"],
        ["ST", "1", "31.0", "31.05 ± 0.03 (3)", "31.0", "41.2 ± 0.7 (3)"],
        ["ours", "2 or 4", "", "1 failed", "", "39.0 (1)"],
    ]
    assert found.seconds() == 13 * 60
    partial = findings({("SBN", "ST"): (31.0,)})
    assert [line[-3:] for line in partial.lines()] == [
        ["not done", "30.0", "not done"], ["31.0 (1)", "31.0", "not done"], ["not done", "", "not done"],
    ]  # fmt: skip


def test_a_claim_is_tested_in_pairs_of_seeds_and_corrected_for_the_number_of_claims():
    sure, unsure = findings().verdicts()
    assert (sure.words, unsure.words) == ("holds", "undecided")
    assert (sure.gain, sure.printed, sure.seeds) == (pytest.approx(0.95), 1.0, 3)
    # t = 0.95 / (0.05 / sqrt(3)) with two degrees of freedom.
    assert sure.p == pytest.approx(0.000922, rel=0.01)
    assert sure.corrected == pytest.approx(2 * sure.p)
    assert (unsure.gain, unsure.printed) == (pytest.approx(-1 / 6), -1.0)


def test_a_claim_may_be_reversed_or_rest_on_one_seed():
    reverse = findings(RUNS | {("SBN", "ST"): (28.0, 28.1, 28.2)}).verdicts()[0]
    assert reverse.words == "the reverse"
    assert reverse.gain < 0
    single = findings({key: values[:1] for key, values in RUNS.items()}).verdicts()[0]
    assert (single.words, single.p) == ("one seed", None)
    assert not findings({("SBN", "ST"): (1.0, 2.0)}).verdicts()


def test_seeds_that_only_one_of_them_has_do_not_count():
    shorter = findings(RUNS | {("SBN", "relaxed"): (30.0, 30.2)}).verdicts()[0]
    assert shorter.seeds == 2


def test_holm_multiplies_the_least_p_by_all_and_keeps_the_order():
    assert holm([0.5, 0.01, 0.02]) == pytest.approx([0.5, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([None]) == [None]


def test_a_figure_has_a_panel_for_each_row_with_a_run():
    from matplotlib.figure import Figure

    def titles(runs) -> list[str]:
        figure = Figure()
        findings(runs).page().draw(figure)
        return [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes if axes.get_visible()]

    assert len(titles(RUNS)) == 2
    assert titles({("VAE", "ST"): (1.0, 2.0)}) == ["VAE"]
    assert titles({}) == titles(RUNS)


def test_a_page_has_a_figure_and_the_claims_in_words(tmp_path):
    found = findings()
    page = found.page()
    assert "A note of two lines. Protocol: two epochs." in page.note
    assert page.save(tmp_path).read_bytes().startswith(b"\x89PNG")
    claims = found.claims().splitlines()
    assert " ".join(claims[-2].split()) == "SBN: relaxed beats ST 1.0 0.95 ± 0.03 3 0.0018 holds"
