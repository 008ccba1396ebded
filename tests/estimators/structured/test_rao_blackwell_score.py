"""Options of the sums over the most probable states."""

from __future__ import annotations

import pytest

from drawgrad.estimators import RaoBlackwellScore, UnorderedSet


def test_options() -> None:
    with pytest.raises(ValueError, match="samples must be at least 2, but it is 1"):
        UnorderedSet(samples=1)
    with pytest.raises(ValueError, match="top must be at least 1, but it is 0"):
        RaoBlackwellScore(top=0)
    with pytest.raises(TypeError, match="centered must be True or False"):
        RaoBlackwellScore(centered=1)  # type: ignore[arg-type]
