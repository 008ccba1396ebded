"""Modules of :mod:`drawgrad.nn` on real data, one script a question: ``python -m examples.<name>``.

A script prints its table, and leaves it as a record in ``results/`` and a figure in ``docs/figures/``; with ``--short``
it does the same with little data and few steps, which shows that it runs and nothing else.
"""

from __future__ import annotations
