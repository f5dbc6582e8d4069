"""Which window of the sensor's frame the network sees, and at what size: fitted once on the training samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.errors import DataError
from trd.preprocess.facts import FARTHEST, MILLIMETRES, Plane, SampleFacts
from trd.preprocess.image import resize_map, resize_mask
from trd.preprocess.pose import PoseReference
from trd.preprocess.tiles import Tiles

ENOUGH = 0.9  # share of the training samples that must show a part on a plane for "auto" to mean the part
CANVAS = 1024  # pixels of the longer side of `Frame.canvas`, or as many as the network's input has if that is larger
STRIDE = 32  # the network's coarsest stride: sides are multiples of it


@dataclass(frozen=True)
class Frame:
    """Window (top, left, height, width) in pixels of a `sensor` = (height, width) frame, resized to `size`.

    A sample whose frame has another size than the training samples' gets the window in proportion. region: "part" or
    "frame", what is scored; "" in detectors of earlier versions, where the recipe says it. cloud_scale: metres per unit
    of the clouds. planes: cloud -> support plane of the training set, for samples that show none. tile: side of the
    tiles that the network sees, 0 where it sees the image as a whole. reference: the part with which others' poses are
    compared, where regions follow the part.
    """

    sensor: tuple[int, int]
    window: tuple[int, int, int, int]
    size: tuple[int, int]
    region: Literal["", "part", "frame"] = ""
    cloud_scale: float = 1.0
    planes: Mapping[str, Plane] = field(default_factory=dict)
    tile: int = 0
    reference: PoseReference | None = None

    @property
    def tiles(self) -> Tiles | None:
        """None where the network sees the image as a whole."""
        height, width = self.size
        return Tiles(self.size, (min(self.tile, height), min(self.tile, width))) if self.tile else None

    @property
    def network_size(self) -> tuple[int, int]:
        """(height, width) of what the network sees at once."""
        return self.size if self.tiles is None else self.tiles.tile

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the maps, of which a large image's are coarser than it."""
        return self.size if self.tiles is None else self.tiles.map_size

    def shrunk(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """A (3, h, w) image at the maps' resolution."""
        return image if self.tiles is None else self.tiles.shrunk(image)

    def window_in(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The window as row and column slices of a (height, width) frame. Raises DataError where no pixel is in it."""
        rows, columns = shape[0] / self.sensor[0], shape[1] / self.sensor[1]
        top, left, height, width = self.window
        down = slice(round(top * rows), round((top + height) * rows))
        across = slice(round(left * columns), round((left + width) * columns))
        if down.start == down.stop or across.start == across.stop:
            raise DataError(
                f"a frame of {shape[0]} x {shape[1]} pixels (height x width) is too small: nothing of it lies in the "
                f"window of {height} x {width} pixels that was fitted to frames of {self.sensor[0]} x {self.sensor[1]}"
            )
        return down, across

    def pixel(self, row: int, column: int, shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Row and column in a (height, width) frame that the middle of a pixel of a map of `size` falls on."""
        rows, columns = self.window_in(shape)
        return (
            rows.start + int((row + 0.5) * (rows.stop - rows.start) / size[0]),
            columns.start + int((column + 0.5) * (columns.stop - columns.start) / size[1]),
        )

    def crop(self, array: NDArray[Any]) -> NDArray[Any]:
        """The window of an (H, W, ...) array."""
        rows, columns = self.window_in((array.shape[0], array.shape[1]))
        return array[rows, columns]

    def to_sensor(self, values: NDArray[np.float32], shape: tuple[int, int], outside: float) -> NDArray[np.float32]:
        """A map back in a (height, width) frame; pixels outside the window get `outside`."""
        rows, columns = self.window_in(shape)
        full = np.full(shape, outside, np.float32)
        full[rows, columns] = resize_map(values, (rows.stop - rows.start, columns.stop - columns.start))
        return full

    def from_sensor(self, values: NDArray[Any]) -> NDArray[Any]:
        """The reverse of `to_sensor`: an (H, W) map or mask of a whole frame, at the maps' size."""
        resize = resize_mask if values.dtype == bool else resize_map
        return resize(self.crop(values), self.map_size)

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the whole frame at the maps' scale: where maps and ground truth are compared.

        At a smaller scale where the longer side would be over CANVAS: a small part in a frame of 20 megapixels.
        """
        (height, width), scale = self._whole, self._canvas_scale
        return (height, width) if scale == 1 else (max(1, round(height * scale)), max(1, round(width * scale)))

    @property
    def _whole(self) -> tuple[int, int]:
        """(height, width) of the whole frame at the maps' scale."""
        (height, width), (rows, columns) = self.sensor, self.map_size
        return round(height * rows / self.window[2]), round(width * columns / self.window[3])

    @property
    def _canvas_scale(self) -> float:
        return min(1.0, max(CANVAS, *self.map_size) / max(self._whole))

    def to_canvas(self, maps: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        """(..., h, w) maps placed in the canvas; pixels outside the window get `outside`."""
        (height, width), (rows, columns) = self.canvas, self.map_size
        if (scale := self._canvas_scale) < 1:
            rows, columns = max(1, round(rows * scale)), max(1, round(columns * scale))
            maps = _shrunk(maps, (rows, columns))
        top = min(round(self.window[0] * rows / self.window[2]), height - rows)
        left = min(round(self.window[1] * columns / self.window[3]), width - columns)
        full = np.full((*maps.shape[:-2], height, width), outside, np.float32)
        full[..., top : top + rows, left : left + columns] = maps
        return full

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if self.reference is None:  # frames without one are stored as before there were any
            del values["reference"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Frame:
        """Raises KeyError, TypeError or ValueError for what no version writes."""
        stored = values if "sensor" in values else {**values, "sensor": values["source"]}  # as earlier versions call it
        sensor, window, size = (tuple(stored[key]) for key in ("sensor", "window", "size"))
        planes = {name: tuple(plane) for name, plane in values.get("planes", {}).items()}
        region, scale, tile = values.get("region", ""), values.get("cloud_scale", 1.0), values.get("tile", 0)
        reference = PoseReference.from_json(values["reference"]) if values.get("reference") else None
        frame = cls(sensor, window, size, region, scale, planes, tile, reference)
        frame._refuse_senseless()
        return frame

    def _refuse_senseless(self) -> None:
        """Raises ValueError for a window that is empty or not inside the frame, and for numbers that are none."""
        (height, width), (top, left, rows, columns) = self.sensor, self.window
        inside = 0 <= top < top + rows <= height and 0 <= left < left + columns <= width
        if not inside or min(self.size) < 1 or not 0 <= self.tile <= max(self.size):
            raise ValueError(f"frame: the window {self.window} is empty, or outside of {self.sensor} pixels")
        numbers = [self.cloud_scale, *(number for plane in self.planes.values() for number in plane)]
        if not (np.isfinite(numbers).all() and self.cloud_scale > 0):
            raise ValueError("frame: its unit or support plane is not finite")


def _shrunk(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(..., h, w) maps, averaged to a smaller `size`."""
    flat = maps.reshape(-1, *maps.shape[-2:])
    small = [cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_AREA) for plane in flat]
    return np.stack(small).astype(np.float32).reshape(*maps.shape[:-2], *size)


def fit_frame(recipe: Recipe, facts: Sequence[SampleFacts]) -> Frame:
    """The frame for samples like the training samples, of which there must be one at least.

    With crop = "part" the window is the union of their parts plus the margin. Raises DataError for samples of two sizes
    or units, with crop = "part" when none shows a part on a support plane, and for a configured window that is not
    inside the samples' frames.
    """
    config, shape = recipe.frame, facts[0].shape
    for sample in facts:
        if sample.shape != shape:
            raise DataError(
                f"{sample.id} is {sample.shape[0]} x {sample.shape[1]} pixels, {facts[0].id} is {shape[0]} x "
                f"{shape[1]} (height x width): training images of one class must have one size; resample them, or "
                "leave some out"
            )
    scale, planes = _cloud_scale(facts), _typical_planes(facts)
    region: Literal["part", "frame"] = "part" if means_part(recipe.scoring.region, facts) else "frame"
    window = (0, 0, *shape)
    if isinstance(config.crop, tuple):
        window = _own_window(shape, config.crop)
    elif means_part(config.crop, facts):
        window = _part_window(shape, facts, config.margin, recipe)
    if config.aspect == "square":
        return Frame(shape, window, (config.size, config.size), region, scale, planes, config.tile)
    height, width = window[2:]
    ratio = config.size / max(height, width)
    rows, columns = (max(STRIDE, round(side * ratio / STRIDE) * STRIDE) for side in (height, width))
    return Frame(shape, window, (rows, columns), region, scale, planes, config.tile)


def _own_window(shape: tuple[int, int], crop: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """As `Frame.window`, of a configured (left, top, width, height)."""
    left, top, width, height = crop
    if left + width > shape[1] or top + height > shape[0]:
        raise DataError(
            f"frame.crop = {list(crop)} (left, top, width, height) reaches out of the training frames of {shape[1]} x "
            f"{shape[0]} pixels (width x height): give a window inside of them"
        )
    return top, left, height, width


def means_part(setting: str | tuple[int, ...], facts: Sequence[SampleFacts]) -> bool:
    """Whether `frame.crop` or `scoring.region` means the part, for these training samples."""
    return setting == "part" or (setting == "auto" and detected_count(facts) >= ENOUGH * len(facts))


def detected_count(facts: Sequence[SampleFacts]) -> int:
    """Number of samples that show a part on a plane."""
    return sum(sample.box is not None for sample in facts)


def _cloud_scale(facts: Sequence[SampleFacts]) -> float:
    measured = [sample for sample in facts if sample.scale is not None]
    for sample in measured:
        if sample.scale != measured[0].scale:
            unit = {True: "millimetres", False: "metres"}
            raise DataError(
                f"frame.cloud_scale = 'auto': {sample.id} looks like {unit[sample.scale == MILLIMETRES]}, "
                f"{measured[0].id} like {unit[measured[0].scale == MILLIMETRES]}; export all clouds in one unit and, "
                "if they are right, set frame.cloud_scale to the metres per unit"
            )
    return measured[0].scale or 1.0 if measured else 1.0


def _typical_planes(facts: Sequence[SampleFacts]) -> dict[str, Plane]:
    """cloud -> median of the samples' planes: of their normals, and of where they cross the viewing axis."""
    typical: dict[str, Plane] = {}
    for source in facts[0].planes:
        planes = np.array([plane for sample in facts if (plane := sample.planes[source]) is not None])
        if len(planes):
            normal = np.median(planes[:, :3], axis=0)
            normal /= np.linalg.norm(normal)
            distance = np.median(-planes[:, 3] / planes[:, 2])
            a, b, c, d = (float(value) for value in (*normal, -normal[2] * distance))
            typical[source] = a, b, c, d
    return typical


def _part_window(
    shape: tuple[int, int], facts: Sequence[SampleFacts], margin: float, recipe: Recipe
) -> tuple[int, int, int, int]:
    boxes = np.array([sample.box for sample in facts if sample.box is not None])
    if not len(boxes):
        raise DataError(
            "frame.crop = 'part': no training sample shows a part standing on a plane (the border must be the "
            f"support); {why_no_part(recipe, facts)}"
        )
    (top, left), (bottom, right) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    border = round(margin * max(bottom - top, right - left))
    top, left = max(0, top - border), max(0, left - border)
    bottom, right = min(shape[0], bottom + border), min(shape[1], right + border)
    return int(top), int(left), int(bottom - top), int(right - left)


def why_no_part(recipe: Recipe, facts: Sequence[SampleFacts]) -> str:
    """What was seen in the samples without a part, told of the first one with the commonest reason, and the remedy."""
    whole = "set frame.crop=none and scoring.region=frame"
    without = [sample for sample in facts if sample.box is None and sample.border is not None]
    measured = [sample for sample in without if sample.depth]
    if not measured:
        return f"their clouds hold no measured point: look at the files, or {whole}"
    if measured[0].depth > FARTHEST:
        return (
            f"their points lie {measured[0].depth:.0f} away in the median, where metres are expected: set "
            "frame.cloud_scale=0.001 for millimetres, divide millimetres by 1000, or set depth_scale in camera.json"
        )
    fault = Counter(sample.border.fault for sample in measured if sample.border).most_common(1)[0][0]
    fault_samples = [sample for sample in measured if sample.border and sample.border.fault == fault]
    return _described_fault(recipe, fault_samples[0], f"{len(fault_samples)} of {len(facts)} samples", whole)


def _described_fault(recipe: Recipe, example: SampleFacts, samples: str, whole: str) -> str:
    config, border = recipe.frame.part, example.border
    assert border is not None
    more, height = "show more of the support around the part", example.highest or 0.0
    match border.fault:
        case "few":
            rest = f"too few for a plane: {more}"
        case "rough":
            rest = (
                f"where {1000 * config.roughness:.2g} mm are allowed: show a flat support along the whole "
                "border, raise frame.part.roughness if it is that rough"
            )
        case "cut":
            rest = (
                f"but only {border.inlier_share:.0%} of them lie on it, because the part reaches across the border or "
                f"other things stand there: {more}"
            )
        case "steep":
            degrees = np.degrees(np.arccos(border.facing))
            rest = f"which is seen at {degrees:.0f} degrees: tilt the camera towards it, lower frame.part.facing"
        case "one side":
            rest = f"all on one side of the frame: {more}"
        case "":
            rest = (
                f"and nothing stands on it: the greatest height above it is {1000 * height:.2g} mm, where a part "
                f"begins at {1000 * config.clearance:.2g} mm: "
            )
            low = height > 6 * border.residual  # well above the noise: a flat part
            depth_below = -(example.lowest or 0.0)
            if depth_below > max(config.clearance, 3 * height):
                rest += (
                    f"{1000 * depth_below:.2g} mm lie below it, so z may grow towards the sensor, where it must grow "
                )
                rest += "away from it: multiply z by -1, or "
            rest += (
                f"lower frame.part.clearance, say to {height / 3:.1g}"
                if low
                else "see that the part and the support around it are measured"
            )
    distance = "" if border.fault == "few" else f", {1000 * border.residual:.2g} mm from their plane in the median"
    return (
        f"in {example.id}, and likewise in {samples}, {border.points} border points ({border.share:.0%} of the border) "
        f"were measured{distance}, {rest}, or {whole}"
    )
