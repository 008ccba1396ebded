"""Sequences without replacement, against the enumeration of all of them."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from drawgrad.functional import Beams, beam_weights, gumbel_given_largest, gumbel_noise, stochastic_beam_search
from tests.statistics import assert_frequencies, assert_mean

VOCABULARY, LENGTH, END = 3, 3, 2
TABLE = torch.randn(5, VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
"""Logits of the next token, by input and last token."""
DRAWS = 20_000


def step(state: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """A Markov chain for each input, whose state is the number of its input."""
    return TABLE[state, last].log_softmax(-1), state


def draw(k: int, inputs: Tensor, end: int | None = END, length: int = LENGTH, **options: Any) -> Beams:
    start = torch.zeros(len(inputs), dtype=torch.int64)
    return stochastic_beam_search(step, k, length, start=start, state=inputs, end=end, **options)


def sequences(which: int, end: int | None = END, length: int = LENGTH) -> dict[tuple[int, ...], float]:
    """All sequences of one input, filled up with the end token, and their probabilities."""
    found: dict[tuple[int, ...], float] = {}
    for tokens in itertools.product(range(VOCABULARY), repeat=length):
        p, last, done = 1.0, 0, False
        for token in tokens:
            if done and token != end:
                p = 0.0
            elif not done:
                p *= TABLE[which, last].softmax(-1)[token].item()
            done = done or token == end
            last = token
        if p:
            found[tokens] = p
    return found


def without_replacement(p: dict[tuple[int, ...], float], order: tuple[tuple[int, ...], ...]) -> float:
    chance, left = 1.0, 1.0
    for each in order:
        chance *= p[each] / left
        left -= p[each]
    return chance


class TestLaw:
    @pytest.mark.parametrize("end", [END, None])
    def test_is_that_of_draws_without_replacement(self, end: int | None) -> None:
        length = 2 if end is None else 3
        p = sequences(1, end, length)
        assert sum(p.values()) == pytest.approx(1.0)
        pairs = list(itertools.permutations(p, 2))
        beams = draw(2, torch.full((DRAWS,), 1), end, length, seed=1)
        code = (beams.tokens * VOCABULARY ** torch.arange(length)).sum(-1)
        number = {sum(t * VOCABULARY**i for i, t in enumerate(each)): j for j, each in enumerate(p)}
        lookup = torch.full((VOCABULARY**length,), -1)
        lookup[list(number)] = torch.tensor(list(number.values()))
        drawn = lookup[code]
        names = {each: j for j, each in enumerate(p)}
        counts = torch.stack([((drawn[:, 0] == names[a]) & (drawn[:, 1] == names[b])).sum() for a, b in pairs])
        assert int(counts.sum()) == DRAWS
        expected = torch.tensor([without_replacement(p, pair) for pair in pairs])
        assert_frequencies(counts, expected, resolution=0.03)
        other = sequences(2, end, length)
        wrong = torch.tensor([without_replacement(other, pair) for pair in pairs])
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, wrong, resolution=0.03)

    def test_noise_is_gumbel_noise_of_each_sequence(self) -> None:
        """P(the noisy log-probability of the best is below x) = exp(-exp(-x)), as probabilities sum to one."""
        beams = draw(3, torch.full((DRAWS,), 1), seed=2)
        uniform = torch.exp(-torch.exp(-beams.perturbed[:, 0]))
        assert_mean(uniform, 0.5, resolution=0.02)
        assert bool((beams.perturbed.diff(dim=-1) <= 0).all())
        assert bool((beams.threshold <= beams.perturbed[:, -1]).all())

    def test_probabilities_are_those_of_the_model(self) -> None:
        beams = draw(5, torch.arange(5), seed=3)
        for which in range(5):
            p = sequences(which)
            for tokens, log_p, length in zip(
                beams.tokens[which].tolist(), beams.log_prob[which], beams.lengths[which], strict=True
            ):
                assert log_p.exp().item() == pytest.approx(p[tuple(tokens)])
                assert length == (tokens.index(END) + 1 if END in tokens else LENGTH)

    def test_all_sequences_are_drawn_where_there_are_no_more(self) -> None:
        beams = draw(30, torch.arange(5), seed=4)
        for which in range(5):
            p = sequences(which)
            found = [tuple(tokens) for tokens in beams.tokens[which].tolist()]
            assert set(found[: len(p)]) == set(p)
            assert found[len(p) :] == [(-1,) * LENGTH] * (30 - len(p))
        torch.testing.assert_close(beams.log_prob.exp().sum(-1), torch.ones(5, dtype=torch.float64))
        assert bool((beams.threshold == -torch.inf).all())
        assert bool((beams.lengths[:, -1] == 0).all())


class TestWeights:
    @pytest.mark.parametrize("k", [3, 5])
    def test_estimate_means_without_bias(self, k: int) -> None:
        p = sequences(1)
        worth = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        expected = sum(chance * worth[list(tokens)].prod().item() for tokens, chance in p.items())
        beams = draw(k, torch.full((60_000,), 1), seed=5)
        values = worth[beams.tokens].prod(-1)
        weights = beam_weights(beams.log_prob, beams.threshold)
        assert_mean((weights * values).sum(-1), expected, resolution=0.1)
        assert_mean(weights.sum(-1), 1.0, resolution=0.05)
        # The plain mean of different sequences is not it.
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(values.mean(-1), expected, resolution=0.1)

    def test_normalized_ones_sum_to_one_and_are_biased_but_little(self) -> None:
        p = sequences(1)
        worth = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        expected = sum(chance * worth[list(tokens)].prod().item() for tokens, chance in p.items())
        deviations = []
        for k in (2, 6):
            beams = draw(k, torch.full((DRAWS,), 1), seed=6)
            weights = beam_weights(beams.log_prob, beams.threshold, normalized=True)
            torch.testing.assert_close(weights.sum(-1), torch.ones(DRAWS, dtype=torch.float64))
            deviations.append(abs((weights * worth[beams.tokens].prod(-1)).sum(-1).mean().item() - expected))
        assert deviations[1] < deviations[0]

    def test_of_all_sequences_are_their_probabilities(self) -> None:
        beams = draw(30, torch.arange(5), seed=4)
        weights = beam_weights(beams.log_prob, beams.threshold)
        torch.testing.assert_close(weights, beams.log_prob.exp())

    def test_hold_far_from_the_threshold(self) -> None:
        log_p = torch.tensor([-900.0, -40.0, -2.0, -torch.inf], dtype=torch.float64)
        weights = beam_weights(log_p, torch.tensor(0.5, dtype=torch.float64))
        torch.testing.assert_close(weights[:2], torch.full((2,), 0.5, dtype=torch.float64).exp())
        assert weights[3] == 0
        assert torch.autograd.gradcheck(
            lambda x: beam_weights(x, torch.tensor(0.5, dtype=torch.float64)), log_p[1:3].clone().requires_grad_()
        )
        with pytest.raises(ValueError, match="threshold must have the shape"):
            beam_weights(torch.zeros(2, 3), torch.zeros(3))

    def test_vary_less_than_independent_samples(self) -> None:
        """The entropy of the sequences, from k different ones and from k independent ones."""
        p = torch.tensor(list(sequences(1).values()), dtype=torch.float64)
        entropy, k = -(p * p.log()).sum(), 6
        beams = draw(k, torch.full((DRAWS,), 1), seed=7)
        weights = beam_weights(beams.log_prob, beams.threshold, normalized=True)
        ours = (weights * -beams.log_prob).sum(-1)
        theirs = -p[torch.multinomial(p, DRAWS * k, replacement=True).reshape(DRAWS, k)].log().mean(-1)
        assert_mean(theirs, entropy, resolution=0.05)
        errors = [(estimates - entropy).square().mean().item() for estimates in (ours, theirs)]
        assert errors[0] < 0.5 * errors[1]


class TestGivenLargest:
    def test_keeps_the_order_and_sets_the_maximum(self) -> None:
        scores, largest = torch.randn(50, 6, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
        scores[:, 3] = -torch.inf
        moved = gumbel_given_largest(scores, largest)
        torch.testing.assert_close(moved.amax(-1), largest)
        assert torch.equal(moved.argsort(-1), scores.argsort(-1))
        assert bool((moved[:, 3] == -torch.inf).all())
        assert bool((gumbel_given_largest(scores, torch.full((50,), -torch.inf).double()) == -torch.inf).all())

    def test_gives_the_noise_of_a_given_maximum(self) -> None:
        """With the maximum drawn anew, the scores are independent Gumbel variables about their logits again."""
        logits = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().expand(60_000, 3)
        scores = logits + gumbel_noise(logits.shape, dtype=torch.float64, seed=1)
        fresh = gumbel_noise((60_000, 1), dtype=torch.float64, seed=2)[:, 0]
        moved = gumbel_given_largest(scores, fresh)
        uniform = torch.exp(-torch.exp(-(moved - logits))) - 0.5
        assert_mean(uniform, 0.0, resolution=0.01)
        assert_mean(uniform[:, 0] * uniform[:, 1], 0.0, resolution=0.005)


class TestModel:
    def test_states_follow_their_prefixes(self) -> None:
        """A state that holds the whole prefix, in all the containers that are allowed."""

        class Memory(NamedTuple):
            seen: Tensor
            parts: dict[str, Any]

        def remember(state: Memory, last: Tensor) -> tuple[Tensor, Memory]:
            seen = torch.cat([state.seen, last[:, None]], -1)
            assert torch.equal(state.parts["copy"][0], state.seen)
            return TABLE[state.parts["which"], last].log_softmax(-1), Memory(
                seen, {"copy": [seen], "which": state.parts["which"], "none": None}
            )

        seen = torch.zeros(5, 0, dtype=torch.int64)
        state = Memory(seen, {"copy": [seen], "which": torch.arange(5), "none": None})
        start = torch.zeros(5, dtype=torch.int64)
        found = stochastic_beam_search(remember, 3, LENGTH, start=start, state=state, end=END, seed=3)
        for ours, theirs in zip(found, draw(3, torch.arange(5), seed=3), strict=True):
            assert torch.equal(ours, theirs)

    def test_gradients_reach_it(self) -> None:
        logits = TABLE.clone().requires_grad_()
        start = torch.zeros(2, dtype=torch.int64)
        beams = stochastic_beam_search(lambda _, last: (logits[0, last], None), 2, 2, start=start, seed=1)
        assert not beams.perturbed.requires_grad
        (found,) = torch.autograd.grad(beams.log_prob.sum(), logits)
        rows = logits[0].log_softmax(-1)
        again = sum(rows[0, t[0]] + rows[t[0], t[1]] for each in beams.tokens for t in each)
        (expected,) = torch.autograd.grad(again, logits)
        torch.testing.assert_close(found, expected)

    def test_parts_of_a_batch_are_drawn_as_the_whole(self) -> None:
        whole = draw(3, torch.arange(5), seed=9)
        part = draw(3, torch.arange(2, 5), seed=9, row_offset=2)
        for ours, theirs in zip(part, whole, strict=True):
            assert torch.equal(ours, theirs[2:])
        first, second = (draw(3, torch.arange(5), generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first.tokens, second.tokens)
        assert draw(3, torch.arange(0), seed=1).tokens.shape[:2] == (0, 3)

    def test_mistakes_are_told(self) -> None:
        start = torch.zeros(2, dtype=torch.int64)
        wrong: list[tuple[Any, type[Exception], str]] = [
            (lambda s, t: TABLE[0, t], TypeError, "step must return a tensor of log-probabilities and the next state"),
            (lambda s, t: (TABLE[0], None), ValueError, r"of shape \(rows, vocabulary\) for tokens of shape"),
            (lambda s, t: (TABLE[0, t], "memory"), TypeError, "state must be None, a tensor.* there is a str in it"),
        ]
        for model, error, message in wrong:
            with pytest.raises(error, match=message):
                stochastic_beam_search(model, 2, 2, start=start)
        with pytest.raises(ValueError, match="end must be a token of the model, from 0 to 2, but it is 3"):
            draw(2, torch.arange(2), end=3)
        for k, length, message in ((0, 2, "k must be at least 1"), (2, 0, "length must be at least 1")):
            with pytest.raises(ValueError, match=message):
                stochastic_beam_search(step, k, length, start=start)
        with pytest.raises(ValueError, match="start must hold one token an input"):
            stochastic_beam_search(step, 2, 2, start=start[:, None])
