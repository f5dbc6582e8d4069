"""3D files of every kind -> organised clouds. Readers decode and check; they make no choices about the content.

Clouds come out as (H, W, 3) float32, metres, missing points (0, 0, 0), whatever the format. Headers are read first:
what is too large (`limits`) or of a kind that is not read is refused before anything is decoded.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from trd.data.cameras import COLOUR_REMEDY, fitted, required
from trd.data.decoding import decoded, head, opened, shown, small_text
from trd.data.heights import height_cloud, over_support, read_height_table
from trd.data.images import picture, png_header
from trd.data.lenses import rays
from trd.data.limits import check_cloud
from trd.data.meshes import read_mesh_points
from trd.data.points import read_pcd_points, read_ply_points
from trd.data.projection import projected
from trd.data.unmeasured import known_depths, known_points
from trd.errors import DamagedFileError, DataError
from trd.types import Camera

POINT_SUFFIXES = (".ply", ".pcd", ".stl", ".obj", ".xyz")  # lists of points, with or without rows
CLOUD_SUFFIXES = (".tiff", ".tif", ".npy", ".png", ".csv", *POINT_SUFFIXES)
NO_CAMERA = Camera(0, 0, 0, 0)

NO_PICTURE = "an image beside it"  # what points without a width of their own lack

# Lossless ones only: xyz that went through a picture codec is no measurement any more.
TIFF_COMPRESSIONS = {1: "none", 5: "LZW", 8: "zlib", 32946: "zlib", 32773: "PackBits", 34925: "LZMA", 50000: "zstd"}


def read_cloud(path: Path, camera: Camera | None = None, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """An organised cloud (H, W, 3) from any 3D file: metres where the camera says what the file's units are.

    Files: xyz TIFF / NPY; depth PNG / TIFF / NPY with a camera; heights in these and in CSV with a profiler's; points
    in PLY, PCD, STL, OBJ, XYZ. shape: (H, W) of the picture beside it. With a colour camera all points are projected
    into that picture, or into one of the camera's own size where there is none. Else points must be as many as its
    pixels, row by row; where there is no picture, `camera.grid` says from where they are looked at. Points with a
    coordinate that is NaN or infinite are missing, as those at (0, 0, 0) are. Raises DataError naming the file and the
    remedy.
    """
    suffix = path.suffix.lower()
    if suffix in POINT_SUFFIXES:
        cloud = _in_metres(known_points(_in_rows(*read_points(path), camera, shape), camera, path), camera)
    elif suffix == ".csv":
        cloud = height_cloud(known_depths(read_height_table(path), camera, path, np.nan), camera or NO_CAMERA, path)
    else:
        grid = _read_grid(path)
        grid = known_depths(grid, camera, path) if grid.ndim == 2 else grid
        grid = _in_range(grid, path) if suffix == ".png" else grid
        if grid.ndim == 2 and camera is not None and camera.height_map is not None:
            cloud = height_cloud(np.where(grid == 0, np.nan, grid), camera, path)
        elif grid.ndim == 2:
            cloud = depth_to_cloud(grid, fitted(required(camera, path), grid.shape, path))
        else:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, see below
                stored = np.ascontiguousarray(grid, np.float32)
                cloud = _in_metres(known_points(stored, camera, path), camera)
    cloud = finite(cloud)
    is_free = camera is not None and camera.concerns_points  # where z is 0 for a point like any other
    if not (cloud if is_free else cloud[..., 2]).any():
        size = " x ".join(map(str, cloud.shape[:-1]))
        raise DataError(f"{path}: no valid depth, all {size} points are missing (z = 0)")
    if camera is not None and camera.colour is not None:
        return projected(cloud, camera.colour, shape or camera.colour.size, path)
    if cloud.ndim == 3:
        return cloud
    if camera is not None and camera.grid is not None and shape in (None, camera.grid.size):
        return over_support(cloud, camera.grid, path)
    raise _no_grid(path, len(cloud), shape)


def finite(cloud: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) with (0, 0, 0) for points that are NaN or infinite; the cloud itself where there are none."""
    known = np.isfinite(cloud)
    if known.all():
        return cloud
    return np.where(known.all(axis=-1, keepdims=True), cloud, np.float32(0))


def read_points(path: Path) -> tuple[NDArray[np.float32], tuple[int, int] | None]:
    """x, y, z (N, 3) as stored, what was not measured (0, 0, 0); and the (height, width) that the file states itself.

    Raises DataError.
    """
    size = None
    if path.suffix.lower() == ".pcd":
        points, height, width = decoded(path, lambda: read_pcd_points(path))
        size = (height, width) if height > 1 else None
    elif path.suffix.lower() == ".ply":
        points = decoded(path, lambda: read_ply_points(path))
    else:
        points = decoded(path, lambda: read_mesh_points(path))
    if size is not None and size[0] * size[1] != len(points):
        declared = f"{size[0]} x {size[1]}"
        raise DamagedFileError(f"{path}: holds {len(points)} points, and declares {declared}; the file is damaged")
    return finite(points), size


def _in_rows(
    points: NDArray[np.float32],
    size: tuple[int, int] | None,
    camera: Camera | None,
    shape: tuple[int, int] | None,
) -> NDArray[np.float32]:
    """(H, W, 3) where the points are known to be in rows, else (N, 3)."""
    if size is None and camera is not None and camera.size is not None:
        size = camera.size if camera.size[0] * camera.size[1] == len(points) else None
    if size is None and shape is not None and (camera is None or camera.colour is None):
        size = shape if shape[0] * shape[1] == len(points) else None
    return points if size is None else points.reshape(*size, 3)


