"""What an engine answers; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trd.types import PrecisionName

Maps = dict[str, NDArray[np.float32]]
"""branch -> (B, h, w) raw anomaly maps; larger is more anomalous."""


@dataclass(frozen=True)
class Placement:
    """Where and how to compute. device: "auto", "cpu", "cuda", "cuda:N". precision: "fp32", "bf16", "fp16", "auto", or
    None for the recipe's. compiled: by torch.compile, for many parts on a GPU."""

    device: str = "auto"
    precision: str | None = None
    compiled: bool = False


class Engine(Protocol):
    """Computes raw maps of prepared images. One call at a time: the caller holds a lock (`Detector`).

    device, precision: what was resolved: "cpu", "cuda:1"; "fp32", "bf16", "fp16". form: how, for people: "PyTorch".
    """

    device: str
    precision: PrecisionName
    form: str

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        """images: modality -> (B, 3, h, w) float32 in [0, 1]."""

    def on_demand(self, values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """What the steps on demand give for named values of one part, (1, ...) each; empty where there are none."""
