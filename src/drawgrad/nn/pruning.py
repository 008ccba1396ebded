"""Take out what closed gates multiply with zero: a smaller network with the same outputs."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn

from drawgrad._typing import Float, Int, Tensor
from drawgrad.nn.hard_concrete_gate import HardConcreteGate

__all__ = ["prune"]

LAYERS: dict[type[nn.Module], int] = {nn.Linear: -1, nn.Conv1d: -2, nn.Conv2d: -3, nn.Conv3d: -4}
"""Layers that make and take units, and the dimension of the units. Classes made of these are other layers."""
POINTWISE = {
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Softsign,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
}  # fmt: skip
"""Modules that treat every number by itself, all alike, and make zero of zero."""
POOLS = {
    nn.MaxPool1d: -2, nn.AvgPool1d: -2, nn.AdaptiveAvgPool1d: -2, nn.AdaptiveMaxPool1d: -2,
    nn.MaxPool2d: -3, nn.AvgPool2d: -3, nn.AdaptiveAvgPool2d: -3, nn.AdaptiveMaxPool2d: -3,
    nn.MaxPool3d: -4, nn.AvgPool3d: -4, nn.AdaptiveAvgPool3d: -4, nn.AdaptiveMaxPool3d: -4,
}  # fmt: skip
"""Modules that treat every unit by itself, all alike, and make zeros of zeros; and the dimension of the units."""
NORMS: dict[type[nn.Module], tuple[int, ...]] = {nn.BatchNorm1d: (-1, -2), nn.BatchNorm2d: (-3,), nn.BatchNorm3d: (-4,)}
"""Modules that treat every unit by itself, each in its own way."""
HOMOGENEOUS = {
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.Flatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    *POOLS,
}
"""Modules, in evaluation, that a positive factor passes through unchanged."""
CLOSE = 1e4
"""Largest difference of outputs, in units of rounding: sums of fewer terms are rounded in another way."""


class Select(nn.Module):
    """Keep some entries of a dimension: what is left of a gate whose units no layer makes.

    Args:
        index: which entries, in order.
        dim: their dimension, counted from the end: negative.

    Example:
        >>> import torch
        >>> Select(torch.tensor([0, 2]), -1)(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[1., 3.]])
    """

    index: Tensor

    def __init__(self, index: Int[Tensor, "kept"], dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("index", index)

    def extra_repr(self) -> str:
        """How many entries of which dimension."""
        return f"{len(self.index)} entries, dim={self.dim}"

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The entries that are kept."""
        return x.index_select(self.dim, self.index)


