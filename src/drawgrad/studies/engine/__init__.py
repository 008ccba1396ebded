"""Jobs: what takes long is done once, in a folder of its own, side by side with others, and is not lost."""

from __future__ import annotations

from drawgrad.studies.engine.jobs import Job, JobFolderError, Outcome, Recipe
from drawgrad.studies.engine.ledger import Ledger, LedgerError
from drawgrad.studies.engine.local import finished, run

__all__ = ["Job", "JobFolderError", "Ledger", "LedgerError", "Outcome", "Recipe", "finished", "run"]
