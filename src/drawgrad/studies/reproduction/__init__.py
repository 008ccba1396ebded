"""Reproducing published tables: cells of printed figures, recipes, seeds, standard errors and tests of the claims."""

from __future__ import annotations

from drawgrad.studies.reproduction.findings import Findings, RunResult
from drawgrad.studies.reproduction.recipes import TrainAutoencoder, Training, TrainStructured
from drawgrad.studies.reproduction.record import TableRecord, TableRecordError
from drawgrad.studies.reproduction.reproduction import Reproduction
from drawgrad.studies.reproduction.table import Cell, Claim, Protocol, Table

__all__ = [
    "Cell",
    "Claim",
    "Findings",
    "Protocol",
    "Reproduction",
    "RunResult",
    "Table",
    "TableRecord",
    "TableRecordError",
    "TrainAutoencoder",
    "TrainStructured",
    "Training",
]