class Scale(nn.Module):
    """Multiply with constants: what is left of a gate that no layer takes up.

    Args:
        factor: broadcasts to the last dimensions of x.

    Example:
        >>> import torch
        >>> Scale(torch.tensor([1.0, 0.5]))(torch.ones(1, 2))
        tensor([[1.0000, 0.5000]])
    """

    factor: Tensor

    def __init__(self, factor: Float[Tensor, "..."]) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def extra_repr(self) -> str:
        """The shape of the constants."""
        return f"{tuple(self.factor.shape)}"

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The product."""
        return x * self.factor.to(x.dtype)


def prune(module: nn.Module, example: Tensor | None = None) -> nn.Module:
    """A copy of a network without its gates, and without the units that they close.

    Gates stand in ``nn.Sequential``, nested ones included. Of a closed gate the unit goes: a row of the layer that
    makes it and a column of the layer that takes it, with what lies between. What an open gate multiplies with goes
    into the weights beside it. Where no layer makes the units (the inputs of the network), a ``Select`` leaves out
    the closed ones. Where none takes them (its outputs), or where something between mixes units, the
    units stay, multiplied with the gates: in the weights of the layer before, or by a ``Scale``.

    Args:
        module: a network with gates anywhere in it; it stays as it is.
        example: an input of the network. If given, both networks are run on it, in ``eval()``, and compared.

    Returns:
        The smaller network, in ``eval()``, whose outputs are those of ``module.eval()`` up to rounding.

    Raises:
        ValueError: if there is no gate, or if one stands outside of ``nn.Sequential``.
        RuntimeError: if the outputs for the example differ.

    Example:
        >>> import torch
        >>> from drawgrad.nn import HardConcreteGate
        >>> from torch.nn import Linear, ReLU, Sequential
        >>> net = Sequential(Linear(3, 4), ReLU(), HardConcreteGate((4,)), Linear(4, 2))
        >>> with torch.no_grad():
        ...     _ = net[2].logits.copy_(torch.tensor([-9.0, 0.0, 9.0, -9.0]))
        >>> prune(net, example=torch.ones(1, 3))
        Sequential(
          (0): Linear(in_features=3, out_features=2, bias=True)
          (1): ReLU()
          (2): Linear(in_features=2, out_features=2, bias=True)
        )
    """
    if not any(isinstance(part, HardConcreteGate) for part in module.modules()):
        raise ValueError(
            "module must hold a HardConcreteGate, but there is none in it; put gates before or after its layers"
        )
    with torch.no_grad():
        smaller = copy.deepcopy(module).eval()
        uses = Counter(part for _, part in smaller.named_modules(remove_duplicate=False))
        smaller = _without_gates(smaller, {part for part, count in uses.items() if count > 1})
        left = [name for name, part in smaller.named_modules() if isinstance(part, HardConcreteGate)]
        if left:
            raise ValueError(
                f"gates must stand in nn.Sequential, where it is known which layers make and take what they gate, but "
                f"{left[0] or 'module'} does not; put it and the layers beside it into one"
            )
        if example is not None:
            _compare(copy.deepcopy(module).eval()(example), smaller(example))
    return smaller


def _compare(expected: Tensor, found: Tensor) -> None:
    limits = torch.finfo(expected.dtype)
    off = float((found - expected).abs().max() / expected.abs().max().clamp_min(limits.tiny))
    if not off <= CLOSE * limits.eps:
        raise RuntimeError(
            f"the outputs of the pruned network are off by {off:.3g} of the largest one; use the network with its "
            "gates, and look for a layer between gates and layers that mixes units"
        )


def _without_gates(module: nn.Module, shared: set[nn.Module]) -> nn.Module:
    """The same module without the gates of its sequences; modules that are used several times are not cut."""
    if not _is_sequence(module):
        for name, child in module.named_children():
            setattr(module, name, _without_gates(child, shared))
        return module
    layers = list(_flat(module))
    place = 0
    while place < len(layers):
        if isinstance(layers[place], HardConcreteGate):
            layers[place : place + 1] = _removed(layers, place, shared)
        else:
            layers[place] = _without_gates(layers[place], shared)
            place += 1
    return nn.Sequential(*layers)


def _is_sequence(module: nn.Module) -> bool:
    """Whether a module is its children one after the other: a class made of nn.Sequential may do something else."""
    return type(module).forward is nn.Sequential.forward


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    for layer in module._modules.values():  # Those that are used twice are there twice.
        assert layer is not None
        if _is_sequence(layer):
            yield from _flat(layer)
        else:
            yield layer


def _removed(layers: list[nn.Module], place: int, shared: set[nn.Module]) -> list[nn.Module]:
    """Cut the layers beside a gate; returns what has to stand in its place."""
    gate = layers[place]
    assert isinstance(gate, HardConcreteGate)
    gates = gate.gates().detach()
    wide = [number - gates.dim() for number, size in enumerate(gates.shape) if size > 1]
    dim = wide[0] if wide else -max(gates.dim(), 1)
    factor = gates.flatten()
    single = len(wide) < 2 and gates.dim() > 0
    maker = _maker(layers, place, dim, gates.numel(), shared) if single else None
    taken = _taker(layers, place, dim, gate.shape, shared) if single else None
    if taken is None and maker is not None and maker == place - 1:
        _multiply(layers[maker], 0, factor)
        return []
    if taken is None:
        return [Scale(gates)]
    taker, each = taken
    # One unit stays where all are closed: torch has no layers without any.
    kept = factor.nonzero()[:, 0] if bool(factor.any()) else torch.zeros_like(factor[:1], dtype=torch.long)
    factor = factor[kept]
    columns = (kept[:, None] * each + torch.arange(each, device=kept.device)).flatten()
    _cut(layers[taker], 1, columns)
    if maker is not None:
        for layer in layers[maker:place]:
            _cut(layer, 0, kept)
    selected: list[nn.Module] = [Select(kept, dim)] if maker is None and len(kept) < gates.numel() else []
    if all(type(layer) in HOMOGENEOUS for layer in layers[place + 1 : taker]):
        _multiply(layers[taker], 1, factor.repeat_interleave(each))
        return selected
    if maker == place - 1:
        _multiply(layers[maker], 0, factor)
        return selected
    return [*selected, Scale(factor.reshape(-1, *[1] * (-1 - dim)))]


def _taker(
    layers: list[nn.Module], place: int, dim: int, shape: torch.Size, shared: set[nn.Module]
) -> tuple[int, int] | None:
    """Where the layer is that takes the units, if nothing before it mixes them, and how many columns each has there."""
    units, flat = shape[dim], False
    for number in range(place + 1, len(layers)):
        layer = layers[number]
        kind = type(layer)
        if kind in LAYERS and layer not in shared:
            columns = _weight(layer).shape[1]
            if flat and kind is nn.Linear and _comes_first(dim, shape, columns):
                return number, columns // units
            fits = not flat and LAYERS[kind] == dim and columns == units and getattr(layer, "groups", 1) == 1
            return (number, 1) if fits else None
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1) and not flat:
            flat = True
        elif kind not in POINTWISE and not (POOLS.get(kind) == dim and not flat):
            return None
    return None


def _comes_first(dim: int, shape: torch.Size, columns: int) -> bool:
    """Whether a flattened input has all positions of a unit one after the other."""
    everywhere = shape.numel() == shape[dim] and columns % shape[dim] == 0
    return -dim == len(shape) > 1 and (columns == shape.numel() or everywhere)


def _maker(layers: list[nn.Module], place: int, dim: int, units: int, shared: set[nn.Module]) -> int | None:
    """Where the layer is that makes the units, if nothing after it mixes them."""
    for number in reversed(range(place)):
        layer = layers[number]
        kind = type(layer)
        if kind in LAYERS and layer not in shared:
            fits = LAYERS[kind] == dim and _weight(layer).shape[0] == units and getattr(layer, "groups", 1) == 1
            return number if fits else None
        normalizes = dim in NORMS.get(kind, ()) and getattr(layer, "num_features", 0) == units and layer not in shared
        if not (kind in POINTWISE or POOLS.get(kind) == dim or normalizes):
            return None
    return None


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


COUNTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Linear: ("out_features", "in_features"),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), ("out_channels", "in_channels")),
    **dict.fromkeys(NORMS, ("num_features",)),
}
"""The attributes of a layer that say how many units it makes and takes."""


def _cut(layer: nn.Module, side: int, kept: Int[Tensor, "kept"]) -> None:
    """Keep some of the units that a layer makes (side 0) or takes (side 1); modules without units stay as they are."""
    if type(layer) not in COUNTS:
        return
    for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
        if tensor.dim() > side:
            _replace(layer, name, tensor.index_select(side, kept))
    setattr(layer, COUNTS[type(layer)][side], len(kept))


def _multiply(layer: nn.Module, side: int, factor: Float[Tensor, "units"]) -> None:
    """Multiply what a layer makes or takes."""
    for name, tensor in layer.named_parameters(recurse=False):
        if tensor.dim() > side:
            shape = [-1 if number == side else 1 for number in range(tensor.dim())]
            _replace(layer, name, tensor * factor.to(tensor.dtype).reshape(shape))


def _replace(layer: nn.Module, name: str, value: Tensor) -> None:
    old = getattr(layer, name)
    if isinstance(old, nn.Parameter):
        value = nn.Parameter(value, requires_grad=old.requires_grad)
    setattr(layer, name, value)
