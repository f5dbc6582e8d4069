"""Folders of separate sensors, scanners and profilers: which camera counts, and what becomes of the files."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from from_above import HEIGHTS, scanned, table
from two_cameras import COLOUR, DEPTH, DEPTH_SHAPE, SHAPE, depth_image, truth
from writing import write_coloured_pcd, write_ply, write_stl

from trd.data.camera_files import camera_near
from trd.data.cameras import camera_values
from trd.data.check import unreadable
from trd.data.clouds import depth_to_cloud, read_cloud
from trd.data.listing import list_class, list_unlabelled
from trd.data.loading import load_sample
from trd.errors import DataError
from trd.types import Camera, ClassFiles, Sample

BOTH = ("rgb", "xyz"), ("xyz",)
ALONE = ("xyz",), ("xyz",)
CAMERA = replace(DEPTH, colour=COLOUR)


def grey(path: Path, shape: tuple[int, int] = SHAPE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.full(shape, 90, np.uint8)))


def first_of(files: ClassFiles, clouds: tuple[str, ...] = ("xyz",)) -> Sample:
    return load_sample(files.train[0], clouds, files.camera)


@pytest.mark.parametrize("kind", ["depth.png", "xyz.tiff", "points.ply", "organised.ply", "points.xyz", "mesh.stl"])
def test_every_kind_of_file_lands_in_the_colour_picture(tmp_path: Path, kind: str) -> None:
    """Millimetres in the files, metres in the cloud; all are the same scene."""
    place = tmp_path / "train/good"
    grey(place / "rgb/1.png")
    (place / "xyz").mkdir()
    path, camera = place / "xyz" / f"1.{kind[-3:] if kind != 'xyz.tiff' else 'tiff'}", CAMERA
    depth = depth_image()
    points = depth_to_cloud(depth, DEPTH).reshape(-1, 3) * 1000
    match kind:
        case "depth.png":
            path.write_bytes(imagecodecs.png_encode((depth * 1e4).round().astype(np.uint16)))
            camera = replace(camera, depth_scale=1e-4)
        case "xyz.tiff":
            tifffile.imwrite(path, points.reshape(*DEPTH_SHAPE, 3), photometric="rgb")
        case "points.ply":
            write_ply(path, points[::-1])
        case "organised.ply":
            write_ply(path, points)
            camera = replace(camera, size=DEPTH_SHAPE)
        case "points.xyz":
            np.savetxt(path, points, "%.4f")
        case _:
            write_stl(path, points[: len(points) // 3 * 3].reshape(-1, 3, 3), text=False)
    units = 1.0 if kind == "depth.png" else 0.001
    (tmp_path / "camera.json").write_text(json.dumps(camera_values(replace(camera, units=units))))
    sample = first_of(list_class(tmp_path, "", *BOTH))
    expected, surface, visible = truth()
    error = np.abs(sample.arrays["xyz"][..., 2] - expected)[visible & (surface == 0)]
    assert np.median(error) < 1e-4
    assert np.mean(error > 0.002) < 0.03  # the rims of box and ball


def test_a_cloud_in_the_colour_cameras_frame_needs_only_that_camera(tmp_path: Path) -> None:
    grey(tmp_path / "train/good/rgb/1.png", (40, 50))
    (tmp_path / "train/good/xyz").mkdir()
    wall = depth_to_cloud(np.full((80, 100), 0.5), Camera(100, 100, 49.5, 39.5)).reshape(-1, 3)
    write_ply(tmp_path / "train/good/xyz/1.ply", wall)
    with pytest.raises(DataError, match=r"1\.ply: holds 8000 points, needs 40 x 50 .*export it organised, or put"):
        first_of(list_class(tmp_path, "", *BOTH))
    colour = {"fx": 50, "fy": 50, "cx": 24.5, "cy": 19.5, "width": 50, "height": 40}
    (tmp_path / "camera.json").write_text(json.dumps({"colour": colour}))
    files = list_class(tmp_path, "", *BOTH)
    np.testing.assert_allclose(first_of(files).arrays["xyz"][..., 2], 0.5, rtol=1e-6)
    assert not unreadable(files.train, ("xyz",), files.camera)
    alone = first_of(list_class(tmp_path, "", *ALONE))  # without the picture: the same pixels
    np.testing.assert_array_equal(alone.arrays["xyz"], first_of(files).arrays["xyz"])
    write_ply(tmp_path / "train/good/xyz/1.ply", wall * [1, -1, -1])  # z towards the sensor
    (tmp_path / "camera.json").write_text(json.dumps({"colour": colour, "z": "towards"}))
    np.testing.assert_allclose(first_of(list_class(tmp_path, "", *BOTH)).arrays["xyz"][..., 2], 0.5, rtol=1e-6)


def test_loose_points_without_pictures_share_the_grid_of_the_first_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        place = tmp_path / "bracket/train/good"
        place.mkdir(parents=True, exist_ok=True)
        write_ply(place / f"{number}.ply", scanned(number))
    with caplog.at_level(logging.INFO, "trd"):
        files = list_class(tmp_path, "bracket", *ALONE)
    assert caplog.text.count("points without a picture are looked at along the support plane") == 1
    clouds = [load_sample(part, ("xyz",), files.camera).arrays["xyz"] for part in files.train]
    assert clouds[0].shape == clouds[1].shape
    again = read_cloud(files.train[0].sources["xyz"], files.camera, clouds[0].shape[:2])  # as of a frame of this size
    np.testing.assert_array_equal(again, clouds[0])
    assert np.median(np.abs(clouds[0][..., 2] - clouds[1][..., 2])) < 1e-4
    new = tmp_path / "new"
    new.mkdir()
    write_ply(new / "9.ply", scanned(9)[:29_000])
    parts = list_unlabelled(new, *ALONE)
    assert camera_near(parts, ("xyz",), files.camera) == files.camera
    assert load_sample(parts[0], ("xyz",), files.camera).arrays["xyz"].shape == clouds[0].shape
    (tmp_path / "camera.json").write_text(json.dumps({"units": 0.001}))  # other new files, but the same support
    near = camera_near(parts, ("xyz",), files.camera)
    assert near is not None
    assert files.camera is not None
    assert (near.units, near.grid) == (0.001, files.camera.grid)
    with pytest.raises(DataError, match=r"9\.ply: holds 29000 points, needs an image beside it"):
        read_cloud(new / "9.ply")


def test_a_profiler(tmp_path: Path) -> None:
    (tmp_path / "train/good/xyz").mkdir(parents=True)
    (tmp_path / "train/good/xyz/1.csv").write_text(table(HEIGHTS))
    (tmp_path / "train/good/labels.csv").write_text("part,label\n1,good\n")  # no part
    with pytest.raises(DataError, match=r"1\.csv is a height map, which needs camera\.json"):
        first_of(list_class(tmp_path, "", *ALONE))
    values = {"kind": "height_map", "pitch_x": 1e-4, "pitch_y": 2e-4, "height_scale": 1e-3, "z": "towards"}
    (tmp_path / "camera.json").write_text(json.dumps(values))
    files = list_class(tmp_path, "", *ALONE)
    cloud = first_of(files).arrays["xyz"]
    assert cloud.shape == (*HEIGHTS.shape, 3)
    assert cloud[0, 0, 2] == pytest.approx(1 - HEIGHTS[0, 0] / 1000)
    new = list_unlabelled(tmp_path / "train/good", *ALONE)
    assert camera_near(new, ("xyz",), files.camera) == files.camera


@pytest.mark.parametrize("fields", ["float", "uint", "ascii", "three"])
@pytest.mark.parametrize("layout", ["together", "xyz"])
def test_a_pcd_with_colours_is_picture_and_cloud(tmp_path: Path, fields: str, layout: str) -> None:
    rng = np.random.default_rng(0)
    cloud = rng.uniform(0.1, 0.5, (8, 10, 3)).astype(np.float32)
    colours = rng.integers(0, 256, (8, 10, 3)).astype(np.uint8)
    place = tmp_path / ("train/good" if layout == "together" else "train/good/xyz")
    place.mkdir(parents=True)
    write_coloured_pcd(place / "1.pcd", cloud, colours, fields)
    files = list_class(tmp_path, "", *BOTH)
    sample = first_of(files)
    np.testing.assert_array_equal(sample.arrays["rgb"], colours)
    np.testing.assert_allclose(sample.arrays["xyz"], cloud, rtol=1e-6)
    assert not unreadable(files.train, ("xyz",), files.camera)


def test_a_pcd_without_colours_is_no_picture(tmp_path: Path) -> None:
    place = tmp_path / "train/good"
    place.mkdir(parents=True)
    head = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 2\nPOINTS 4\nDATA ascii\n"
    (place / "1.pcd").write_text(head + "1 2 3\n" * 4)
    with pytest.raises(DataError, match=r"1\.pcd cannot be read as the picture beside the points: it carries"):
        first_of(list_class(tmp_path, "", *BOTH))
    coloured = head.replace("x y z", "x y z rgb").replace("4 4 4", "4 4 4 4").replace("F F F", "F F F U")
    coloured = coloured.replace("1 1 1", "1 1 1 1").replace("WIDTH 2\nHEIGHT 2", "WIDTH 4\nHEIGHT 1")
    (place / "1.pcd").write_text(coloured + "1 2 3 255\n" * 4)
    with pytest.raises(DataError, match=r"not organised \(HEIGHT 1\)"):
        first_of(list_class(tmp_path, "", *BOTH))


def test_a_camera_that_organised_clouds_do_not_need(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever lies there as camera.json, clouds on the picture's pixels are read as ever; units count."""
    grey(tmp_path / "train/good/rgb/1.png", (8, 10))
    (tmp_path / "train/good/xyz").mkdir()
    np.save(tmp_path / "train/good/xyz/1.npy", np.full((8, 10, 3), 400, np.float32))
    for values in ({"matrix": 1}, {"fx": 1, "fy": 1, "cx": 1, "cy": 1}):
        (tmp_path / "camera.json").write_text(json.dumps(values))
        files = list_class(tmp_path, "", *BOTH)
        assert files.camera is None
        assert first_of(files).arrays["xyz"].max() == 400
    assert "points are taken as they are stored, without the camera: " in caplog.text
    (tmp_path / "camera.json").write_text(json.dumps({"units": 0.001}))
    assert first_of(list_class(tmp_path, "", *BOTH)).arrays["xyz"].max() == pytest.approx(0.4)


@pytest.mark.parametrize(
    "damage", ['{"units": 0.001, "colour": {"fx"', '{"units": "mm"}', '{"color": {}, "z": "away"}']
)
def test_a_damaged_camera_that_says_something_of_points_is_refused(tmp_path: Path, damage: str) -> None:
    """Without it, points of another sensor would be taken as they are stored."""
    grey(tmp_path / "train/good/rgb/1.png", (8, 10))
    (tmp_path / "train/good/xyz").mkdir()
    np.save(tmp_path / "train/good/xyz/1.npy", np.full((8, 10, 3), 400, np.float32))
    (tmp_path / "camera.json").write_text(damage)
    with pytest.raises(DataError, match=r"camera\.json"):
        list_class(tmp_path, "", *BOTH)
