"""Values for "not measured" in files of every kind: named, and declared in the camera file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from from_above import scanned
from two_cameras import COLOUR, SHAPE, depth_image
from two_cameras import DEPTH as BESIDE
from writing import write_coloured_pcd, write_ply, write_stl

from trd.data.cameras import camera_values, read_camera
from trd.data.check import unreadable
from trd.data.clouds import depth_to_cloud, read_cloud
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.errors import DataError
from trd.types import Camera, HeightMap

DEPTH = Camera(100.0, 100.0, 30.0, 20.0, 0.001)
PROFILER = Camera(0, 0, 0, 0, height_map=HeightMap(1e-4, 1e-4, 1e-3), z="towards")


@pytest.fixture
def heights() -> np.ndarray:
    """Millimetres about the profiler's zero."""
    rows, columns = np.indices((40, 60))
    return (np.sin(rows / 9) + np.cos(columns / 7) + 0.01).astype(np.float32)


def with_gaps(values: np.ndarray, missing: float) -> tuple[np.ndarray, np.ndarray]:
    absent = np.random.default_rng(0).random(values.shape) < 0.03
    return np.where(absent, np.asarray(missing, values.dtype), values), absent


@pytest.mark.parametrize("missing", [65535, 4095])
def test_of_depth_images(tmp_path: Path, heights: np.ndarray, missing: int) -> None:
    depth, absent = with_gaps((400 + 10 * heights).astype(np.uint16), missing)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(depth))
    named = rf"a.png: [23].\d% of the points have {missing}, far from .*put \"missing\": \[{missing}\] into camera.json"
    with pytest.raises(DataError, match=named):
        read_cloud(tmp_path / "a.png", DEPTH)
    cloud = read_cloud(tmp_path / "a.png", replace(DEPTH, missing=(float(missing),)))
    np.testing.assert_array_equal(cloud[..., 2] == 0, absent)
    assert 0.37 < cloud[..., 2].max() < 0.43


@pytest.mark.parametrize("missing", [-99.9999, -9999.0, 32767.0])
@pytest.mark.parametrize("ending", [".tiff", ".npy", ".csv"])
def test_of_height_maps(tmp_path: Path, heights: np.ndarray, ending: str, missing: float) -> None:
    """Once they are distances from the viewer they would lie among the others."""
    stored, absent = with_gaps(heights, missing)
    path = tmp_path / f"a{ending}"
    if ending == ".tiff":
        tifffile.imwrite(path, stored)
    elif ending == ".npy":
        np.save(path, stored)
    else:
        np.savetxt(path, stored, "%.4f", ",")
    with pytest.raises(DataError, match="looks like a value for 'not measured'") as refused:
        read_cloud(path, PROFILER)
    declared = json.loads("{" + str(refused.value).partition("put ")[2].partition(" into")[0] + "}")
    (tmp_path / "camera.json").write_text(json.dumps(declared | camera_values(PROFILER)))
    camera = read_camera(tmp_path / "camera.json")
    assert camera.missing == pytest.approx((missing,))
    np.testing.assert_array_equal(read_cloud(path, camera)[..., 2] == 0, absent)


def test_a_camera_with_them_is_written_and_read(tmp_path: Path) -> None:
    camera = replace(DEPTH, missing=(65535.0, 0.5))
    (tmp_path / "camera.json").write_text(json.dumps(camera_values(camera)))
    assert read_camera(tmp_path / "camera.json") == camera
    (tmp_path / "camera.json").write_text(json.dumps(camera_values(DEPTH) | {"missing": "none"}))
    with pytest.raises(DataError, match=r"missing is 'none'; expected stored values"):
        read_camera(tmp_path / "camera.json")


