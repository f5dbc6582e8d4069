"""PNG, JPEG, TIFF, NPY, PLY, PCD -> arrays. Readers decode and check; they make no choices about the content.

Organised clouds come out as (H, W, 3) float32, metres, missing points (0, 0, 0), whatever the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray
from plyfile import PlyData
from pypcd4.pypcd4 import PointCloud

from trd.errors import DataError
from trd.types import Camera

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
CLOUD_SUFFIXES = (".tiff", ".tif", ".npy", ".png", ".ply", ".pcd")
UNREAD_SUFFIXES = (".bmp", ".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".raw")  # what else cameras and tools write


def read_image(path: Path) -> NDArray[np.generic]:
    """8- or 16-bit PNG or JPEG -> (H, W, 3), or (H, W) for grey, uint8 or uint16; an alpha channel is dropped.

    Raises DataError for a missing, damaged or unsupported file.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: unknown kind of image file; known: {', '.join(IMAGE_SUFFIXES)}")
    decode = imagecodecs.png_decode if path.suffix.lower() == ".png" else imagecodecs.jpeg_decode
    image = _decoded(path, lambda data: np.asarray(decode(data)))
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[..., :-1]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: expected an 8- or 16-bit grey or colour image, got {image.dtype} {image.shape}")
    return image


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Ground truth PNG -> (H, W) bool, True where any channel is not 0: data sets store class numbers."""
    mask = np.asarray(read_image(path)) != 0
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
        cloud = np.where(np.isnan(cloud).any(axis=-1, keepdims=True), np.float32(0), cloud)
    else:
        grid = _numbers(_read_grid(path), path)
        grid = _in_range(grid, path) if suffix == ".png" else grid
        cloud = depth_to_cloud(grid, _required(camera, path)) if grid.ndim == 2 else np.asarray(grid, np.float32)
    if cloud.ndim != 3 or cloud.shape[2] != 3:
        raise DataError(
            f"{path}: expected an organised cloud H x W x 3 or a depth image H x W, got shape {cloud.shape}"
        )
    cloud = np.ascontiguousarray(cloud, np.float32)
    if not np.isfinite(cloud).all():
        count = int((~np.isfinite(cloud)).any(axis=-1).sum())
        raise DataError(f"{path}: {count} points are NaN or infinite; write missing points as (0, 0, 0) instead")
    if not (cloud[..., 2] != 0).any():
        raise DataError(f"{path}: no valid depth, all {cloud.shape[0]} x {cloud.shape[1]} points are missing (z = 0)")
    return cloud


def depth_to_cloud(depth: NDArray[np.generic], camera: Camera) -> NDArray[np.float32]:
    """Depth (H, W) in units of camera.depth_scale metres, 0 = missing -> cloud (H, W, 3) by the pinhole model."""
    z = depth.astype(np.float64) * camera.depth_scale
    rows, columns = np.indices(z.shape)
    x, y = (columns - camera.cx) * z / camera.fx, (rows - camera.cy) * z / camera.fy
    return np.stack([x, y, z], axis=-1).astype(np.float32)


def read_camera(path: Path) -> Camera:
    """Intrinsics from JSON: `fx fy cx cy` in pixels and `depth_scale` (metres per unit of the depth images).

    MVTec's `camera_parameters.json` (focus, sx, sy in metres) is understood as well.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as camera JSON: {error}") from error
    if "fx" not in values and all(isinstance(values.get(k), float) and values[k] > 0 for k in ("focus", "sx", "sy")):
        values = {**values, "fx": values["focus"] / values["sx"], "fy": values["focus"] / values["sy"]}
    missing = [key for key in ("fx", "fy", "cx", "cy") if key not in values]
    if missing:
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; expected fx, fy, cx, cy in pixels and depth_scale in metres"
        )
    numbers = [values[key] for key in ("fx", "fy", "cx", "cy")] + [values.get("depth_scale", 1.0)]
    if (
        not all(isinstance(n, int | float) and np.isfinite(n) for n in numbers)
        or numbers[0] * numbers[1] * numbers[4] == 0
    ):
        raise DataError(f"{path}: fx, fy, cx, cy and depth_scale must be finite numbers, fx, fy and depth_scale not 0")
    return Camera(*map(float, numbers))


def _decoded(path: Path, decode: Any) -> NDArray[np.generic]:
    try:
        return np.asarray(decode(path.read_bytes()))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except Exception as error:  # each codec raises types of its own on damaged input
        raise DataError(f"{path} cannot be read: {error}; the file is damaged or of another format") from error


def _read_grid(path: Path) -> NDArray[np.generic]:
    suffix = path.suffix.lower()
    if suffix == ".png":
        image = read_image(path)
        if image.ndim == 3:
            raise DataError(f"{path} is a colour picture, not a depth image: export depth as 16-bit grey PNG")
        return image
    if suffix == ".npy":
        return _decoded(path, lambda _: np.load(path, allow_pickle=False))
    if suffix in (".tiff", ".tif"):
        return _decoded(path, lambda _: tifffile.imread(path))
    raise DataError(f"{path}: unknown kind of 3D file; known: {', '.join(CLOUD_SUFFIXES)}")


def _read_ply(path: Path, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    vertices = _decoded(path, lambda _: _vertex_columns(PlyData.read(str(path))))
    return _organised(np.asarray(vertices, np.float32), shape, path)


def _vertex_columns(ply: PlyData) -> NDArray[np.float32]:
    vertex = ply["vertex"]
    return np.stack([np.asarray(vertex[axis], np.float32) for axis in "xyz"], axis=-1)


def _read_pcd(path: Path, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    try:
        cloud = PointCloud.from_path(path)
        points = np.asarray(cloud.numpy(("x", "y", "z")), np.float32)
        height, width = int(cloud.metadata.height), int(cloud.metadata.width)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except Exception as error:  # the parser raises several types on damaged input
        raise DataError(f"{path} cannot be read: {error}; the file is damaged or of another format") from error
    return _organised(points, (height, width) if height > 1 else shape, path)


def _organised(points: NDArray[np.float32], shape: tuple[int, int] | None, path: Path) -> NDArray[np.float32]:
    if shape is None or shape[0] * shape[1] != len(points):
        wanted = "an image beside it" if shape is None else f"{shape[0]} x {shape[1]} = {shape[0] * shape[1]} points"
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
        limits = yaml.safe_load(info.read_text("utf-8"))["normalization"]
        low, high = float(limits["min"]), float(limits["max"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{info}: expected 'normalization' with 'min' and 'max' in metres: {error!r}") from error
    return depth.astype(np.float64) / np.iinfo(np.uint16).max * (high - low) + low


def _numbers(grid: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    if grid.dtype.kind not in "iuf":
        raise DataError(f"{path}: expected numbers, got {grid.dtype}")
    return grid


def _required(camera: Camera | None, path: Path) -> Camera:
    if camera is None:
        raise DataError(
            f"{path} is a depth image, which needs the camera: put camera.json with fx, fy, cx, cy (pixels) and "
            "depth_scale (metres per unit) into the data folder"
        )
    return camera
