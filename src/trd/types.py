"""The records that cross folder borders. Arrays are numpy on the data side, torch on the model side.

Shape legend: B batch, C channels, H W pixels, L pyramid levels (fine to coarse, strides 4, 8, 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Pyramid = tuple[Tensor, ...]
"""L feature maps (B, C_l, H / stride_l, W / stride_l), fine to coarse."""


class StudentOutput(NamedTuple):
    """The four pyramids of one student; `filtered` and `amplified` are None where that tuner is switched off."""

    filtered: Pyramid | None
    amplified: Pyramid | None
    plain: Pyramid
    fused: Pyramid


class NetworkOutput(NamedTuple):
    """Per branch (modality), in the recipe's order: what the frozen teacher says and what the student rebuilt."""

    teachers: dict[str, Pyramid]
    students: dict[str, StudentOutput]


@dataclass(frozen=True)
class SampleFiles:
    """Where one sample lies on disk; nothing is read yet.

    id: unique within the class, `split/defect/stem`. defect: "good" or the defect kind. sources: what the recipe calls
    its inputs ("rgb", "xyz") -> file. mask: ground truth, None for good parts and unlabelled ones.
    """

    id: str
    split: str
    defect: str
    sources: Mapping[str, Path]
    mask: Path | None = None

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


GOOD = "good"
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels and the unit of depth images: metres = value * depth_scale.

    size: (height, width) of the images that they are meant for; others get them in proportion. None: of any.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    depth_scale: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is not None:  # a list where the camera comes from JSON
            object.__setattr__(self, "size", tuple(self.size))


@dataclass(frozen=True)
class ClassFiles:
    """One class of parts: samples per split in a fixed order, and the camera where depth images need one."""

    name: str
    root: Path
    train: tuple[SampleFiles, ...]
    validation: tuple[SampleFiles, ...]
    test: tuple[SampleFiles, ...]
    camera: Camera | None = None


@dataclass(frozen=True)
class Sample:
    """One decoded sample.

    arrays: source -> image (H, W) or (H, W, 3), uint8 / uint16 / float32 in [0, 1]; or organised cloud (H, W, 3)
    float32, metres, camera frame, missing points (0, 0, 0). All sources are registered: they show the same frame,
    if perhaps at different resolution. mask: (H, W) bool, True on defects, at the first source's size.
    """

    id: str
    arrays: Mapping[str, NDArray[np.generic]]
    defect: str = UNLABELLED
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class PreparedSample:
    """A sample as the network takes it.

    images: modality -> (3, h, w) float32 in [0, 1]. region: (h, w) bool, the pixels that are scored, None for all.
    mask: bool ground truth of the whole frame at the network's scale (`Frame.canvas`), None without labels.
    shape: (height, width) of the sensor's frame.
    """

    id: str
    defect: str
    images: Mapping[str, NDArray[np.float32]]
    region: NDArray[np.bool_] | None
    mask: NDArray[np.bool_] | None
    shape: tuple[int, int]


@dataclass(frozen=True)
class Prediction:
    """What the detector says of one sample.

    score: maximum of the fused map, in standard deviations of good parts. threshold: of the score; is_anomalous: score
    above it. p_value: share of good parts at least as anomalous (conformal). map: (H, W) float32 at the input's own
    size, fused z-scores. modality_maps: each modality's (H, W) summand of it. share: each modality's part of the score
    at the peak, 0 to 1, adding up to 1. peak: (row, column) of the maximum in the input. pixel_threshold: of the map.
    """

    id: str
    score: float
    threshold: float
    is_anomalous: bool
    p_value: float
    map: NDArray[np.float32]
    modality_maps: Mapping[str, NDArray[np.float32]]
    share: Mapping[str, float]
    peak: tuple[int, int]
    pixel_threshold: float
