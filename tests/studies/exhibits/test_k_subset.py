"""The exhibit of subsets: errors that are known, and what averaging does to them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from drawgrad.studies.exhibits.k_subset import AVERAGED, CHOSEN, CLASSES, SETS, Measured, Subsets, measure


@pytest.fixture(scope="module")
def found() -> Measured:
    return measure(0, 2000, (2, 8))


def test_of_reinforce_is_the_exact_variance(found: Measured) -> None:
    """By enumeration, written apart from the package, of the same vectors."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    vectors = torch.randn(CLASSES, 2, generator=generator, dtype=torch.float64)
    target = vectors[logits.argsort()[:CHOSEN]].sum(0)
    sets = torch.tensor(list(itertools.combinations(range(CLASSES), CHOSEN)))
    z = torch.zeros(len(sets), CLASSES, dtype=torch.float64).scatter(1, sets, 1.0)
    p = (z @ logits).softmax(0)
    costs = (z @ vectors - target).square().sum(1)
    gradients = costs[:, None] * (z - p @ z)
    exact = p @ gradients
    variance = float(p @ (gradients - exact).square().sum(1))
    point = found.averaged["REINFORCE"][""]
    assert found.norm == pytest.approx(float(exact.norm()))
    assert abs(point.variance.value - variance) < 5 * point.variance.error < 0.5 * variance
    for count in found.counts:
        assert found.error("REINFORCE", count)[1].value == pytest.approx(point.variance.value / count / found.norm**2)


def test_who_claims_no_bias_shows_none_and_the_others_do(found: Measured) -> None:
    assert not found.averaged["REINFORCE"][""].biased
    assert not any(point.biased for of in found.sets.values() for point in of.values())
    for name in ("SIMPLE", "ST Gumbel-top-k", "I-MLE"):
        assert any(point.biased for point in found.averaged[name].values())


def test_more_noise_and_central_differences_take_bias_from_i_mle(found: Measured) -> None:
    bias = {name: [point.bias_squared.value for point in found.averaged[name].values()] for name in found.averaged}
    assert min(bias["I-MLE, central"]) < 0.3 * min(bias["I-MLE"])


def test_counts_evaluations_alike(found: Measured) -> None:
    assert {point.evaluations for of in found.averaged.values() for point in of.values()} == {1}
    for of in found.sets.values():
        assert {count: point.evaluations for count, point in of.items()} == {2: 2, 8: 8}


def test_the_marginals_beat_a_score_function_at_few_evaluations(found: Measured) -> None:
    for other in ("REINFORCE", *SETS):
        assert found.error("SIMPLE", 2)[1].value < 0.2 * found.error(other, 2)[1].value


def test_more_evaluations_prefer_less_bias(found: Measured) -> None:
    def bias(count: int) -> float:
        setting, _, _ = found.error("ST Gumbel-top-k", count)
        return found.averaged["ST Gumbel-top-k"][setting].bias_squared.value

    assert bias(1000) < bias(1)
    assert found.error("SIMPLE", 1000)[2] > 0.9


def test_the_page_has_a_row_for_each_estimator(tmp_path: Path) -> None:
    recipe = Subsets(draws=400, counts=(2, 4))
    page = recipe.page(json.loads(json.dumps(recipe.run(0, tmp_path, lambda message: None))))
    assert [row[0] for row in page.rows] == [*AVERAGED, *SETS]
    assert {len(row) for row in page.rows} == {len(page.headings)}
    assert page.save(tmp_path).stat().st_size > 10_000
