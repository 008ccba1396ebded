"""Codebooks: which code is chosen, what gradient comes back, and how the codebook follows its inputs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import LeaveOneOut, ReinMax, STGumbelSoftmax, StraightThrough
from drawgrad.nn import Quantizer


def nearest(x: Tensor, codebook: Tensor) -> Tensor:
    """The numbers of the nearest codes, by a loop."""
    parts = x.reshape(-1, len(codebook), codebook.shape[2])
    return torch.tensor([
        [min(range(codebook.shape[1]), key=lambda k: float((part - book[k]).square().sum()))
         for part, book in zip(row, codebook, strict=True)]
        for row in parts.detach()
    ])  # fmt: skip


def double(*arguments: int, **options: object) -> Quantizer:
    return Quantizer(*arguments, dtype=torch.float64, **options)  # type: ignore[arg-type]


class TestNearest:
    def test_is_what_a_loop_finds(self) -> None:
        quantizer = double(9, 6, groups=3)
        x = torch.randn(4, 5, 6, dtype=torch.float64)
        out = quantizer(x)
        assert torch.equal(out.indices.reshape(-1, 3), nearest(x, quantizer.codebook))
        assert torch.equal(quantizer.encode(x), out.indices)
        assert torch.equal(quantizer.decode(out.indices), out.values)

    def test_far_from_the_origin_too(self) -> None:
        quantizer = Quantizer(9, 6)
        with torch.no_grad():
            quantizer.codebook += 300.0
        x = torch.randn(40, 6) + 300.0
        agree = quantizer.encode(x)[:, 0] == nearest(x.double(), quantizer.codebook.double())[:, 0]
        assert agree.float().mean() >= 0.9

    def test_the_gradient_for_the_values_is_that_for_the_inputs(self) -> None:
        quantizer = double(9, 6)
        x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(5, 6, dtype=torch.float64)
        (found,) = torch.autograd.grad((quantizer(x).values * weights).sum(), x)
        assert torch.equal(found, weights)

    def test_the_loss_draws_codes_and_inputs_together(self) -> None:
        quantizer = double(9, 6, commitment=0.5)
        x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
        out = quantizer(x)
        off = (x - quantizer.codebook[0, out.indices[:, 0]]).detach()
        torch.testing.assert_close(out.loss, 1.5 * off.square().mean())
        of_x, of_codes = torch.autograd.grad(out.loss, [x, quantizer.codebook])
        torch.testing.assert_close(of_x, 0.5 * 2 * off / 30)
        torch.testing.assert_close(of_codes.sum(1)[0], -2 * off.sum(0) / 30)


class TestDrawn:
    def test_codes_are_drawn_by_distance(self) -> None:
        quantizer = double(4, 2, estimator=StraightThrough())
        with torch.no_grad():
            quantizer.log_precision.fill_(math.log(0.7))
        x = torch.randn(3, 2, dtype=torch.float64)
        out = quantizer(x, seed=0)
        squares = (x[:, None] - quantizer.codebook[0]).square().sum(-1)
        torch.testing.assert_close(out.logits[:, 0].softmax(-1), (-0.7 * squares).softmax(-1))
        torch.testing.assert_close(out.values, quantizer.decode(out.indices))

    def test_gradients_are_those_of_the_estimator(self) -> None:
        """Straight-through is exact for a linear cost, whatever is drawn: here against the sum over all codes."""
        quantizer = double(5, 4, groups=2, estimator=StraightThrough())
        x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(3, 4, dtype=torch.float64)
        out = quantizer(x, seed=0)
        (found,) = torch.autograd.grad((out.values * weights).sum(), x, retain_graph=True)
        mean = torch.einsum("ngk,gkd->ngd", out.logits.softmax(-1), quantizer.codebook).reshape(3, 4)
        (exact,) = torch.autograd.grad((mean * weights).sum(), x)
        torch.testing.assert_close(found, exact)

    def test_evaluation_takes_the_most_probable_code(self) -> None:
        quantizer = double(5, 4, groups=2, estimator=ReinMax()).eval()
        x = torch.randn(30, 4, dtype=torch.float64)
        assert torch.equal(quantizer(x).indices, nearest(x, quantizer.codebook))
        assert not torch.equal(quantizer.train()(x, seed=0).indices, quantizer.encode(x))

    def test_logits_may_be_linear(self) -> None:
        quantizer = double(5, 4, groups=2, inputs=7, estimator=STGumbelSoftmax())
        x = torch.randn(2, 3, 7, dtype=torch.float64)
        out = quantizer(x, seed=0)
        assert out.values.shape == (2, 3, 4)
        assert out.loss == 0
        torch.testing.assert_close(out.logits.reshape(2, 3, 10), quantizer.projection(x))
        assert out.inputs.shape == (6, 1, 0)


class TestStatistics:
    def test_perplexity_counts_codes(self) -> None:
        quantizer = double(4, 2)
        with torch.no_grad():
            quantizer.codebook.copy_(torch.tensor([[[0, 0], [0, 9], [9, 0], [9, 9]]]))
        x = quantizer.codebook[0, [0, 0, 1, 1, 2, 2]]
        assert quantizer(x).perplexity.tolist() == pytest.approx([3.0])
        assert quantizer(x[:2]).perplexity.tolist() == pytest.approx([1.0])

    def test_diversity_and_uncertainty(self) -> None:
        quantizer = double(4, 2, inputs=4, estimator=StraightThrough())
        with torch.no_grad():
            quantizer.projection.weight.copy_(torch.eye(4))
        sure = torch.eye(4, dtype=torch.float64) * 200
        assert quantizer(sure).diversity.item() == pytest.approx(0)
        assert quantizer(sure).uncertainty.item() == pytest.approx(0)
        assert quantizer(sure[:1]).diversity.item() == pytest.approx(math.log(4))
        assert quantizer(0 * sure).uncertainty.item() == pytest.approx(math.log(4))
        logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
        torch.autograd.gradcheck(lambda x: quantizer(x, seed=0).diversity, logits)
        torch.autograd.gradcheck(lambda x: quantizer(x, seed=0).uncertainty, logits)

    def test_padding_is_left_out_of_them(self) -> None:
        quantizer = double(5, 4, decay=0.5)
        x = torch.randn(2, 6, 4, dtype=torch.float64)
        mask = torch.arange(6) < torch.tensor([[4], [3]])
        whole, padded = quantizer(x[mask]), quantizer(x, mask=mask)
        assert torch.equal(padded.values[mask], whole.values)
        for name in ("loss", "perplexity", "diversity", "uncertainty"):
            torch.testing.assert_close(getattr(padded, name), getattr(whole, name))
        codebooks = []
        start = quantizer.state_dict()
        for out in (padded, whole):
            again = double(5, 4, decay=0.5)
            again.load_state_dict(start)
            again.update(out)
            codebooks.append(again.codebook)
        torch.testing.assert_close(*codebooks)
        assert quantizer(x, mask=torch.zeros(2, 6, dtype=torch.bool)).loss == 0


class TestUpdate:
    def test_codes_go_to_the_mean_of_what_chooses_them(self) -> None:
        quantizer = double(3, 2, decay=0.0)
        x = torch.randn(200, 2, dtype=torch.float64)
        out = quantizer(x)
        quantizer.update(out)
        for code in range(3):
            torch.testing.assert_close(quantizer.codebook[0, code], x[out.indices[:, 0] == code].mean(0))
        assert not any(parameter.requires_grad for parameter in quantizer.parameters())

    def test_repeated_it_is_the_algorithm_of_k_means(self) -> None:
        centers = torch.tensor([[-5.0, 0.0], [5.0, 0.0], [0.0, 8.0]], dtype=torch.float64)
        x = centers.repeat(100, 1) + 0.1 * torch.randn(300, 2, dtype=torch.float64)
        quantizer = double(3, 2, decay=0.5, restart=0.2)
        moved = sum(int(quantizer.update(quantizer(x), seed=step)) for step in range(60))
        assert (torch.cdist(centers, quantizer.codebook[0]).amin(1) < 0.1).all()
        assert quantizer(x).perplexity.item() == pytest.approx(3.0)
        assert moved < 60

    def test_dead_codes_move_to_inputs(self) -> None:
        quantizer = double(4, 2, restart=0.5)
        with torch.no_grad():
            quantizer.codebook[0, 1:] += 1000.0
        x = torch.randn(50, 2, dtype=torch.float64)
        moved = [int(quantizer.update(quantizer(x), seed=step)) for step in range(80)]
        assert sum(moved) == 3
        assert max(moved) == 3
        assert (torch.cdist(quantizer.codebook[0, 1:], x).amin(1) == 0).all()
        assert quantizer(x).perplexity > 1.5

    def test_without_inputs_it_forgets_nothing(self) -> None:
        quantizer = double(4, 2, decay=0.9, restart=0.1)
        before = quantizer.codebook.clone()
        quantizer.update(quantizer(torch.randn(0, 2, dtype=torch.float64)))
        torch.testing.assert_close(quantizer.codebook, before)

    def test_two_processes_count_together(self, tmp_path: Path) -> None:
        torch.multiprocessing.spawn(_process, (str(tmp_path / "store"),), nprocs=2)


def _process(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    both, each = (double(6, 4, groups=2, decay=0.5, restart=0.3) for _ in range(2))
    each.load_state_dict(both.state_dict())
    x = torch.randn(20, 4, dtype=torch.float64)
    for _ in range(5):
        # The same restarts in both, which do not depend on what the other process has drawn.
        each.update(each(x[rank::2]), seed=rank)
    found = [torch.empty_like(each.codebook) for _ in range(2)]
    torch.distributed.all_gather(found, each.codebook)
    assert torch.equal(*found)
    each.restart = both.restart = 0.0
    both.load_state_dict(each.state_dict())
    each.update(each(x[rank::2]))
    together = both(x)
    torch.distributed.destroy_process_group()
    both.update(together)
    torch.testing.assert_close(each.codebook, both.codebook)


def test_trains_under_half_precision() -> None:
    quantizer = Quantizer(16, 8, estimator=ReinMax())
    x = torch.randn(30, 8, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = quantizer(x, seed=0)
        out.values.float().square().sum().backward()
    assert out.logits.dtype == torch.float32
    assert out.values.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.isfinite().all()


class TestRefuses:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"codes": 0}, "codes must be at least 1"),
            ({"groups": 4}, "width must be a multiple of groups = 4"),
            ({"decay": 1.0}, "decay must be from 0 on and below 1"),
            ({"commitment": -1.0}, "commitment must be finite and not negative"),
            ({"inputs": 5}, "inputs = 5 needs an estimator"),
            ({"inputs": 5, "estimator": STGumbelSoftmax(), "decay": 0.9}, "decay and restart move codes to inputs"),
        ],
    )
    def test_options_that_make_no_sense(self, options: dict[str, object], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Quantizer(**{"codes": 3, "width": 6, **options})  # type: ignore[arg-type]

    def test_estimators_that_need_costs(self) -> None:
        with pytest.raises(TypeError, match="needs the costs"):
            Quantizer(3, 6, estimator=LeaveOneOut())  # type: ignore[arg-type]

    def test_other_shapes(self) -> None:
        with pytest.raises(ValueError, match="x must have 6 columns"):
            Quantizer(3, 6)(torch.ones(2, 5))
        with pytest.raises(ValueError, match="indices must have one number for each of 2 groups"):
            Quantizer(3, 6, groups=2).decode(torch.zeros(4, 3, dtype=torch.long))
        with pytest.raises(TypeError, match="indices must be of an integer dtype"):
            Quantizer(3, 6).decode(torch.zeros(4, 1))
        with pytest.raises(TypeError, match="x must be of a floating dtype"):
            Quantizer(3, 6)(torch.ones(2, 6, dtype=torch.long))

    def test_an_update_with_inputs_of_another_space(self) -> None:
        quantizer = Quantizer(3, 6, inputs=4, estimator=STGumbelSoftmax())
        with pytest.raises(ValueError, match="codes follow inputs of their own space"):
            quantizer.update(quantizer(torch.ones(2, 4)))
