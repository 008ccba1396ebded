"""Fewer tokens: which ones, in which order, with which gradient; padding; and the work that is saved."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import ReinMax, Simple
from drawgrad.functional import relaxed_top_k
from drawgrad.nn import TokenMerger, TokenSelector

X = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(9) < torch.tensor([[9], [5], [2]])


class TestSelector:
    def test_evaluation_keeps_the_best_in_order(self) -> None:
        selector = TokenSelector(4, k=3).eval()
        tokens, positions, mask = selector(X)
        scores = X @ selector.weight
        assert torch.equal(positions, scores.topk(3, -1)[1].sort(-1)[0])
        assert torch.equal(tokens, torch.stack([x[p] for x, p in zip(X, positions, strict=True)]))
        assert mask.all()

    def test_training_draws_by_gumbel_top_k_with_its_gradient(self) -> None:
        selector, weights = TokenSelector(4, k=3), torch.randn(3, 9, 4)
        tokens, positions, _ = selector(X, seed=5)
        (tokens * weights.gather(1, positions[..., None].expand(-1, -1, 4))).sum().backward()
        w = selector.weight.detach().clone().requires_grad_()
        z = relaxed_top_k(X @ w, 3, hard=True, seed=5)
        assert torch.equal(z.topk(3, -1)[1].sort(-1)[0], positions)
        # What was not chosen is not known to the rest of the network.
        (z * torch.where(z > 0, (X * weights).sum(-1), 0.0)).sum().backward()
        torch.testing.assert_close(selector.weight.grad, w.grad)
        assert len({tuple(selector(X, seed=n).positions[0].tolist()) for n in range(9)}) > 1

    def test_padding_is_chosen_last(self) -> None:
        for selector in (
            TokenSelector(4, k=3),
            TokenSelector(4, k=3).eval(),
            TokenSelector(4, k=3, estimator=Simple()),
        ):
            tokens, positions, mask = selector(X, mask=MASK)
            assert mask.sum(-1).tolist() == [3, 3, 2]
            assert (MASK.gather(-1, positions) == mask).all()
            assert not tokens[~mask].any()
            assert torch.equal(tokens[mask], X.gather(1, positions[..., None].expand(-1, -1, 4))[mask])

    def test_the_first_may_be_fixed(self) -> None:
        tokens, positions, mask = TokenSelector(4, k=2, fixed=2)(X, mask=MASK, seed=1)
        assert torch.equal(positions[:, :2], torch.tensor([[0, 1]] * 3))
        assert torch.equal(tokens[:, :2], X[:, :2])
        assert (positions[:, 2:] >= 2).all()
        assert mask.sum(-1).tolist() == [4, 4, 2]

    @pytest.mark.parametrize(("keep", "left"), [(1.0, 9), (0.5, 5), (0.25, 3), (1e-9, 1)])
    def test_a_share_is_rounded_up(self, keep: float, left: int) -> None:
        assert TokenSelector(4, keep=keep)(X, seed=0).tokens.shape == (3, left, 4)

    def test_a_shorter_sequence_is_kept_whole(self) -> None:
        assert torch.equal(TokenSelector(4, k=20)(X, seed=0).tokens, X)

    def test_refuses_what_does_not_fit(self) -> None:
        for options, words in (
            ({}, "either k or keep must be given"),
            ({"k": 3, "keep": 0.5}, "either k or keep"),
            ({"keep": 50.0}, "keep must be a share above 0"),
            ({"k": 0}, "k must be at least 1"),
        ):
            with pytest.raises(ValueError, match=words):
                TokenSelector(4, **options)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="ReinMax takes"):
            TokenSelector(4, k=2, estimator=ReinMax())
        with pytest.raises(ValueError, match="x must be tokens of 4 features"):
            TokenSelector(4, k=2)(X[..., :3])
        with pytest.raises(ValueError, match="mask must broadcast"):
            TokenSelector(4, k=2)(X, mask=MASK[:, :5])


def slow_merge(x: Tensor, left: int) -> tuple[Tensor, Tensor]:
    """One sequence, merged pair by pair."""
    keys = torch.nn.functional.normalize(x, dim=-1)
    even, odd = list(range(0, len(x), 2)), list(range(1, len(x), 2))
    likeness = {i: max((float(keys[i] @ keys[j]), -j) for j in odd) for i in even}
    merged = sorted(even, key=lambda i: -likeness[i][0])[: len(x) - left]
    groups = {i: [i] for i in range(len(x)) if i not in merged}
    for i in merged:
        groups[-likeness[i][1]].append(i)
    return torch.stack([x[groups[i]].mean(0) for i in sorted(groups)]), torch.tensor(sorted(groups))


class TestMerger:
    def test_evaluation_merges_the_most_alike(self) -> None:
        found = TokenMerger(4, k=6).eval()(X)
        for number in range(3):
            tokens, positions = slow_merge(X[number], 6)
            torch.testing.assert_close(found.tokens[number], tokens)
            assert torch.equal(found.positions[number], positions)
        assert (found.sizes.sum(-1) == 9).all()

    def test_the_weighted_sum_of_all_tokens_stays(self) -> None:
        merger, sizes = TokenMerger(4, keep=0.6), torch.rand(3, 9) + 0.5
        for seed in range(5):
            found = merger(X, sizes=sizes, seed=seed)
            sums = (found.tokens * found.sizes[..., None]).sum(1)
            torch.testing.assert_close(sums, (X * sizes[..., None]).sum(1))
            assert (found.positions.diff() > 0).all()

    def test_padding_is_merged_first_and_weighs_nothing(self) -> None:
        for merger in (TokenMerger(4, k=6), TokenMerger(4, k=6).eval()):
            found = merger(X, mask=MASK)
            torch.testing.assert_close(found.sizes.sum(-1), torch.tensor([9.0, 5.0, 2.0]))
            sums = (found.tokens * found.sizes[..., None]).sum(1)
            torch.testing.assert_close(sums, (X * MASK[..., None]).sum(1))
            assert torch.equal(found.mask, found.sizes > 0)
        # A lone token survives a merger into padding.
        alone = TokenMerger(4, k=1)(X[:1, :2], mask=torch.tensor([[True, False]]), seed=0)
        torch.testing.assert_close(alone.tokens[0, 0], X[0, 0])
        assert alone.mask.all()

    def test_the_class_token_stays(self) -> None:
        found = TokenMerger(4, k=5, fixed=1)(X, seed=0)
        assert torch.equal(found.tokens[:, 0], X[:, 0])
        assert found.tokens.shape == (3, 6, 4)
        assert torch.equal(TokenMerger(4, k=9)(X).tokens, X)

    def test_refuses_to_leave_less_than_half(self) -> None:
        with pytest.raises(ValueError, match=r"leave at least half of the 9 tokens, but it leaves 3"):
            TokenMerger(4, k=3)(X)
