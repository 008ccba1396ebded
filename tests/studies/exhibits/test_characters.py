"""The exhibit of continuations without replacement."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from drawgrad.studies.data.text import Text
from drawgrad.studies.engine import Job, run
from drawgrad.studies.exhibits import characters
from drawgrad.studies.exhibits.characters import ESTIMATES, Characters, CharactersRecipe, Continuations, estimates
from drawgrad.studies.tasks.characters import CharacterModel
from tests.statistics import assert_mean

SYMBOLS, LENGTH = 3, 3


@pytest.fixture
def place() -> Continuations:
    model = CharacterModel(SYMBOLS, 6)
    context = torch.tensor([[0, 2, 1, 1]])
    with torch.no_grad():
        return Continuations(model, model.read(context[:, :-1]), context[:, -1], LENGTH, temperature=0.2)


@torch.no_grad()
def listed(place: Continuations) -> dict[tuple[int, ...], float]:
    """The log-probability of each continuation, from the model's logits for whole texts."""
    found = {}
    for tokens in itertools.product(range(SYMBOLS), repeat=LENGTH):
        text = torch.tensor([[0, 2, 1, 1, *tokens]])
        log_p = (place.model(text)[0].double() / place.temperature).log_softmax(-1)
        found[tokens] = sum(float(log_p[3 + n, token]) for n, token in enumerate(tokens))
    return found


def entropy(place: Continuations) -> float:
    return -sum(math.exp(log_p) * log_p for log_p in listed(place).values())


@torch.no_grad()
def test_the_entropy_is_that_of_the_listed_continuations(place: Continuations) -> None:
    assert place.entropy() == pytest.approx(entropy(place), rel=1e-5)


@torch.no_grad()
def test_continuations_have_their_probabilities_and_the_entropies_of_their_steps(place: Continuations) -> None:
    tokens, log_p, entropies = place.independent(500, torch.tensor(0))
    known = listed(place)
    assert log_p.tolist() == pytest.approx([known[tuple(row)] for row in tokens.tolist()], rel=1e-5)
    torch.testing.assert_close(place.entropies(tokens), entropies)


def test_estimates_without_bias_have_none(place: Continuations) -> None:
    found, _ = estimates(place, 4, 5000, torch.tensor(0))
    exact = entropy(place)
    for name in ("independent", "beam, unbiased weights", "independent, entropies of steps"):
        assert_mean(found[name], exact, resolution=0.2)
    with pytest.raises(AssertionError):
        assert_mean(found["independent"], exact + 0.3, resolution=0.2)
    # What is summed over the steps varies less.
    assert found["independent, entropies of steps"].var() < 0.8 * found["independent"].var()


def test_a_beam_that_holds_everything_is_exact(place: Continuations) -> None:
    found, distinct = estimates(place, SYMBOLS**LENGTH, 3, torch.tensor(0))
    for name in ESTIMATES:
        exact = torch.full((3,), entropy(place), dtype=torch.float64)
        assert torch.allclose(found[name], exact, rtol=1e-5) == name.startswith("beam")
    assert distinct < 1


@pytest.mark.parametrize(("temperature", "share"), [(1e-4, 1 / 6), (1e4, None)])
def test_different_ones_are_counted(place: Continuations, temperature: float, share: float | None) -> None:
    even = Continuations(place.model, place.state, place.last, LENGTH, temperature)
    _, distinct = estimates(even, 6, 2000, torch.tensor(0))
    # Of 27 that are equally likely, six draws find 27 (1 - (26 / 27)^6).
    expected = share or 27 * (1 - (26 / 27) ** 6) / 6
    assert distinct == pytest.approx(expected, abs=0.01)


def test_the_table_has_a_row_for_each_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Text.of("the cat sat on the mat, and the rat sat on the cat. " * 100)
    monkeypatch.setattr(characters, "load_text", lambda data_dir: text)
    recipe = CharactersRecipe(steps=4, hidden=8, counts=(3, 5), length=2, places=2, repeats=4)
    study = Characters(2, recipe)
    results = {outcome.job.name: outcome.result or {} for outcome in run(study.jobs(), tmp_path)}
    cells = study.measurements(results)
    assert {cell.quantity for cell in cells} == {"k = 3", "k = 5"}
    assert len({cell.case for cell in cells}) == 2 * (len(ESTIMATES) + 1)
    assert {cell.samples for cell in cells} == {2}
    assert study.page(results).save(tmp_path).exists()


def test_where_the_text_lies_does_not_decide() -> None:
    keys = {Job("", CharactersRecipe(data_dir=folder), 0).key for folder in (None, Path("here"))}
    assert len(keys) == 1
