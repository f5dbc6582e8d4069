import dataclasses
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from plyfile import PlyData, PlyElement
from pypcd4 import PointCloud

from trd.data.readers import depth_to_cloud, read_camera, read_cloud, read_image, read_mask
from trd.errors import DataError
from trd.types import Camera

CAMERA = Camera(fx=100, fy=110, cx=4.5, cy=3.5, depth_scale=0.001)


@pytest.fixture
def cloud() -> np.ndarray:
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0.1, 0.5, (8, 10, 3)).astype(np.float32)
    xyz[2, 3] = 0
    return xyz


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_png_of_both_depths(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    read = read_image(tmp_path / "a.png")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


def test_jpeg_and_dropped_alpha(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 120, np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(image))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - 120).max() < 3
    rgba = np.dstack([image, np.full((16, 16), 9, np.uint8)])
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(rgba))
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), image)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_xyz_tiff_with_any_compression(tmp_path: Path, cloud: np.ndarray, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="rgb", compression=compression)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.tiff"), cloud)


def test_xyz_npy(tmp_path: Path, cloud: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy"), cloud)


@pytest.mark.parametrize("suffix", ["png", "tiff", "npy"])
def test_depth_images_become_clouds(tmp_path: Path, suffix: str) -> None:
    depth = np.full((8, 10), 400, np.uint16)
    depth[0, 0] = 0
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(depth))
    elif suffix == "tiff":
        tifffile.imwrite(path, depth)
    else:
        np.save(path, depth)
    cloud = read_cloud(path, CAMERA)
    assert (cloud[0, 0] == 0).all()
    # the pinhole model by hand at pixel row 7, column 9: 0.4 m away
    np.testing.assert_allclose(cloud[7, 9], [(9 - 4.5) * 0.4 / 100, (7 - 3.5) * 0.4 / 110, 0.4], rtol=1e-6)


@pytest.mark.parametrize("text", [True, False])
def test_organised_ply(tmp_path: Path, cloud: np.ndarray, text: bool) -> None:
    points = cloud.reshape(-1, 3).copy()
    points[5] = np.nan  # not measured
    vertex = np.array([tuple(p) for p in points], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
    PlyData([PlyElement.describe(vertex, "vertex")], text=text).write(str(tmp_path / "a.ply"))
    read = read_cloud(tmp_path / "a.ply", shape=(8, 10))
    expected = cloud.copy()
    expected[0, 5] = 0
    np.testing.assert_allclose(read, expected, rtol=1e-6)
    with pytest.raises(DataError, match=r"holds 80 points, needs 7 x 10"):
        read_cloud(tmp_path / "a.ply", shape=(7, 10))


def test_pcd(tmp_path: Path, cloud: np.ndarray) -> None:
    PointCloud.from_xyz_points(cloud.reshape(-1, 3)).save(tmp_path / "a.pcd")
    np.testing.assert_allclose(read_cloud(tmp_path / "a.pcd", shape=(8, 10)), cloud, rtol=1e-6)
    with pytest.raises(DataError, match="needs an image beside it"):
        read_cloud(tmp_path / "a.pcd")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, cloud: np.ndarray, value: float) -> None:
    cloud[1, 1, 0] = value
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tiff: 1 points are NaN or infinite; write missing points as \(0, 0, 0\)"):
        read_cloud(tmp_path / "a.tiff")


def test_all_depth_invalid(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", np.zeros((8, 10, 3), np.float32), photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tiff: no valid depth"):
        read_cloud(tmp_path / "a.tiff")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damaged_images(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    encode = imagecodecs.png_encode if name.endswith("png") else imagecodecs.jpeg_encode
    whole = encode(image)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if name.endswith("png") else whole[:200])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_image(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / f"not-{name}")


@pytest.mark.parametrize("name", ["a.tiff", "a.npy", "a.ply", "a.pcd"])
def test_damaged_clouds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a cloud")
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_cloud(tmp_path / name, shape=(2, 2))


def test_truncated_tiff(tmp_path: Path, cloud: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", np.tile(cloud, (20, 20, 1)), photometric="rgb", compression="zlib")
    whole = (tmp_path / "a.tiff").read_bytes()
    (tmp_path / "a.tiff").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.tiff cannot be read"):
        read_cloud(tmp_path / "a.tiff")


def test_depth_needs_a_camera(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match=r"put camera\.json"):
        read_cloud(tmp_path / "a.npy")


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown kind of 3D file"):
        read_cloud(tmp_path / "a.stl")


def test_camera_files(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"fx": 100, "fy": 110, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001}))
    assert read_camera(path) == CAMERA
    path.write_text(json.dumps({"focus": 0.02, "sx": 1e-5, "sy": 2e-5, "cx": 1, "cy": 2}))
    assert dataclasses.astuple(read_camera(path))[:5] == pytest.approx((2000, 1000, 1, 2, 1))
    path.write_text(json.dumps({"fx": 1, "cx": 2}))
    with pytest.raises(DataError, match="lacks fy, cy"):
        read_camera(path)
    path.write_text(json.dumps({"fx": 0, "fy": 1, "cx": 2, "cy": 2}))
    with pytest.raises(DataError, match="fx is 0; expected a number above 0"):
        read_camera(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(path)


def test_masks_are_any_non_zero_value(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 1], mask[2, 2] = 253, 1
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(mask))
    assert read_mask(tmp_path / "a.png").sum() == 2


def test_depth_to_cloud_is_the_inverse_of_projection() -> None:
    z = np.random.default_rng(0).uniform(1, 2, (8, 10))
    cloud = depth_to_cloud(z, Camera(50, 60, 4, 3))
    columns = cloud[..., 0] / cloud[..., 2] * 50 + 4
    np.testing.assert_allclose(columns, np.indices(z.shape)[1], atol=1e-4)
