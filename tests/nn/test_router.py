"""Routers: what each gradient is, by enumeration; candidates, capacity, losses, balance, padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from drawgrad.distributions import KSubset
from drawgrad.estimators import Reinforce, ReinMax
from drawgrad.nn import MixtureOfExperts, Router, _scores
from tests.largest import Largest
from tests.statistics import assert_mean

WIDTH, EXPERTS = 3, 4


class Constant(nn.Module):
    """An expert that says the same of every row."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, rows: Tensor) -> Tensor:
        return self.value.expand(len(rows), -1)


VALUES = torch.linspace(-1.5, 2.0, EXPERTS * 2, dtype=torch.float64).reshape(EXPERTS, 2).sin()
SLOPE = torch.tensor([1.0, -2.0], dtype=torch.float64)


def mixture(k: int = 1, **options: Any) -> MixtureOfExperts:
    torch.manual_seed(1)
    router = Router(WIDTH, EXPERTS, k, dtype=torch.float64, **options)
    return MixtureOfExperts(router, [Constant(value) for value in VALUES])


def gradients(moe: MixtureOfExperts, count: int, cost: Any) -> Tensor:
    """Gradients of the logits of many tokens that are alike, each with a draw of its own."""
    x = torch.ones(count, WIDTH, dtype=torch.float64)
    found = []
    logits = moe.router._logits(x)
    leaf = logits.detach().requires_grad_()
    moe.router._logits = lambda x: leaf  # type: ignore[method-assign]
    y, _ = moe(x, seed=7)
    cost(y).sum().backward()
    found.append(leaf.grad)
    return torch.cat(found)


def linear(y: Tensor) -> Tensor:
    return y @ SLOPE


def expected(moe: MixtureOfExperts, of_state: Any) -> Tensor:
    """The mean over the states of the choice of a gradient for the logits that is a function of the state."""
    logits = moe.router._logits(torch.ones(WIDTH, dtype=torch.float64)).detach().requires_grad_()
    total = torch.zeros(EXPERTS, dtype=torch.float64)
    for state in range(EXPERTS):
        p = logits.softmax(-1)
        (found,) = torch.autograd.grad(of_state(p, state), logits)
        total += p[state].detach() * found
    return total


def test_the_sparse_gradient_is_that_of_the_weights() -> None:
    moe = mixture()
    assert_mean(
        gradients(moe, 40_000, linear), expected(mixture(), lambda p, e: linear(p[e] * VALUES[e])), resolution=0.02
    )


def test_sparsemixer_has_the_exact_gradient_of_a_linear_cost() -> None:
    """Of E[c(p_D f_D)], in which the draw depends on the logits as well."""

    def both(p: Tensor, e: int) -> Tensor:
        return linear(p[e] * VALUES[e]) + p[e].log() * linear(p[e] * VALUES[e]).detach()

    exact = expected(mixture(), both)
    with_scale = gradients(mixture(gradient="sparsemixer"), 60_000, linear)
    # What the random scale does to the part of the weights is known; the part of the choice is exact.
    moe = mixture()
    logits = moe.router._logits(torch.ones(WIDTH, dtype=torch.float64)).detach()
    best = int(logits.argmax())
    scaled = expected(mixture(), lambda p, e: (1.0 if e == best else 0.5) * linear(p[e] * VALUES[e]))
    part = expected(mixture(), lambda p, e: linear(p[e] * VALUES[e]))
    assert_mean(with_scale, exact - part + scaled, resolution=0.03)
    assert (exact - part).abs().max() > 0.1, "the choice makes no difference"


def test_the_straight_through_gradient_is_that_of_the_estimator_given_what_is_known() -> None:
    def of_state(p: Tensor, e: int) -> Tensor:
        # ReinMax where the other experts' outputs are taken for zero: half the score times the cost's slope.
        slope = linear(p[e] * VALUES[e]).detach()
        return linear(p[e] * VALUES[e]) + 0.5 * p[e].log() * slope

    moe = mixture(gradient="straight-through", estimator=ReinMax())
    assert_mean(gradients(moe, 40_000, linear), expected(mixture(), of_state), resolution=0.03)


