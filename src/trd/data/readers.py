"""PNG, JPEG, TIFF, NPY, PLY, PCD -> arrays. Readers decode and check; they make no choices about the content.

Organised clouds come out as (H, W, 3) float32, metres, missing points (0, 0, 0), whatever the format. Headers are read
first: what is too large (`limits`) or of a kind that is not read is refused before anything is decoded.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import imagecodecs
import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

from trd.data.limits import TEXT_BYTES, check_cloud, check_picture, max_pixels
from trd.data.points import read_pcd_points, read_ply_points
from trd.errors import DataError
from trd.types import Camera

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
CLOUD_SUFFIXES = (".tiff", ".tif", ".npy", ".png", ".ply", ".pcd")
UNREAD_SUFFIXES = (".bmp", ".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".raw")  # what else cameras and tools write

NO_PICTURE = "an image beside it"  # what points without a width of their own lack

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PALETTE = 3
JPEG_SCANS = 200  # a progressive picture has about ten; each costs the time of a whole picture
# Lossless ones only: xyz that went through a picture codec is no measurement any more.
TIFF_COMPRESSIONS = {1: "none", 5: "LZW", 8: "zlib", 32946: "zlib", 32773: "PackBits", 34925: "LZMA", 50000: "zstd"}

Read = TypeVar("Read")


def read_image(path: Path) -> NDArray[np.generic]:
    """8- or 16-bit PNG or JPEG -> (H, W, 3), or (H, W) for grey, uint8 or uint16; an alpha channel is dropped.

    Colours of a palette are looked up. Raises DataError for a missing, damaged or unsupported file, and for one of
    more pixels than the limit.
    """
    return _picture(path, check_picture)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Ground truth PNG -> (H, W) bool, True where any channel is not 0: data sets store class numbers.

    Of a palette picture the stored numbers count, not the colours they are shown in: number 0 is the background.
    """
    mask = _picture(path, check_picture, as_numbers=True) != 0
    return np.asarray(mask.any(axis=2) if mask.ndim == 3 else mask)


