"""Jobs: what takes long is done once, in a folder of its own, side by side with others, and is not lost."""

from __future__ import annotations

from drawgrad.studies.engine.cluster import ClusterError, RayCluster
from drawgrad.studies.engine.jobs import Engine, Job, JobFolderError, Outcome, Recipe, Work
from drawgrad.studies.engine.ledger import Ledger, LedgerError
from drawgrad.studies.engine.local import Local
from drawgrad.studies.engine.session import finished, run
from drawgrad.studies.engine.stacks import Stack, StackableRecipe

__all__ = [
    "ClusterError",
    "Engine",
    "Job",
    "JobFolderError",
    "Ledger",
    "LedgerError",
    "Local",
    "Outcome",
    "RayCluster",
    "Recipe",
    "Stack",
    "StackableRecipe",
    "Work",
    "finished",
    "run",
]
