"""How does a policy with illegal moves learn a card game whose best play is known, and what is a gradient of it worth?

Goofspiel: in each round a prize is turned up, both sides play one of the cards that they have left, and the higher one
wins the prize. A card is played once, so in every round other moves are illegal.

Run: ``python -m examples.goofspiel``
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import OneHotCategorical

from drawgrad.estimators import ReinMax, STGumbelSoftmax, SurrogateEstimator, excess, score_loss
from drawgrad.functional import fold_seed, gumbel_max
from drawgrad.studies.drawing import COLORS, FADED, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.runs.loop import descend
from examples._shown import options, show

__all__ = ["Agent", "Round", "best", "expected", "hasty", "main", "play", "returns"]

CARDS = 5
VALUES = torch.arange(1.0, CARDS + 1)
"""Of the cards of both sides, and of the prizes."""
BITS = 2 ** torch.arange(CARDS)
SHREWD = 1.0
"""How much the opponent prefers cards near the prize: 0 is any card."""


class Round(NamedTuple):
    """What both sides see before they play: cards and prizes as zeros and ones, shape (rows, cards)."""

    hand: Tensor
    other: Tensor
    prizes: Tensor
    prize: Tensor

    @property
    def worth(self) -> Tensor:
        """Of the prize, shape (rows, 1)."""
        return (self.prize * VALUES).sum(-1, keepdim=True)


def opponent(seen: Round, shrewd: float = SHREWD) -> Tensor:
    """Log-probabilities of the opponent's cards, shape (rows, cards)."""
    near = -shrewd * (VALUES - seen.worth).abs()
    return near.masked_fill(seen.other == 0, -torch.inf).log_softmax(-1)


