"""Organised clouds: xyz and depth in TIFF, NPY and PNG."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from pinhole import CAMERA

from trd.data.clouds import depth_size, depth_to_cloud, read_cloud
from trd.errors import DataError
from trd.types import Camera


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ending", [".tiff", ".npy"])
def test_nan_and_infinity_are_missing_points(tmp_path: Path, cloud: np.ndarray, ending: str, value: float) -> None:
    """All of a point, whichever of its coordinates it is."""
    expected = cloud.copy()
    cloud[1, 1, 0] = value
    cloud[2, 3] = value
    expected[1, 1] = expected[2, 3] = 0
    if ending == ".tiff":
        tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="rgb")
    else:
        np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_array_equal(read_cloud(tmp_path / f"a{ending}"), expected)


def test_nan_in_a_depth_image_is_a_missing_point(tmp_path: Path) -> None:
    depth = np.full((8, 10), 0.4, np.float32)
    depth[3, 4] = np.nan
    np.save(tmp_path / "a.npy", depth)
    cloud = read_cloud(tmp_path / "a.npy", CAMERA)
    assert (cloud[3, 4] == 0).all()
    assert (cloud[..., 2] == 0).sum() == 1


def test_all_depth_invalid(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", np.zeros((8, 10, 3), np.float32), photometric="rgb")
    with pytest.raises(DataError, match=r"a\.tiff: no valid depth"):
        read_cloud(tmp_path / "a.tiff")


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
        read_cloud(tmp_path / "a.e57")


def test_depth_to_cloud_is_the_inverse_of_projection() -> None:
    z = np.random.default_rng(0).uniform(1, 2, (8, 10))
    cloud = depth_to_cloud(z, Camera(50, 60, 4, 3))
    columns = cloud[..., 0] / cloud[..., 2] * 50 + 4
    np.testing.assert_allclose(columns, np.indices(z.shape)[1], atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "remedy"), [((8, 10, 4), r"keep the first three channels"), ((3, 8, 10), "np.moveaxis"), ((8, 10, 2), "")]
)
@pytest.mark.parametrize("suffix", ["npy", "tiff"])
def test_clouds_of_other_channels(tmp_path: Path, shape: tuple[int, ...], remedy: str, suffix: str) -> None:
    array = np.ones(shape, np.float32)
    if suffix == "npy":
        np.save(tmp_path / "a.npy", array)
    else:
        tifffile.imwrite(tmp_path / "a.tiff", array, photometric="minisblack")
    with pytest.raises(DataError, match=rf"a\.{suffix}: .*shape \({shape[0]}, {shape[1]}, {shape[2]}\).*{remedy}"):
        read_cloud(tmp_path / f"a.{suffix}", CAMERA)


def test_xyz_tiff_as_tifffile_writes_it_unless_it_is_told(tmp_path: Path, cloud: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", cloud, photometric="minisblack")  # a page for each row
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.tiff"), cloud)


def test_the_size_of_a_depth_image_comes_from_its_header(tmp_path: Path, cloud: np.ndarray) -> None:
    depth = np.full((8, 10), 400, np.uint16)
    (tmp_path / "a.png").write_bytes(bytes(imagecodecs.png_encode(depth))[:40])
    np.save(tmp_path / "a.npy", depth)
    tifffile.imwrite(tmp_path / "a.tiff", depth)
    assert {depth_size(tmp_path / f"a.{suffix}") for suffix in ("png", "npy", "tiff")} == {(8, 10)}
    np.save(tmp_path / "b.npy", cloud)
    tifffile.imwrite(tmp_path / "b.tiff", cloud, photometric="rgb")
    assert {depth_size(tmp_path / f"b.{suffix}") for suffix in ("npy", "tiff", "ply")} == {None}
