"""Attention over k keys: which ones, and that it is dense attention where k is all of them."""

from __future__ import annotations

import pytest
import torch

from drawgrad.nn import SparseAttention

X = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0))


def test_all_keys_are_dense_attention() -> None:
    attention = SparseAttention(6, 2, 7, causal=True)
    q, k = attention.queries_and_keys(X).chunk(2, -1)
    v = attention.values(X)
    heads = [t.unflatten(-1, (2, 3)).transpose(1, 2) for t in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
    found = attention(X, seed=0)
    torch.testing.assert_close(found, attention.out(expected.transpose(1, 2).flatten(-2)))
    gradients = [torch.autograd.grad(y.square().sum(), attention.queries_and_keys.weight, retain_graph=True)[0]
                 for y in (found, attention.out(expected.transpose(1, 2).flatten(-2)))]  # fmt: skip
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("causal", [False, True])
def test_each_query_sees_k_keys_of_those_allowed(causal: bool) -> None:
    attention = SparseAttention(6, 2, 3, causal=causal)
    mask = torch.tensor([[True] * 7, [True] * 2 + [False] * 5])
    for module in (attention.train(), attention.eval()):
        weights = module.weights(X, mask=mask)
        allowed = mask[:, None, None, :].expand(2, 2, 7, 7) & (torch.ones(7, 7).tril().bool() if causal else True)
        assert not weights[~allowed].any()
        assert torch.equal((weights > 0).sum(-1), allowed.sum(-1).clamp(max=3))
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 7))
    nothing = attention(X, mask=torch.zeros(2, 7, dtype=torch.bool))
    assert nothing.isfinite().all()


def test_evaluation_takes_the_largest_scores() -> None:
    attention = SparseAttention(6, 1, 2).eval()
    q, k = attention.queries_and_keys(X).chunk(2, -1)
    scores = q @ k.mT / 6**0.5
    top = scores.topk(2, -1)
    expected = torch.zeros_like(scores).scatter(-1, top[1], top[0].softmax(-1))
    torch.testing.assert_close(attention.weights(X)[:, 0], expected)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads, but they are 6 and 4"):
        SparseAttention(6, 4, 2)
    with pytest.raises(ValueError, match="k must be at least 1"):
        SparseAttention(6, 2, 0)
    with pytest.raises(ValueError, match="x must be tokens of 6 features"):
        SparseAttention(6, 2, 2)(X[..., :5])
