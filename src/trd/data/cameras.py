"""Camera files -> intrinsics of depth images, also of other resolutions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from trd.data.decoding import decoded, shown, small_text
from trd.errors import DataError
from trd.types import Camera


def read_camera(path: Path) -> Camera:
    """Intrinsics from JSON: `fx fy cx cy` in pixels and `depth_scale` (metres per unit of the depth images).

    `width` and `height` (also `image_width`, `image_height`) may say for which size of image they are meant. MVTec's
    `camera_parameters.json` (focus, sx, sy in metres) is understood as well. Raises DataError.
    """
    values: Any = decoded(path, lambda: json.loads(small_text(path)), "as camera JSON")
    if not isinstance(values, dict):
        raise DataError(f'{path}: expected an object {{"fx": .., "fy": .., "cx": .., "cy": ..}}, got {shown(values)}')
    if "fx" not in values and all(_positive(values.get(key)) for key in ("focus", "sx", "sy")):
        values = {**values, "fx": values["focus"] / values["sx"], "fy": values["focus"] / values["sy"]}
    missing = [key for key in ("fx", "fy", "cx", "cy") if key not in values]
    if missing:
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; expected fx, fy, cx, cy in pixels and depth_scale in metres"
        )
    for key in ("fx", "fy", "depth_scale"):
        if key in values and not _positive(values[key]):
            raise DataError(f"{path}: {key} is {shown(values[key])}; expected a number above 0")
    for key in ("cx", "cy"):
        if not _is_number(values[key]):
            raise DataError(f"{path}: {key} is {shown(values[key])}; expected a finite number of pixels")
    fx, fy, cx, cy = (float(values[key]) for key in ("fx", "fy", "cx", "cy"))
    return Camera(fx, fy, cx, cy, float(values.get("depth_scale", 1.0)), _camera_size(values, path))


def _camera_size(values: dict[str, Any], path: Path) -> tuple[int, int] | None:
    sides: list[Any] = [values.get(side, values.get(f"image_{side}")) for side in ("height", "width")]
    height, width = sides
    if height is None and width is None:
        return None
    if not all(_positive(side) and side == int(side) for side in sides):
        raise DataError(
            f"{path}: width and height are {shown(width)} and {shown(height)}; expected the pixels of the images "
            "that fx, fy, cx and cy are meant for, or neither of them"
        )
    return int(height), int(width)


def fitted(camera: Camera, shape: tuple[int, ...], path: Path) -> Camera:
    """The camera for images of another resolution than its own, of the same field of view."""
    if camera.size is None or camera.size == shape:
        return camera
    (height, width), (rows, columns) = camera.size, shape
    down, across = rows / height, columns / width
    if abs(rows - height * across) > 1 and abs(columns - width * down) > 1:  # more than rounding to whole pixels
        raise DataError(
            f"{path} is {rows} x {columns} pixels, the camera is meant for {height} x {width} (height x width): "
            "another shape of frame is not the same view at another resolution; give the camera.json of these images"
        )
    return replace(
        camera,
        fx=camera.fx * across,
        fy=camera.fy * down,
        cx=(camera.cx + 0.5) * across - 0.5,
        cy=(camera.cy + 0.5) * down - 0.5,
        size=(rows, columns),
    )


def required(camera: Camera | None, path: Path) -> Camera:
    """The camera; DataError where there is none."""
    if camera is None:
        raise DataError(
            f"{path} is a depth image, which needs the camera: put camera.json with fx, fy, cx, cy (pixels) and "
            "depth_scale (metres per unit) into the data folder"
        )
    return camera


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0
