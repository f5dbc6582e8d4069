"""Frozen copies for inference: BatchNorm folded into the convolutions, everything in one precision, channels last,
and on CPUs what follows a convolution done with it (`onednn`).

The plain modules stay what is trained, saved and read; the copies compute the same, faster (tests hold them to it).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from trd.engines.pytorch.onednn import onednn_takes, with_onednn

Module = TypeVar("Module", bound=nn.Module)
Convolution = nn.Conv2d | nn.ConvTranspose2d
CACHED_PIXELS = 2 * 320 * 320


def folded(module: Module, faster: bool = True) -> Module:
    """A copy in eval mode, without gradients, in which no BatchNorm that directly follows a convolution is left.

    faster: layers of ours that know a form that is faster in PyTorch take it.

    "Follows" is read off the order of registration (`conv1, bn1 = ...`, or neighbours in a Sequential), which is the
    order of execution in all modules of this package; a test holds every one of them to the plain module. A module of
    others, which says so by `keeps_layers`, is copied as it is.
    """
    if getattr(module, "keeps_layers", False):
        return copy.deepcopy(module).eval().requires_grad_(False)
    shared = (conv.weight for parent in module.modules() for _, conv, _ in _pairs(parent))  # folding makes new ones
    result = copy.deepcopy(module, {id(weight): weight for weight in shared}).eval()
    for parent in list(result.modules()):
        for following, conv, norm in _pairs(parent):
            _fold(conv, norm)
            setattr(parent, following, nn.Identity())
    result.requires_grad_(False)
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU6):
                child.inplace = True
            elif faster and hasattr(child, "frozen_form"):
                setattr(parent, name, cast(Callable[[], nn.Module], child.frozen_form)())
    return result


def _pairs(parent: nn.Module) -> list[tuple[str, Convolution, nn.BatchNorm2d]]:
    """Convolutions and the BatchNorm that follows each, with the name of the latter."""
    return [
        (following, child, norm)
        for (_, child), (following, norm) in pairwise(parent.named_children())
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d)
    ]


@torch.no_grad()
def _fold(conv: Convolution, norm: nn.BatchNorm2d) -> None:
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        cast(torch.Tensor, norm.running_mean),
        cast(torch.Tensor, norm.running_var),
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(conv, nn.ConvTranspose2d),
    )


def frozen(module: nn.Module, device: torch.device, dtype: torch.dtype, fuse: bool = True) -> nn.Module:
    """`folded`, converted to a device and a precision as a whole, weights in channels-last order.

    fuse: `onednn` where this processor can; False for what torch.compile shall fuse.
    """
    # a copy made while predicting may serve training too, and what is trained must not hang on whether there is one
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        copied = folded(module).to(device=device, dtype=dtype)
        copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        fuse = fuse and onednn_takes(device, dtype) and not getattr(copied, "keeps_layers", False)
        return with_onednn(copied) if fuse else copied


def images_at_once(images: torch.Tensor) -> int:
    """On CPUs the teacher takes few images at a time, so that its widest maps stay in the cache.

    Two of 320 x 320: 14 ms per image on one core, against 23 ms with sixteen at once (small teacher). The same number
    every time, so that the weights stay in the order which oneDNN chose for it (`fused`).
    """
    count = len(images)
    if images.device.type != "cpu":
        return count
    most = min(count, max(1, CACHED_PIXELS // (images.shape[2] * images.shape[3])))
    return next(number for number in range(most, 0, -1) if count % number == 0)