def test_the_dense_gradient_knows_every_expert() -> None:
    def of_state(p: Tensor, e: int) -> Tensor:
        return (p * linear(VALUES)).sum()

    found = gradients(mixture(gradient="dense"), 50, linear)
    # Of a linear cost it depends on no draw.
    torch.testing.assert_close(found, expected(mixture(), of_state).expand(50, -1))


@pytest.mark.parametrize("gradient", ["sparse", "straight-through", "dense"])
def test_gradients_change_no_value(gradient: str) -> None:
    x = torch.randn(20, WIDTH, dtype=torch.float64)
    for k in (1, 2):
        torch.testing.assert_close(mixture(k, gradient=gradient)(x, seed=3)[0], mixture(k)(x, seed=3)[0])


def test_sparsemixer_scales_three_of_four_draws_that_are_not_the_likeliest() -> None:
    x = torch.randn(5000, WIDTH, dtype=torch.float64)
    plain, mixed = (mixture(gradient=name).router(x, seed=3) for name in ("sparse", "sparsemixer"))
    likeliest = plain.probs.argmax(-1, keepdim=True) == plain.experts
    ratio = mixed.weights / plain.weights
    torch.testing.assert_close(ratio[likeliest], torch.ones_like(ratio[likeliest]))
    others = ratio[~likeliest]
    assert ((others - 1).abs().minimum((others - 1 / 3).abs()) < 1e-9).all()
    assert_mean((others > 0.5).double(), torch.tensor(0.25, dtype=torch.float64), resolution=0.1)
    # Evaluation has nothing of it.
    torch.testing.assert_close(*(mixture(gradient=name).eval()(x)[0] for name in ("sparse", "sparsemixer")))


def test_draws_in_proportion_to_the_probabilities() -> None:
    x = torch.ones(20_000, WIDTH)
    torch.manual_seed(0)
    router = Router(WIDTH, EXPERTS, 1)
    routing = router(x, seed=5)
    chosen = nn.functional.one_hot(routing.experts[:, 0], EXPERTS).double()
    assert_mean(chosen, routing.probs[0].detach().double(), resolution=0.03)
    torch.testing.assert_close(routing.load.double(), chosen.sum(0))
    evaluated = router.eval()(x)
    assert (evaluated.experts == evaluated.probs.argmax(-1, keepdim=True)).all()
    quiet = Router(WIDTH, EXPERTS, 2, noise=False)
    assert torch.equal(quiet(x[:3]).experts, quiet(x[:3]).experts)


def test_candidates_are_the_likeliest_and_change_nothing_where_they_are_all() -> None:
    torch.manual_seed(0)
    x, full = torch.randn(50, WIDTH), Router(WIDTH, 40, 2, noise=False)
    few = Router(WIDTH, 40, 2, noise=False, candidates=5)
    few.load_state_dict(full.state_dict())
    a, b = full(x), few(x)
    assert torch.equal(a.experts.sort(-1)[0], b.experts.sort(-1)[0])
    top = a.probs.topk(5, -1)[0]
    torch.testing.assert_close(b.probs, top / top.sum(-1, keepdim=True))
    torch.testing.assert_close(a.z_loss, b.z_loss)
    every = Router(WIDTH, 40, 2, noise=False, candidates=40)
    every.load_state_dict(full.state_dict())
    torch.testing.assert_close(every(x).balance_loss, a.balance_loss)
    drawn = Router(WIDTH, 40, 2, candidates=5)
    drawn.load_state_dict(full.state_dict())
    allowed = a.probs.topk(5, -1)[1]
    assert (drawn(x, seed=1).experts[..., None] == allowed[:, None]).any(-1).all()


