"""Whether modules that choose save the time of what they leave out: experts, tokens, conditional blocks.

Run: ``python -m benchmarks.module_speed``
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import RESULTS
from drawgrad.nn import Conditional, FeedForwardExperts, MixtureOfExperts, Router, TokenMerger, TokenSelector
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

TURNS = 5
TOKENS, WIDTH, HIDDEN, EXPERTS, K = 4096, 512, 512, 64, 2
ROWS, LAYER = 4096, 256
"""Of the conditional block, which is a network of four times its width."""
BATCH, LENGTH, HEADS, LAYERS = 8, 256, 4, 3
"""Of a transformer of width ``LAYER`` whose tokens are chosen before it begins."""


def step(function: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Seconds of a forward and a backward pass."""
    start = time.perf_counter()
    function(x).square().mean().backward()
    return time.perf_counter() - start


def masked(moe: MixtureOfExperts, x: Tensor) -> Tensor:
    """Every expert for every token, with weights that are zero where it was not chosen."""
    routing = moe.router(x, seed=1)
    weights = x.new_zeros(len(x), EXPERTS).scatter(1, routing.experts, routing.weights)
    y = torch.zeros_like(x)
    for expert in range(EXPERTS):
        found = nn.functional.gelu(x @ moe.experts.up[expert]) @ moe.experts.down[expert]
        y = y + weights[:, expert, None] * found
    return y


def in_turns(ways: dict[str, Callable[[Tensor], Tensor]], x: Tensor, turns: int = TURNS) -> list[dict[str, float]]:
    """Times of all ways, turn by turn; the first turn is warm-up."""
    return [{name: step(function, x) for name, function in ways.items()} for _ in range(turns + 1)][1:]


def cells(case: str, turns: list[dict[str, float]], slow: str, fast: str) -> list[Measurement]:
    """Times of two ways, and what one is faster by."""
    return [
        median_of(case, "all", (1e3 * turn[slow] for turn in turns), "ms"),
        median_of(case, "drawgrad", (1e3 * turn[fast] for turn in turns), "ms"),
        median_of(case, "faster by", (turn[slow] / turn[fast] for turn in turns), "x"),
    ]


def experts() -> list[Measurement]:
    """A mixture against its dense form; both give the same result and gradients."""
    torch.manual_seed(0)
    moe = MixtureOfExperts(Router(WIDTH, EXPERTS, K), FeedForwardExperts(EXPERTS, WIDTH, HIDDEN))
    x = torch.randn(TOKENS, WIDTH)
    ways = {"dense": lambda x: masked(moe, x), "sorted": lambda x: moe(x, seed=1)[0]}
    outputs, gradients = [], []
    for way in ways.values():
        moe.zero_grad()
        y = way(x)
        y.square().mean().backward()
        outputs.append(y.detach())
        gradients.append([parameter.grad for parameter in moe.parameters()])
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)
    turns = in_turns(ways, x, turns=3)
    return cells(f"{EXPERTS} experts, k = {K}, {TOKENS} tokens of {WIDTH}", turns, "dense", "sorted")


def conditional() -> list[Measurement]:
    """A conditional block at several rates against the block that always runs."""
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(LAYER, 4 * LAYER), nn.GELU(), nn.Linear(4 * LAYER, LAYER))
    x = torch.randn(ROWS, LAYER)
    found = []
    for rate in (0.5, 0.25, 0.1):
        gate = nn.Linear(LAYER, 1)
        with torch.no_grad():
            gate.weight.zero_()
            gate.bias.fill_(torch.tensor(rate).logit())
        layer = Conditional(gate, block, rate=rate)
        ways = {"all": lambda x: x + block(x), "open": lambda x, layer=layer: layer(x, seed=1)[0]}
        found += cells(f"a block for {100 * rate:.0f} % of {ROWS} rows of {LAYER}", in_turns(ways, x), "all", "open")
    return found


def tokens() -> list[Measurement]:
    """The rest of a transformer on chosen or merged tokens, the choice included."""
    torch.manual_seed(0)
    rest = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(LAYER, HEADS, 4 * LAYER, dropout=0.0, batch_first=True, norm_first=True),
        LAYERS,
        enable_nested_tensor=False,
    )
    x = torch.randn(BATCH, LENGTH, LAYER)
    found = []
    shorter: dict[str, nn.Module] = {f"{keep:.0%} selected": TokenSelector(LAYER, keep=keep) for keep in (0.5, 0.25)}
    shorter["50% merged"] = TokenMerger(LAYER, keep=0.5)
    for name, module in shorter.items():
        ways = {"all": rest, "some": lambda x, module=module: rest(module(x, seed=1).tokens)}
        case = f"{name.replace('%', ' %')} of {LENGTH} tokens, {LAYERS} layers of {LAYER}, batch {BATCH}"
        found += cells(case, in_turns(ways, x), "all", "some")
    return found


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    found = [*experts(), *conditional(), *tokens()]
    path = write(
        "module-speed",
        title="Forward and backward pass in float32, all of it and what is chosen",
        measurements=found,
        spread="half the interquartile range",
        command="python -m benchmarks.module_speed",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in found:
        print(f"{cell.case:60} {cell.quantity:12} {cell.value:10.2f} +- {cell.spread:.2f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
