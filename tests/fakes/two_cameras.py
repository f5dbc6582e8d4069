"""A box and a ball on a table, seen by a colour camera and by a 3D camera beside it: all drawn by formulas."""

from pathlib import Path

import numpy as np

from trd.data.cameras import fitted_colour
from trd.data.lenses import directions_of, pixels_of
from trd.types import Camera, ColourCamera

TABLE = 0.6  # metres from the colour camera
BOX = np.array([[-0.09, -0.05, 0.54], [-0.01, 0.04, TABLE]])  # corners
CENTRE, RADIUS = np.array([0.07, 0.01, 0.56]), 0.04
SHAPE = (192, 256)  # of the colour picture
DEPTH_SHAPE = (240, 320)


def turn(degrees: tuple[float, float, float]) -> np.ndarray:
    """A rotation about x, y and z, one after the other."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


ROTATION = turn((2.0, 14.0, 6.0))  # of the 3D camera
PLACE = np.array([-0.12, 0.01, 0.02])
COLOUR = ColourCamera(300, 305, 126, 97, SHAPE, (-0.12, 0.05, 0.001, -0.0005), 0.0, ROTATION.tolist(), PLACE.tolist())
DEPTH = Camera(380, 375, 165, 118, distortion=(0.08, -0.04, -0.001, 0.0005, 0.01))


def seen(origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many directions away (N,) the first surface is, and which (N,): 0 table, 1 box, 2 ball."""
    with np.errstate(all="ignore"):
        table = (TABLE - origin[2]) / directions[:, 2]
        ends = (BOX[:, None] - origin) / directions
        near, far = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
        box = np.where((near <= far) & (near > 0), near, np.inf)
        along = directions @ (CENTRE - origin)
        squares = (directions**2).sum(axis=1)
        root = along**2 - squares * (((CENTRE - origin) ** 2).sum() - RADIUS**2)
        ball = np.where(root >= 0, (along - np.sqrt(np.maximum(root, 0))) / squares, np.inf)
    distances = np.stack([table, box, ball])
    return distances.min(axis=0), distances.argmin(axis=0)


def rays_of(optics: Camera | ColourCamera, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = (axis.ravel().astype(float) for axis in np.indices(shape))
    x, y = directions_of(columns, rows, optics)
    return np.stack([x, y, np.ones_like(x)], axis=1)


def truth(shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the pixels of a colour picture of any resolution: depth (H, W), surface (H, W), and whether the 3D camera
    sees that point too."""
    rays = rays_of(fitted_colour(COLOUR, shape, Path()), shape)
    depth, surface = seen(np.zeros(3), rays)
    points = rays * depth[:, None]
    from_sensor, _ = seen(PLACE, points - PLACE)
    x, y, z = ((points - PLACE) @ ROTATION).T
    columns, rows = pixels_of(x / z, y / z, DEPTH)
    visible = from_sensor > 0.999  # nothing lies before it
    visible &= (columns > 0) & (columns < DEPTH_SHAPE[1] - 1) & (rows > 0) & (rows < DEPTH_SHAPE[0] - 1)
    return depth.reshape(shape), surface.reshape(shape), visible.reshape(shape)


def depth_image(noise: float = 0.0) -> np.ndarray:
    """(h, w) metres along the 3D camera's axis, with normal noise."""
    rays = rays_of(DEPTH, DEPTH_SHAPE)
    depth, _ = seen(PLACE, rays @ ROTATION.T)
    return (depth + np.random.default_rng(0).normal(0, noise, depth.shape)).reshape(DEPTH_SHAPE)
