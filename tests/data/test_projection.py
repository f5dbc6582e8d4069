"""Clouds of a displaced, turned and distorted 3D camera on the pixels of the colour picture."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from two_cameras import COLOUR, DEPTH, SHAPE, depth_image, truth

from trd.data.clouds import depth_to_cloud
from trd.data.lenses import directions_of, pixels_of
from trd.data.projection import projected
from trd.errors import DataError
from trd.types import Camera, ColourCamera

NOISE = 0.0005
FILE = Path("part.ply")


def points(organised: bool, noise: float) -> np.ndarray:
    cloud = depth_to_cloud(depth_image(noise), DEPTH)
    if organised:
        return cloud
    return np.random.default_rng(1).permutation(cloud.reshape(-1, 3))


def off_edges(surface: np.ndarray, width: int) -> np.ndarray:
    """Pixels farther than `width` from where surface or visibility change."""
    square = np.ones((2 * width + 1,) * 2, np.uint8)
    values = surface.astype(np.uint8)
    return np.asarray(cv2.erode(values, square) == cv2.dilate(values, square))


@pytest.mark.parametrize("organised", [True, False])
def test_points_land_on_the_pixels_that_show_them(organised: bool) -> None:
    depth, surface, visible = truth()
    cloud = projected(points(organised, NOISE), COLOUR, SHAPE, FILE)
    assert cloud.shape == (*SHAPE, 3)
    assert cloud.dtype == np.float32
    measured = cloud[..., 2] > 0
    inner = off_edges(surface + 3 * visible, 1)  # edges may be one pixel off
    assert measured[inner & visible].mean() > 0.999
    assert measured[inner & ~visible].mean() < 0.001  # what only the colour camera sees, behind the box and the ball
    assert not cloud[~measured].any()
    error = (cloud[..., 2] - depth)[inner & visible & measured]
    assert np.median(np.abs(error)) < NOISE / 2
    assert abs(np.median(error)) < NOISE / 20
    assert np.mean(np.abs(error) > 6 * NOISE) < 0.001
    for kind in (1, 2):  # box and ball stand where the picture shows them
        edge = (surface == kind) & visible
        assert np.abs((cloud[..., 2] - depth)[off_edges(surface, 1) & edge & measured]).max() < 8 * NOISE
    x, y = (cloud[..., axis][measured] / cloud[..., 2][measured] for axis in (0, 1))
    np.testing.assert_allclose(pixels_of(x, y, COLOUR), np.nonzero(measured)[::-1], atol=0.01)


@pytest.mark.parametrize("organised", [True, False])
@pytest.mark.parametrize("times", [0.5, 3])
def test_pictures_coarser_and_finer_than_the_cloud(organised: bool, times: float) -> None:
    """The camera is meant for one size of picture; others of its shape get it in proportion."""
    shape = (round(SHAPE[0] * times), round(SHAPE[1] * times))
    depth, surface, visible = truth(shape)
    cloud = projected(points(organised, 0), COLOUR, shape, FILE)
    inner = off_edges(surface + 3 * visible, max(1, round(times)))
    measured = cloud[..., 2] > 0
    assert measured[inner & visible].mean() > 0.999
    assert measured[inner & ~visible].mean() < 0.005
    error = np.abs(cloud[..., 2] - depth)[inner & visible & (surface == 0)]
    assert np.quantile(error, 0.99) < 1e-5


def test_a_wrong_pose_would_be_seen() -> None:
    """The other tests can fail: 5 mm to the side are some pixels at the edges."""
    depth, surface, visible = truth()
    moved = dataclasses.replace(COLOUR, translation=(COLOUR.translation[0] + 0.005, *COLOUR.translation[1:]))
    cloud = projected(points(True, 0), moved, SHAPE, FILE)
    box = off_edges(surface, 1) & (surface == 1) & visible
    assert np.abs((cloud[..., 2] - depth)[box]).max() > 0.02


def test_nothing_is_filled_across_a_jump_and_the_nearest_surface_stays() -> None:
    """A plate before a wall, both seen straight on: between them there are no slopes."""
    cloud = depth_to_cloud(np.where(np.indices((60, 80))[1] < 40, 0.4, 0.8), Camera(100, 100, 39.5, 29.5))
    beside = ColourCamera(100, 100, 39.5, 29.5, (60, 80), translation=(0.04, 0, 0))  # to the left of the 3D camera
    depth = projected(cloud, beside, (60, 80), FILE)[..., 2]
    assert set(np.unique(depth.round(4))) == {np.float32(0), np.float32(0.4), np.float32(0.8)}
    np.testing.assert_allclose(depth[30, 12:49], 0.4)  # its edge at 39.5 moves by 10 pixels, the wall's by 5
    np.testing.assert_allclose(depth[30, 51:], 0.8)


@pytest.mark.parametrize("turned", [0, 30, 45])
@pytest.mark.parametrize("pitch", [0.7, 1.0, 2.6])
def test_no_holes_whichever_way_the_grid_of_points_lies(turned: float, pitch: float) -> None:
    steps = np.arange(-80, 80) * pitch / 200
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    c, s = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wall = np.stack([c * x - s * y, s * x + c * y, np.ones_like(x)], axis=1).astype(np.float32)
    camera = ColourCamera(200, 200, 24.5, 24.5, (50, 50))
    for cloud in (wall, wall.reshape(160, 160, 3)):
        np.testing.assert_allclose(projected(cloud, camera, (50, 50), FILE)[..., 2], 1, rtol=1e-6)


def test_points_outside_the_view_are_named() -> None:
    straight = ColourCamera(300, 300, 127.5, 95.5, SHAPE)
    behind = np.full((50, 3), -1, np.float32)
    aside = np.tile(np.array([[9, 0, 1]], np.float32), (50, 1))
    for cloud, count in ((behind, 0), (aside, 50)):
        with pytest.raises(DataError, match=rf"part\.ply: 0 of its {count} points .*check pose"):
            projected(cloud, straight, SHAPE, FILE)
    with pytest.raises(DataError, match=r"part\.ply: the picture beside it is 100 x 100 pixels, the colour camera"):
        projected(aside, COLOUR, (100, 100), FILE)


@pytest.mark.parametrize(
    "distortion", [(), (0.1, -0.05, 0.001, 0.002), (0.1, 0.02, 0, 0, 0.01), (0.2, 0.1, 0.001, 0, 0.05, 0.1, 0.05, 0.01)]
)
def test_distortion_is_that_of_opencv(distortion: tuple[float, ...]) -> None:
    x, y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 100))
    camera = ColourCamera(500, 510, 320, 240, (480, 640), distortion)
    matrix = np.array([[500, 0, 320], [0, 510, 240], [0, 0, 1.0]])
    directions = np.stack([x, y, np.ones(100)], axis=1)
    expected, _ = cv2.projectPoints(directions, np.zeros(3), np.zeros(3), matrix, np.array(distortion or [0.0] * 4))
    columns, rows = pixels_of(x, y, camera)
    np.testing.assert_allclose(np.stack([columns, rows], axis=1), expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(directions_of(columns, rows, camera), (x, y), atol=1e-6)


@pytest.mark.parametrize("kappa", [-0.3, 0.4])
def test_the_division_model(kappa: float) -> None:
    """A distorted place times 1 / (1 + kappa r^2) is the direction."""
    camera = ColourCamera(500, 500, 320, 240, (480, 640), (), kappa)
    x, y = directions_of(np.array([420.0]), np.array([290.0]), camera)
    assert (x[0], y[0]) == pytest.approx((0.2 / (1 + kappa * 0.05), 0.1 / (1 + kappa * 0.05)))
    assert [float(axis[0]) for axis in pixels_of(x, y, camera)] == pytest.approx([420, 290])


def test_directions_far_outside_are_not_bent_back_into_the_picture() -> None:
    """Of a lens that draws the rim in, OpenCV's polynomial turns round beyond its field of view."""
    camera = ColourCamera(100, 100, 49.5, 49.5, (100, 100), (-0.3, 0, 0, 0))
    wall = depth_to_cloud(np.ones((100, 100)), Camera(100, 100, 49.5, 49.5))
    aside = np.stack([np.linspace(0.84, 0.9, 500), np.zeros(500), np.full(500, 0.5)], axis=1).astype(np.float32)
    with_them = projected(np.concatenate([wall.reshape(-1, 3), aside]), camera, (100, 100), FILE)
    columns, _ = pixels_of(aside[:, 0] / 0.5, aside[:, 1], camera)
    assert ((columns > 0) & (columns < 99)).any()  # they would land in the picture, and before the wall
    assert with_them[..., 2][with_them[..., 2] > 0].min() > 0.99
