"""Pictures and maps of a stored part, on the pixel grid of the sensor's frame or of its window."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from trd.data.images import png_header
from trd.detector import checked
from trd.errors import DataError
from trd.evaluation.figures import outlined, png
from trd.preprocess.image import full_scale_of, unit_range
from trd.preprocess.view_frames import AnyFrame
from trd.preprocess.view_pipeline import pipeline_of
from trd.stored import DetectorFacts
from trd.types import Sample

Picture = NDArray[np.uint8]
Map = NDArray[np.float32]
Style = Literal["heat", "overlay", "alpha"]
STRENGTH = 0.55  # of the heat over a picture
MOST_CONTOURS = 200


def source_picture(array: NDArray[np.generic], is_cloud: bool) -> Picture:
    """An image in 8 bits, (H, W, 3); of a cloud its depth, near is bright, missing is transparent, (H, W, 4)."""
    if not is_cloud:
        return _in_8_bits(array)
    depth = np.asarray(array[..., 2], np.float32)
    measured = depth != 0
    low, high = (float(depth[measured].min()), float(depth[measured].max())) if measured.any() else (0.0, 1.0)
    grey = (np.clip((high - depth) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
    return np.dstack([grey, grey, grey, np.where(measured, 255, 0).astype(np.uint8)])


def _in_8_bits(array: NDArray[np.generic]) -> Picture:
    if array.dtype == np.uint8:
        picture = np.asarray(array, np.uint8)
        return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    return np.asarray(np.moveaxis(unit_range(array, full_scale_of(array)), 0, -1) * 255, np.uint8)


def modality_picture(facts: DetectorFacts, sample: Sample, name: str, shape: tuple[int, int]) -> Picture:
    """As the network sees it, (H, W, 4), transparent outside the window. Raises DataError."""
    pipeline = pipeline_of(facts.recipe, facts.frame, facts.ranges, facts.finder)
    prepared = pipeline(checked(sample, facts.recipe))
    image = prepared.images[name]
    window = np.ones(image.shape[1:], np.float32)
    planes = [facts.frame.to_sensor(plane, shape, 0.0) for plane in (*image, window)]
    return np.rint(255 * np.stack(planes, axis=-1)).astype(np.uint8)


def full_map(stored: Map, frame: AnyFrame, shape: tuple[int, int], floor: float) -> Map:
    """Of a stored map of the network's size what `Prediction` has: (H, W) float32."""
    return frame.to_sensor(stored, shape, floor)


@cache
def _cividis() -> Picture:
    """(256, 3): reads alike with any kind of colour vision."""
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_CIVIDIS)
    return np.ascontiguousarray(table[:, 0, ::-1], np.uint8)


def coloured(values: Map, top: float) -> Picture:
    """(H, W, 3); 0 and below is the darkest, `top` and above the brightest."""
    levels = np.clip(values * np.float32(255 / max(top, 1e-9)), 0, 255).astype(np.uint8)
    return np.asarray(_cividis()[levels], np.uint8)


def map_picture(values: Map, style: Style, top: float, level: float, under: Picture | None = None) -> Picture:
    """heat: (H, W, 3). overlay: over `under`, what is above `level` outlined. alpha: (H, W, 4), only what is above."""
    heat = coloured(values, top)
    if style == "alpha":
        return np.dstack([heat, np.where(values > level, 255, 0).astype(np.uint8)])
    if style == "overlay" and under is not None:
        base = np.ascontiguousarray(under[..., :3])
        blended = cv2.addWeighted(base, 1 - STRENGTH, np.ascontiguousarray(heat), STRENGTH, 0)
        return outlined(np.asarray(blended, np.uint8), values > level, (255, 255, 255))
    return heat


def contours(values: Map, level: float) -> list[list[list[int]]]:
    """Closed outlines of what is above the level: [row, column] of each corner, the largest area first."""
    outlines, _ = cv2.findContours((values > level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    largest = sorted(outlines, key=cv2.contourArea, reverse=True)[:MOST_CONTOURS]
    return [[[int(y), int(x)] for x, y in outline[:, 0]] for outline in largest]


def cut(array: NDArray[Any], frame: AnyFrame, window_only: bool) -> NDArray[Any]:
    """The array, or its window."""
    return frame.crop(array) if window_only else array


def as_png(picture: Picture, size: int | None = None) -> bytes:
    """size: pixels of the longer side, where the picture has more."""
    return png(picture if size is None else at_most(picture, size))


def at_most(picture: Picture, size: int) -> Picture:
    """Made smaller where its longer side has more pixels than `size`."""
    longest = max(picture.shape[:2])
    if size >= longest:
        return picture
    height, width = (max(1, round(side * size / longest)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def as_npy(values: Map) -> bytes:
    """NumPy's format 1.0, little-endian float32."""
    import io

    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(values, "<f4"), version=(1, 0), allow_pickle=False)
    return data.getvalue()


def mask_of(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A brushed mask from PNG: True where it is not 0. Raises DataError for another size or kind."""
    try:
        height, width, _ = png_header(data[:64])
    except Exception as error:
        raise DataError(f"the mask is no PNG: {error}") from error
    if (height, width) != shape:
        raise DataError(f"the mask is {height} x {width} pixels, the frame {shape[0]} x {shape[1]} (height x width)")
    try:
        image = np.asarray(imagecodecs.png_decode(data))
    except Exception as error:
        raise DataError("the mask cannot be read: the PNG is damaged") from error
    if image.ndim == 3:
        image = np.asarray(image[..., : {2: 1, 4: 3}.get(image.shape[2], image.shape[2])].any(axis=2))
    return np.asarray(image != 0)
