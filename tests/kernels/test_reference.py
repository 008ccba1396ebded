"""The reference twin against definitions: noise word by word, samples row by row, gradients by torch's own rules."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.kernels import reference
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, SECOND
from tests.kernels.oracles import (
    EXTREME_PLACES,
    LARGEST,
    as_words,
    assert_close_in_ulp,
    extreme_words,
    gumbel_of,
    logistic_of,
    precise_noise,
    softmax,
    word_at,
    word_grid,
)
from tests.statistics import assert_mean

ORACLES = {"gumbel": gumbel_of, "logistic": logistic_of}
STREAMS = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}
SEED = torch.tensor([11, -3])
INF, NAN = torch.inf, torch.nan


class TestOracle:
    @pytest.mark.parametrize("family", ORACLES)
    def test_float64_is_as_good_as_sixty_digits(self, family: str) -> None:
        words = word_grid(500)
        seconds = words[::-1].copy()
        for given in ((words,), (words, seconds)):
            expected = [precise_noise(family, *(int(word) for word in each)) for each in zip(*given, strict=True)]
            np.testing.assert_allclose(ORACLES[family](*given), expected, rtol=1e-13, atol=1e-15)


class TestNoise:
    @pytest.fixture(params=["in eager code", "where values must not be asked"])
    def noise_of(
        self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> Callable[[str, torch.dtype, np.ndarray, np.ndarray], Tensor]:
        """The noise that the reference makes of given words, and second words."""

        def noise_of(family: str, dtype: torch.dtype, words: np.ndarray, seconds: np.ndarray) -> Tensor:
            streams = {STREAMS[family]: as_words(words), STREAMS[family] + SECOND: as_words(seconds)}
            monkeypatch.setattr(reference, "random_bits", lambda *block: streams[block[-1]])
            monkeypatch.setattr(reference, "words_at", lambda _, __, class_, stream: streams[stream][0, 0, class_])
            monkeypatch.setattr(reference, "wants_torch_operations", lambda: request.param != "in eager code")
            return reference.noise(SEED[0], (len(words),), 0, 0, family, dtype)

        return noise_of

    @pytest.mark.parametrize("family", ORACLES)
    def test_extreme_words_are_resolved_and_finite(self, noise_of: Callable[..., Tensor], family: str) -> None:
        pairs = np.array([(word, second) for word in extreme_words() for second in extreme_words()], dtype=np.uint64)
        exact = np.array([precise_noise(family, int(word), int(second)) for word, second in pairs])
        assert_close_in_ulp(noise_of(family, torch.float32, *pairs.T), exact, 3)
        np.testing.assert_allclose(noise_of(family, torch.float64, *pairs.T), exact, rtol=1e-14, atol=1e-15)
        for dtype in (torch.float16, torch.bfloat16):
            narrow = noise_of(family, dtype, *pairs.T)
            assert torch.equal(narrow, noise_of(family, torch.float32, *pairs.T).to(dtype))
            assert bool(narrow.isfinite().all())

    def test_the_largest_gumbel_exceeds_what_the_textbook_formula_reaches(
        self, noise_of: Callable[..., Tensor]
    ) -> None:
        words = np.array([0, LARGEST], dtype=np.uint64)
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            largest, smallest = noise_of("gumbel", dtype, words, np.zeros_like(words)).tolist()
            assert 44.9 < largest < 45.1
            assert -3.82 < smallest < -3.8
        uniform = torch.tensor(1 - 2**-24)
        assert -(-uniform.log()).log() < 16.7

    @pytest.mark.parametrize("family", ORACLES)
    def test_every_word_is_close_to_its_exact_noise(self, noise_of: Callable[..., Tensor], family: str) -> None:
        words = word_grid(1 << 17)
        seconds = np.random.default_rng(1).permutation(words)
        assert_close_in_ulp(noise_of(family, torch.float32, words, seconds), ORACLES[family](words, seconds), 3)

    def test_a_coin_of_log_odds_minus_23_comes_at_its_probability(self, noise_of: Callable[..., Tensor]) -> None:
        """Only the last word can make it one; given that word, the second one does at 2^32 sigmoid(-23) = 0.4408."""
        draws = 1 << 16
        words = np.full(draws, LARGEST, dtype=np.uint64)
        seconds = np.random.default_rng(1).integers(0, LARGEST, draws, dtype=np.uint64, endpoint=True)
        ones = noise_of("logistic", torch.float32, words, seconds) > 23
        probability = 2.0**32 / (1 + math.exp(23))
        assert_mean(ones.double(), probability, resolution=0.02)
        # One cell earlier the logit is out of reach, and one cell farther nothing is left to chance.
        assert not bool((noise_of("logistic", torch.float32, words - 1, seconds) > 23).any())
        with pytest.raises(AssertionError, match="mean"):
            assert_mean(ones.double(), 0.83 * probability, resolution=0.02)

    def test_the_check_notices_noise_whose_tail_is_cut_off(self) -> None:
        words = word_grid(1 << 17)
        uniform = torch.from_numpy(1 - (words.astype(np.float64) + 0.5) * 2.0**-32).float()
        uniform = uniform.clamp(torch.finfo(torch.float32).tiny, 1 - 2**-24)
        with pytest.raises(AssertionError, match="ulp"):
            assert_close_in_ulp(-(-uniform.log()).log(), gumbel_of(words), 3)

    @pytest.mark.parametrize("family", ORACLES)
    def test_is_that_of_the_word_of_its_place(self, family: str) -> None:
        noise = reference.noise(SEED, (2, 5), 2**32 - 1, 7, family, torch.float64)
        for g, seed in enumerate(SEED.tolist()):
            for i, row in enumerate(range(2**32 - 1, 2**32 + 1)):
                words = [word_at(seed, row, class_, STREAMS[family]) for class_ in range(7, 12)]
                expected = ORACLES[family](np.array(words, dtype=np.uint64))
                np.testing.assert_allclose(noise[g, i], expected, rtol=1e-13)

    @pytest.mark.parametrize("family", ORACLES)
    @pytest.mark.parametrize("traced", [False, True])
    def test_extreme_words_read_a_second_stream(
        self, monkeypatch: pytest.MonkeyPatch, family: str, traced: bool
    ) -> None:
        monkeypatch.setattr(reference, "wants_torch_operations", lambda: traced)
        for seed, row, class_, word in EXTREME_PLACES[family]:
            assert word == word_at(seed, row, class_, STREAMS[family])
            second = word_at(seed, row, class_, STREAMS[family] + SECOND)
            # Among others, and in the second of two groups.
            noise = reference.noise(torch.tensor([1, seed]), (3, 7), row - 2, class_ - 5, family, torch.float64)
            assert noise[1, 2, 5].item() == pytest.approx(precise_noise(family, word, second), rel=1e-13)


class TestSamples:
    LOGITS = torch.tensor([[[0.5, -1.0, 2.0], [0.0, -INF, 0.3]], [[1e4, -1e4, 0.0], [3.0, 3.0, 3.0]]]).double()

    def scores(self, family: str) -> list[list[list[float]]]:
        noise = reference.noise(SEED, (2, 3), 4, 1, family, torch.float64)
        return (self.LOGITS + noise).tolist()

    @pytest.mark.parametrize("tau", [1e-6, 0.5, 1.0, 1e3])
    def test_softmax_and_its_winner(self, tau: float) -> None:
        temperature = torch.tensor(tau, dtype=torch.float64)
        soft = reference.gumbel_softmax(self.LOGITS, temperature, SEED, 4, 1, False)
        hard = reference.gumbel_softmax(self.LOGITS, temperature, SEED, 4, 1, True)
        index = reference.gumbel_max(self.LOGITS, SEED, 4, 1)
        for g, group in enumerate(self.scores("gumbel")):
            for r, row in enumerate(group):
                winner = max(range(3), key=row.__getitem__)
                np.testing.assert_allclose(soft[g, r], softmax(row, tau), rtol=1e-9, atol=1e-300)
                assert index[g, r] == winner
                assert hard[g, r].tolist() == [float(k == winner) for k in range(3)]

    def test_sigmoid_and_its_sign(self) -> None:
        tau = torch.tensor(0.5, dtype=torch.float64)
        soft = reference.binary_concrete(self.LOGITS, tau, SEED, 4, 1, False)
        hard = reference.binary_concrete(self.LOGITS, tau, SEED, 4, 1, True)
        scores = np.array(self.scores("logistic"))
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(soft, 1 / (1 + np.exp(-scores / 0.5)), rtol=1e-12)
        assert torch.equal(hard, torch.from_numpy(scores > 0).double())

    def test_each_row_has_its_own_temperature(self) -> None:
        tau = torch.tensor([[[0.1], [1.0]], [[2.0], [50.0]]], dtype=torch.float64)
        for sample in (reference.gumbel_softmax, reference.binary_concrete):
            together = sample(self.LOGITS, tau, SEED, 0, 0, False)
            for r in range(2):
                for g in range(2):
                    alone = sample(self.LOGITS[g : g + 1, r : r + 1], tau[g, r, 0], SEED[g : g + 1], r, 0, False)
                    # Not to the last bit: torch computes the end of a tensor without vectors.
                    torch.testing.assert_close(together[g, r], alone[0, 0], rtol=1e-13, atol=0.0)

    def test_what_cannot_be_chosen_and_what_is_no_number(self) -> None:
        logits = torch.tensor([[[-INF, -INF, -INF], [-INF, 1.0, -INF], [0.0, NAN, -INF], [0.0, INF, -INF]]])
        tau, seed = torch.tensor(1.0), SEED[:1]
        soft = reference.gumbel_softmax(logits, tau, seed, 0, 0, False)
        hard = reference.gumbel_softmax(logits, tau, seed, 0, 0, True)
        torch.testing.assert_close(hard[0, :2], torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), rtol=0, atol=0)
        assert torch.equal(soft[0, :2], hard[0, :2])
        assert bool(soft[0, 2:].isnan().all())
        assert bool(hard[0, 2:].isnan().all())
        assert bool(reference.gumbel_softmax_vjp(torch.ones(1, 4, 3), logits, tau, seed, 0, 0)[0, 2:].isnan().all())
        assert reference.gumbel_max(logits, seed, 0, 0).tolist() == [[-1, 1, 1, 1]]


class TestGradients:
    """The hand-written derivatives against those that torch finds in the reference's own operations."""

    @pytest.mark.parametrize("shape", [(), (2, 3, 1)])
    @pytest.mark.parametrize("family", ["softmax", "sigmoid"])
    def test_of_the_logits(self, family: str, shape: tuple[int, ...]) -> None:
        names = {"softmax": "gumbel_softmax", "sigmoid": "binary_concrete"}
        sample, vjp = (getattr(reference, names[family] + suffix) for suffix in ("", "_vjp"))
        logits = torch.randn(2, 3, 5, dtype=torch.float64)
        logits[0, 0] = -INF
        logits[0, 1, 2] = -INF
        logits.requires_grad_()
        tau = (torch.rand(shape, dtype=torch.float64) + 0.5).requires_grad_()
        grad = torch.randn(2, 3, 5, dtype=torch.float64)
        y = sample(logits, tau, SEED, 3, 1, False)
        by_torch, of_tau = torch.autograd.grad(y, (logits, tau), grad)
        torch.testing.assert_close(vjp(grad, logits, tau, SEED, 3, 1).detach(), by_torch)
        from_sample = getattr(reference, family + "_vjp")(grad, y.detach(), tau.detach())
        torch.testing.assert_close(from_sample, by_torch)
        assert bool(of_tau.isfinite().all())

    @pytest.mark.parametrize("grad", [[INF, 0.0, 1.0], [0.0, INF, 1.0], [1.0, 2.0, NAN], [INF, INF, INF]])
    def test_nothing_reaches_what_cannot_be_chosen(self, grad: list[float]) -> None:
        logits = torch.tensor([[[0.3, 0.1, -INF]]], dtype=torch.float64, requires_grad=True)
        upstream = torch.tensor([[grad]], dtype=torch.float64)
        tau = torch.tensor(0.7, dtype=torch.float64)
        y = reference.gumbel_softmax(logits, tau, SEED[:1], 0, 0, False)
        for gradient in (
            torch.autograd.grad(y, logits, upstream)[0],
            reference.softmax_vjp(upstream, y.detach(), tau),
            reference.gumbel_softmax_vjp(upstream, logits.detach(), tau, SEED[:1], 0, 0),
        ):
            assert gradient[0, 0, 2] == 0
            assert bool(gradient[0, 0, :2].isfinite().all()) == bool(upstream[0, 0, :2].isfinite().all())

    def test_nothing_reaches_a_bit_that_is_certain(self) -> None:
        logits = torch.tensor([[[-INF, INF]]], dtype=torch.float64, requires_grad=True)
        tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        y = reference.binary_concrete(logits, tau, SEED[:1], 0, 0, False)
        assert y.tolist() == [[[0.0, 1.0]]]
        upstream = torch.tensor([[[INF, 2.0]]], dtype=torch.float64)
        for gradient in torch.autograd.grad(y, (logits, tau), upstream):
            assert bool((gradient == 0).all())
        assert bool((reference.sigmoid_vjp(upstream, y.detach(), tau.detach()) == 0).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_results_are_contiguous_and_of_the_dtype_of_the_logits(dtype: torch.dtype) -> None:
    logits, grad = torch.randn(2, 2, 5, 3, dtype=dtype).mT
    tau = torch.tensor(1.0, dtype=reference.compute_dtype(dtype))
    results = []
    for name in ("gumbel_softmax", "binary_concrete"):
        results += [getattr(reference, name)(logits, tau, SEED, 0, 0, hard) for hard in (False, True)]
        results += [getattr(reference, name + "_vjp")(grad, logits, tau, SEED, 0, 0)]
    results += [reference.softmax_vjp(grad, logits, tau), reference.sigmoid_vjp(grad, logits, tau)]
    for result in results:
        assert result.shape == logits.shape
        assert result.is_contiguous()
        assert result.dtype == dtype
