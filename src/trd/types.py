"""The records that cross folder borders; arrays are numpy, nothing here needs torch.

Shape legend: B batch, H W pixels of the sensor's frame, h w pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trd.errors import TRDError

VIEW_SEPARATOR = "/"  # between a view's name and a source's


def views_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Names of the views that "front/rgb", "front/xyz", "side/rgb" name, in order; () where none does."""
    return tuple(dict.fromkeys(source.partition(VIEW_SEPARATOR)[0] for source in sources if VIEW_SEPARATOR in source))


def plain_sources(sources: Iterable[str]) -> tuple[str, ...]:
    """Without the views' names, each once."""
    return tuple(dict.fromkeys(source.rpartition(VIEW_SEPARATOR)[2] for source in sources))


@dataclass(frozen=True)
class SampleFiles:
    """Where one sample lies on disk; nothing is read yet.

    id: unique within the class, `split/defect/stem`. defect: "good" or the defect kind. sources: what the recipe calls
    its inputs ("rgb", "xyz"; "front/rgb" of a part with several views) -> file. mask: ground truth, None for good parts
    and unlabelled ones; a file, or a folder of several that are united. view_masks: the same of a part with several
    views, view -> mask, for those in which a defect is marked.
    """

    id: str
    split: str
    defect: str
    sources: Mapping[str, Path]
    mask: Path | None = None
    view_masks: Mapping[str, Path] = field(default_factory=dict)

    def view(self, name: str) -> SampleFiles:
        """One view of the part, as a sample."""
        prefix = name + VIEW_SEPARATOR
        sources = {s.removeprefix(prefix): path for s, path in self.sources.items() if s.startswith(prefix)}
        return SampleFiles(f"{self.id} ({name})", self.split, self.defect, sources, self.view_masks.get(name))

    @property
    def masks(self) -> tuple[Path, ...]:
        """Of all views."""
        return ((self.mask,) if self.mask is not None else ()) + tuple(self.view_masks.values())

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


PrecisionName = Literal["fp32", "bf16", "fp16", "int8"]
"""What an engine computes in; "int8" is that of exported students."""

State = Mapping[str, NDArray[np.generic]]
"""What the evidence learned, as named arrays: what is saved beside recipe and calibration."""

GOOD = "good"
UNLABELLED = "unlabelled"


Turn = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
Point = tuple[float, float, float]
UNTURNED: Turn = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class ColourCamera:
    """The camera of the pictures, where it is not the 3D sensor itself.

    fx, fy, cx, cy: pixels. size: (height, width) of the pictures that they are meant for; others get them in
    proportion. distortion: OpenCV's k1 k2 p1 p2 [k3 [k4 k5 k6]], or none. kappa: of the division model instead, for
    directions whose z is 1. rotation, translation (metres): of the 3D sensor in this camera's frame.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    size: tuple[int, int]
    distortion: tuple[float, ...] = ()
    kappa: float = 0.0
    rotation: Turn = UNTURNED
    translation: Point = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("size", "distortion", "rotation", "translation"):
            object.__setattr__(self, name, _tuples(getattr(self, name)))


@dataclass(frozen=True)
class HeightMap:
    """What a profiler's height map means: metres from column to column and from row to row, metres per unit."""

    pitch_x: float
    pitch_y: float
    height_scale: float = 1.0


@dataclass(frozen=True)
class SupportGrid:
    """Where points that form no grid are looked at from: along the normal of the support that the parts lie on.

    axes: directions of the columns, of the rows and away from the viewer. origin: the point of pixel (0, 0) on the
    support, metres. pitch: metres per pixel. size: (height, width).
    """

    axes: Turn
    origin: Point
    pitch: float
    size: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("axes", "origin", "size"):
            object.__setattr__(self, name, _tuples(getattr(self, name)))


