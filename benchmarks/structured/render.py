"""Draws a part given by its distance function: depth, normals, photograph, and what a 3D sensor would measure.

Lengths are millimetres, but for the point cloud that is written (metres). The camera stands still as the one of the
class that was measured: 660 mm over a dark support, which it looks at from 22 degrees aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Distance = Callable[[Array], Array]  # (3, N) points of the part's own frame -> (N,) distances, mm

VIEW = 100.0  # mm of the support that the image shows
DISTANCE = 660.0  # mm from the camera to the middle of the support
UP = np.array([0.11, -0.355, -0.93]) / np.linalg.norm([0.11, -0.355, -0.93])  # the support's normal, camera frame
LIGHT = np.array([0.14, -0.05, -0.98]) / np.linalg.norm([0.14, -0.05, -0.98])  # to lamp and projector, camera frame
FILL = np.array([-0.35, -0.45, -0.82]) / np.linalg.norm([-0.35, -0.45, -0.82])  # to a weak second lamp
FINE = 2  # rays a pixel, along a side
SUPPORT = 0.017  # reflectance of the support
NEAR_ENOUGH = 0.012  # mm: a ray this near has arrived
STEPS = 64
BRIDGED = 9  # pixels: gaps of the cloud narrower than this are bridged
BLOCK = 4  # fine rays, along a side, that one ray goes ahead of
GREY = 410.0  # grey levels of a white surface that faces the lamp


@dataclass(frozen=True)
class Pose:
    """Where a part lies: camera = turn @ part + shift; its box in its own frame holds all of it."""

    turn: Array
    shift: Array
    box: Array  # (2, 3): lowest and highest corner


@dataclass(frozen=True)
class Surface:
    """What the rays of one image met, (H, W) each; outside of the part `hit` is False and the rest is the support's."""

    hit: NDArray[np.bool_]
    depth: Array  # along the camera's axis
    point: Array  # (3, N) points of the part, its own frame, in the order of `hit`
    normal: Array  # (3, N), camera frame
    open: Array  # (N,): 0 in a crevice, 1 in the open


@dataclass(frozen=True)
class Look:
    """How the surface reflects, for each of N points."""

    albedo: Array  # (3, N), red green blue
    gloss: Array  # (N,), strength of the highlight
    width: Array  # (N,), its width (roughness)
    grain: Array  # (N,), 1 where the metal is brushed
    along: Array  # (3,) direction of the brush strokes, the part's frame


def support_axes() -> Array:
    """(3, 3): the support's x, y and up as columns, camera frame."""
    x = np.array([1.0, 0, 0]) - UP[0] * UP
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(UP, x), UP], axis=1)


def focal(size: int) -> float:
    """Pixels."""
    return DISTANCE * size / VIEW


def _rays(size: int) -> Array:
    """(3, H, W) directions of the fine image's rays with z = 1."""
    fine = size * FINE
    at = ((np.arange(fine, dtype=np.float32) + 0.5) / FINE - size / 2) / focal(size)
    return np.stack([*np.meshgrid(at, at), np.ones((fine, fine), np.float32)]).astype(np.float32)


