"""Choices as layers: estimators' samples in training, the most probable one in evaluation, masks, refusals."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from drawgrad.distributions import KSubset
from drawgrad.estimators import (
    ESTIMATORS,
    Exact,
    Pathwise,
    Reinforce,
    ReinMax,
    Relax,
    Simple,
    STGumbelSoftmax,
    STGumbelTopK,
    SurrogateEstimator,
)
from drawgrad.nn import Choice
from drawgrad.variables import Binary, OneHot, Relaxable, Subset

LOGITS = torch.tensor([[0.5, -1.0, 2.0, 0.0], [1.0, 3.0, -2.0, 0.25], [-0.5, 0.75, 0.5, -4.0]])
SURROGATES = {name: cls for name, cls in ESTIMATORS.items() if issubclass(cls, SurrogateEstimator)}
KINDS = {"classes": OneHot, "bits": Binary, "sets": partial(Subset, k=2)}


def gradient(choice: Choice, seed: int | None = 3, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    logits = LOGITS.clone().requires_grad_()
    z = choice(logits, seed=seed, mask=mask)
    (z * torch.arange(4.0)).square().sum().backward()
    assert logits.grad is not None
    return z.detach(), logits.grad


@pytest.mark.parametrize("name", SURROGATES)
def test_training_is_the_sample_of_the_estimator(name: str) -> None:
    estimator = SURROGATES[name]()
    classes = issubclass(Relaxable, estimator.takes)
    choice = Choice(estimator, OneHot if classes else KINDS["sets"])
    logits = LOGITS.clone().requires_grad_()
    q = OneHotCategorical(logits=logits) if classes else KSubset(logits, 2)
    z = estimator.rsample(q, seed=3)[0]
    (z * torch.arange(4.0)).square().sum().backward()
    torch.testing.assert_close(gradient(choice), (z.detach(), logits.grad))


@pytest.mark.parametrize(
    ("kind", "estimator", "expected"),
    [
        ("classes", STGumbelSoftmax(), [[0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]]),
        ("bits", STGumbelSoftmax(), [[1, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 0]]),
        ("sets", STGumbelTopK(), [[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0]]),
    ],
)
def test_evaluation_takes_the_most_probable_sample(
    kind: str, estimator: SurrogateEstimator, expected: list[list[int]]
) -> None:
    z, found = gradient(Choice(estimator, KINDS[kind]).eval(), None)
    assert torch.equal(z, torch.tensor(expected).float())
    # With the gradient of the mean.
    logits = LOGITS.clone().requires_grad_()
    slope = 2 * z * torch.arange(4.0) ** 2
    mean = Choice(estimator, KINDS[kind], eval_mode="mean").eval()(logits)
    (mean * slope).sum().backward()
    torch.testing.assert_close(found, logits.grad)


def test_evaluation_may_sample_or_take_the_mean() -> None:
    drawn = Choice(eval_mode="sample").eval()
    assert torch.equal(drawn(LOGITS, seed=3), Choice()(LOGITS, seed=3))
    assert len({tuple(drawn(LOGITS, seed=seed).flatten().tolist()) for seed in range(9)}) > 1
    torch.testing.assert_close(Choice(eval_mode="mean").eval()(LOGITS), LOGITS.softmax(-1))
    means = Choice(Simple(), KINDS["sets"], eval_mode="mean").eval()(LOGITS)
    torch.testing.assert_close(means, KSubset(LOGITS, 2).marginals)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["train", "argmax", "mean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_mask_forbids(kind: str, mode: str, dtype: torch.dtype) -> None:
    allowed = torch.tensor([[True, True, False, True], [False, True, False, False], [False] * 4])
    for estimator in (STGumbelTopK(),) if kind == "sets" else (STGumbelSoftmax(), ReinMax()):
        choice = Choice(estimator, KINDS[kind], eval_mode="argmax" if mode == "train" else mode)  # type: ignore[arg-type]
        choice.train(mode == "train")
        for seed in range(20):
            logits = (LOGITS * 20).to(dtype).requires_grad_()
            z = choice(logits, mask=allowed, **({"seed": seed} if mode == "train" else {}))
            z.float().square().sum().backward()
            assert not z[~allowed].any()
            assert not logits.grad[~allowed].any()
            assert logits.grad.isfinite().all()
            assert z[1, 1] == 1 or kind == "bits"
            count = {"classes": 1, "sets": 2, "bits": z[0].sum().item()}[kind]
            assert z[0].sum().item() == pytest.approx(count, abs=1e-2)


def test_a_mask_draws_what_the_allowed_alone_would() -> None:
    allowed = torch.tensor([True, True, False, True])
    for seed in range(20):
        forbidden = torch.where(allowed, LOGITS, -torch.inf)
        assert torch.equal(Choice()(LOGITS, mask=allowed, seed=seed), Choice()(forbidden, seed=seed))


def test_parts_of_a_batch_draw_what_the_whole_does() -> None:
    for kind, estimator in (("classes", ReinMax()), ("bits", STGumbelSoftmax()), ("sets", STGumbelTopK())):
        choice = Choice(estimator, KINDS[kind])
        whole = choice(LOGITS, seed=5)
        assert torch.equal(whole[2:], choice(LOGITS[2:], seed=5, row_offset=2))
        assert any(not torch.equal(choice(LOGITS, seed=n)[2:], choice(LOGITS[2:], seed=n)) for n in range(9)), (
            "an offset makes no difference"
        )


def test_refuses_what_is_no_choice() -> None:
    for estimator in (Exact(), Reinforce(), Relax(features=4)):
        with pytest.raises(TypeError, match=r"needs the costs of its samples; it belongs around.*ReinMax"):
            Choice(estimator)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Pathwise gives none to choices; in a layer use one of"):
        Choice(Pathwise())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"is the class ReinMax; call the class"):
        Choice(ReinMax)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must draw one sample, but ReinMax has samples=2"):
        Choice(ReinMax(samples=2))
    with pytest.raises(TypeError, match="STGumbelTopK takes KSubset, but the choice is among OneHot"):
        Choice(STGumbelTopK())
    with pytest.raises(TypeError, match="among must be a kind of"):
        Choice(among="classes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eval_mode must be one of 'argmax', 'sample', 'mean', but it is 'greedy'"):
        Choice(eval_mode="greedy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not require a gradient, because ReinMax has none for it"):
        Choice(ReinMax(), learned=True)
    with pytest.raises(ValueError, match="needs an estimator with a temperature, but Simple has none"):
        Choice(Simple(), KINDS["sets"], learned=True)
    with pytest.raises(TypeError, match="logits must be of a floating dtype"):
        Choice()(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="mask must broadcast"):
        Choice()(LOGITS, mask=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="k"):
        Choice(STGumbelTopK(), partial(Subset, k=5))(LOGITS)
