import numpy as np
import pytest

from trd.preprocess.foreground import border_plane, height_over_plane, part_foreground
from trd.preprocess.normals import surface_normals_image, surface_slopes
from trd.preprocess.plane_fits import strips

FOCAL, DISTANCE = 500.0, 0.4


def cloud(height: np.ndarray, tilt: float = 0.0) -> np.ndarray:
    """A pinhole camera's view of a height field over a table at 0.4 m, tilted by `tilt` metres per metre along x."""
    rows, columns = np.indices(height.shape) - np.array(height.shape).reshape(2, 1, 1) / 2
    u, v = columns / FOCAL, rows / FOCAL
    z = (DISTANCE - height) / (1 - tilt * u)  # z = d - h + tilt * x with x = u * z
    return np.stack([u * z, v * z, z], axis=-1).astype(np.float32)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_slopes_of_a_plane_are_exact_whatever_the_window(sigma: float) -> None:
    slopes, known = surface_slopes(cloud(np.zeros((60, 80)), tilt=0.2), sigma)
    assert known.all()
    np.testing.assert_allclose(slopes[5:-5, 5:-5, 0], 0.2, atol=2e-3)
    np.testing.assert_allclose(slopes[5:-5, 5:-5, 1], 0.0, atol=2e-3)


def test_slopes_are_metric_so_a_second_part_in_the_frame_changes_nothing() -> None:
    """The paper's normals scale z per image; ours must not see what else is in the frame."""
    rows, columns = np.indices((80, 80))
    dome = 0.004 * np.exp(-(((rows - 40) ** 2 + (columns - 25) ** 2) / 80))
    tall = dome + 0.05 * (columns > 60)
    near = np.s_[:, :45]
    alone, beside = surface_slopes(cloud(dome), 2.0)[0][near], surface_slopes(cloud(tall), 2.0)[0][near]
    np.testing.assert_allclose(alone, beside, atol=1e-9)


def test_a_tilted_table_is_flat_in_its_own_frame() -> None:
    xyz = cloud(np.zeros((60, 60)), tilt=0.1)
    plane = border_plane(xyz)
    assert plane is not None
    slopes, _ = surface_slopes(xyz, 2.0, plane)
    assert np.abs(slopes).max() < 2e-3


def test_small_holes_are_bridged_and_large_ones_marked() -> None:
    xyz = cloud(np.zeros((60, 60)), tilt=0.1)
    xyz[20, 20] = 0
    xyz[40:56, 40:56] = 0
    slopes, known = surface_slopes(xyz, 1.5)
    assert known[20, 20]
    np.testing.assert_allclose(slopes[20, 20, 0], 0.1, atol=2e-3)
    assert not known[48, 48]
    image = surface_normals_image(xyz, 1.5, 3.0)
    np.testing.assert_array_equal(image[:, 48, 48], np.float32([0.5, 0.5, 0.0]))
    assert image.min() >= 0
    assert image.max() <= 1


def test_the_part_stands_off_the_table() -> None:
    height = np.zeros((80, 100))
    height[30:50, 40:70] = 0.01
    xyz = cloud(height, tilt=0.05) + np.random.default_rng(0).normal(0, 1e-4, (80, 100, 3)).astype(np.float32)
    xyz[0, :4] = 0  # a hole in a corner, which the paper's three-corner plane could not bear
    plane = border_plane(xyz)
    assert plane is not None
    assert abs(np.median(height_over_plane(xyz, plane)[30:50, 40:70]) - 0.01) < 3e-4
    part = part_foreground(xyz, border_plane(xyz))
    assert part is not None
    inside = height > 0
    assert (part & inside).sum() / (part | inside).sum() > 0.9


def test_no_plane_means_no_part() -> None:
    steps = np.zeros((60, 60))
    steps[:, ::2] = 0.2  # more than half of the border off any plane
    steps[::3] = 0.1
    assert border_plane(cloud(steps)) is None
    assert part_foreground(cloud(steps), border_plane(cloud(steps))) is None
    table = cloud(np.zeros((60, 60)))
    assert part_foreground(table, border_plane(table)) is None  # an empty table


@pytest.mark.parametrize("measured", ["all", "disc", "disc and left edge", "disc and corner"])
def test_the_plane_comes_from_around_what_was_measured(measured: str) -> None:
    """Structured light lights a disc; a strip or corner of the frame's border alone would not tell the tilt."""
    rows, columns = np.indices((120, 160)) - np.array([60, 80]).reshape(2, 1, 1)
    height = np.where(np.hypot(rows, columns) < 30, 0.01, 0.0)
    xyz = cloud(height, tilt=0.1) + np.random.default_rng(0).normal(0, 3e-4, (120, 160, 3)).astype(np.float32)
    disc = np.hypot(rows, columns) < 50
    lit = {
        "all": disc | True,
        "disc": disc,
        "disc and left edge": disc | (columns < -75),
        "disc and corner": disc | ((columns < -60) & (rows < -45)),
    }
    xyz[~lit[measured]] = 0
    plane = border_plane(xyz)
    assert plane is not None
    expected = np.array([0.1, 0.0, -1.0]) / np.hypot(1, 0.1)
    assert np.degrees(np.arccos(plane[:3] @ expected)) < 0.3
    part = part_foreground(xyz, plane)
    assert part is not None
    assert (part & (height > 0)).sum() > 0.9 * part.sum()


@pytest.mark.parametrize("strip", [7, 16, 1000])
def test_strips_do_not_show(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    xyz = cloud(rng.normal(0, 1e-4, (50, 40)))
    xyz[rng.random((50, 40)) < 0.1] = 0
    slopes, known = surface_slopes(xyz, 2.0, border_plane(xyz))
    monkeypatch.setattr("trd.preprocess.plane_fits.ROWS", strip)
    monkeypatch.setattr("trd.preprocess.normals.strips", lambda height: strips(height, strip))
    again, also = surface_slopes(xyz, 2.0, border_plane(xyz))
    np.testing.assert_array_equal(again, slopes)
    np.testing.assert_array_equal(also, known)