class Agent(nn.Module):
    """A policy, and what it expects of a round.

    Args:
        masked: whether illegal cards have probability zero. Without, one that is played loses the round, and the lowest
            card goes.
    """

    def __init__(self, masked: bool = True) -> None:
        super().__init__()
        self.masked = masked
        self.policy = nn.Sequential(nn.Linear(4 * CARDS, 64), nn.ReLU(), nn.Linear(64, CARDS))
        self.critic = nn.Sequential(nn.Linear(4 * CARDS, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, seen: Round) -> Tensor:
        """Logits of the cards."""
        logits = self.policy(torch.cat(seen, -1))
        # A mask, not a penalty: an illegal card has no probability, no gradient, and no part in the normalization.
        return logits.masked_fill(seen.hand.detach() < 0.5, -torch.inf) if self.masked else logits


class Played(NamedTuple):
    """Games from the first round to the last; points and scores have shape (games, rounds)."""

    points: Tensor
    scores: Tensor
    rounds: list[Round]


def play(
    agent: Agent, games: int, seed: int, surrogate: SurrogateEstimator | None = None, shrewd: float = SHREWD
) -> Played:
    """Play some games.

    Args:
        agent: one of the sides.
        games: how many.
        seed: of all draws of all rounds.
        surrogate: makes cards that carry a gradient, through the points of a round and the hand that is left.
        shrewd: see :func:`opponent`.
    """
    hand, other, prizes = (torch.ones(games, CARDS) for _ in range(3))
    points, scores, rounds = [], [], []
    for number in range(CARDS):
        turned, theirs, ours = (fold_seed(fold_seed(seed, number), draw) for draw in range(3))
        prize = one_hot(gumbel_max(torch.zeros(games, CARDS), mask=prizes > 0, seed=turned))
        seen = Round(hand, other, prizes, prize)
        logits = agent(seen)
        answer = gumbel_max(opponent(seen, shrewd), seed=theirs)
        if surrogate is None:
            card = one_hot(gumbel_max(logits.detach(), seed=ours))
        else:
            card = surrogate.rsample(OneHotCategorical(logits=logits), seed=ours)[0]
        legal = (hand * card).sum(-1, keepdim=True)
        lowest = one_hot((hand * VALUES.flip(-1)).argmax(-1))
        won = (card * (VALUES - VALUES[answer][:, None]).sign()).sum(-1, keepdim=True)
        points.append(seen.worth * (legal * won - (1 - legal)))
        scores.append((card.detach() * logits.log_softmax(-1).masked_fill(card == 0, 0)).sum(-1, keepdim=True))
        rounds.append(seen)
        hand, other, prizes = hand - legal * card - (1 - legal) * lowest, other - one_hot(answer), prizes - prize
    return Played(torch.cat(points, -1), torch.cat(scores, -1), rounds)


def one_hot(index: Tensor) -> Tensor:
    """Zeros and a one for each card."""
    return nn.functional.one_hot(index, CARDS).float()


class Level(NamedTuple):
    """All rounds that can come with some number of cards left, a row each."""

    seen: Round
    here: tuple[Tensor, Tensor, Tensor]
    """Hand, the other's cards and prizes as bits."""
    after: tuple[Tensor, Tensor, Tensor]
    """The same for each pair of cards that may be played, shape (rows, cards, cards)."""
    points: Tensor
    """What such a pair brings."""
    chance: Tensor
    """Of the opponent's cards, shape (rows, 1, cards)."""


@functools.cache
def level(left: int, shrewd: float) -> Level:
    """The rounds with so many cards left against an opponent."""
    sets = [sum(1 << card for card in chosen) for chosen in itertools.combinations(range(CARDS), left)]
    rows = [
        (*held, prize) for held in itertools.product(sets, repeat=3) for prize in range(CARDS) if held[2] >> prize & 1
    ]
    hand, other, prizes, prize = torch.tensor(rows).unbind(-1)
    ours, theirs, turned = ((bits[:, None] & BITS).ne(0).float() for bits in (hand, other, prizes))
    seen = Round(ours, theirs, turned, one_hot(prize))
    legal = ours > 0
    gone = torch.where(legal, torch.arange(CARDS), (ours * VALUES.flip(-1)).argmax(-1, keepdim=True))
    won = torch.where(legal[:, :, None], (VALUES[:, None] - VALUES).sign(), -1.0)
    after = (
        (hand[:, None] & ~BITS[gone])[:, :, None],
        (other[:, None] & ~BITS)[:, None, :],
        (prizes & ~BITS[prize])[:, None, None],
    )
    return Level(seen, (hand, other, prizes), after, seen.worth[..., None] * won, opponent(seen, shrewd).exp()[:, None])


def expected(value: Callable[[Round, Tensor], Tensor], shrewd: float = SHREWD) -> Tensor:
    """Expected points of a game, by dynamic programming from the last round to the first.

    Args:
        value: of rounds, shape (rows,), from what each card brings in the mean, from that round to the last, shape
            (rows, cards).
        shrewd: see :func:`opponent`.
    """
    ahead = torch.zeros([1 << CARDS] * 3)
    for left in range(1, CARDS + 1):
        rounds = level(left, shrewd)
        brings = ((rounds.points + ahead[rounds.after]) * rounds.chance).sum(-1)
        # Each of the prizes that are left may be the one that is turned up.
        ahead = ahead.index_put(rounds.here, value(rounds.seen, brings) / left, accumulate=True)
    return ahead[-1, -1, -1]


def best(seen: Round, brings: Tensor) -> Tensor:
    """The value of a round for who plays best."""
    return brings.masked_fill(seen.hand == 0, -torch.inf).amax(-1)


def hasty(seen: Round, brings: Tensor) -> Tensor:
    """The value of a round for who plays every round as if it were the last one."""
    odds = opponent(seen).exp() @ (VALUES[:, None] - VALUES).sign()
    card = (-odds).masked_fill(seen.hand == 0, -torch.inf).argmax(-1, keepdim=True)
    return brings.gather(-1, card)[:, 0]


def of(agent: Agent) -> Callable[[Round, Tensor], Tensor]:
    """The value of a round for an agent."""
    return lambda seen, brings: (agent(seen).softmax(-1) * brings).sum(-1)


def returns(points: Tensor, discount: float = 1.0) -> Tensor:
    """What comes from each round on, shape (games, rounds)."""
    ahead, found = torch.zeros(len(points)), []
    for now in points.flip(-1).unbind(-1):
        ahead = now + discount * ahead
        found.append(ahead)
    return torch.stack(found[::-1], -1)


GAMES = 64
"""Games of one gradient."""
Loss = Callable[[Agent, int], Tensor]
"""Of an agent and a seed."""


def score(signal: Callable[[Tensor], Tensor], games: int = GAMES) -> Loss:
    """The score function, with a signal for each round made of the points of all."""

    def loss(agent: Agent, seed: int) -> Tensor:
        played = play(agent, games, seed)
        costs = -played.points
        return score_loss(costs, signal(costs), played.scores).sum()

    return loss


def with_critic(agent: Agent, seed: int) -> Tensor:
    """The score function, less what a network expects of the round, which learns from the same games."""
    played = play(agent, GAMES, seed)
    costs = -played.points
    ahead = returns(costs)
    foreseen = torch.cat([agent.critic(torch.cat(seen, -1)) for seen in played.rounds], -1)
    return score_loss(costs, ahead - foreseen, played.scores).sum() + (foreseen - ahead).square().mean()


def through(surrogate: SurrogateEstimator) -> Loss:
    """A gradient through the cards: no score, the points of a game as they are."""
    return lambda agent, seed: -play(agent, GAMES, seed, surrogate).points.sum(-1).mean()


def exact(agent: Agent, seed: int) -> Tensor:
    """No games at all: the expectation itself."""
    return -expected(of(agent))


def whole(costs: Tensor) -> Tensor:
    """The cost of the whole game at each of its rounds."""
    return costs.sum(-1, keepdim=True).expand_as(costs)


OTHERS = "to come, less the others' mean"
WAYS: dict[str, Loss] = {
    "exact gradient": exact,
    "whole game": score(whole),
    "to come": score(returns),
    "to come, less a critic": with_critic,
    OTHERS: score(lambda costs: excess(returns(costs))),
    "the same, discount 0.9": score(lambda costs: excess(returns(costs, 0.9))),
    "the same, discount 0.5": score(lambda costs: excess(returns(costs, 0.5))),
    "the same, illegal cards lose": score(lambda costs: excess(returns(costs))),
    "straight-through Gumbel-Softmax": through(STGumbelSoftmax(tau=1.0)),
    "ReinMax": through(ReinMax(tau=1.0)),
}
PALETTE = (*COLORS, "#d58fb5")
UNMASKED = "the same, illegal cards lose"


@dataclass(frozen=True)
class Setting:
    """How much is trained, and how many gradients are compared."""

    updates: int
    seeds: int
    gradients: int
    every: int = 20


FULL, SHORT = Setting(400, 3, 200), Setting(1, 1, 2, every=1)


def made(way: str, seed: int) -> Agent:
    """An agent with the first weights of a seed."""
    torch.manual_seed(seed)
    return Agent(masked=way != UNMASKED)


def trained(way: str, setting: Setting, seed: int) -> list[float]:
    """Expected points of a game, exact, as an agent learns."""
    agent = made(way, seed)
    optimizer = torch.optim.Adam(agent.parameters(), lr=5e-3, fused=True)
    seeds = fold_seed(seed, torch.arange(setting.updates)).tolist()
    steps = descend(lambda step: WAYS[way](agent, seeds[step]), optimizer, range(setting.updates))
    return [worth(agent), *(worth(agent) for step in steps if step % setting.every == 0)]


@torch.no_grad()
def worth(agent: Agent) -> float:
    """Expected points of a game."""
    return float(expected(of(agent)))


def off(way: str, setting: Setting) -> tuple[float, float]:
    """Squared error of a gradient of the first policy, and the part that is bias, over its squared length."""
    agent = made(way, 0)
    if WAYS[way] is with_critic:
        # It is compared with one that has seen games, as in a training.
        critic = torch.optim.Adam(agent.critic.parameters(), lr=5e-3, fused=True)
        for _ in descend(lambda step: with_critic(agent, step), critic, range(setting.gradients)):
            pass

    def gradient(loss: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(agent.policy.parameters()))])

    true = gradient(exact(agent, 0))
    errors = torch.stack([gradient(WAYS[way](agent, ~seed)) - true for seed in range(setting.gradients)])
    length = true.square().sum()
    noise = errors.var(0).sum() / length
    bias = errors.mean(0).square().sum() / length - noise / len(errors)
    return float(noise + bias), max(float(bias), 0.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure and show."""
    chosen = options(__doc__, arguments)
    setting = SHORT if chosen.short else FULL
    top = float(expected(best))
    bounds = {"best play": top, "best play of each round by itself": float(expected(hasty))}
    cells = [Measurement(how, "points", value, 0.0, "", 1) for how, value in bounds.items()]
    curves: dict[str, Tensor] = {}
    errors: dict[str, tuple[float, float]] = {}
    for way in WAYS:
        curves[way] = torch.tensor([trained(way, setting, seed) for seed in range(setting.seeds)])
        errors[way] = off(way, setting)
        cells.append(mean_of(way, "points", curves[way][:, -1].tolist()))
        if way != "exact gradient":
            cells.append(Measurement(way, "squared error of a gradient", errors[way][0], 0.0, "", setting.gradients))
            cells.append(Measurement(way, "of it bias", errors[way][1], 0.0, "", setting.gradients))
        print(way, curves[way][:, -1].tolist(), errors[way], flush=True)
    title = (
        f"Goofspiel with {CARDS} cards: expected points after {setting.updates} updates of {GAMES} games, and a "
        "gradient's error over its squared length"
    )
    show(chosen, "goofspiel", title, cells, lambda figure: drawn(figure, curves, errors, top, setting), size=(9.0, 4.4))


def drawn(
    figure: Any, curves: dict[str, Tensor], errors: dict[str, tuple[float, float]], top: float, setting: Setting
) -> None:
    """Expected points over updates, and how far a gradient is off."""
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    signs = []
    for color, (way, points) in zip(PALETTE, curves.items(), strict=True):
        left.plot(torch.arange(points.shape[1]) * setting.every, points.mean(0), color=color, lw=1.4)
        signs.append(sign(way, color))
    left.axhline(top, color=FADED, lw=1, ls=":")
    left.annotate("best play", (0, top), xytext=(2, -10), textcoords="offset points", color=FADED, fontsize=8)
    plain_axes(left, "How it learns", "updates", "expected points of a game")
    sampled = [way for way in curves if way != "exact gradient"]
    for row, way in enumerate(sampled):
        color = PALETTE[list(curves).index(way)]
        right.barh(row, errors[way][0], color=color, alpha=0.4)
        right.barh(row, errors[way][1], color=color)
    right.set(xscale="log", yticks=[])
    right.invert_yaxis()
    plain_axes(right, "How far one gradient is off (solid: bias)", "squared error over squared length", "")
    titled(figure, "A policy with illegal moves", signs)


if __name__ == "__main__":
    main()
