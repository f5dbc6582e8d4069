"""Values for "not measured" in depth images and height maps: named, and declared in the camera file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from trd.data.cameras import camera_values, read_camera
from trd.data.clouds import read_cloud
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
