"""PLY and PCD in the encodings and with the fields that scanners write."""

from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData, PlyElement
from pypcd4 import Encoding, PointCloud

from trd.data.clouds import read_cloud
from trd.errors import DataError


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


@pytest.mark.parametrize("encoding", list(Encoding)[:3])
def test_pcd_in_every_encoding_with_other_fields(tmp_path: Path, cloud: np.ndarray, encoding: Encoding) -> None:
    x, y, z = cloud.reshape(-1, 3).round(1).T
    fields, types = ("x", "intensity", "y", "z"), (np.float32, np.uint16, np.float32, np.float64)
    points = PointCloud.from_points((x, np.arange(80, dtype=np.uint16), y, z.astype(np.float64)), fields, types)
    points.save(tmp_path / "a.pcd", encoding)
    np.testing.assert_allclose(read_cloud(tmp_path / "a.pcd", shape=(8, 10)), cloud.round(1), rtol=1e-6)


@pytest.mark.parametrize(("text", "order"), [(True, "="), (False, "<"), (False, ">")])
def test_ply_with_colours_before_and_faces_after(tmp_path: Path, cloud: np.ndarray, text: bool, order: str) -> None:
    kinds = [("red", "u1"), ("x", "f8"), ("y", "f4"), ("z", "f4")]
    vertex = np.array([(7, *p) for p in cloud.reshape(-1, 3)], dtype=kinds)
    face = np.array([([0, 1, 2],)], dtype=[("vertex_indices", "i4", (3,))])
    scanner = np.array([(1.5, 2)], dtype=[("gain", "f4"), ("number", "i4")])
    elements = [
        PlyElement.describe(scanner, "scanner"),
        PlyElement.describe(vertex, "vertex"),
        PlyElement.describe(face, "face"),
    ]
    PlyData(elements, text=text, byte_order=order, comments=["drawn"]).write(str(tmp_path / "a.ply"))
    np.testing.assert_allclose(read_cloud(tmp_path / "a.ply", shape=(8, 10)), cloud, rtol=1e-6)
