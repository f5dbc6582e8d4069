"""The records that cross folder borders; arrays are numpy, nothing here needs torch.

Shape legend: B batch, H W pixels of the sensor's frame, h w pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trd.errors import TRDError


@dataclass(frozen=True)
class SampleFiles:
    """Where one sample lies on disk; nothing is read yet.

    id: unique within the class, `split/defect/stem`. defect: "good" or the defect kind. sources: what the recipe calls
    its inputs ("rgb", "xyz") -> file. mask: ground truth, None for good parts and unlabelled ones; a file, or a folder
    of several that are united.
    """

    id: str
    split: str
    defect: str
    sources: Mapping[str, Path]
    mask: Path | None = None

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


PrecisionName = Literal["fp32", "bf16", "fp16", "int8"]
"""What an engine computes in; "int8" is that of exported students."""

State = Mapping[str, NDArray[np.generic]]
"""What the evidence learned, as named arrays: what is saved beside recipe and calibration."""

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
class ClassFolder:
    """A class of parts, its folder on disk, and what it is called: by its folder's name, if not otherwise asked for.

    left_out: ids of good parts that are neither trained nor calibrated on, because something else is measured on them.
    """

    name: str
    path: Path
    left_out: frozenset[str] = frozenset()


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
    shape: (height, width) of the sensor's frame. notes: what makes its score doubtful, a sentence each. measures: as
    `TrainingRanges` names them, where there are ranges to compare them with.
    """

    id: str
    defect: str
    images: Mapping[str, NDArray[np.float32]]
    region: NDArray[np.bool_] | None
    mask: NDArray[np.bool_] | None
    shape: tuple[int, int]
    notes: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A sample that could not be read, prepared or scored, and why."""

    id: str
    error: TRDError


@dataclass(frozen=True)
class Prediction:
    """What the detector says of one sample.

    score: maximum of the fused map, in units that `decision.calibration.Calibration.fusion` tells. threshold: of the
    score; is_anomalous: score above it. p_value: share of good parts at least as anomalous (conformal); its
    least value, 1 / (n + 1) with n good parts, says "fewer than 1 in n + 1". map: (H, W) float32 at the input's own
    size, fused. modality_maps: each branch's (H, W) map in it, one of each kind of evidence and modality (`rgb`,
    `rgb_bank`, `rgb_statistics`) or of all (`mapping`). share: each branch's part of the score at the peak, 0 to
    1, adding up to 1. peak: (row, column) of the maximum in the input. pixel_threshold: of the map.
    notes: what makes the score doubtful, a sentence each (`PreparedSample.notes`, `Detector.doubts`).
    used: sources that were looked at.
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
    notes: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