def write_points(path: Path, points: np.ndarray) -> None:
    """(h, w, 3) millimetres: organised in TIFF, NPY and PCD, else loose and in random order."""
    loose = np.random.default_rng(1).permutation(points.reshape(-1, 3))
    if path.suffix == ".tiff":
        tifffile.imwrite(path, points.astype(np.float32), photometric="rgb")
    elif path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".pcd":
        write_coloured_pcd(path, points, np.zeros(points.shape, np.uint8), "three")
    elif path.suffix == ".ply":
        write_ply(path, loose)
    elif path.suffix == ".stl":
        write_stl(path, loose[: len(loose) // 3 * 3].reshape(-1, 3, 3), text=False)
    else:
        np.savetxt(path, loose, "v %.4f %.4f %.4f" if path.suffix == ".obj" else "%.4f")


MESHES, TABLES = (".obj", ".stl"), (".tiff", ".npy", ".pcd", ".ply", ".xyz")
# A mesh holds a point once: of values in all axes one is left of an STL. And a face of it may lie at -99.9999.
KINDS = [
    *((ending, -9999.0, moved, False) for ending in (*TABLES, *MESHES) for moved in (0, -600)),
    *((ending, 65535.0, 0, True) for ending in (*TABLES, ".obj")),
    *((ending, value, 0, value == -1) for ending in TABLES for value in (-99.9999, -1.0)),
]


@pytest.mark.parametrize(("ending", "missing", "moved", "all_axes"), KINDS)
def test_of_points_beside_a_colour_camera(
    tmp_path: Path, ending: str, missing: float, moved: float, all_axes: bool
) -> None:
    """They are sought before the projection, which would make some depth of them, or an error about the pose.

    moved: millimetres along z, of the frame in which a scanner's program gives the points.
    """
    points = 1000 * depth_to_cloud(depth_image(0.0005), BESIDE)[::2, ::3] + [0, 0, moved]
    absent = np.random.default_rng(0).random(points.shape[:2]) < 0.03
    stored = points.copy()
    stored[absent] = missing if all_axes else np.stack([*points[absent, :2].T, np.full(absent.sum(), missing)], axis=1)
    (tmp_path / "train/good/rgb").mkdir(parents=True)
    (tmp_path / "train/good/xyz").mkdir()
    (tmp_path / "train/good/rgb/1.png").write_bytes(imagecodecs.png_encode(np.full(SHAPE, 90, np.uint8)))
    path = tmp_path / f"train/good/xyz/1{ending}"
    write_points(path, stored)
    place = np.array(COLOUR.translation) - np.array(COLOUR.rotation)[:, 2] * moved / 1000
    camera = camera_values(Camera(0, 0, 0, 0, units=0.001, colour=replace(COLOUR, translation=tuple(place))))
    (tmp_path / "camera.json").write_text(json.dumps(camera))
    files = list_class(tmp_path, "", ("rgb", "xyz"), ("xyz",))
    with pytest.raises(DataError, match=rf"1{ending}: [23].\d% of the points have {missing}, far from .*\[{missing}\]"):
        load_sample(files.train[0], ("xyz",), files.camera)
    ((named, reason),) = unreadable(files.train, ("xyz",), files.camera)  # as `trd check` names it
    assert named == path
    assert "into camera.json" in reason
    (tmp_path / "camera.json").write_text(json.dumps(camera | {"missing": [missing]}))
    files = list_class(tmp_path, "", ("rgb", "xyz"), ("xyz",))
    assert not unreadable(files.train, ("xyz",), files.camera)
    seen = load_sample(files.train[0], ("xyz",), files.camera).arrays["xyz"]
    points[absent] = 0
    write_points(path, points)
    np.testing.assert_array_equal(seen, load_sample(files.train[0], ("xyz",), files.camera).arrays["xyz"])


@pytest.mark.parametrize("ending", [".ply", ".xyz"])
def test_of_a_scanner_alone(tmp_path: Path, ending: str) -> None:
    """No camera file is needed but for the value itself, and the grid over the support is that of clean points."""
    (tmp_path / "train/good").mkdir(parents=True)
    path, points = tmp_path / f"train/good/1{ending}", scanned()[::3]
    points[::20, 2] = -9999
    for number, values in enumerate((points, scanned(1)[::3])):
        write_points(path.with_name(f"{number}{ending}"), values)
    files = list_class(tmp_path, "", ("xyz",), ("xyz",))
    (fault,) = unreadable(files.train, ("xyz",), files.camera)
    assert fault[0].stem == "0"
    assert "5.0% of the points have -9999.0, far from all others" in fault[1]
    assert 'put "missing": [-9999.0] into camera.json' in fault[1]
    (tmp_path / "camera.json").write_text('{"missing": -9999}')
    declared = list_class(tmp_path, "", ("xyz",), ("xyz",))
    assert not unreadable(declared.train, ("xyz",), declared.camera)
    points[::20] = 0
    write_points(path.with_name(f"0{ending}"), points)
    clean = list_class(tmp_path, "", ("xyz",), ("xyz",))
    assert clean.camera is not None
    assert declared.camera == replace(clean.camera, missing=(-9999.0,))


def test_points_that_stay_where_they_are_are_left_to_the_recipe(tmp_path: Path) -> None:
    cloud = depth_to_cloud(depth_image(0.0005), BESIDE)
    cloud[:9, :, 2] = -9999
    write_points(tmp_path / "a.tiff", cloud)
    assert (read_cloud(tmp_path / "a.tiff")[:9, :, 2] == -9999).all()
    assert not read_cloud(tmp_path / "a.tiff", Camera(0, 0, 0, 0, missing=(-9999.0,)))[:9].any()


@pytest.mark.parametrize("ending", [".stl", ".obj", ".ply"])
@pytest.mark.parametrize("steps", [0, 0.1, 1.0])
def test_surfaces_are_not_taken_for_them(tmp_path: Path, ending: str, steps: float) -> None:
    """A flat base far below a domed top, without vertices between them; coordinates of floats, tenths, whole mm."""
    x, y = np.random.default_rng(0).uniform(-50, 50, (2, 9000))
    top = np.where(np.arange(9000) % 3 == 0, -25.0, 12 - (x**2 + y**2) / 500)
    points = np.stack([x, y, top], axis=1)
    if ending == ".ply":  # a scan: the table, and the part on it
        points[:, 2] = np.where(np.arange(9000) % 3 == 0, -0.7, top + 3) + np.random.default_rng(1).normal(0, 0.2, 9000)
    write_points(tmp_path / f"a{ending}", np.round(points / steps) * steps if steps else points)
    colour = replace(COLOUR, translation=(0.0, 0.0, 0.5))
    read_cloud(tmp_path / f"a{ending}", Camera(0, 0, 0, 0, units=0.001, colour=colour))


def test_infinite_depths_are_missing_and_nothing_else(tmp_path: Path, heights: np.ndarray) -> None:
    stored, absent = with_gaps(400 + 10 * heights, np.inf)
    np.save(tmp_path / "a.npy", stored)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy", DEPTH)[..., 2] == 0, absent)
