"""Quantizers of other packages with this package's draws inside, and this package's quantizer in their place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import STGumbelSoftmax
from drawgrad.functional import gumbel_softmax
from drawgrad.nn import Quantizer


class TestHuggingFace:
    """``Wav2Vec2GumbelVectorQuantizer``, which calls ``torch.nn.functional.gumbel_softmax``."""

    @pytest.fixture
    def theirs(self) -> Any:
        pytest.importorskip("transformers")
        from transformers import Wav2Vec2Config
        from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

        config = Wav2Vec2Config(
            num_codevector_groups=2, num_codevectors_per_group=6, codevector_dim=8, conv_dim=(12,) * 7
        )
        made = Wav2Vec2GumbelVectorQuantizer(config)
        torch.nn.init.normal_(made.codevectors)
        return made

    def test_runs_on_this_package_s_draws(self, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []

        def ours(logits: Tensor, tau: float = 1.0, hard: bool = False) -> Tensor:
            calls.append(tau)
            return gumbel_softmax(logits, tau, hard, seed=3)

        monkeypatch.setattr(torch.nn.functional, "gumbel_softmax", ours)
        x = torch.randn(2, 5, 12, requires_grad=True)
        values, perplexity = theirs.train()(x)
        values.square().sum().backward()
        assert calls == [2]
        assert values.shape == (2, 5, 8)
        assert 1 <= perplexity <= 12
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in theirs.parameters())

    def test_quantizer_takes_its_place(self, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same weights: the same codes in evaluation, and in training the same draw and the same gradients."""
        ours = Quantizer(6, 8, groups=2, inputs=12, estimator=STGumbelSoftmax(tau=2.0))
        ours.projection.load_state_dict(theirs.weight_proj.state_dict())
        with torch.no_grad():
            ours.codebook.copy_(theirs.codevectors.reshape(2, 6, 4))
        x = torch.randn(2, 5, 12)
        values, perplexity = theirs.eval()(x)
        out = ours.eval()(x)
        torch.testing.assert_close(out.values, values)
        torch.testing.assert_close(out.perplexity.sum(), perplexity)
        monkeypatch.setattr(torch.nn.functional, "gumbel_softmax", partial(gumbel_softmax, seed=7))
        found: list[list[Tensor]] = []
        for call in (lambda x: theirs.train()(x)[0], lambda x: ours.train()(x, seed=7).values):
            inputs = x.clone().requires_grad_()
            call(inputs).square().sum().backward()
            assert inputs.grad is not None
            found.append([inputs.grad])
        found[0].append(theirs.codevectors.grad.reshape(2, 6, 4))
        found[1].append(ours.codebook.grad)
        torch.testing.assert_close(*found)


def drawn(
    logits: Tensor,
    temperature: float = 1.0,
    stochastic: bool = False,
    straight_through: bool = False,
    dim: int = -1,
    training: bool = True,
    **others: Any,
) -> tuple[Tensor, Tensor]:
    """What vector-quantize-pytorch asks of its sampler, by this package."""
    if training and stochastic and temperature > 0:
        one_hot = gumbel_softmax(logits, temperature, True, dim=dim, seed=5)
    else:
        one_hot = torch.nn.functional.one_hot(logits.argmax(dim), logits.shape[dim]).to(logits.dtype)
    return one_hot.argmax(dim), one_hot if straight_through else one_hot.detach()


def test_vector_quantize_pytorch_runs_on_this_package_s_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    asked: list[dict[str, Any]] = []

    def sampler(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        asked.append(options)
        return drawn(*args, **options)

    monkeypatch.setattr(package, "gumbel_sample", sampler)
    make: Callable[..., Any] = package.VectorQuantize
    theirs = make(dim=8, codebook_size=6, stochastic_sample_codes=True, straight_through=True, rotation_trick=False)
    x = torch.randn(2, 5, 8, requires_grad=True)
    values, indices, loss = theirs.train()(x)
    (values.square().sum() + loss.sum()).backward()
    assert asked
    assert indices.shape == (2, 5)
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.any()