def trace(distance: Distance, pose: Pose, size: int) -> Surface:
    """Where the camera's rays meet the part."""
    rays = _rays(size)
    fine = size * FINE
    flat = rays.reshape(3, -1)
    floor = (DISTANCE * UP[2] / (UP @ flat)).astype(np.float32)
    origin = (pose.turn.T @ -pose.shift).astype(np.float32)
    # the box's corners say which rays are worth following
    corners = np.stack(np.meshgrid(*pose.box.T, indexing="ij")).reshape(3, -1)
    seen = pose.turn @ corners + pose.shift[:, None]
    pixel = seen[:2] / seen[2] * focal(size) * FINE + fine / 2
    low = np.clip(np.floor(pixel.min(1)).astype(int), 0, fine)
    high = np.clip(np.ceil(pixel.max(1)).astype(int), 0, fine)
    window = np.zeros((fine, fine), bool)
    window[low[1] : high[1], low[0] : high[0]] = True
    index = np.flatnonzero(window)
    turn = pose.turn.T.astype(np.float32)
    # one ray goes ahead for each block, until something is as near as the block is wide
    ahead = rays.reshape(3, fine // BLOCK, BLOCK, fine // BLOCK, BLOCK).mean((2, 4)).reshape(3, -1)
    wide = BLOCK * DISTANCE / focal(size) / FINE
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = ((pose.box + np.array([[-wide], [wide]]))[:, :, None].astype(np.float32) - origin[None, :, None]) / (
            turn @ ahead
        )
    begin, end = ends.min(0).max(0), ends.max(0).min(0)
    leading = np.flatnonzero(begin < end)
    start = np.zeros(ahead.shape[1], np.float32)
    start[leading] = _march(distance, origin, (turn @ ahead)[:, leading], begin[leading], end[leading], wide)
    start = start.reshape(fine // BLOCK, -1).repeat(BLOCK, 0).repeat(BLOCK, 1).reshape(-1)[index]
    inside = start > 0
    index, begin = index[inside], start[inside]
    way, end = turn @ flat[:, index], np.minimum(floor[index], begin + np.float32(60))
    depth = floor.copy()
    arrived = _march(distance, origin, way, begin, end, NEAR_ENOUGH)
    met = arrived > 0
    depth[index[met]] = arrived[met]
    hit = np.zeros(fine * fine, bool)
    hit[index[met]] = True
    point = origin[:, None] + way[:, met] * arrived[met]
    normal = _normals(distance, point)
    up = (pose.turn.T @ UP).astype(np.float32)
    height = float(UP @ pose.shift - DISTANCE * UP[2])
    opening = np.ones(point.shape[1], np.float32)
    for step, weight in ((0.9, 0.45), (3.0, 0.55)):
        away = point + normal * np.float32(step)
        free = np.minimum(distance(away), up @ away + np.float32(height))
        opening -= weight * np.clip(1 - free / step, 0, 1)
    shape = (fine, fine)
    return Surface(
        hit.reshape(shape), depth.reshape(shape), point, (pose.turn @ normal).astype(np.float32), np.clip(opening, 0, 1)
    )


def _march(distance: Distance, origin: Array, way: Array, begin: Array, end: Array, near: float) -> Array:
    """(N,) how far along each ray the part is within `near` mm, 0 where it is not met."""
    arrived = np.zeros(len(begin), np.float32)
    live = np.arange(len(begin))
    length = np.sqrt((way * way).sum(0))
    at, step, stop = begin.copy(), way, end
    for turn in range(STEPS):
        gap = distance(origin[:, None] + step * at)
        at = at + gap / length
        there = gap < near * (1 if turn < STEPS // 2 else 3)
        arrived[live[there]] = at[there]
        left = ~there & (at < stop)
        if not left.any():
            break
        live, at, step, stop, length = live[left], at[left], step[:, left], stop[left], length[left]
    return arrived


def _normals(distance: Distance, point: Array) -> Array:
    """(3, N) unit vectors, the part's frame."""
    normal = np.zeros_like(point)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        way = np.array(corner, np.float32)[:, None]
        normal += way * distance(point + np.float32(0.06) * way)
    return normal / np.maximum(np.sqrt((normal * normal).sum(0)), 1e-6)


def _shadow(depth: Array, size: int, light: Array) -> NDArray[np.bool_]:
    """Where what the image shows stands between a point and the light."""
    across = np.hypot(*light[:2])
    fall = DISTANCE / (focal(size) * FINE) * light[2] / across  # mm of depth a fine pixel
    most = int((depth.max() - depth.min()) / -fall)
    shadow = np.zeros(depth.shape, bool)
    away, rows, columns = 1.0, *depth.shape
    while away < most:
        right, down = round(away * light[0] / across), round(away * light[1] / across)
        near = (slice(max(0, -down), min(rows, rows - down)), slice(max(0, -right), min(columns, columns - right)))
        far = (slice(max(0, down), min(rows, rows + down)), slice(max(0, right), min(columns, columns + right)))
        shadow[near] |= depth[far] < depth[near] + np.float32(away * fall - 0.25)
        away = away * 1.03 + 1
    return shadow


def _coarse(image: Array) -> Array:
    """The fine image's pixels averaged."""
    size = image.shape[0] // FINE
    return cv2.resize(np.ascontiguousarray(image, np.float32), (size, size), interpolation=cv2.INTER_AREA)


def _smooth(rng: np.random.Generator, size: int, sigma: float) -> Array:
    """Smooth noise of deviation 1."""
    less = max(1, int(sigma / 3))  # wide waves need few samples
    small = -(-size // less)
    noise = rng.standard_normal((small, small), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma / less)
    noise = noise if less == 1 else cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return noise / noise.std()


def photograph(
    rng: np.random.Generator, seen: Surface, look: Look, pose: Pose
) -> tuple[NDArray[np.uint8], Array, NDArray[np.bool_]]:
    """The colour image, its brightness before noise (grey levels), and what the projector does not reach."""
    fine = seen.hit.shape[0]
    size = fine // FINE
    dark = _shadow(seen.depth, size, LIGHT)
    reach = 1 - cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 0.8)
    shaded = np.zeros((fine, fine, 3), np.float32)
    cloth = SUPPORT * (1 + 0.12 * _smooth(rng, fine, 1.2) + 0.10 * _smooth(rng, fine, 60))
    shaded[:] = (cloth * (0.25 + 0.75 * reach))[..., None] * np.array([0.92, 1.0, 1.08], np.float32)
    grain = np.stack([_smooth(rng, fine, 1.3)[seen.hit] for _ in range(3)])
    normal = seen.normal + np.float32(0.02) * grain
    normal /= np.sqrt((normal * normal).sum(0))
    lit = reach[seen.hit]
    key = np.clip(LIGHT.astype(np.float32) @ normal, 0, None) * lit
    fill = np.clip(FILL.astype(np.float32) @ normal, 0, None)
    half = LIGHT + np.array([0, 0, -1.0])
    half = (half / np.linalg.norm(half)).astype(np.float32)
    facing = np.clip(half @ normal, 1e-3, 1)
    tilt2 = 1 / facing**2 - 1  # squared tangent of the angle to the half vector
    along = (pose.turn @ look.along).astype(np.float32)
    stroke = (half @ along - facing * (along @ normal)) ** 2 / facing**2
    width2 = look.width**2
    plain = np.exp(-tilt2 / width2)
    brushed = np.exp(-stroke / (0.25 * width2) - np.clip(tilt2 - stroke, 0, None) / (6 * width2))
    highlight = np.where(look.grain > 0, brushed, plain) * look.gloss * (0.15 + 0.85 * lit)
    ambient = (0.16 + 0.10 * np.clip(-normal[2], 0, 1)) * seen.open
    light = 0.62 * key * (0.45 + 0.55 * seen.open) + 0.20 * fill * seen.open + ambient
    shaded[seen.hit] = (look.albedo * light + highlight * (0.3 + 0.7 * seen.open)).T
    image = _coarse(shaded) * GREY * rng.uniform(0.96, 1.04)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.45, 0.6))
    bright = image.mean(2)
    for _ in range(rng.poisson(12)):  # dust on the support
        row, column = rng.integers(1, size - 1, 2)
        image[row, column] += rng.uniform(8, 60)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.sqrt(1.2 + 0.02 * image)
    noisy = image + noise + np.float32(1.0)
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8), bright, dark


