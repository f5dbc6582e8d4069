"""Camera files -> what a 3D sensor's numbers mean and where the camera of the pictures is, at any resolution."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from trd.data.decoding import decoded, shown, small_text
from trd.errors import DataError
from trd.types import UNTURNED, Camera, ColourCamera, HeightMap, Point, Turn

INTRINSICS = ("fx", "fy", "cx", "cy")
DISTORTIONS = (0, 4, 5, 8)  # how many numbers OpenCV's distortion may have here
OPTICS = (*INTRINSICS, "focus", "sx", "sy", "width", "height", "image_width", "image_height", "distortion", "kappa")
KEYS = (
    *OPTICS,
    *("kind", "units", "z", "depth_scale", "missing", "colour", "pose", "pitch_x", "pitch_y", "height_scale"),
)
ALIKE = 0.83  # of the letters of a key that is not known and of a known one, from which on it is a slip
COLOUR_REMEDY = (
    'put "colour": {"fx": .., "fy": .., "cx": .., "cy": .., "width": .., "height": ..} of the camera that takes the '
    "pictures and \"pose\", the 4 x 4 matrix from the 3D sensor's frame to that camera's, into camera.json"
)


def read_camera(path: Path) -> Camera:
    """The sensors from JSON: `fx fy cx cy` in pixels and `depth_scale` (metres per unit of the depth images).

    `width` and `height` (also `image_width`, `image_height`) may say for which size of image they are meant,
    `distortion` and `kappa` how the lens distorts. `units` (metres per unit of the points) and `z` ("away",
    "towards") are for files of points. `colour` holds the same keys of another camera that takes the pictures, `pose`
    the 3D sensor's place in its frame. `missing` lists stored values (z of points) that stand for "not measured".
    `{"kind": "height_map", "pitch_x", "pitch_y", "height_scale", "z"}` is a profiler. MVTec's `camera_parameters.json`
    (focus, sx, sy in metres) is understood as well. Raises DataError.
    """
    values: Any = decoded(path, lambda: json.loads(small_text(path)), "as camera JSON")
    if not isinstance(values, dict):
        raise DataError(f'{path}: expected an object {{"fx": .., "fy": .., "cx": .., "cy": ..}}, got {shown(values)}')
    _check_keys(values, KEYS, path)
    kind = values.get("kind", "camera")
    if kind not in ("camera", "height_map"):
        raise DataError(f'{path}: kind is {shown(kind)}; expected "height_map", or no kind')
    values = _focus_in_pixels(values)
    colour = _colour(values, path)
    profiler = _height_map(values, path) if kind == "height_map" else None
    direction = values.get("z", "away" if profiler is None else "towards")
    if direction not in ("away", "towards"):
        raise DataError(f'{path}: z is {shown(direction)}; expected "away" (from the sensor) or "towards" (it)')
    is_pinhole = profiler is None and not (
        not {*INTRINSICS} & set(values) and (colour is not None or {"units", "z", "missing"} & set(values))
    )
    fx, fy, cx, cy = _intrinsics(values, path, "depth_scale in metres") if is_pinhole else (0.0, 0.0, 0.0, 0.0)
    distortion, kappa = _lens(values, path) if is_pinhole else ((), 0.0)
    return Camera(
        *(fx, fy, cx, cy),
        depth_scale=_above_0(values, "depth_scale", path, 1.0),
        size=_size(values, path),
        distortion=distortion,
        kappa=kappa,
        units=_above_0(values, "units", path, 1.0),
        z=direction,
        height_map=profiler,
        colour=colour,
        missing=_missing(values, path),
    )


def camera_values(camera: Camera) -> dict[str, Any]:
    """What `read_camera` reads as this camera, for JSON; without the grid, which belongs to the training parts."""
    values = _optics_values(camera)
    values |= {"depth_scale": camera.depth_scale, "units": camera.units, "z": camera.z}
    if camera.missing:
        values["missing"] = camera.missing
    if camera.height_map is not None:
        scan = camera.height_map
        values |= {"kind": "height_map", "pitch_x": scan.pitch_x, "pitch_y": scan.pitch_y}
        values["height_scale"] = scan.height_scale
    if camera.colour is not None:
        values["colour"] = _optics_values(camera.colour)
        values["pose"] = {"rotation": camera.colour.rotation, "translation": camera.colour.translation}
    return values


def _check_keys(values: dict[str, Any], known: tuple[str, ...], path: Path, where: str = "") -> None:
    """Files of other programs hold more; what is one letter off a key would be left out in silence."""
    for key in values:
        if key not in known and (close := get_close_matches(key.lower(), known, 1, ALIKE)):
            raise DataError(f"{path}: {where}{shown(key)} is no key; if it means '{close[0]}', write that")


def _optics_values(optics: Camera | ColourCamera) -> dict[str, Any]:
    values: dict[str, Any] = {key: getattr(optics, key) for key in INTRINSICS} if optics.fx else {}
    if optics.size is not None:
        values |= {"height": optics.size[0], "width": optics.size[1]}
    if optics.distortion:
        values["distortion"] = optics.distortion
    if optics.kappa:  # which is for directions whose z is 1: as if the focal length were a metre
        values |= {"focus": 1.0, "sx": 1 / optics.fx, "sy": 1 / optics.fy, "kappa": optics.kappa}
    return values


def _focus_in_pixels(values: dict[str, Any]) -> dict[str, Any]:
    """With fx and fy where MVTec's keys stand for them."""
    if "fx" not in values and all(_positive(values.get(key)) for key in ("focus", "sx", "sy")):
        return {**values, "fx": values["focus"] / values["sx"], "fy": values["focus"] / values["sy"]}
    return values


