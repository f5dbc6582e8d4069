"""Heights seen from above: profilers' maps, and loose points over their support."""

import logging
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from from_above import HEIGHTS, scanned, table

from trd.data.clouds import read_cloud
from trd.data.heights import STANDOFF, height_cloud, over_support, read_height_table, support_grid
from trd.errors import DataError
from trd.types import Camera, HeightMap

PROFILER = Camera(0, 0, 0, 0, z="towards", height_map=HeightMap(1e-4, 2e-4, 1e-3))
GOCATOR = "Info\nSerialNumber,12345\nDate,2024-01-01,12:00\n\nRanges\n"


@pytest.mark.parametrize(
    "text",
    [
        table(HEIGHTS),
        GOCATOR + table(HEIGHTS) + "\n\nEnd,of file\n",
        "\ufeff" + table(HEIGHTS) + "\n",
        table(HEIGHTS).replace("\n", ",\n") + ",\n",
        table(HEIGHTS, ";").replace(".", ","),
        table(HEIGHTS, "\t"),
        ",0.0,0.1,0.2,0.3,0.4\n" + "\n".join(f"{n / 5},{row}" for n, row in enumerate(table(HEIGHTS).split("\n"))),
        table(HEIGHTS).replace(",,", ",NaN,"),
    ],
    ids=["plain", "header and end", "byte order mark", "marks at the end", "decimal comma", "tabs", "axes", "nan"],
)
def test_tables_as_profilers_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, "utf-8")
    np.testing.assert_allclose(read_height_table(tmp_path / "a.csv"), HEIGHTS, rtol=1e-6)


@pytest.mark.parametrize("text", ["", "name,value\nx,y\n", "1,2,3\n", ",,\n,,\n"])
def test_files_without_a_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=r"a\.csv cannot be read as a table of heights: "):
        read_height_table(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["csv", "tiff", "npy", "png"])
def test_height_maps_become_clouds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    scale = 1e-3
    if suffix == "csv":
        path.write_text(table(HEIGHTS))
    elif suffix == "tiff":
        tifffile.imwrite(path, HEIGHTS.astype(np.float32))
    elif suffix == "npy":
        np.save(path, np.nan_to_num(HEIGHTS))
    else:
        scale = 1e-6
        path.write_bytes(imagecodecs.png_encode(np.nan_to_num(HEIGHTS * 1000).round().astype(np.uint16)))
    for direction, sign in (("towards", -1), ("away", 1)):
        camera = Camera(0, 0, 0, 0, z=direction, height_map=HeightMap(1e-4, 2e-4, scale))
        cloud = read_cloud(path, camera)
        assert not cloud[2, 3].any()
        np.testing.assert_allclose(cloud[5, 4], [4e-4, 1e-3, STANDOFF + sign * HEIGHTS[5, 4] * 1e-3], rtol=1e-6)


def test_what_height_maps_need(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table(HEIGHTS))
    with pytest.raises(DataError, match=r'a\.csv is a height map, which needs camera\.json: {"kind": "height_map", "p'):
        read_cloud(tmp_path / "a.csv")
    wrong = Camera(0, 0, 0, 0, z="towards", height_map=HeightMap(1e-4, 2e-4, 1.0))
    with pytest.raises(DataError, match=r"heights reach 8\.\d+ metres with height_scale 1; check height_scale"):
        read_cloud(tmp_path / "a.csv", wrong)
    np.testing.assert_array_equal(height_cloud(HEIGHTS[:1], PROFILER, tmp_path)[0, 0, :2], 0)


def test_points_over_their_support(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "trd"):
        grid = support_grid(scanned(), Path("a.xyz"))
    assert "looked at along the support plane of 9" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with pytest.raises(DataError, match=r"b\.xyz: none of its 30000 points lies over the support of the first"):
        over_support(scanned() + np.float32(5), grid, Path("b.xyz"))
    np.testing.assert_allclose(grid.pitch, (0.2 * 0.15 / 30_000) ** 0.5, rtol=0.15)
    for seed in (0, 1):  # another part lies on the same pixels
        cloud = over_support(scanned(seed), grid, Path("a.xyz"))
        measured = cloud[..., 2] > 0
        heights = STANDOFF - cloud[..., 2]
        inner = np.s_[15:-15, 15:-15]
        assert measured[inner].mean() > 0.98
        flat, top = np.abs(heights) < 0.001, np.abs(heights - 0.02) < 0.001
        assert np.abs(np.median(heights[flat & measured])) < 5e-5
        assert np.abs(np.median(heights[top]) - 0.02) < 5e-5
        assert top.sum() * grid.pitch**2 == pytest.approx(0.04 * 0.03, rel=0.08)
        rows, columns = np.nonzero(top)
        if seed == 0:
            place = rows.mean(), columns.mean()
        assert (rows.mean(), columns.mean()) == pytest.approx(place, abs=0.5)
        np.testing.assert_allclose(np.diff(cloud[40, measured[40], 0]).min(), grid.pitch, rtol=1e-3)


def test_a_part_that_hangs_below_its_support_is_doubted(caplog: pytest.LogCaptureFixture) -> None:
    upside_down = scanned() * np.array([1, -1, -1], np.float32)
    support_grid(upside_down, Path("a.xyz"))
    assert (
        'a.xyz: most points off the support lie behind it; if the parts stand on it, put {"z": "towards"}'
        in caplog.text
    )


def test_a_ball_without_a_support(caplog: pytest.LogCaptureFixture) -> None:
    directions = np.random.default_rng(0).normal(size=(5000, 3))
    directions[:, 2] = -np.abs(directions[:, 2])  # the half that a scanner sees
    ball = (0.05 * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    with caplog.at_level(logging.INFO, "trd"):
        grid = support_grid(ball, Path("a.stl"))
    assert "along its z axis, for lack of a support plane" in caplog.text
    cloud = over_support(ball, grid, Path("a.stl"))
    nearest = (cloud[..., 2][cloud[..., 2] > 0]).min()
    deepest = cloud[..., 2].max()
    assert deepest - nearest == pytest.approx(0.05, rel=0.15)


def test_too_few_points() -> None:
    with pytest.raises(DataError, match=r"a\.xyz: 2 points are measured, too few"):
        support_grid(np.eye(3, dtype=np.float32)[:2], Path("a.xyz"))