def _in_metres(cloud: NDArray[np.float32], camera: Camera | None) -> NDArray[np.float32]:
    """In place: metres, and z away from the sensor."""
    if camera is not None and camera.units != 1:
        cloud *= np.float32(camera.units)
    if camera is not None and camera.z == "towards":
        cloud[..., 1:] *= np.float32(-1)  # a half turn about x: a mirrored part would not be the same part
    return cloud


def points_of(path: Path, camera: Camera | None) -> NDArray[np.float32] | None:
    """(N, 3) metres of a file whose points form no grid; None where they do. Raises DataError."""
    cloud = _in_metres(known_points(_in_rows(*read_points(path), camera, None), camera, path), camera)
    return cloud if cloud.ndim == 2 else None


def _no_grid(path: Path, count: int, shape: tuple[int, int] | None) -> DataError:
    expected = NO_PICTURE if shape is None else f"{shape[0]} x {shape[1]} = {shape[0] * shape[1]} points"
    return DataError(
        f"{path}: holds {count} points, needs {expected}: only organised clouds (one point per pixel, row by row, "
        "missing ones as NaN or zero) can be compared with a picture as they are; export it organised, or "
        f"{COLOUR_REMEDY}"
    )


def depth_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of a depth image, from its header alone; None for a file that holds x, y and z.

    Raises DataError for a file whose header cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in POINT_SUFFIXES:
        return None
    if suffix == ".png":
        height, width, _ = decoded(path, lambda: png_header(head(path)))
        return height, width
    if suffix == ".npy":
        with opened(path) as file:
            shape = decoded(path, lambda: _npy_header(file, path))[0]
    else:
        shape = decoded(path, lambda: _tiff_shape(path))
    return (shape[0], shape[1]) if len(shape) == 2 else None


def depth_to_cloud(depth: NDArray[np.generic], camera: Camera) -> NDArray[np.float32]:
    """Depth (H, W) in units of camera.depth_scale metres, 0 = missing -> cloud (H, W, 3) by the pinhole model.

    Where the camera's lens distorts, points lie where they are, not where a lens without distortion would show them.
    """
    rows, columns = (np.arange(side, dtype=np.float64) for side in depth.shape)
    cloud = np.empty((*depth.shape, 3), np.float32)
    if camera.kappa or any(camera.distortion):
        x, y = rays(camera, (depth.shape[0], depth.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            cloud[..., 2] = np.multiply(depth, camera.depth_scale, dtype=np.float64)
            np.multiply(cloud[..., 2], x, out=cloud[..., 0])
            np.multiply(cloud[..., 2], y, out=cloud[..., 1])
        return cloud
    with np.errstate(over="ignore", invalid="ignore"):
        for row, values in enumerate(depth):  # whole frames of float64 would take five times the cloud's memory
            z = values.astype(np.float64) * camera.depth_scale
            cloud[row, :, 0] = (columns - camera.cx) * z / camera.fx
            cloud[row, :, 1] = (rows[row] - camera.cy) * z / camera.fy
            cloud[row, :, 2] = z
    return cloud


def _read_grid(path: Path) -> NDArray[np.generic]:
    """Depth (H, W) or xyz (H, W, 3) as stored: integers or floats."""
    suffix = path.suffix.lower()
    if suffix == ".png":
        image = picture(path, lambda path, height, width: _check_grid(path, (height, width), np.dtype(np.uint16)))
        if image.ndim == 3:
            raise DataError(f"{path} is a colour picture, not a depth image: export depth as 16-bit grey PNG")
        return image
    if suffix == ".npy":
        return decoded(path, lambda: _npy(path))
    if suffix in (".tiff", ".tif"):
        return decoded(path, lambda: _tiff(path))
    raise DataError(f"{path}: unknown kind of 3D file; known: {', '.join(CLOUD_SUFFIXES)}")


def _check_grid(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises DataError unless it is a depth image or xyz of numbers, and not too large."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(f"{path}: expected numbers, got {dtype}")
    if len(shape) == 3 and shape[2] == 4:
        raise DataError(
            f"{path}: the points have 4 numbers, shape {shown(shape)}; if they are x, y, z and something else, keep "
            "the first three channels: array[..., :3]"
        )
    if len(shape) != 2 and (len(shape) != 3 or shape[2] != 3):
        remedy = {1: "; an image of depth alone is H x W: array[..., 0]", 2: ""}.get(shape[-1] if shape else 0, "")
        if len(shape) == 3 and shape[0] == 3:
            remedy = "; x, y and z come last: np.moveaxis(array, 0, -1)"
        raise DataError(
            f"{path}: expected an organised cloud H x W x 3 or a depth image H x W, got shape {shown(shape)}{remedy}"
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
            compressions = ", ".join(dict.fromkeys(TIFF_COMPRESSIONS.values()))
            raise DataError(
                f"{path}: TIFF compression {str(page.compression)[:40]} is not read for 3D; save it with {compressions}"
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
        limits = yaml.safe_load(small_text(info))["normalization"]
        low, high = float(limits["min"]), float(limits["max"])
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"{low} to {high} is no range")
    except Exception as error:  # the parser raises several types on damaged input
        raise DataError(
            f"{info}: expected 'normalization' with 'min' and 'max' in metres: {repr(error)[:300]}"
        ) from error
    return depth.astype(np.float64) / np.iinfo(np.uint16).max * (high - low) + low