def _intrinsics(values: dict[str, Any], path: Path, also: str, where: str = "") -> tuple[float, float, float, float]:
    """where: the object in the file that holds them, with a dot."""
    missing = [where + key for key in INTRINSICS if key not in values]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}; expected fx, fy, cx, cy in pixels and {also}")
    for key in ("cx", "cy"):
        if not _is_number(values[key]):
            raise DataError(f"{path}: {where}{key} is {shown(values[key])}; expected a finite number of pixels")
    fx, fy = (_above_0(values, key, path, 0.0, where) for key in ("fx", "fy"))
    return fx, fy, float(values["cx"]), float(values["cy"])


def _above_0(values: dict[str, Any], key: str, path: Path, default: float, where: str = "") -> float:
    value = values.get(key, default)
    if key in values and not _positive(value):
        raise DataError(f"{path}: {where}{key} is {shown(value)}; expected a number above 0")
    return float(value)


def _lens(values: dict[str, Any], path: Path, where: str = "") -> tuple[tuple[float, ...], float]:
    """OpenCV's distortion, and kappa for directions whose z is 1."""
    numbers, kappa = values.get("distortion", []), values.get("kappa", 0)
    if not _numbers(numbers) or len(numbers) not in DISTORTIONS:
        raise DataError(
            f"{path}: {where}distortion is {shown(numbers)}; expected OpenCV's numbers [k1, k2, p1, p2], or 5 or 8 of "
            "them with k3 and k4, k5, k6"
        )
    if not _is_number(kappa):
        raise DataError(f"{path}: {where}kappa is {shown(kappa)}; expected a finite number per square metre")
    if kappa and not _positive(values.get("focus")):
        raise DataError(
            f"{path}: {where}kappa needs focus, sx and sy (metres) beside it; give OpenCV's distortion with fx and fy"
        )
    if kappa and any(numbers):
        raise DataError(f"{path}: {where}distortion and {where}kappa are both there; keep one of them")
    return tuple(float(number) for number in numbers), float(kappa * values["focus"] ** 2) if kappa else 0.0


def _missing(values: dict[str, Any], path: Path) -> tuple[float, ...]:
    missing = values.get("missing", [])
    numbers = missing if isinstance(missing, list) else [missing]
    if not _numbers(numbers):
        raise DataError(f"{path}: missing is {shown(missing)}; expected stored values for 'not measured', as [65535]")
    return tuple(float(number) for number in numbers)


def _size(values: dict[str, Any], path: Path, where: str = "") -> tuple[int, int] | None:
    sides: list[Any] = [values.get(side, values.get(f"image_{side}")) for side in ("height", "width")]
    height, width = sides
    if height is None and width is None:
        return None
    if not all(_positive(side) and side == int(side) for side in sides):
        raise DataError(
            f"{path}: {where}width and height are {shown(width)} and {shown(height)}; expected the pixels of the "
            "images that fx, fy, cx and cy are meant for, or neither of them"
        )
    return int(height), int(width)


def _colour(values: dict[str, Any], path: Path) -> ColourCamera | None:
    colour = values.get("colour")
    if colour is None:
        if "pose" in values:
            raise DataError(f"{path}: pose is there without the colour camera; {COLOUR_REMEDY}")
        return None
    if not isinstance(colour, dict):
        raise DataError(f"{path}: colour is {shown(colour)}; {COLOUR_REMEDY}")
    _check_keys(colour, OPTICS, path, "colour.")
    colour = _focus_in_pixels(colour)
    optics = _intrinsics(colour, path, "width and height of the pictures", "colour.")
    size = _size(colour, path, "colour.")
    if size is None:
        raise DataError(f"{path}: lacks colour.width and colour.height, the pixels of the pictures; add them")
    return ColourCamera(*optics, size, *_lens(colour, path, "colour."), *_pose(values.get("pose"), path))