def test_losses_are_those_of_the_papers() -> None:
    torch.manual_seed(0)
    x = torch.randn(30, WIDTH, dtype=torch.float64)
    router = Router(WIDTH, EXPERTS, 2, dtype=torch.float64)
    routing = router(x, seed=1)
    logits = x @ router.weight.T
    torch.testing.assert_close(routing.z_loss, logits.exp().sum(-1).log().square().mean())
    share = torch.stack([(routing.experts == e).any(-1).double().mean() for e in range(EXPERTS)]) / 2
    torch.testing.assert_close(routing.balance_loss, EXPERTS * (share * logits.softmax(-1).mean(0)).sum())
    # One where all are alike, their number where all tokens want one.
    with torch.no_grad():
        router.weight.zero_()
    assert router(x, seed=1).balance_loss.item() == pytest.approx(1.0)
    alone = Router(WIDTH, EXPERTS, 1)
    with torch.no_grad():
        alone.weight.copy_(torch.tensor([[100.0] * WIDTH] + [[0.0] * WIDTH] * 3))
    assert alone(torch.ones(9, WIDTH), seed=1).balance_loss.item() == pytest.approx(EXPERTS)


def test_padding_counts_nowhere() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 5, WIDTH)
    mask = torch.rand(6, 5) < 0.6
    router = Router(WIDTH, EXPERTS, 2, noise=False)
    with_mask, alone = router(x, mask=mask), router(x[mask])
    for name in ("balance_loss", "z_loss", "load"):
        torch.testing.assert_close(getattr(with_mask, name), getattr(alone, name))
    assert torch.equal(with_mask.experts[mask], alone.experts)
    assert (with_mask.experts[~mask] == -1).all()
    assert not with_mask.weights[~mask].any()
    nothing = router(x, mask=torch.zeros_like(mask))
    assert nothing.z_loss == 0
    assert nothing.balance_loss == 0


@pytest.mark.parametrize("overflow", ["last", "lightest"])
def test_an_expert_takes_no_more_than_its_capacity(overflow: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(40, WIDTH)
    router = Router(WIDTH, EXPERTS, 2, capacity=0.8, overflow=overflow, noise=False)  # type: ignore[arg-type]
    free = Router(WIDTH, EXPERTS, 2, noise=False)
    free.load_state_dict(router.state_dict())
    limited, unlimited = router(x), free(x)
    torch.testing.assert_close(limited.load, unlimited.load)
    kept = limited.experts >= 0
    counts = torch.bincount(limited.experts[kept], minlength=EXPERTS)
    assert torch.equal(counts, unlimited.load.long().clamp(max=16))
    assert limited.dropped.item() == pytest.approx(1 - counts.sum().item() / 80)
    # A slow twin: who is first.
    for expert in range(EXPERTS):
        entries = [(t, j) for t in range(40) for j in range(2) if unlimited.experts[t, j] == expert]
        if overflow == "lightest":
            entries.sort(key=lambda place: -unlimited.weights[place].item())
        assert [bool(kept[place]) for place in entries] == [number < 16 for number in range(len(entries))]
    assert not limited.weights[~kept].any()


def test_the_bias_evens_the_load_and_stays_out_of_the_weights() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, WIDTH) + 1.0
    router = Router(WIDTH, EXPERTS, 1, noise=False)
    first = router(x).load
    for _ in range(300):
        router.balance(router(x).load, rate=0.01)
    last = router(x)
    assert last.load.std() < 0.3 * first.std()
    torch.testing.assert_close(last.weights, last.probs.gather(-1, last.experts))
    torch.testing.assert_close(last.probs, (x @ router.weight.T).softmax(-1))


def test_normalized_weights_sum_to_one() -> None:
    weights = Router(WIDTH, EXPERTS, 2, normalize=True)(torch.randn(5, WIDTH), seed=1).weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(5))


