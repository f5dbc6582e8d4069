"""Frozen copies on CPUs: every convolution, with the addition and ReLU after it, as one call of oneDNN.

PyTorch's own convolution calls oneDNN too, but brings the weight into the library's order every time (for one part of
paper size that is half of the students' time), and each addition and ReLU is another pass over the map. The operators
are those that PyTorch's compiler emits for CPUs; torch.fx finds what follows a convolution.
"""

from __future__ import annotations

import inspect
import operator
import platform
from typing import cast

import torch
from torch import Tensor, fx, nn

from trd.model.resample import Doubling, Halving

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, Halving, Doubling)  # exactly: another subclass may compute other things
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN's operators are there for device and precision; on x86-64 only, measured nowhere else."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch's gap
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class FusedConvolution(nn.Module):
    """x (B, C, H, W) [, addend of the output's shape] -> activation(convolution(x) + addend).

    The weight is kept in the order that oneDNN wants for the last input's shape, and only there; another shape reorders
    it, which is what PyTorch does in every call. Several threads may call it.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.transposed = isinstance(convolution, nn.ConvTranspose2d)
        self.padding, self.output_padding = list(convolution.padding), list(convolution.output_padding)
        self.geometry = list(convolution.stride), list(convolution.dilation), convolution.groups
        self.bias = convolution.bias
        self.activation, self.numbers = ("none", []) if activation is None else ACTIVATIONS[type(activation)]
        self._dimensions = convolution.weight.shape
        self._ordered: tuple[torch.Size | None, Tensor] = (None, convolution.weight.detach())  # for which input shape

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
        kept_shape, kept = self._ordered
        if kept_shape == shape:
            return kept
        first, ops = kept_shape is None, torch.ops.mkldnn
        with torch.inference_mode(False), torch.no_grad():  # a copy made while predicting may serve training too
            if self.transposed:
                plain = kept if first else kept.to_dense().transpose(0, 1)
                padding = (self.padding, self.output_padding)
                weight = ops._reorder_convolution_transpose_weight(plain, *padding, *self.geometry, list(shape))
            else:
                plain = kept if first else kept.to_dense().reshape(self._dimensions)
                weight = ops._reorder_convolution_weight(plain, self.padding, *self.geometry, list(shape))
        self._ordered = shape, weight
        return cast(Tensor, weight)


def fused(module: nn.Module) -> nn.Module:
    """`module` with all parts replaced that map one tensor (teachers, stacks of layers), so that a call is one pass."""
    if _takes_one_tensor(module):
        return _fused_graph(module)
    for name, child in module.named_children():
        setattr(module, name, fused(child))
    return module


def _takes_one_tensor(module: nn.Module) -> bool:
    arguments = inspect.signature(module.forward).parameters.values()
    return isinstance(module, nn.Sequential) or [a.annotation for a in arguments] == ["Tensor"]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.ConvTranspose2d) or super().is_leaf_module(m, module_qualified_name)


def _fused_graph(module: nn.Module) -> fx.GraphModule:
    graph = _Tracer().trace(module)
    result = fx.GraphModule(module, graph)
    layers = dict(result.named_modules())

    def layer(node: fx.Node | None) -> nn.Module | None:
        return layers[str(node.target)] if node is not None and node.op == "call_module" else None

    for node in list(graph.nodes):
        if isinstance(layer(node), nn.Identity):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    for node in list(graph.nodes):
        convolution = layer(node)
        if type(convolution) not in CONVOLUTIONS:
            continue
        convolution = cast(nn.Conv2d | nn.ConvTranspose2d, convolution)
        chain, addend, activation = [node], None, None
        follower = _only_user(node)
        if isinstance(convolution, nn.Conv2d) and follower is not None and follower.target is operator.add:
            first, second = follower.args
            addend = second if first is node else first
            chain.append(follower)
            follower = _only_user(follower)
        known = (nn.ReLU,) if addend is not None else tuple(ACTIVATIONS)  # after an addition oneDNN offers no other
        if isinstance(layer(follower), known):
            activation = layer(follower)
            chain.append(follower)
        result.set_submodule(node.target, FusedConvolution(convolution, activation))
        with graph.inserting_before(chain[-1]):
            call = graph.call_module(node.target, (node.args[0],) if addend is None else (node.args[0], addend))
        chain[-1].replace_all_uses_with(call)
        for replaced in reversed(chain):
            graph.erase_node(replaced)
    graph.lint()
    result.delete_all_unused_submodules()
    result.recompile()
    return result


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
