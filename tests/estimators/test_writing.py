"""Estimators of a user's own, from public names only: those of the docs page, whose contract the suite checks."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from importlib import import_module

import pytest
import torch
from torch.distributions import OneHotCategorical

from drawgrad.diagnostics import recommend
from drawgrad.estimators import ESTIMATORS, ReinMax, register
from drawgrad.estimators.registry import LISTED
from tests.estimators.from_docs import PAGE, definitions, examples, source


@pytest.fixture
def _same_list_afterwards() -> Iterator[None]:
    before = dict(LISTED)
    yield
    LISTED.clear()
    LISTED.update(before)


def test_the_page_runs_and_shows_what_is_written() -> None:
    test = doctest.DocTestParser().get_doctest(examples(), dict(definitions()), PAGE.name, str(PAGE), 0)
    flags = doctest.ELLIPSIS
    assert doctest.DocTestRunner(verbose=False, optionflags=flags).run(test).failed == 0


def test_the_page_takes_public_names_only() -> None:
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drawgrad")
        for alias in node.names
    ]
    assert {module for module, _ in imported} == {"drawgrad.estimators", "drawgrad.variables"}
    for module, name in imported:
        assert name in import_module(str(module)).__all__


@pytest.mark.usefixtures("_same_list_afterwards")
def test_a_registered_estimator_is_considered_and_named() -> None:
    cls = definitions()["SelfCritical"]
    assert register(cls) is cls
    assert ESTIMATORS["SelfCritical"] is cls
    with pytest.raises(TypeError, match=r"ReinMax takes .*take it: .*SelfCritical"):
        ReinMax()(lambda z: z, torch.distributions.Categorical(logits=torch.zeros(3)))
    q = OneHotCategorical(logits=torch.zeros(3))
    found = recommend(lambda z: z.argmax(-1).float() ** 2, q, evaluations=8, draws=200)
    assert "SelfCritical" in {row.name.partition("(")[0] for row in found.report.rows}


@pytest.mark.usefixtures("_same_list_afterwards")
def test_a_name_that_is_taken_is_refused() -> None:
    other = type("ReinMax", (ReinMax,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match=r"must be its own, but ReinMax is taken by drawgrad\.estimators"):
        register(other)


def test_at_sets_the_temperature_that_is_declared() -> None:
    for cls in ESTIMATORS.values():
        estimator = cls()
        if estimator.temperature is None:
            with pytest.raises(TypeError, match=f"{cls.__name__} has no temperature to set"):
                estimator.at(0.3)
        else:
            assert getattr(estimator.at(0.3), estimator.temperature) == 0.3
            assert getattr(estimator, estimator.temperature) != 0.3
