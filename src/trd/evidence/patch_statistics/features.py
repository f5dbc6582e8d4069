"""Images -> a few numbers per cell: bands of colour, texture, and curvature of a surface. Stride 4, float32.

All features are the same for a part that is turned or mirrored, so that parts may lie as they like and none has to be
shown in every position.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.engines.pytorch.resampling import resized

STRIDE = 4  # pixels per cell
TRUNCATE = 3.0  # standard deviations at which a Gaussian ends
STEEPEST = 6.0  # slopes are cut here: a rim seen edge-on has no slope that could be compared
FLATTEST = 0.05  # least z of a normal that is divided by; pixels without a normal have none and count as level

COLOUR_FEATURES = 16
SURFACE_FEATURES = 10


class Gaussian(nn.Module):
    """Smoothing of every channel of (B, C, h, w); sigma in cells, edges repeated."""

    weights: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.reach = max(1, math.ceil(TRUNCATE * sigma))
        weights = torch.exp(-0.5 * (torch.arange(-self.reach, self.reach + 1) / sigma) ** 2)
        self.register_buffer("weights", weights / weights.sum(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        channels, reach = images.shape[1], self.reach
        padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
        across = self.weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        return F.conv2d(F.conv2d(padded, across, groups=channels), across.transpose(2, 3), groups=channels)


class ScaleSpace(nn.Module):
    """(B, C, h, w) -> the same smoothed by 1.2 and 2.5 pixels (on half the grid), 5 and 10 (on a quarter of it).

    Every step smooths the one before by what is missing; means over 2 x 2 halve the grid, whose own blur is counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Gaussian(0.55), Gaussian(1.1)
        self.third, self.fourth = Gaussian(1.05), Gaussian(2.17)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Half-size images, then the four scales."""
        half = _halved(images)
        first = self.first(half)
        second = self.second(first)
        third = self.third(_halved(second))
        return half, first, second, third, self.fourth(third)


class ColourFeatures(nn.Module):
    """(B, 3, h, w) colour or grey in [0, 1] -> (B, 16, h / 4, w / 4).

    Of lightness and two opponent colours: level, and three bands between scales; size of the lightness' gradient at two
    scales, and its local deviation at two (texture). Roots of the values are taken first: they steady a camera's noise.
    """

    channels = COLOUR_FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.scales = ScaleSpace()
        self.edge, self.near, self.wide = Gaussian(0.6), Gaussian(1.25), Gaussian(2.5)

    def forward(self, images: Tensor) -> Tensor:
        red, green, blue = images.clamp(0, 1).sqrt().unbind(dim=1)
        opponent = torch.stack([(red + green + blue) / 3, red - green, green - blue], dim=1)
        half, first, second, third, fourth = self.scales(opponent)
        fine, level = _halved(first), _halved(second)
        gradients = [self.edge(_halved(_slope(scale[:, :1]))) for scale in (first, second)]
        behind = resized(third[:, :1], (second.shape[2], second.shape[3]))
        textures = [
            around(_halved((half[:, :1] - base).square())).clamp_min(0).sqrt()
            for base, around in ((second[:, :1], self.near), (behind, self.wide))
        ]
        return torch.cat([level, fine - level, level - third, third - fourth, *gradients, *textures], dim=1)


class SurfaceFeatures(nn.Module):
    """(B, 3, h, w) unit vectors stored as (n + 1) / 2 -> (B, 10, h / 4, w / 4).

    Both principal curvatures of the surface at four scales, and the size of its slope at two. upwards: the vectors' y
    points up.
    """

    channels = SURFACE_FEATURES

    def __init__(self, upwards: bool = False) -> None:
        super().__init__()
        self.scales = ScaleSpace()
        self.upwards = upwards

    def forward(self, images: Tensor) -> Tensor:
        x, y, z = (2 * images - 1).unbind(dim=1)
        y = -y if self.upwards else y
        slopes = torch.stack([x, y], dim=1) / z.clamp_min(FLATTEST)[:, None]
        _, first, second, third, fourth = self.scales(slopes.clamp(-STEEPEST, STEEPEST))
        curvatures = [_curvatures(scale) for scale in (first, second, third, fourth)]
        fine = [_halved(curvature) for curvature in curvatures[:2]]
        sizes = [_halved(_length(first)), _length(third)]
        return torch.cat([*fine, *curvatures[2:], *sizes], dim=1)


def features_of(vectors: Literal["none", "y_down", "y_up"]) -> ColourFeatures | SurfaceFeatures:
    """For images that hold no vectors, or vectors in image axes with y pointing that way."""
    return ColourFeatures() if vectors == "none" else SurfaceFeatures(upwards=vectors == "y_up")


def _halved(images: Tensor) -> Tensor:
    """(B, C, h, w) -> means over 2 x 2; a seventh of the time of F.avg_pool2d on CPUs, which runtimes know better."""
    if torch.compiler.is_exporting():
        return F.avg_pool2d(images, 2)
    rows = images[:, :, ::2] + images[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of (B, C, h, w) along x and y, per cell; zero in the outermost cells' direction."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return across, down


def _slope(images: Tensor) -> Tensor:
    across, down = _differences(images)
    return (across.square() + down.square()).sqrt()


def _length(slopes: Tensor) -> Tensor:
    """(B, 2, h, w) -> (B, 1, h, w)."""
    return slopes.square().sum(dim=1, keepdim=True).sqrt()


def _curvatures(slopes: Tensor) -> Tensor:
    """(B, 2, h, w) slopes -> (B, 2, h, w): the larger and the smaller eigenvalue of their symmetric derivative."""
    across, down = _differences(slopes)
    xx, yy = across[:, :1], down[:, 1:]
    xy = (across[:, 1:] + down[:, :1]) / 2
    middle = (xx + yy) / 2
    radius = (((xx - yy) / 2).square() + xy.square()).sqrt()
    return torch.cat([middle + radius, middle - radius], dim=1)
