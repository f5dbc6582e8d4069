"""Whether points that were projected into the colour picture lie where the picture shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.evaluation.figures import data_uri
from trd.types import Sample

Floats = NDArray[np.float32]

REACH = 0.015  # of the picture's longer side: how far the edges are shifted against each other
JUMP = 6.0  # times the median range of depth within 3 x 3 pixels, from which on there is an edge
STEEP = 4.0  # times the distance of neighbouring points: slopes of up to 70 degrees show shading, but cast no edge
FEWEST = 50  # edge pixels that a correlation is taken from
BETTER, APART = 0.05, 2.0  # of correlation, and pixels: a shift that fits better by so much is warned of
EDGE = (255, 40, 40)


@dataclass(frozen=True)
class Registration:
    """facts: label -> text. warnings: what is doubtful. pictures: id and data URI, depth edges over the picture."""

    facts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()


def registration(samples: Iterable[Sample], picture: str, cloud: str) -> Registration:
    """Of some samples, by the names of their sources."""
    shares, pictures, maps = [], [], []
    for sample in samples:
        grey = _grey(sample.arrays[picture])
        xyz = np.asarray(sample.arrays[cloud], np.float32)
        edges = depth_edges(xyz)
        shares.append(np.count_nonzero(xyz[..., 2]) / edges.size)
        drawn = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
        drawn[edges] = EDGE
        pictures.append((sample.id, data_uri(drawn)))
        if np.count_nonzero(edges) >= FEWEST:
            maps.append(agreement(grey, edges))
    facts = {"pixels with depth": f"{np.mean(shares):.0%} of the picture, in the first {len(shares)} parts"}
    if not maps:
        facts["edges of colour and depth"] = "too few edges in depth to compare"
        return Registration(facts, (), tuple(pictures))
    mean = np.mean(maps, axis=0)
    reach = mean.shape[0] // 2
    here, best = float(mean[reach, reach]), float(mean.max())
    down, across = (int(place) - reach for place in np.unravel_index(int(mean.argmax()), mean.shape))
    distance = float(np.hypot(down, across))
    facts["edges of colour and depth"] = (
        f"correlation {here:.2f} as they lie, {best:.2f} at best, {distance:.0f} pixels away"
    )
    is_inside = max(abs(down), abs(across)) < reach  # at the rim of what was tried there is no peak, but a slope
    if best - here < BETTER or distance < APART or not is_inside:
        return Registration(facts, (), tuple(pictures))
    warning = (
        f"the calibration seems off by about {distance:.0f} pixels: the depth edges fit the picture better {across:+d} "
        f"columns and {down:+d} rows away (correlation {best:.2f} instead of {here:.2f}); look at the page, and check "
        "pose and colour in camera.json"
    )
    return Registration(facts, (warning,), tuple(pictures))


def depth_edges(xyz: Floats) -> NDArray[np.bool_]:
    """(H, W) pixels just before a jump to what lies behind, of a cloud (H, W, 3): more than noise or a steep slope."""
    square = np.ones((3, 3), np.uint8)
    depth = np.ascontiguousarray(xyz[..., 2])
    measured = depth > 0
    pairs = measured[:, 1:] & measured[:, :-1]
    pitch = float(np.median(np.abs(np.diff(xyz[..., 0], axis=1))[pairs])) if pairs.any() else 0.0
    behind = cv2.dilate(depth, square) - depth
    before = depth - cv2.erode(np.where(measured, depth, np.float32(np.inf)), square)
    usual = float(np.median((behind + before)[measured])) if measured.any() else 0.0
    return np.asarray(measured & (behind > max(JUMP * usual, STEEP * pitch, 1e-9)))


def agreement(grey: Floats, edges: NDArray[np.bool_]) -> Floats:
    """(2 r + 1, 2 r + 1) correlation of the picture's gradients with the depth edges shifted by up to r pixels."""
    reach = min(max(8, round(REACH * max(grey.shape))), min(grey.shape) // 4)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    gradient = np.minimum(gradient, np.quantile(gradient, 0.98))  # a few bright rims do not decide alone
    lines = cv2.GaussianBlur(edges.astype(np.float32), (0, 0), 1)
    return np.asarray(cv2.matchTemplate(gradient, lines[reach:-reach, reach:-reach], cv2.TM_CCOEFF_NORMED), np.float32)


def _grey(picture: NDArray[np.generic]) -> Floats:
    """(H, W) in [0, 1], the brightest in a hundred white."""
    values = picture.astype(np.float32)
    values = values.mean(axis=2) if values.ndim == 3 else values
    return np.asarray(np.clip(values / max(float(np.quantile(values, 0.99)), 1e-9), 0, 1), np.float32)
