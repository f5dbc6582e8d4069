"""Augmentation by flips: the ways to lay a part down, drawn so that a resumed training draws the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trd.config import VectorAxes


class View(NamedTuple):
    """One of the eight ways to lay a part down: quarter turns (0 to 3, counterclockwise), then perhaps mirrored."""

    turns: int
    mirrored: bool


UPRIGHT = View(0, False)
Augmentation = Literal["none", "turns", "flips"]
"""As in `TrainingConfig.augment`."""


def all_views(augment: Augmentation, square: bool) -> list[View]:
    """Those that an augmentation knows: quarter turns would change the shape of images that are not square."""
    if augment == "none":
        return [UPRIGHT]
    mirrorings = (False, True) if augment == "flips" else (False,)
    return [View(turns, mirrored) for turns in range(0, 4, 1 if square else 2) for mirrored in mirrorings]


def random_views(augment: Augmentation, count: int, square: bool, rng: np.random.Generator) -> list[View]:
    """One of `all_views` for each of `count` parts."""
    if augment == "none":
        return [UPRIGHT] * count
    drawn = [View(int(rng.integers(4)), bool(rng.integers(2)) and augment == "flips") for _ in range(count)]
    return drawn if square else [View(turns // 2 * 2, mirrored) for turns, mirrored in drawn]


def images_in_view(
    images: Mapping[str, Tensor], vector_maps: Mapping[str, VectorAxes], view: View
) -> dict[str, Tensor]:
    """modality -> (3, H, W) image of one part as it looks in a view.

    vector_maps: modalities whose first two channels are x and y components stored as (n + 1) / 2 in image axes (x
    right, y down or up): they turn with the picture.
    """
    results = {}
    for name, image in images.items():
        result = torch.rot90(image, view.turns, (1, 2))
        if view.mirrored:
            result = result.flip(2)
        results[name] = _turn_vectors(result, view, vector_maps[name]) if name in vector_maps else result
    return results


def _turn_vectors(image: Tensor, view: View, axes: VectorAxes) -> Tensor:
    x, y, z = image
    empty = (image == 0).all(dim=0)  # the published normals image is 0 off the part
    for _ in range(view.turns):  # rot90 moves the right edge to the top: (x, y) -> (y, -x) with y down
        x, y = (y, 1 - x) if axes == "y_down" else (1 - y, x)
    turned = torch.stack([1 - x if view.mirrored else x, y, z])
    return torch.where(empty, torch.zeros_like(turned), turned)