def test_logits_are_float32_under_autocast() -> None:
    torch.manual_seed(0)
    router, x = Router(WIDTH, EXPERTS, noise=False), torch.randn(50, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        found = router(x)
    assert found.probs.dtype == torch.float32
    torch.testing.assert_close(found.probs, router(x).probs)


def test_sets_are_drawn_by_the_law_of_gumbel_top_k() -> None:
    from drawgrad.estimators import Simple

    torch.manual_seed(0)
    router = Router(WIDTH, EXPERTS, 2, estimator=Simple())
    routing = router(torch.ones(20_000, WIDTH), seed=2)
    chosen = torch.zeros(20_000, EXPERTS, dtype=torch.float64).scatter(1, routing.experts, 1.0)
    assert_mean(chosen, KSubset(routing.probs[0].log(), 2).marginals.detach().double(), resolution=0.03)


class TestFused:
    @pytest.mark.parametrize("mode", ["drawn", "without noise", "evaluation"])
    def test_is_the_same_routing(self, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_scores, "ELEMENTS", 24 * 7)  # Seven of 20 experts at a time.
        torch.manual_seed(0)
        options: Any = {"noise": mode != "without noise", "capacity": 1.5, "dtype": torch.float64}
        pair = Router(WIDTH, 20, **options), Router(WIDTH, 20, **options, fused=True)
        pair[1].load_state_dict(pair[0].state_dict())
        x, mask = 3 * torch.randn(6, 4, WIDTH, dtype=torch.float64), torch.rand(6, 4) < 0.8
        found = []
        for router in pair:
            router.train(mode != "evaluation")
            router.expert_bias.copy_(torch.linspace(-1, 1, 20))
            leaf = x.clone().requires_grad_()
            routing = router(leaf, mask=mask, seed=4)
            loss = (routing.weights * torch.arange(4.0)[:, None]).sum() + routing.balance_loss + routing.z_loss
            grads = torch.autograd.grad(loss, [leaf, router.weight])
            found.append([*routing[:-1], *grads])
        assert torch.equal(found[0][1], found[1][1])
        torch.testing.assert_close(found[1], found[0])
        assert found[0][5] > 0, "nothing is dropped"
        assert routing.probs is None

    def test_draws_the_same_in_float32(self) -> None:
        torch.manual_seed(0)
        x, plain = torch.randn(500, WIDTH), Router(WIDTH, 200)
        fused = Router(WIDTH, 200, fused=True)
        fused.load_state_dict(plain.state_dict())
        assert torch.equal(fused(x, seed=1).experts, plain(x, seed=1).experts)
        assert not torch.equal(fused(x, seed=2).experts, plain(x, seed=1).experts)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(fused(x, seed=1).experts, plain(x, seed=1).experts)

    def test_holds_no_score_of_all_tokens_for_all_experts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_scores, "ELEMENTS", 64 * 32)
        largest = {}
        for fused in (False, True):
            with Largest() as seen:
                routing = Router(WIDTH, 512, fused=fused)(torch.randn(64, WIDTH), seed=0)
                (routing.weights.sum() + routing.balance_loss + routing.z_loss).backward()
            largest[fused] = seen.numbers
        assert largest == {False: 64 * 512, True: 64 * 32}

    def test_of_no_tokens(self) -> None:
        routing = Router(WIDTH, 9, fused=True)(torch.zeros(0, WIDTH), seed=0)
        assert routing.weights.shape == (0, 1)
        assert routing.balance_loss == routing.z_loss == 0

    @pytest.mark.parametrize("options", [{"k": 2}, {"gradient": "sparsemixer"}, {"candidates": 2}])
    def test_needs_scores_for_anything_else(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="fused=True needs k=1, gradient='sparse' and no candidates"):
            Router(WIDTH, EXPERTS, fused=True, **options)


def test_refuses_what_does_not_fit() -> None:
    for options, words in (
        ({"k": 5}, "must not decrease, but they are 5, 4 and 4"),
        ({"k": 2, "candidates": 1}, "must not decrease"),
        ({"k": 0}, "k must be at least 1"),
        ({"gradient": "magic"}, "gradient must be one of 'sparse'"),
        ({"overflow": "first"}, "overflow must be one of"),
        ({"normalize": True}, "needs k > 1"),
        ({"capacity": -1.0}, "capacity must be finite"),
        ({"gradient": "dense", "candidates": 2}, "asks all experts"),
    ):
        with pytest.raises(ValueError, match=words):
            Router(WIDTH, EXPERTS, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs the costs"):
        Router(WIDTH, EXPERTS, estimator=Reinforce())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"ReinMax takes .* but the choice is among Subset"):
        Router(WIDTH, EXPERTS, 2, estimator=ReinMax())
    with pytest.raises(ValueError, match="x must have 3 features"):
        Router(WIDTH, EXPERTS)(torch.zeros(2, 4))