def _pose(pose: Any, path: Path) -> tuple[Turn, Point]:
    """Rotation and translation (metres) from the 3D sensor's frame to the colour camera's; none: the same frame."""
    if pose is None:
        return UNTURNED, (0.0, 0.0, 0.0)
    expected = 'expected a 4 x 4 matrix, or {"rotation": 3 x 3, "translation": [x, y, z] in metres}'
    if isinstance(pose, dict):
        rotation, translation = pose.get("rotation"), pose.get("translation")
    elif _is_matrix(pose, 4, 4) and pose[3] == [0, 0, 0, 1]:
        rotation, translation = [row[:3] for row in pose[:3]], [row[3] for row in pose[:3]]
    else:
        raise DataError(f"{path}: pose is {shown(pose)}; {expected} with 0, 0, 0, 1 as its last row")
    if not (_is_matrix(rotation, 3, 3) and _is_matrix([translation], 1, 3)):
        raise DataError(f"{path}: pose has rotation {shown(rotation)}, translation {shown(translation)}; {expected}")
    matrix = np.array(rotation, np.float64)
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
        raise DataError(
            f"{path}: the rotation of pose is none: its rows must be at right angles and 1 long, and its determinant "
            "1; export it again, without a scale and without a mirror (z towards the sensor: set z)"
        )
    left, _, right = np.linalg.svd(matrix)  # files round to some digits: the nearest rotation
    x, y, z = ((float(row[0]), float(row[1]), float(row[2])) for row in left @ right)
    moved = np.array(translation, np.float64)
    return (x, y, z), (float(moved[0]), float(moved[1]), float(moved[2]))


def _height_map(values: dict[str, Any], path: Path) -> HeightMap:
    missing = [key for key in ("pitch_x", "pitch_y") if key not in values]
    if missing:
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; a height map needs pitch_x and pitch_y, metres from column to column "
            "and from row to row, and height_scale, metres per unit of the heights"
        )
    return HeightMap(*(_above_0(values, key, path, 1.0) for key in ("pitch_x", "pitch_y", "height_scale")))


def fitted(camera: Camera, shape: tuple[int, ...], path: Path) -> Camera:
    """The camera for depth images of another resolution than its own, of the same field of view."""
    if camera.size is None or camera.size == shape:
        return camera
    fx, fy, cx, cy = _in_proportion(camera, camera.size, shape, path, "the camera", "these images")
    return replace(camera, fx=fx, fy=fy, cx=cx, cy=cy, size=(shape[0], shape[1]))


def fitted_colour(colour: ColourCamera, shape: tuple[int, int], path: Path) -> ColourCamera:
    """The colour camera for pictures of another resolution than its own; path: the file of points beside one."""
    if colour.size == shape:
        return colour
    fx, fy, cx, cy = _in_proportion(colour, colour.size, shape, path, "the colour camera", "these pictures")
    return replace(colour, fx=fx, fy=fy, cx=cx, cy=cy, size=shape)


def _in_proportion(
    optics: Camera | ColourCamera, size: tuple[int, int], shape: tuple[int, ...], path: Path, name: str, images: str
) -> tuple[float, float, float, float]:
    (height, width), (rows, columns) = size, shape
    down, across = rows / height, columns / width
    if abs(rows - height * across) > 1 and abs(columns - width * down) > 1:  # more than rounding to whole pixels
        its = f"{path} is" if isinstance(optics, Camera) else f"{path}: the picture beside it is"
        raise DataError(
            f"{its} {rows} x {columns} pixels, {name} is meant for {height} x {width} (height x width): "
            f"another shape of frame is not the same view at another resolution; give the camera.json of {images}"
        )
    return (
        optics.fx * across,
        optics.fy * down,
        (optics.cx + 0.5) * across - 0.5,
        (optics.cy + 0.5) * down - 0.5,
    )


def required(camera: Camera | None, path: Path) -> Camera:
    """The camera of a depth image; DataError where there is none."""
    if camera is None or not camera.fx:
        raise DataError(
            f"{path} is a depth image, which needs the camera: put camera.json with fx, fy, cx, cy (pixels) and "
            'depth_scale (metres per unit) into the data folder, or with "kind": "height_map" for a profiler'
        )
    return camera


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_number(number) for number in value)


def _is_matrix(value: Any, rows: int, columns: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == rows
        and all(_numbers(row) and len(row) == columns for row in value)
    )