def scan(rng: np.random.Generator, seen: Surface, bright: Array, dark: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The organised cloud, (H, W, 3) metres, camera frame, (0, 0, 0) where the sensor has nothing."""
    size = bright.shape[0]
    middle = (slice(FINE // 2, None, FINE), slice(FINE // 2, None, FINE))
    depth = seen.depth[middle].copy()
    on_part = seen.hit[middle]
    facing = np.ones(seen.hit.shape, np.float32)
    facing[seen.hit] = -seen.normal[2]
    facing = facing[middle]
    depth += np.where(on_part, 0, 0.45 * _smooth(rng, size, 30) + 0.25 * _smooth(rng, size, 9)).astype(np.float32)
    weak = np.exp(-np.clip(bright - 8, 0, None) / 12)  # 1 where hardly any light comes back
    spread = (0.006 + 0.117 * weak) * (1 + 0.6 * np.clip(1 / np.clip(facing, 0.1, 1) - 1, 0, 6))
    noise = cv2.GaussianBlur(rng.standard_normal((size, size), dtype=np.float32), (0, 0), 0.55)
    depth += (spread * (0.6 * noise / noise.std() + 0.8 * rng.standard_normal((size, size)))).astype(np.float32)
    # rows and columns of the sensor's grid differ in how often they fall out
    comb = (0.4 + 1.2 * rng.random((size, 1))) * (0.4 + 1.2 * rng.random((1, size)))
    chance = 0.37 * np.exp(-np.clip(bright - 10, 0, None) / 5) * comb * (1 + 0.3 * _smooth(rng, size, 0.8))
    chance += 0.15 * np.clip((bright - 245) / 30, 0, 1)  # highlights
    far = cv2.dilate(depth, np.ones((3, 3))) - depth
    near = depth - cv2.erode(depth, np.ones((3, 3)))
    broken = np.clip((0.22 - facing) / 0.12, 0, 1)  # steep flanks
    broken += np.clip((near - 1.2) / 2.0, 0, 0.80) + np.clip((far - 1.5) / 4, 0, 0.10)  # edges, more so below them
    gap = rng.random((size, size)) < broken
    gap |= _coarse(cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 2.0)) > 0.62  # the projector's shadow
    # the sensor matches windows, which bridge narrow gaps
    wide = cv2.morphologyEx(gap.astype(np.uint8), cv2.MORPH_OPEN, np.ones((BRIDGED, BRIDGED), np.uint8)) > 0
    kept = (~gap).astype(np.float32)
    around = cv2.GaussianBlur(np.where(gap, 0, depth), (0, 0), 1.5) / np.maximum(
        cv2.GaussianBlur(kept, (0, 0), 1.5), 1e-3
    )
    bridged = gap & ~wide & (cv2.erode(on_part.astype(np.uint8), np.ones((3, 3))) > 0)
    depth = np.where(bridged & (cv2.GaussianBlur(kept, (0, 0), 1.5) > 0.1), around, depth)
    gap &= ~bridged | (rng.random((size, size)) < 0.12)
    lost = (rng.random((size, size)) < chance) | gap
    at = (np.arange(size) + 0.5 - size / 2) / focal(size)
    x, y = np.meshgrid(at, at)
    cloud = np.stack([x * depth, y * depth, depth], axis=-1) / 1000
    cloud[lost] = 0
    return cloud.astype(np.float32)


def changed(good: Surface, bad: Surface, good_look: Look, bad_look: Look) -> NDArray[np.bool_]:
    """Pixels where the part with a defect is not the same part: depth, slope or colour."""
    differs = np.abs(good.depth - bad.depth) > 0.12
    differs |= good.hit != bad.hit
    both = good.hit & bad.hit
    first, second = both[good.hit], both[bad.hit]
    turned = (good.normal[:, first] * bad.normal[:, second]).sum(0) < np.cos(np.radians(20))
    tinted = np.abs(good_look.albedo[:, first] - bad_look.albedo[:, second]).max(0) > 0.05
    slope = np.zeros_like(differs)
    slope[both] = turned | tinted
    mask = _coarse((differs | slope).astype(np.float32)) >= 0.5
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    number, labels, facts, _ = cv2.connectedComponentsWithStats(mask)
    small = [label for label in range(1, number) if facts[label, cv2.CC_STAT_AREA] < 3]
    return np.asarray((mask > 0) & ~np.isin(labels, small))
