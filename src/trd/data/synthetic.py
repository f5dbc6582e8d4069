"""Synthetic defects drawn into good parts: in colour, in geometry, or in both, each with its exact mask.

For comparing methods where nobody has kept a defective part. They are not real defects: what they say about one kind
of real defect depends on how much it looks like them.

stain     colour     a blob with a soft edge, of another hue and brightness
scratch   colour     a thin bent line, brighter or darker
patch     colour     texture of another place on the part, in a blob with a soft edge
dent      geometry   a smooth dent or bump along the line of sight
groove    geometry   a thin bent line, pressed in
chip      both       a dent with another colour
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.errors import DataError
from trd.types import Sample

COLOUR_KINDS = ("stain", "scratch", "patch")
GEOMETRY_KINDS = ("dent", "groove")
BOTH_KINDS = ("chip",)
THIN = ("scratch", "groove")
TRIES = 20
FEWEST = 6  # pixels of a defect
SMALL, LARGE = 0.03, 0.09  # radius of a blob, as a share of the root of the part's area
FAINT, CLEAR = 0.12, 0.9  # change of colour, as a share of the part's own range of brightness
SHALLOW, DEEP = 3.0, 12.0  # displacement, in deviations of the part's own roughness, where its height range is small
CONTRAST = 1.5  # by which a clear patch's texture is coarser
LOW, HIGH = 0.02, 0.25  # the same as a share of the part's own height range, where that is large

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def kinds_for(images: Collection[str], clouds: Collection[str]) -> tuple[str, ...]:
    """The kinds of defects that can be drawn into these sources."""
    return (
        *(COLOUR_KINDS if images else ()),
        *(GEOMETRY_KINDS if clouds else ()),
        *(BOTH_KINDS if images and clouds else ()),
    )


def with_defect(
    sample: Sample,
    kind: str,
    strength: float,
    rng: np.random.Generator,
    part: Mask,
    images: Sequence[str] = ("rgb",),
    clouds: Sequence[str] = ("xyz",),
) -> Sample:
    """The sample with one defect drawn in: `defect` is the kind, `mask` True where something may have changed.

    strength: 0 (faint, about what a good part's own texture and roughness do) to 1 (clear). part: (H, W) where the
    part is; nothing off it is changed, and missing points stay missing. images, clouds: the sources to draw into, of
    the kind's modality; the others are the same arrays. Raises DataError for a part on which there is no room.
    """
    if kind not in kinds_for(images, clouds):
        raise ValueError(f"no kind of defect is called {kind!r} for {(*images, *clouds)}")
    valid = part.copy()
    for source in clouds:
        valid &= _cloud(sample, source)[..., 2] != 0
    for _ in range(TRIES):
        weight = _line(rng, valid) if kind in THIN else _blob(rng, valid, 1.0 if kind == "dent" else 0.5)
        mask = weight > 0
        if mask.sum() >= FEWEST:
            break
    else:
        raise DataError(f"sample {sample.id}: no room for a defect on the {int(valid.sum())} pixels of its part")
    arrays = dict(sample.arrays)
    if kind in (*COLOUR_KINDS, *BOTH_KINDS):
        for source in images:
            change = _transplanted if kind == "patch" else _recoloured
            arrays[source] = change(sample.arrays[source], weight, strength, rng, valid)
    if kind in (*GEOMETRY_KINDS, *BOTH_KINDS):
        sign = rng.choice([-1.0, 1.0]) if kind == "dent" else 1.0  # away from the sensor: pressed in, broken off
        for source in clouds:
            arrays[source] = _displaced(_cloud(sample, source), sign * weight, strength, valid)
    return replace(sample, arrays=arrays, defect=kind, mask=mask)


def part_in_picture(image: NDArray[np.generic]) -> Mask:
    """(H, W) where the part is, told by colour alone: what is unlike the picture's border; everywhere where that
    separates little or nearly all."""
    values = _as_colour(image)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    distance = np.linalg.norm(values - np.median(border, axis=0), axis=2)
    levels = (distance / max(float(distance.max()), 1e-9) * 255).astype(np.uint8)
    _, inside = cv2.threshold(cv2.GaussianBlur(levels, (0, 0), 2), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    part = cv2.morphologyEx(cv2.morphologyEx(inside, cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc).astype(bool)
    return part if 0.05 < part.mean() < 0.95 else np.ones(part.shape, bool)


def _cloud(sample: Sample, source: str) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], sample.arrays[source])


def _as_colour(image: NDArray[np.generic]) -> Floats:
    """(H, W, channels) as numbers."""
    values = np.asarray(image, np.float64)
    return values[..., None] if values.ndim == 2 else values


def _blob(rng: np.random.Generator, part: Mask, softness: float) -> Floats:
    """(H, W) 1 in the middle of a random shape on the part, falling to 0 at its edge, 0 outside."""
    radius = max(rng.uniform(SMALL, LARGE) * np.sqrt(part.sum()), 2.5)
    row, column = _place(rng, part, 0.8 * radius)
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    angle = np.arctan2(rows - row, columns - column)
    outline = np.ones(part.shape)
    for turns in range(2, 6):
        outline += rng.normal(0, 0.25 / turns) * np.cos(turns * angle + rng.uniform(0, 2 * np.pi))
    stretch, tilt = rng.uniform(1, 1.8), rng.uniform(0, np.pi)
    along = (columns - column) * np.cos(tilt) + (rows - row) * np.sin(tilt)
    across = (rows - row) * np.cos(tilt) - (columns - column) * np.sin(tilt)
    distance = np.hypot(along / stretch, across) / (radius * np.maximum(outline, 0.3))
    return _smooth_step((1 - distance) / softness) * part


def _line(rng: np.random.Generator, part: Mask) -> Floats:
    """(H, W) 1 along a thin bent line on the part, with soft sides, 0 outside."""
    size = np.sqrt(part.sum())
    row, column = _place(rng, part, 0.05 * size)
    heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.02)
    points = [(column, row)]
    length = rng.uniform(0.15, 0.45) * size
    for _ in range(int(length)):
        column, row = column + np.cos(heading), row + np.sin(heading)
        heading += bend + rng.normal(0, 0.03)
        points.append((column, row))
    drawn = np.zeros(part.shape, np.uint8)
    cv2.polylines(drawn, [np.round(points).astype(np.int32)], False, 1)
    half = max(0.006 * size, 1.0) * rng.uniform(0.8, 1.8)
    return _smooth_step((1.5 * half - cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 5)) / half) * part


def _place(rng: np.random.Generator, part: Mask, room: float) -> tuple[float, float]:
    """A random (row, column) on the part, at least `room` pixels from its edge where there is such a place."""
    padded = np.pad(part, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    places = np.argwhere(depth >= min(room, 0.7 * float(depth.max())))
    row, column = places[rng.integers(len(places))]
    return float(row), float(column)


def _smooth_step(values: Floats) -> Floats:
    """0 up to 0, 1 from 1 on, without a kink between."""
    inner = np.clip(values, 0, 1)
    return np.asarray(inner**2 * (3 - 2 * inner), np.float64)


def _between(low: float, high: float, strength: float) -> float:
    """Evenly in the logarithm: equal steps look equal."""
    return float(low * (high / low) ** strength)


def _recoloured(
    image: NDArray[np.generic], weight: Floats, strength: float, rng: np.random.Generator, part: Mask
) -> NDArray[np.generic]:
    values = _as_colour(image)
    low, high, white = _brightness(image, values, part)
    middle = np.average(values[weight > 0], axis=0)
    direction = rng.normal(size=values.shape[2]) + rng.choice([-1.0, 1.0])  # hue, and lighter or darker
    direction /= np.abs(direction).max()
    step = _between(FAINT, CLEAR, strength) * max(high - low, 0.25 * high, 0.02 * white)
    # where the scale ends, the colour goes the other way
    direction *= np.where((middle + step * direction < 0) | (middle + step * direction > white), -1, 1)
    return _blended(image, values + step * direction * weight[..., None], white)


def _transplanted(
    image: NDArray[np.generic], weight: Floats, strength: float, rng: np.random.Generator, part: Mask
) -> NDArray[np.generic]:
    """From the place on the part, of some random ones, that looks as unlike as `strength` asks for; a clear one is also
    coarser, since one place of an even part is like another."""
    values = _as_colour(image)
    _, _, white = _brightness(image, values, part)
    rows, columns = np.nonzero(weight)
    centre = rows.mean(), columns.mean()
    candidates = np.argwhere(part)[rng.integers(part.sum(), size=30)]
    patches: list[tuple[float, Floats]] = []
    for row, column in candidates:
        patch_index = rows + round(row - centre[0]), columns + round(column - centre[1])
        if min(patch_index[0].min(), patch_index[1].min()) < 0 or patch_index[0].max() >= part.shape[0]:
            continue
        if patch_index[1].max() >= part.shape[1] or not part[patch_index].all():
            continue
        texture = values[patch_index]
        patches.append((float(np.abs(texture - values[rows, columns]).mean()), texture))
    if not patches:  # the part is hardly larger than the patch: its own texture, upside down
        patches = [(0.0, values[rows, columns][::-1])]
    patches.sort(key=lambda pair: pair[0])
    texture = patches[round(strength * (len(patches) - 1))][1]
    texture = texture + CONTRAST * strength * (texture - texture.mean(axis=0))
    changed = values.copy()
    share = weight[rows, columns][:, None]
    changed[rows, columns] = changed[rows, columns] * (1 - share) + texture * share
    return _blended(image, changed, white)


def _brightness(image: NDArray[np.generic], values: Floats, part: Mask) -> tuple[float, float, float]:
    """The part's own dark and bright, and what means white."""
    low, high = np.percentile(values[part], [2, 98])
    white = {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)
    if image.dtype.name == "uint16":  # 10 or 12 bits in 16
        white = min(white, float(2 ** np.ceil(np.log2(values.max() + 1)) - 1))
    return float(low), float(high), white


def _blended(image: NDArray[np.generic], values: Floats, white: float) -> NDArray[np.generic]:
    clipped = np.clip(values, 0, max(white, float(np.max(np.asarray(image, np.float64)))))
    whole = clipped.round() if image.dtype.kind in "ui" else clipped
    return whole.reshape(image.shape).astype(image.dtype)


def _displaced(xyz: NDArray[np.float32], weight: Floats, strength: float, part: Mask) -> NDArray[np.float32]:
    """Points moved along their line of sight, positive weights away from the sensor."""
    z = np.abs(xyz[..., 2].astype(np.float64))
    roughness, height = _relief(z, part)
    least = max(SHALLOW * roughness, LOW * height, 1e-6 * float(np.median(z[part])))
    most = max(DEEP * roughness, HIGH * height, 4 * least)
    valid = (z > 0) & (weight != 0)
    factor = np.ones(z.shape)
    factor[valid] += _between(least, most, strength) * weight[valid] / z[valid]
    moved = xyz.copy()
    moved[valid] = (xyz[valid] * factor[valid][:, None]).astype(np.float32)
    return moved


def _relief(z: Floats, part: Mask) -> tuple[float, float]:
    """Roughness (robust deviation from the smoothed surface) and range of heights over a plane through the part, in
    the cloud's unit."""
    known = (part & (z > 0)).astype(np.float64)
    blurred, weight = (cv2.GaussianBlur(values, (0, 0), 3) for values in (z * known, known))
    smooth = np.divide(blurred, weight, out=np.zeros_like(z), where=weight > 1e-6)
    inside = (known > 0) & (weight > 0.9)
    inside = inside if inside.sum() >= FEWEST else known > 0
    residual = (z - smooth)[inside]
    roughness = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    rows, columns = np.nonzero(known)
    plane = np.stack([rows, columns, np.ones(len(rows))], axis=1)
    heights = z[rows, columns]
    tilt, *_ = np.linalg.lstsq(plane, heights, rcond=None)
    low, high = np.percentile(heights - plane @ tilt, [2, 98])
    return roughness, float(high - low)
