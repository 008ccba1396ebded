"""Reproducing published tables: cells of printed figures, recipes, seeds, standard errors and tests of the claims."""

from __future__ import annotations

from drawgrad.studies.reproduction.cell import Cell, Claim
from drawgrad.studies.reproduction.findings import Findings, RunResult
from drawgrad.studies.reproduction.picture import Found, Picture
from drawgrad.studies.reproduction.recipes import (
    CellRecipe,
    TrainAutoencoder,
    TrainClassifier,
    Training,
    TrainStructured,
)
from drawgrad.studies.reproduction.record import TableRecord, TableRecordError
from drawgrad.studies.reproduction.reproduction import Reproduction
from drawgrad.studies.reproduction.table import Protocol, Table
from drawgrad.studies.reproduction.timing import TimeClassifier
from drawgrad.studies.reproduction.toys import TrainCoin, TrainPolynomial

__all__ = [
    "Cell",
    "CellRecipe",
    "Claim",
    "Findings",
    "Found",
    "Picture",
    "Protocol",
    "Reproduction",
    "RunResult",
    "Table",
    "TableRecord",
    "TableRecordError",
    "TimeClassifier",
    "TrainAutoencoder",
    "TrainClassifier",
    "TrainCoin",
    "TrainPolynomial",
    "TrainStructured",
    "Training",
]
