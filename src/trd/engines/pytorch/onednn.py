"""Frozen copies on CPUs: every convolution, with the addition and ReLU after it, as one call of oneDNN.

PyTorch's own convolution calls oneDNN too, but brings the weight into the library's order every time (for one part of
paper size that is half of the students' time), and each addition and ReLU is another pass over the map. The operators
are those that PyTorch's compiler emits for CPUs. (torch.fx could find what goes together, but it patches nn.Module for
the whole process while it looks: predictions in other threads fail.)
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from trd.engines.pytorch.halving import Doubling, Halving

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, Halving, Doubling)  # exactly: another subclass may compute other things
OPERATORS = (
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
    "_is_mkldnn_bf16_supported",
)
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}


def onednn_takes(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN's operators are there for device and precision; on x86-64 only, measured nowhere else."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS):  # not promised by PyTorch's documentation
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch does not annotate it
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class OneCallConvolution(nn.Module):
    """x (B, C, H, W) [, addend of the output's shape] -> activation(convolution(x) + addend).

    The weight is kept in the order that oneDNN wants for the last input's shape, and only there; another shape reorders
    it, which is what PyTorch does in every call. Several threads may call it.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.transposed = isinstance(convolution, nn.ConvTranspose2d)
        self.padding, self.output_padding = list(convolution.padding), list(convolution.output_padding)
        self.geometry = list(convolution.stride), list(convolution.dilation), convolution.groups
        self.bias = convolution.bias
        self.activation, self.numbers = "none", list[float]()
        self._dimensions = convolution.weight.shape
        self._ordered: tuple[torch.Size | None, Tensor] = (None, convolution.weight.detach())  # for which input shape

    def activate(self, activation: nn.Module) -> None:
        """Append a ReLU or ReLU6; the latter not where an addend is given, for which oneDNN offers ReLU only."""
        self.activation, self.numbers = ACTIVATIONS[type(activation)]

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        weight = self._ordered_weight(x.shape)
        ops = torch.ops.mkldnn
        if self.transposed:
            result = ops._convolution_transpose_pointwise(
                x,
                weight,
                self.bias,
                self.padding,
                self.output_padding,
                *self.geometry,
                self.activation,
                self.numbers,
                "",
            )
        elif addend is None:
            result = ops._convolution_pointwise(
                x, weight, self.bias, self.padding, *self.geometry, self.activation, self.numbers, ""
            )
        else:
            activation = None if self.activation == "none" else self.activation
            result = ops._convolution_pointwise.binary(
                x, addend, weight, self.bias, self.padding, *self.geometry, "add", 1.0, activation, [], None
            )
        return cast(Tensor, result)

    def _ordered_weight(self, shape: torch.Size) -> Tensor:
        ordered_shape, ordered_weight = self._ordered
        if ordered_shape == shape:
            return ordered_weight
        first, ops = ordered_shape is None, torch.ops.mkldnn
        with torch.inference_mode(False), torch.no_grad():  # a copy made while predicting may serve training too
            if self.transposed:
                plain = ordered_weight if first else ordered_weight.to_dense().transpose(0, 1)
                padding = (self.padding, self.output_padding)
                weight = ops._reorder_convolution_transpose_weight(plain, *padding, *self.geometry, list(shape))
            else:
                plain = ordered_weight if first else ordered_weight.to_dense().reshape(self._dimensions)
                weight = ops._reorder_convolution_weight(plain, self.padding, *self.geometry, list(shape))
        self._ordered = shape, weight
        return cast(Tensor, weight)


class OneCallResidual(nn.Module):
    """last(inner(x) + shortcut(x)) as one call per convolution; without a shortcut last(inner(x))."""

    def __init__(self, inner: nn.Module, last: nn.Module, shortcut: nn.Module | None) -> None:
        """last: a convolution and perhaps a ReLU."""
        super().__init__()
        self.inner = inner
        self.last = next(_one_call_layers(nn.Sequential(last)).children())
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        result: Tensor = self.last(y) if self.shortcut is None else self.last(y, self.shortcut(x))
        return result


def with_onednn(module: nn.Module) -> nn.Module:
    """`module`, changed in place, with every convolution in a Sequential and the activation after it as one layer.

    Blocks in which more than that goes together say how: their `onednn_form` gives what takes their place.
    """
    if hasattr(module, "onednn_form"):
        module = cast(Callable[[], nn.Module], module.onednn_form)()
    if isinstance(module, nn.Sequential):
        return _one_call_layers(module)
    for name, child in module.named_children():
        setattr(module, name, with_onednn(child))
    return module


def _one_call_layers(stack: nn.Sequential) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in _flat(stack):
        before = layers[-1] if layers else None
        if isinstance(before, OneCallConvolution) and before.activation == "none" and type(layer) in ACTIVATIONS:
            before.activate(layer)
        elif type(layer) in CONVOLUTIONS:
            layers.append(OneCallConvolution(cast(nn.Conv2d | nn.ConvTranspose2d, layer)))
        else:
            layers.append(with_onednn(layer))
    return nn.Sequential(*layers)


def _flat(stack: nn.Sequential) -> Iterator[nn.Module]:
    """The layers of a Sequential in order, of those inside it too; without the Identity that a folded norm leaves."""
    for layer in stack:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        elif not isinstance(layer, nn.Identity):
            yield layer
