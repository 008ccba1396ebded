"""Table 2 of Jang et al.: complete, as printed, and every recipe can be trained."""

from __future__ import annotations

import pytest
import torch

from drawgrad.studies.data import load
from drawgrad.studies.data.labels import load_labels
from drawgrad.studies.papers import TABLES
from drawgrad.studies.papers.jang2017_table2 import ACCURACY, ELBO, TABLE2
from drawgrad.studies.tasks.semisupervised.training import SemiSupervisedTask, build_classifier

PRINTED = {
    "marginalization": (92.6, -106.8), "Gumbel-Softmax": (92.4, -109.6), "ST Gumbel-Softmax": (93.6, -110.7),
}  # fmt: skip


def test_it_has_the_six_printed_figures_and_the_rows_share_their_runs():
    cells = {(cell.row, cell.column): cell for cell in TABLE2.cells}
    for column, (accuracy, elbo) in PRINTED.items():
        assert (cells[ACCURACY, column].printed, cells[ELBO, column].printed) == (accuracy, elbo)
    assert sum(cell.printed is not None for cell in TABLE2.cells) == 6
    for column in TABLE2.columns:
        assert cells[ACCURACY, column].recipe is cells[ELBO, column].recipe
    assert all(cell.deviations for cell in TABLE2.cells)
    assert TABLES["jang2017-table2"].load() is TABLE2


def test_what_is_claimed_is_what_is_printed():
    printed = {(cell.row, cell.column): cell.printed for cell in TABLE2.cells}
    assert all(printed[claim.row, claim.better] > printed[claim.row, claim.worse] for claim in TABLE2.claims)


@pytest.mark.parametrize("protocol", TABLE2.protocols)
def test_a_protocol_settles_what_a_recipe_leaves_open(protocol):
    chosen = TABLE2.protocols[protocol]
    temperatures = {}
    for cell in TABLE2.cells:
        config = cell.recipe.changed(**chosen.settings, lr=chosen.lrs[0]).config(3)
        assert (config.data.data, config.supervision.labels, config.optimization.seed) == ("mnist", 10, 3)
        trial = cell.recipe.changed(**{**chosen.settings, **chosen.trial}, lr=chosen.lrs[0]).config(0)
        assert trial.optimization.epochs <= config.optimization.epochs
        temperatures[cell.column] = (config.gradient.tau, config.gradient.tau_min, config.gradient.tau_rate)
    rate = 3e-5 if protocol == "paper" else None
    assert temperatures["Gumbel-Softmax"] == temperatures["ST Gumbel-Softmax"] == (1.0, 0.5, rate)
    assert temperatures["ReinMax"][:2] == (1.0, 1.0)


@pytest.mark.parametrize("column", TABLE2.columns)
def test_every_column_takes_a_step(column):
    """With small images, so that it takes no time."""
    images = load("digits")
    recipe = next(cell.recipe for cell in TABLE2.cells if cell.column == column)
    config = recipe.changed(**{**TABLE2.protocols["quick"].settings, "data": "digits", "lr": 1e-3}).config(0)
    model = build_classifier(config, images)
    task = SemiSupervisedTask(model, images, load_labels("digits"), config, 100)
    loss, measured = task.loss(torch.arange(10), 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(value.isfinite() for value in (loss, *measured.values()))
    assert (model.classifier[0].weight.grad != 0).any()
    counts = {"marginalization": 10, "leave-one-out": 2}
    assert recipe.evaluations() == counts.get(column, 1)
