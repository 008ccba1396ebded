"""The card game with illegal moves: its best play, its exact value and its gradients against what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from drawgrad.estimators import STGumbelSoftmax, excess
from drawgrad.studies.records import read
from examples.goofspiel import (
    CARDS,
    OTHERS,
    UNMASKED,
    VALUES,
    WAYS,
    Round,
    best,
    exact,
    expected,
    hasty,
    level,
    made,
    main,
    of,
    play,
    returns,
    score,
)
from tests.statistics import assert_mean


def matching(seen: Round, brings: torch.Tensor) -> torch.Tensor:
    """The value of a round for who plays the card that is worth what the prize is."""
    return (brings * seen.prize).sum(-1)


class TestExpected:
    def test_matching_is_best_against_any_card(self) -> None:
        # Ross. Goofspiel: the game of pure strategy. Journal of Applied Probability 1971.
        torch.testing.assert_close(expected(matching, shrewd=0.0), expected(best, shrewd=0.0))

    def test_matching_is_not_best_against_one_who_prefers_it(self) -> None:
        assert expected(matching) < expected(best) - 0.1

    def test_the_last_round_is_all_that_hasty_play_gets_right(self) -> None:
        last = level(1, shrewd=1.0)
        brings = (last.points * last.chance).sum(-1)
        torch.testing.assert_close(hasty(last.seen, brings), best(last.seen, brings))
        assert expected(hasty) < expected(best) - 5

    @pytest.mark.parametrize("masked", [True, False])
    def test_is_the_mean_of_games(self, masked: bool) -> None:
        agent = made(OTHERS if masked else UNMASKED, 0)
        with torch.no_grad():
            played, mean = play(agent, 20_000, seed=1), expected(of(agent))
        assert_mean(played.points.sum(-1), mean, resolution=0.5)


class TestPlay:
    def test_plays_no_card_twice(self) -> None:
        played = play(made(OTHERS, 0), 500, seed=0)
        assert [int(seen.hand.sum(-1).amax()) for seen in played.rounds] == list(range(CARDS, 0, -1))
        assert all(bool((sides >= 0).all()) for seen in played.rounds for sides in seen)
        assert bool((sum(seen.prize for seen in played.rounds) == 1).all())

    def test_an_illegal_card_loses(self) -> None:
        played = play(made(UNMASKED, 0), 500, seed=0)
        assert bool((played.points.abs() <= VALUES[-1]).all())
        # Who draws among five cards when one is left plays an illegal one mostly, and loses what it is about.
        assert (played.points[:, -1] < 0).float().mean() > 0.7

    def test_cards_that_carry_a_gradient_are_those_that_are_drawn(self) -> None:
        agent = made(OTHERS, 0)
        hard, through = play(agent, 200, seed=3), play(agent, 200, 3, STGumbelSoftmax())
        torch.testing.assert_close(through.points, hard.points)
        torch.testing.assert_close(through.scores, hard.scores)


class TestScore:
    def test_has_the_gradient_of_the_expectation(self) -> None:
        assert_mean(self.along(lambda costs: excess(returns(costs))), 1.0, resolution=0.5)

    def test_a_discount_has_another_one(self) -> None:
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(self.along(lambda costs: excess(returns(costs, 0.5))), 1.0, resolution=0.5)

    @staticmethod
    def along(signal: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """How far gradients of the score function go in the direction of the exact one; that one goes as far as 1."""
        agent = made(OTHERS, 0)

        def gradient(loss: torch.Tensor) -> torch.Tensor:
            found = torch.autograd.grad(loss, list(agent.policy.parameters()))
            return torch.cat([part.flatten() for part in found])

        true, loss = gradient(exact(agent, 0)), score(signal, games=500)
        return torch.stack([gradient(loss(agent, seed)) @ true for seed in range(100)]) / true.square().sum()


def test_returns() -> None:
    torch.testing.assert_close(returns(torch.tensor([[1.0, 2.0, 4.0]]), 0.5), torch.tensor([[3.0, 4.0, 4.0]]))


def test_runs(tmp_path: Path) -> None:
    main(["--short", "--out", str(tmp_path)])
    record = read(tmp_path / "goofspiel.json")
    assert {cell.case for cell in record.measurements} == {"best play", "best play of each round by itself", *WAYS}
    assert (tmp_path / "goofspiel.png").stat().st_size > 10_000