@dataclass(frozen=True)
class Camera:
    """What the numbers of a 3D sensor mean, and which camera takes the pictures.

    fx, fy, cx, cy: pinhole intrinsics of depth images in pixels; all 0 where it gives points or heights. depth_scale:
    metres = stored value * depth_scale, of depth images. size: (height, width) of the images that they are meant for;
    others get them in proportion. None: of any. distortion, kappa: as in `ColourCamera`. units: metres per unit of x,
    y and z. z: whether it grows away from the sensor or towards it. height_map: of a profiler. colour: None where the
    3D sensor takes the pictures too. grid: for points that form none, from the first training part. missing: values of
    depth images and height maps, and of z in other files, as stored, that stand for "not measured", beside 0 and NaN.
    views: of parts with several views, name and camera of each that has one of its own; the rest is of no meaning then.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    depth_scale: float = 1.0
    size: tuple[int, int] | None = None
    distortion: tuple[float, ...] = ()
    kappa: float = 0.0
    units: float = 1.0
    z: Literal["away", "towards"] = "away"
    height_map: HeightMap | None = None
    colour: ColourCamera | None = None
    grid: SupportGrid | None = None
    missing: tuple[float, ...] = ()
    views: tuple[tuple[str, Camera], ...] = ()

    def __post_init__(self) -> None:
        """Lists and objects where the camera comes from JSON become what they were."""
        for name in ("size", "distortion", "missing"):
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        for name, kind in (("height_map", HeightMap), ("colour", ColourCamera), ("grid", SupportGrid)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind(**value))

        views = tuple((name, view if isinstance(view, Camera) else Camera(**view)) for name, view in self.views)
        object.__setattr__(self, "views", views)

    @property
    def concerns_points(self) -> bool:
        """Whether it says anything about files that hold x, y and z."""
        return self.colour is not None or self.grid is not None or self.units != 1 or self.z != "away"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


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
    if perhaps at different resolution. mask: (H, W) bool, True on defects, at the first source's size. views: of a part
    with several views, name and (height, width) of each; their arrays and masks lie one above the other, from the left
    edge on, narrower ones filled with zeros.
    """

    id: str
    arrays: Mapping[str, NDArray[np.generic]]
    defect: str = UNLABELLED
    mask: NDArray[np.bool_] | None = None
    views: tuple[tuple[str, tuple[int, int]], ...] = ()

    def view(self, name: str) -> Sample:
        """One view of the part, as a sample."""
        top = 0
        for other, (height, width) in self.views:
            if other == name:
                window = slice(top, top + height), slice(width)
                arrays = {source: array[window] for source, array in self.arrays.items()}
                mask = None if self.mask is None else self.mask[window]
                return Sample(f"{self.id} ({name})", arrays, self.defect, mask)
            top += height
        raise KeyError(name)


@dataclass(frozen=True)
class PreparedSample:
    """A sample as the network takes it.

    images: modality -> (3, h, w) float32 in [0, 1]. region: bool of `Frame.map_size`, the pixels that are scored, None
    for all. named: uint8 of that size, number of the recipe's region (`frame.regions`) that a pixel lies in, from 1, 0
    for none; None where it names none. mask: bool ground truth of the whole frame at the maps' scale (`Frame.canvas`),
    None without labels.
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
    named: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Failure:
    """A sample that could not be read, prepared or scored, and why."""

    id: str
    error: TRDError


@dataclass(frozen=True)
class KindSuggestion:
    """Which kind of taught defect a part shows. It decides nothing.

    kind: of the nearest taught defect; "" where the part is unlike all taught kinds. likeness: kind -> share of the
    taught defects, with this part, that lie at least as far from their nearest other one as the part from this kind, 0
    to 1; the nearest kind first.
    """

    kind: str
    likeness: Mapping[str, float]


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
    used: sources that were looked at. region: name of the recipe's region that the peak lies in, "" for none; None
    where the recipe names none. kind: of an anomalous part by a detector that labelled defects were taught; else None.
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
    region: str | None = None
    kind: KindSuggestion | None = None
