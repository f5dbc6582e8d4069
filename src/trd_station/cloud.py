"""A part's measured points with the fused map on them, in the binary form of docs/station-api.md."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.preprocess.view_frames import AnyFrame, ViewFrames

MAGIC = b"TRDC"
FINEST = 1e-5  # metres: finer steps would store the sensor's noise
LEVEL = 1  # of gzip: 6 is 7 % smaller and takes almost three times as long
STEPS = 65535
GAP = 0.1  # between views of a part, of the left one's width

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CloudFacts:
    """What the header says besides the points. plane: (a, b, c, d) or None, see `trd.preprocess.foreground`."""

    inspection: int
    review_above: float
    reject_above: float
    pixel_threshold: float
    plane: tuple[float, float, float, float] | None


def encoded(
    cloud: Floats, scores: Floats, colour: NDArray[np.uint8] | None, frame: AnyFrame, facts: CloudFacts, step: int = 1
) -> bytes:
    """cloud: (H, W, 3) metres. scores: (H, W). colour: (H, W, 3) or None. step: every n-th pixel of the window. Several
    views of a part stand side by side."""
    cloud = side_by_side(cloud, frame) if isinstance(frame, ViewFrames) else cloud
    shape = cloud.shape[0], cloud.shape[1]
    rows, columns = frame.window_in(shape)
    grid = slice(rows.start, rows.stop, step), slice(columns.start, columns.stop, step)
    points = cloud[grid]
    measured = points[..., 2] != 0
    points, values = points[measured], scores[grid][measured]
    offset, scale = _position_range(points)
    low, score_scale = _score_range(values)
    sections: dict[str, bytes] = {"mask": np.packbits(measured).tobytes()}
    for axis, name in enumerate("xyz"):
        sections[name] = _words(_quantised(points[:, axis], offset[axis], scale))
    sections["score"] = _words(_quantised(values, low, score_scale))
    if colour is not None:
        colours = colour[grid][measured]
        for channel, name in enumerate(("red", "green", "blue")):
            sections[name] = _differences(colours[:, channel], np.uint8).tobytes()
    header = {
        "version": 1,
        "inspection": facts.inspection,
        "count": len(points),
        "frame": {"height": shape[0], "width": shape[1]},
        "window": {
            "top": rows.start,
            "left": columns.start,
            "height": rows.stop - rows.start,
            "width": columns.stop - columns.start,
        },
        "position": {"scale": scale, "offset": list(offset)},
        "score": {"scale": score_scale, "offset": low},
        "review_above": facts.review_above,
        "reject_above": facts.reject_above,
        "pixel_threshold": facts.pixel_threshold,
        "plane": None if facts.plane is None else list(facts.plane),
        "step": step,
        "has_colour": colour is not None,
    }
    return gzip.compress(_file(header, sections), LEVEL, mtime=0)


def side_by_side(cloud: Floats, frame: ViewFrames) -> Floats:
    """Views' clouds, each in a frame of its own, at one distance and beside each other with a gap."""
    moved, right, distance = cloud.copy(), None, 0.0
    for rows, columns in frame.places((cloud.shape[0], cloud.shape[1])).values():
        view = moved[rows, columns]
        measured = view[..., 2] != 0
        points = view[measured]
        if not len(points):
            continue
        low, high, middle = points.min(axis=0), points.max(axis=0), float(np.median(points[:, 2]))
        width = float(high[0] - low[0])
        if right is None:
            right, distance = float(low[0]), middle
        view[measured] = points + np.array([right - low[0], 0, distance - middle], np.float32)
        right += (1 + GAP) * width
    return moved


def _position_range(points: Floats) -> tuple[tuple[float, float, float], float]:
    if not len(points):
        return (0.0, 0.0, 0.0), FINEST
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    return (float(low[0]), float(low[1]), float(low[2])), max(float((high - low).max()) / STEPS, FINEST)


def _score_range(values: Floats) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low, max((high - low) / STEPS, 1e-9)


def _quantised(values: Floats, offset: float, scale: float) -> NDArray[np.uint16]:
    return np.clip(np.rint((values.astype(np.float64) - offset) / scale), 0, STEPS).astype(np.uint16)


def _differences(values: NDArray[Any], kind: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """To the value before, modulo the type's range."""
    return np.diff(values.astype(kind), prepend=np.zeros(1, kind)).astype(kind)


def _words(values: NDArray[np.uint16]) -> bytes:
    """Differences in zigzag, all low bytes and then all high bytes: small numbers stand together and pack well."""
    signed = _differences(values, np.uint16).view(np.int16)
    zigzag = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    return (zigzag & 255).astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes()


def _file(header: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """The header names where each section begins, which depends on its own length: it is made twice."""
    size = 0
    while True:
        at, places = 8 + size, {}
        for name, data in sections.items():
            places[name] = {"at": at, "bytes": len(data)}
            at += _padded(len(data))
        text = json.dumps({**header, "sections": places}, separators=(",", ":")).encode()
        if _padded(len(text)) <= size:
            break
        size = _padded(len(text))
    body = b"".join(data.ljust(_padded(len(data)), b"\0") for data in sections.values())
    return MAGIC + size.to_bytes(4, "little") + text.ljust(size) + body


def _padded(size: int) -> int:
    return -(-size // 4) * 4
