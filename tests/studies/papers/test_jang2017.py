"""Table 1 of Jang et al.: complete, as printed, and every recipe can be trained."""

from __future__ import annotations

import pytest
import torch

from drawgrad.studies.data import load
from drawgrad.studies.papers import TABLES
from drawgrad.studies.papers.jang2017 import TABLE1
from drawgrad.studies.reproduction import TrainStructured
from drawgrad.studies.tasks.autoencoder.objective import VAETask
from drawgrad.studies.tasks.autoencoder.training import build_model
from drawgrad.studies.tasks.structured.training import StructuredTask, build_network

IMAGES = load("digits")


def test_it_has_the_28_printed_cells():
    printed = [cell for cell in TABLE1.cells if cell.printed is not None]
    assert len(printed) == 28
    assert {cell.row: cell.printed for cell in printed if cell.column == "Gumbel-Softmax"} == {
        "SBN, Bernoulli": 58.5, "SBN, categorical": 59.0, "VAE, Bernoulli": 105.0, "VAE, categorical": 101.5,
    }  # fmt: skip
    # Sums of the printed rows, as a guard against slips.
    sums = {row: sum(cell.printed for cell in printed if cell.row == row) for row in TABLE1.rows[:4]}
    assert {row: round(total, 1) for row, total in sums.items()} == {
        "SBN, Bernoulli": 426.0, "SBN, categorical": 445.6, "VAE, Bernoulli": 776.8, "VAE, categorical": 774.4,
    }  # fmt: skip
    assert len({cell.name for cell in TABLE1.cells}) == len(TABLE1.cells)


def test_what_is_claimed_is_what_is_printed():
    printed = {(cell.row, cell.column): cell.printed for cell in TABLE1.cells}
    assert len(TABLE1.claims) == 24
    assert all(printed[claim.row, claim.better] < printed[claim.row, claim.worse] for claim in TABLE1.claims)


@pytest.mark.parametrize("protocol", TABLE1.protocols)
def test_a_protocol_settles_what_a_recipe_leaves_open(protocol):
    chosen = TABLE1.protocols[protocol]
    for cell in TABLE1.cells:
        config = cell.recipe.changed(**chosen.settings, lr=chosen.lrs[0]).config(3)
        assert config.optimization.optimizer == {"quick": "adam", "paper": "sgd"}[protocol]
        assert (config.data.data, config.measurement.test_samples, config.optimization.seed) == (
            "binarized-mnist", 1000, 3,
        )  # fmt: skip


def test_a_soft_method_has_the_temperature_of_its_row():
    def tau(row: str, column: str) -> tuple[float, float]:
        (cell,) = (cell for cell in TABLE1.cells if (cell.row, cell.column) == (row, column))
        gradient = cell.recipe.changed(**TABLE1.protocols["quick"].settings, lr=1e-3).config(0).gradient
        return gradient.tau, gradient.tau_min

    assert tau("SBN, categorical", "Gumbel-Softmax") == (1.0, 1.0)
    assert tau("VAE, categorical", "ST Gumbel-Softmax") == (1.0, 0.5)
    assert tau("VAE, Bernoulli", "annealed ST") == (1.0, 0.2)
    assert tau("VAE, Bernoulli", "ReinMax") == (1.0, 1.0)


@pytest.mark.parametrize("cell", TABLE1.cells, ids=lambda cell: cell.name)
def test_every_cell_takes_a_step(cell):
    """With small images and few variables, so that it takes no time."""
    recipe = cell.recipe.changed(data="digits", variables=4, samples=cell.recipe.settings.get("samples"), lr=1e-3)
    config = recipe.changed(**TABLE1.protocols["quick"].settings).config(0)
    structured = isinstance(recipe, TrainStructured)
    model = build_network(config, IMAGES) if structured else build_model(config, IMAGES)
    task = (StructuredTask if structured else VAETask)(model, IMAGES, config, 100)
    loss, measured = task.loss(torch.arange(10), 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(value.isfinite() for value in (loss, *measured.values()))
    first = model.layers[0] if structured else model.encoder[0]
    assert (first.weight.grad != 0).any()
    assert recipe.evaluations() >= 1


def test_tables_are_listed_by_name():
    assert TABLES["jang2017-table1"].load() is TABLE1
