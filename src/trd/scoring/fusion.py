"""Raw maps -> z-scored, smoothed maps and their sum, in torch on the device that computed them (paper, section 3.4).

Smoothing is two matrix products per map: the Gaussian with its boundary rule is a linear operator along each axis,
written down once per length. That is the same filter as `anomaly_map.smooth`, on any device, and faster than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from trd.scoring.calibration import MapStatistics


def modality_maps(
    raw: Mapping[str, Tensor],
    statistics: Mapping[str, MapStatistics],
    sigma: float,
    regions: Tensor | None = None,
) -> dict[str, Tensor]:
    """z-score each branch's (B, H, W) map, set pixels outside `regions` (B, H, W) bool to the floor, smooth.

    The paper smooths the sum; smoothing is linear, so smoothing the parts gives the same fused map and each
    modality's exact share of it.
    """
    result = {}
    for name, values in raw.items():
        numbers = statistics[name]
        scores = (values.float() - numbers.mean) / numbers.std
        if regions is not None:
            scores = torch.where(regions, scores, scores.new_tensor(numbers.floor))
        result[name] = smooth_maps(scores, sigma)
    return result


def fuse(maps: Mapping[str, Tensor]) -> Tensor:
    """Sum over branches, (B, H, W)."""
    return torch.stack(list(maps.values())).sum(dim=0)


def smooth_maps(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian over the last two axes of float32 maps, sigma in pixels, as `anomaly_map.smooth`."""
    if sigma == 0:
        return maps
    rows = _operator(maps.shape[-2], sigma, maps.device)
    columns = _operator(maps.shape[-1], sigma, maps.device)
    return rows @ maps @ columns.T


@lru_cache(maxsize=16)
def _operator(length: int, sigma: float, device: torch.device) -> Tensor:
    """(length, length) matrix of the one-dimensional filter: its columns are the answers to single pixels."""
    with torch.inference_mode(False):  # kept beyond the call that made it
        return torch.from_numpy(gaussian_filter1d(np.eye(length), sigma, axis=0)).to(device, torch.float32)
