"""A kind of variable that is registered outside the package is compared and recommended for like any other."""

from __future__ import annotations

import pytest
import torch

from drawgrad.diagnostics import candidates, compare, recommend
from drawgrad.diagnostics.monitoring import Monitor
from drawgrad.estimators import Exact, IndeCateR, LeaveOneOut, Reinforce, UnorderedSet
from tests.estimators.scores import WrongScore
from tests.variables.own_kind import TwoOfFour
from tests.variables.test_own_kind import FITTING, SCORES, cost, expected


def seeds() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_compare_holds_it_against_enumeration() -> None:
    exact = expected(lambda p, f: (p * f).sum())[1]
    listed = [Exact(), IndeCateR(), LeaveOneOut(), Reinforce(), UnorderedSet(samples=3), WrongScore()]
    report = compare(listed, cost, TwoOfFour(SCORES), draws=8000, resolution=0.2, generator=seeds())
    assert report.reference == "the exact gradient, by enumeration"
    assert report.reference_norm.value == pytest.approx(float(exact.norm()), rel=1e-9)
    assert report.parameters == 12
    verdicts = {row.name: row.verdict for row in report.rows}
    assert verdicts.pop("WrongScore") == "biased"
    assert set(verdicts.values()) == {"none seen"}
    assert report["Exact"].evaluations == 36


def test_compare_draws_the_reference_where_states_are_many() -> None:
    q = TwoOfFour(SCORES[:1].expand(8, 6).clone())
    report = compare([Reinforce()], lambda z: z[..., 0].sum(-1), q, draws=500, generator=seeds())
    assert report.reference == "the mean of 2000 gradients of LeaveOneOut(samples=16)"
    assert report.rows[0].verdict != "biased"


def test_recommend_ranks_what_fits() -> None:
    found = recommend(cost, TwoOfFour(SCORES), evaluations=36, draws=200, generator=seeds())
    assert isinstance(found.best, Exact)
    names = {type(place.estimator).__name__ for place in found.ranking}
    assert names == set(FITTING) - {"Vimco"}
    assert {type(one).__name__ for one in candidates(cost, TwoOfFour(SCORES))} == names


def test_the_monitor_reads_it() -> None:
    monitor = Monitor(every=1)
    scores = SCORES.expand(40, 2, 6).clone().requires_grad_()
    q = TwoOfFour(scores)
    monitor.observe(0, q)
    Exact()(cost, q).sum().backward()
    assert {"entropy", "perplexity", "saturated", "dead_classes", "gradient"} <= set(monitor.figures)
