"""Raw maps by PyTorch: a module that takes images and gives maps, on a CPU or GPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trd.engines.base import Maps
from trd.engines.pytorch.out_of_memory import PREDICTION_REMEDY, full_memory_said
from trd.engines.pytorch.precision import PRECISIONS


class PyTorchEngine:
    """module: modality -> (B, 3, h, w) tensor to branch -> (B, h, w) tensor, on `device` already.

    dtype: what most of it computes in. form: how it was made ready, for `trd info`.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype, form: str) -> None:
        self.module = module.eval()
        self.device = str(device)
        self.precision = PRECISIONS[dtype]
        self.form = f"PyTorch, {form}"

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        with torch.inference_mode(), full_memory_said(PREDICTION_REMEDY):
            tensors = {name: torch.from_numpy(stack).to(self.device) for name, stack in images.items()}
            return {name: maps.float().cpu().numpy() for name, maps in self.module(tensors).items()}