def read_cloud(path: Path, camera: Camera | None = None, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """An organised cloud (H, W, 3) from xyz TIFF / NPY, from depth PNG / TIFF / NPY with a camera, from PLY or PCD.

    shape: (H, W) of the registered image, needed for PLY files, which store no width. NaN means "not measured" in PLY
    and PCD (the convention there); in the other formats NaN is an error, and infinite values are one everywhere.
    Raises DataError naming the file and the remedy.
    """
    suffix = path.suffix.lower()
    if suffix in (".ply", ".pcd"):
        cloud = _read_ply(path, shape) if suffix == ".ply" else _read_pcd(path, shape)
        x, y, z = np.moveaxis(cloud, -1, 0)
        cloud[np.isnan(x) | np.isnan(y) | np.isnan(z)] = 0
    else:
        grid = _read_grid(path)
        grid = _in_range(grid, path) if suffix == ".png" else grid
        if grid.ndim == 2:
            cloud = depth_to_cloud(grid, _fitted(_required(camera, path), grid.shape, path))
        else:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, see below
                cloud = np.ascontiguousarray(grid, np.float32)
    if not np.isfinite(cloud).all():
        count = int((~np.isfinite(cloud)).any(axis=-1).sum())
        raise DataError(f"{path}: {count} points are NaN or infinite; write missing points as (0, 0, 0) instead")
    if not (cloud[..., 2] != 0).any():
        raise DataError(f"{path}: no valid depth, all {cloud.shape[0]} x {cloud.shape[1]} points are missing (z = 0)")
    return cloud


def depth_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of a depth image, from its header alone; None for a file that holds x, y and z.

    Raises DataError for a file whose header cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in (".ply", ".pcd"):
        return None
    if suffix == ".png":
        height, width, _ = _read(path, lambda: _png_header(_head(path)))
        return height, width
    if suffix == ".npy":
        with _opened(path) as file:
            shape = _read(path, lambda: _npy_header(file, path))[0]
    else:
        shape = _read(path, lambda: _tiff_shape(path))
    return (shape[0], shape[1]) if len(shape) == 2 else None


def depth_to_cloud(depth: NDArray[np.generic], camera: Camera) -> NDArray[np.float32]:
    """Depth (H, W) in units of camera.depth_scale metres, 0 = missing -> cloud (H, W, 3) by the pinhole model."""
    rows, columns = (np.arange(side, dtype=np.float64) for side in depth.shape)
    cloud = np.empty((*depth.shape, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for row, values in enumerate(depth):  # whole frames of float64 would take five times the cloud's memory
            z = values.astype(np.float64) * camera.depth_scale
            cloud[row, :, 0] = (columns - camera.cx) * z / camera.fx
            cloud[row, :, 1] = (rows[row] - camera.cy) * z / camera.fy
            cloud[row, :, 2] = z
    return cloud


def read_camera(path: Path) -> Camera:
    """Intrinsics from JSON: `fx fy cx cy` in pixels and `depth_scale` (metres per unit of the depth images).

    `width` and `height` (also `image_width`, `image_height`) may say for which size of image they are meant. MVTec's
    `camera_parameters.json` (focus, sx, sy in metres) is understood as well. Raises DataError.
    """
    values: Any = _read(path, lambda: json.loads(_text(path)), "as camera JSON")
    if not isinstance(values, dict):
        raise DataError(f'{path}: expected an object {{"fx": .., "fy": .., "cx": .., "cy": ..}}, got {_shown(values)}')
    if "fx" not in values and all(_positive(values.get(key)) for key in ("focus", "sx", "sy")):
        values = {**values, "fx": values["focus"] / values["sx"], "fy": values["focus"] / values["sy"]}
    missing = [key for key in ("fx", "fy", "cx", "cy") if key not in values]
    if missing:
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; expected fx, fy, cx, cy in pixels and depth_scale in metres"
        )
    for key in ("fx", "fy", "depth_scale"):
        if key in values and not _positive(values[key]):
            raise DataError(f"{path}: {key} is {_shown(values[key])}; expected a number above 0")
    for key in ("cx", "cy"):
        if not _is_number(values[key]):
            raise DataError(f"{path}: {key} is {_shown(values[key])}; expected a finite number of pixels")
    fx, fy, cx, cy = (float(values[key]) for key in ("fx", "fy", "cx", "cy"))
    return Camera(fx, fy, cx, cy, float(values.get("depth_scale", 1.0)), _camera_size(values, path))


def _camera_size(values: dict[str, Any], path: Path) -> tuple[int, int] | None:
    sides: list[Any] = [values.get(side, values.get(f"image_{side}")) for side in ("height", "width")]
    height, width = sides
    if height is None and width is None:
        return None
    if not all(_positive(side) and side == int(side) for side in sides):
        raise DataError(
            f"{path}: width and height are {_shown(width)} and {_shown(height)}; expected the pixels of the images "
            "that fx, fy, cx and cy are meant for, or neither of them"
        )
    return int(height), int(width)


def _fitted(camera: Camera, shape: tuple[int, ...], path: Path) -> Camera:
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


def _read(path: Path, decode: Callable[[], Read], how: str = "") -> Read:
    """What `decode` returns; DataError where there is no such file or decoding fails in any way."""
    try:
        if not path.is_file():
            raise DataError(f"{path} {'is not a regular file' if path.exists() else 'does not exist'}")
        return decode()
    except DataError:
        raise
    except Exception as error:  # each codec raises types of its own on damaged input
        how = f" {how}" if how else ""
        reason = str(error).strip() or type(error).__name__
        raise DataError(
            f"{path} cannot be read{how}: {reason[:300]}; the file is damaged or of another format"
        ) from error


def _opened(path: Path) -> BinaryIO:
    return _read(path, lambda: path.open("rb"))


def _head(path: Path, size: int = 64) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _text(path: Path) -> str:
    """A small text file. ValueError where it is a large one."""
    if path.stat().st_size > TEXT_BYTES:
        raise ValueError(f"it holds {path.stat().st_size} bytes where some hundred are expected")
    return path.read_text("utf-8")


def _picture(path: Path, check: Callable[[Path, int, int], None], as_numbers: bool = False) -> NDArray[np.generic]:
    """A PNG or JPEG; as_numbers: of a palette picture the numbers, not the colours that they stand for."""
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: unknown kind of image file; known: {', '.join(IMAGE_SUFFIXES)}")
    if suffix == ".png":
        height, width, colour_type = _read(path, lambda: _png_header(_head(path)))
        check(path, height, width)
        has_numbers = as_numbers and colour_type == PALETTE
        image = _read(path, lambda: _palette_numbers(path) if has_numbers else _png(path, height, width))
    else:
        image = _read(path, lambda: _jpeg(path, check))
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[..., :-1]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: expected an 8- or 16-bit grey or colour image, got {image.dtype} {image.shape}")
    return image


def _png_header(head: bytes) -> tuple[int, int, int]:
    """Height, width and colour type."""
    if not head.startswith(PNG_START) or head[12:16] != b"IHDR":
        raise ValueError("it does not begin like a PNG")
    width, height, _, colour_type = struct.unpack(">IIBB", head[16:26])
    if colour_type not in PNG_CHANNELS:
        raise ValueError(f"there is no colour type {colour_type} in PNG")
    return height, width, colour_type


def _png(path: Path, height: int, width: int) -> NDArray[np.generic]:
    # The decoder takes the whole file: what is hidden behind a small picture must not fill the memory.
    if path.stat().st_size > 16 * height * width + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes for {height} x {width} pixels")
    return np.asarray(imagecodecs.png_decode(path.read_bytes()))


def _palette_numbers(path: Path) -> NDArray[np.generic]:
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image).copy()


def _jpeg(path: Path, check: Callable[[Path, int, int], None]) -> NDArray[np.generic]:
    if path.stat().st_size > 4 * max_pixels() + 16 * 2**20:
        raise ValueError(f"{path.stat().st_size} bytes are too many for a JPEG")
    data = path.read_bytes()
    height, width, channels = _jpeg_header(data)
    check(path, height, width)
    if channels not in (1, 3):
        raise DataError(
            f"{path} has {channels} channels (CMYK, as for printing), not grey or RGB: convert it to RGB, with the "
            "colour profile it was made for"
        )
    if data.count(b"\xff\xda") > JPEG_SCANS:
        raise ValueError(f"it consists of more than {JPEG_SCANS} scans")
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ValueError("it ends in the middle of the picture")  # the decoder would fill up with grey
    return np.asarray(imagecodecs.jpeg8_decode(data))


def _jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels from the start-of-frame segment."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG")
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise ValueError("its segments are not in order")
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker == 0xDA:
            break
        elif marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            precision, height, width, channels = struct.unpack(">BHHB", data[place + 4 : place + 10])
            if precision != 8:
                raise ValueError(f"it has {precision} bits per channel; JPEG with 8, or PNG with 16 are read")
            return height, width, channels
        else:
            place += 2 + (0 if marker in range(0xD0, 0xD9) or marker == 0x01 else _big16(data, place + 2))
    raise ValueError("no start of a frame comes before the picture")


