"""STL, OBJ and XYZ: the vertices, whatever stands around them."""

from pathlib import Path

import numpy as np
import pytest
from writing import write_stl

from trd.data.clouds import read_points
from trd.errors import DataError

TRIANGLES = np.random.default_rng(0).uniform(-0.1, 0.1, (7, 3, 3)).astype(np.float32)
TRIANGLES[1, 0] = TRIANGLES[0, 0]  # a corner that two share
CORNERS = np.unique(TRIANGLES.reshape(-1, 3), axis=0)


@pytest.mark.parametrize("text", [True, False])
def test_stl(tmp_path: Path, text: bool) -> None:
    """Binary ones may begin with `solid` too."""
    write_stl(tmp_path / "a.stl", TRIANGLES, text)
    points, size = read_points(tmp_path / "a.stl")
    assert size is None
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, CORNERS, rtol=1e-6)


def test_obj(tmp_path: Path) -> None:
    lines = [
        "# made by hand",
        "mtllib a.mtl",
        "v 1 2 3",
        "v\t4 5 6 0.5 0.5 0.5",
        "vn 0 0 1",
        "vt 0 0",
        "f 1/1/1 2/2/1 1",
    ]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    np.testing.assert_array_equal(read_points(tmp_path / "a.obj")[0], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "x,y,z,intensity\n1,2,3,9\n4,5,6,9\n",
        "// scanner 7\n12\n\n1.0;2;3;0;0;255\n\n4;5;6;1;1;1",
        "1\t2\t3\tred\n4\t5\t6\tblue\n",
    ],
)
def test_xyz(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xyz").write_text(text)
    np.testing.assert_array_equal(read_points(tmp_path / "a.xyz")[0], [[1, 2, 3], [4, 5, 6]])


def test_points_that_were_not_measured(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1 2 3\nnan nan nan\n4 5 nan\n")
    np.testing.assert_array_equal(read_points(tmp_path / "a.xyz")[0], [[1, 2, 3], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.stl", b"", "ends within the header"),
        ("a.stl", b"solid a\nendsolid a\n", "holds no points"),
        ("a.stl", bytes(80) + (9).to_bytes(4, "little") + bytes(100), "9 triangles are declared, 450 bytes, but 100"),
        ("a.stl", b"solid a\nvertex 1 2\n", ""),
        ("a.obj", b"f 1 2 3\n", "holds no points"),
        ("a.xyz", b"words\n1 2\n", "holds no points"),
        ("a.xyz", b"1 2 3\n4 five 6\n", ""),
        ("a.xyz", b"1" * 5000, "line is too long"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=rf"{name} cannot be read.*{said}"):
        read_points(tmp_path / name)


def test_too_many_points_are_refused_before_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRD_MAX_PIXELS", "20")
    (tmp_path / "a.xyz").write_text("1 2 3\n" * 6)
    (tmp_path / "a.obj").write_text("v 1 2 3\n" * 6)
    (tmp_path / "a.stl").write_bytes(bytes(80) + (6).to_bytes(4, "little") + bytes(300))
    for name in ("a.xyz", "a.obj", "a.stl"):
        with pytest.raises(DataError, match=f"{name} declares 6 .*more than the limit of 5"):
            read_points(tmp_path / name)
