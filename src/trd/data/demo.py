"""A small RGB + 3D data set drawn by code in seconds, in the MVTec 3D-AD layout: embossed biscuits on a table.

Good parts vary in position, turn, size, height, colour, speckle and sensor noise, and have missing points. Defects are
in colour only (stain), in geometry only (dent), or in both (chip), each with its exact mask.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from trd.files import write_bytes, write_json, write_whole

CLASS_NAME = "biscuit"
KINDS = ("chip", "dent", "stain")
SIZE = 192  # pixels, square
FOCAL = 620.0  # pixels
TABLE = 0.40  # metres from the camera
NOISE = 0.00008  # metres, standard deviation of the depth noise
MARKER = "demo.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Part:
    """Height over the table in metres, colour 0..1 before lighting, and where the part is; all (SIZE, SIZE)."""

    height: Floats
    colour: Floats
    inside: NDArray[np.bool_]


def draw_demo(
    root: Path, seed: int = 0, train: int = 32, validation: int = 20, good: int = 10, per_kind: int = 6
) -> Path:
    """Write the data set to `root`/biscuit and return that folder; one of the same numbers there is left alone."""
    folder = root / CLASS_NAME
    facts = {"seed": seed, "train": train, "validation": validation, "good": good, "per_kind": per_kind, "size": SIZE}
    marker = folder / MARKER
    if marker.exists() and json.loads(marker.read_text("utf-8")) == facts:
        return folder
    plan: list[tuple[str, str | None, int]] = [
        ("train/good", None, train),
        ("validation/good", None, validation),
        ("test/good", None, good),
    ]
    plan += [(f"test/{kind}", kind, per_kind) for kind in KINDS]
    for index, (place, kind, count) in enumerate(plan):
        for number in range(count):
            rng = np.random.default_rng([seed, index, number])
            _write(folder / place, f"{number:03d}", *_sample(rng, kind), with_mask=place.startswith("test"))
    write_json(marker, facts)
    return folder


def _sample(
    rng: np.random.Generator, kind: str | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    part = _good_part(rng)
    shown, mask = part, np.zeros((SIZE, SIZE), bool)
    if kind is not None:
        shown, mask = _DEFECTS[kind](rng, part)
    # A dent is in the geometry alone: its colour image is lit as if it were not there.
    lit = shown.height if kind == "chip" else part.height
    return _photograph(rng, shown.colour, lit, part.inside), _scan(rng, shown.height), mask


def _good_part(rng: np.random.Generator) -> _Part:
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    y, x = rows - rng.uniform(-6, 6), columns - rng.uniform(-6, 6)
    turn = rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(56, 62)
    angle = np.arctan2(y, x) + turn
    distance = np.hypot(x, y) * (1 + 0.018 * np.cos(18 * angle)) / radius  # a scalloped rim
    inside = distance < 1
    thickness = rng.uniform(0.0085, 0.0105)
    rim = np.clip((1 - distance) / 0.16, 0, 1)
    emboss = 0.0011 * np.exp(-(((distance - 0.66) / 0.07) ** 2)) + 0.0009 * np.cos(6 * angle) * np.exp(
        -(((distance - 0.36) / 0.13) ** 2)
    )
    waves = 0.00025 * _blobs(rng, 14)
    height = np.where(inside, thickness * np.sin(rim * np.pi / 2) + (emboss + waves) * rim, 0.0)
    base = np.array([0.80, 0.58, 0.34]) * rng.uniform(0.94, 1.06) + rng.normal(0, 0.012, 3)
    baked = 1 - 0.22 * np.clip((distance - 0.7) / 0.3, 0, 1)[..., None] + 0.05 * _blobs(rng, 10)[..., None]
    speckle = 1 - 0.18 * (cv2.GaussianBlur(rng.random((SIZE, SIZE)), (0, 0), 1.1) > 0.565)[..., None]
    table = np.array([0.27, 0.30, 0.33]) * (1 + 0.05 * _blobs(rng, 20)[..., None])
    return _Part(height, np.where(inside[..., None], base * baked * speckle, table), inside)


def _spot(rng: np.random.Generator, part: _Part, low: float, high: float, ragged: float) -> Floats:
    """A soft spot on the part: 1 in its middle, 0 outside; (SIZE, SIZE)."""
    deep = cv2.erode(part.inside.astype(np.uint8), np.ones((35, 35), np.uint8))
    candidates = np.argwhere(deep)
    row, column = candidates[rng.integers(len(candidates))]
    rows, columns = np.mgrid[:SIZE, :SIZE]
    long, short, tilt = rng.uniform(low, high), rng.uniform(low, high), rng.uniform(0, np.pi)
    u = (columns - column) * np.cos(tilt) + (rows - row) * np.sin(tilt)
    v = -(columns - column) * np.sin(tilt) + (rows - row) * np.cos(tilt)
    distance = np.hypot(u / long, v / short) + ragged * _blobs(rng, 4)
    return np.asarray(np.clip(1.4 * (1 - distance), 0, 1) * part.inside)


def _stain(rng: np.random.Generator, part: _Part) -> tuple[_Part, NDArray[np.bool_]]:
    spot = _spot(rng, part, 6, 11, 0.25)
    tint = np.array([[0.35, 0.26, 0.20], [0.93, 0.90, 0.84], [0.45, 0.52, 0.42]])[rng.integers(3)]
    strength = rng.uniform(0.35, 0.75) * spot[..., None]
    return _Part(part.height, part.colour * (1 - strength) + tint * strength, part.inside), spot > 0.25


def _dent(rng: np.random.Generator, part: _Part) -> tuple[_Part, NDArray[np.bool_]]:
    spot = _spot(rng, part, 7, 12, 0.05)
    depth = rng.uniform(0.0009, 0.0022) * rng.choice([-1, 1])
    return _Part(part.height + depth * spot, part.colour, part.inside), spot > 0.15


def _chip(rng: np.random.Generator, part: _Part) -> tuple[_Part, NDArray[np.bool_]]:
    spot = _spot(rng, part, 5, 9, 0.35)
    broken = np.clip(2 * spot, 0, 1)
    colour = part.colour * (1 - 0.5 * broken[..., None]) + np.array([0.88, 0.74, 0.52]) * 0.5 * broken[..., None]
    return _Part(part.height - rng.uniform(0.0016, 0.003) * broken, colour, part.inside), spot > 0.1


_DEFECTS: dict[str, Callable[[np.random.Generator, _Part], tuple[_Part, NDArray[np.bool_]]]] = {
    "chip": _chip,
    "dent": _dent,
    "stain": _stain,
}


def _photograph(
    rng: np.random.Generator, colour: Floats, height: Floats, inside: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Lambertian light from the upper left, a soft shadow on the table, camera noise; (SIZE, SIZE, 3) uint8."""
    pixel = TABLE / FOCAL
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(height, (0, 0), 0.8), pixel)
    light = (1 - 0.45 * slope_x - 0.45 * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    shadow = cv2.GaussianBlur(np.roll(inside.astype(np.float64), (5, 5), (0, 1)), (0, 0), 3)
    shade = np.clip(light, 0.2, 1.6) * np.where(inside, 1, 1 - 0.35 * shadow)
    image = colour * shade[..., None] * rng.uniform(0.97, 1.03) + rng.normal(0, 0.008, colour.shape)
    return np.asarray((np.clip(image, 0, 1) * 255).round().astype(np.uint8))


def _scan(rng: np.random.Generator, height: Floats) -> NDArray[np.float32]:
    """Organised cloud (SIZE, SIZE, 3) float32, metres; specks and steep right edges are not measured: (0, 0, 0)."""
    z = TABLE - height + rng.normal(0, NOISE, height.shape)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    centre = (SIZE - 1) / 2
    xyz = np.stack([(columns - centre) * z / FOCAL, (rows - centre) * z / FOCAL, z], axis=-1)
    hidden = height - np.roll(height, -1, axis=1) > 0.0011
    specks = cv2.dilate((rng.random(height.shape) < 0.0006).astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    xyz[hidden | specks] = 0
    return xyz.astype(np.float32)


def _blobs(rng: np.random.Generator, sigma: float) -> Floats:
    """Smooth noise of deviation 1, (SIZE, SIZE)."""
    noise = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)), (0, 0), sigma)
    return np.asarray(noise / noise.std())


def _write(
    folder: Path,
    stem: str,
    rgb: NDArray[np.uint8],
    xyz: NDArray[np.float32],
    mask: NDArray[np.bool_],
    with_mask: bool,
) -> None:
    write_bytes(folder / "rgb" / f"{stem}.png", bytes(imagecodecs.png_encode(rgb)))
    write_whole(
        folder / "xyz" / f"{stem}.tiff", lambda path: tifffile.imwrite(path, xyz, photometric="rgb", compression="zlib")
    )
    if with_mask:
        write_bytes(folder / "gt" / f"{stem}.png", bytes(imagecodecs.png_encode(mask.astype(np.uint8) * np.uint8(255))))