def _big16(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")


def _read_grid(path: Path) -> NDArray[np.generic]:
    """Depth (H, W) or xyz (H, W, 3) as stored: integers or floats."""
    suffix = path.suffix.lower()
    if suffix == ".png":
        image = _picture(path, lambda path, height, width: _check_grid(path, (height, width), np.dtype(np.uint16)))
        if image.ndim == 3:
            raise DataError(f"{path} is a colour picture, not a depth image: export depth as 16-bit grey PNG")
        return image
    if suffix == ".npy":
        return _read(path, lambda: _npy(path))
    if suffix in (".tiff", ".tif"):
        return _read(path, lambda: _tiff(path))
    raise DataError(f"{path}: unknown kind of 3D file; known: {', '.join(CLOUD_SUFFIXES)}")


def _check_grid(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises DataError unless it is a depth image or xyz of numbers, and not too large."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(f"{path}: expected numbers, got {dtype}")
    if len(shape) == 3 and shape[2] == 4:
        raise DataError(
            f"{path}: the points have 4 numbers, shape {_shown(shape)}; if they are x, y, z and something else, keep "
            "the first three channels: array[..., :3]"
        )
    if len(shape) != 2 and (len(shape) != 3 or shape[2] != 3):
        remedy = {1: "; an image of depth alone is H x W: array[..., 0]", 2: ""}.get(shape[-1] if shape else 0, "")
        if len(shape) == 3 and shape[0] == 3:
            remedy = "; x, y and z come last: np.moveaxis(array, 0, -1)"
        raise DataError(
            f"{path}: expected an organised cloud H x W x 3 or a depth image H x W, got shape {_shown(shape)}{remedy}"
        )
    check_cloud(path, shape[0] * shape[1], f"{shape[0]} x {shape[1]} points")


def _npy_header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format; arrays of plain numbers have 1.0 or 2.0")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    return shape, dtype


def _npy(path: Path) -> NDArray[np.generic]:
    with path.open("rb") as file:
        shape, dtype = _npy_header(file, path)
        _check_grid(path, shape, dtype)
        size, left = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
        if size > left:
            raise ValueError(f"shape {shape} takes {size} bytes, but {left} are there")
        file.seek(0)
        return np.asarray(np.load(file, allow_pickle=False))


def _tiff_shape(path: Path) -> tuple[int, ...]:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        shape: tuple[int, ...] = _tiff_part(tiff).shape
        return shape


def _tiff(path: Path) -> NDArray[np.generic]:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        part, page = _tiff_part(tiff), tiff.pages.first
        if part.dtype is None:
            raise ValueError("its numbers are of an unknown type")
        _check_grid(path, part.shape, part.dtype)
        if page.compression not in TIFF_COMPRESSIONS:
            known = ", ".join(dict.fromkeys(TIFF_COMPRESSIONS.values()))
            raise DataError(
                f"{path}: TIFF compression {str(page.compression)[:40]} is not read for 3D; save it with {known}"
            )
        # Strips and tiles are unpacked whole, also where they reach far beyond the picture.
        check_cloud(path, math.prod(page.chunks) // 3, f"a strip or tile of {page.chunks} numbers")
        _check_strips(page, path.stat().st_size)
        return np.asarray(part.asarray(maxworkers=1))


def _tiff_part(tiff: tifffile.TiffFile) -> Any:
    """The first page, or what tifffile wrote as one array over several pages (xyz without photometric="rgb")."""
    page = tiff.pages.first
    if not isinstance(page, tifffile.TiffPage) or page.dtype is None:
        raise ValueError("its first page holds no numbers")
    return tiff.series[0] if tiff.is_shaped else page


def _check_strips(page: Any, file_size: int) -> None:
    """The decoder would take strips that are not there for zeros, which mean missing points."""
    if len(page.dataoffsets) < math.prod(page.chunked) or len(page.dataoffsets) != len(page.databytecounts):
        raise ValueError(f"{len(page.dataoffsets)} of {math.prod(page.chunked)} strips are there")
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if size <= 0 or offset <= 0 or offset + size > file_size:
            raise ValueError(f"a strip of {size} bytes at {offset} is not in the file's {file_size} bytes")


def _read_ply(path: Path, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    return _organised(_read(path, lambda: read_ply_points(path)), shape, path)


def _read_pcd(path: Path, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    points, height, width = _read(path, lambda: read_pcd_points(path))
    return _organised(points, (height, width) if height > 1 else shape, path)


def _organised(points: NDArray[np.float32], shape: tuple[int, int] | None, path: Path) -> NDArray[np.float32]:
    if shape is None or shape[0] * shape[1] != len(points):
        wanted = NO_PICTURE if shape is None else f"{shape[0]} x {shape[1]} = {shape[0] * shape[1]} points"
        raise DataError(
            f"{path}: holds {len(points)} points, needs {wanted}: only organised clouds (one point per pixel, row by "
            "row, missing ones as NaN or zero) can be compared with an image; export it organised"
        )
    return points.reshape(*shape, 3)


def depth_range_file(path: Path) -> Path | None:
    """Eyecandies' `ID_info_depth.yaml` where it lies beside `ID_depth.png`: its numbers scale this one image."""
    info = path.with_name(path.name.removesuffix("depth.png") + "info_depth.yaml")
    return info if path.name.endswith("depth.png") and info.is_file() else None


def _in_range(depth: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    """Metres where a range file says what the image's 0 and 65535 mean, else the image as it is."""
    info = depth_range_file(path)
    if info is None:
        return depth
    try:
        limits = yaml.safe_load(_text(info))["normalization"]
        low, high = float(limits["min"]), float(limits["max"])
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"{low} to {high} is no range")
    except Exception as error:  # the parser raises several types on damaged input
        raise DataError(
            f"{info}: expected 'normalization' with 'min' and 'max' in metres: {repr(error)[:300]}"
        ) from error
    return depth.astype(np.float64) / np.iinfo(np.uint16).max * (high - low) + low


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _required(camera: Camera | None, path: Path) -> Camera:
    if camera is None:
        raise DataError(
            f"{path} is a depth image, which needs the camera: put camera.json with fx, fy, cx, cy (pixels) and "
            "depth_scale (metres per unit) into the data folder"
        )
    return camera
