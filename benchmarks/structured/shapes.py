"""Distance functions of simple bodies: points (3, N) float32 -> (N,) mm, negative inside; and what breaks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Distance = Callable[[Array], Array]

LETTER = 0.1  # mm a pixel of a printed text


def box(x: Array, y: Array, z: Array, half: tuple[float, float, float], edge: float = 0.2) -> Array:
    """A box around the origin of the given coordinates with rounded edges."""
    a, b, c = (np.abs(value) - np.float32(size - edge) for value, size in zip((x, y, z), half, strict=True))
    outer = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2 + np.maximum(c, 0) ** 2)
    return outer + np.minimum(np.maximum(np.maximum(a, b), c), 0) - np.float32(edge)


def disc(s: Array, r: Array, begin: float, end: float, radius: float, edge: float = 0.2) -> Array:
    """A turned body: from `begin` to `end` along the axis, with rounded edges; r may be any distance from it."""
    a = np.abs(s - np.float32((begin + end) / 2)) - np.float32((end - begin) / 2 - edge)
    b = r - np.asarray(radius - edge, np.float32)
    outer = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2)
    return outer + np.minimum(np.maximum(a, b), 0) - np.float32(edge)


def roughness(rng: np.random.Generator, longest: float, terms: int = 6) -> Distance:
    """Noise over space of deviation about 1, with waves from `longest` mm down to a third of it."""
    ways = rng.normal(size=(terms, 3))
    ways *= (2 * np.pi / (longest * rng.uniform(0.33, 1, terms)) / np.linalg.norm(ways, axis=1))[:, None]
    ways, phases = ways.astype(np.float32), rng.uniform(0, 2 * np.pi, terms).astype(np.float32)
    return lambda p: np.sin(ways @ p + phases[:, None]).sum(0) * np.float32((2 / terms) ** 0.5)


def letters(text: str, height: float) -> Array:
    """A text's relief, 0 to 1, LETTER mm a pixel, `height` mm high."""
    scale = height / LETTER / 22
    (width, tall), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, round(2.2 * scale)))
    picture = np.zeros((tall + below + 8, width + 8), np.uint8)
    thick = max(1, round(2.2 * scale))
    cv2.putText(picture, text, (4, tall + 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_8)
    return cv2.GaussianBlur(picture.astype(np.float32) / 255, (0, 0), 1.2)


def relief(picture: Array, u: Array, v: Array) -> Array:
    """What a text's relief is at (u, v) mm from its middle."""
    rows, columns = picture.shape
    row = np.rint(v / LETTER + rows / 2).astype(int)
    column = np.rint(u / LETTER + columns / 2).astype(int)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return np.where(inside, picture[row.clip(0, rows - 1), column.clip(0, columns - 1)], 0)


def frame(normal: Array) -> Array:
    """(3, 3) rotation whose rows are two tangents and the normal."""
    normal = normal / np.linalg.norm(normal)
    aside = np.eye(3)[np.abs(normal).argmin()]
    first = np.cross(normal, aside)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal]).astype(np.float32)


def drill(at: Array, normal: Array, diameter: float, depth: float, tilt: float, turn: float) -> Distance:
    """A drilled pit with the tip of a twist drill, `tilt` radians off the normal."""
    axes = frame(normal)
    axes = frame(axes[2] + np.tan(tilt) * (np.cos(turn) * axes[0] + np.sin(turn) * axes[1]))
    at = at.astype(np.float32)

    def distance(p: Array) -> Array:
        local = axes @ (p - at[:, None])
        off = np.hypot(local[0], local[1])
        return np.maximum(off - np.float32(diameter / 2), (-local[2] - np.float32(depth) + 0.55 * off) * 0.85)

    return distance


def cut(at: Array, normal: Array, size: tuple[float, float, float], spin: float, rough: Distance) -> Distance:
    """A bite with a torn bottom: an ellipsoid of half axes `size` (two along the surface, one into it)."""
    axes = frame(normal)
    turn = np.array([[np.cos(spin), np.sin(spin), 0], [-np.sin(spin), np.cos(spin), 0], [0, 0, 1]])
    axes = (turn @ axes).astype(np.float32)
    at, half = at.astype(np.float32), np.array(size, np.float32)[:, None]
    least = float(min(size))

    def distance(p: Array) -> Array:
        local = axes @ (p - at[:, None])
        scaled = np.sqrt(((local / half) ** 2).sum(0))
        away = (scaled - 1) * np.float32(least)
        close = np.flatnonzero(np.abs(away) < 1.0)
        away[close] += 0.22 * rough(p[:, close])
        return away * np.float32(0.75)

    return distance


def chip(at: Array, normal: Array, size: tuple[float, float, float], spin: float, bow: float) -> Distance:
    """A curled shaving of half axes `size` that lies on the surface, bowed `bow` mm at its ends."""
    axes = frame(normal)
    turn = np.array([[np.cos(spin), np.sin(spin), 0], [-np.sin(spin), np.cos(spin), 0], [0, 0, 1]])
    axes = (turn @ axes).astype(np.float32)
    at = at.astype(np.float32)

    def distance(p: Array) -> Array:
        x, y, z = axes @ (p - at[:, None])
        lifted = z - np.float32(size[2]) - np.float32(bow) * np.minimum((x / np.float32(size[0])) ** 2, 2)
        return box(x, y, lifted, size, 0.6 * size[2]) * np.float32(0.6)

    return distance
