"""Samples of a part on a table, as a camera beside a scanner gives them, and the same with something missing."""

import numpy as np

from trd.types import Sample

STRICT = ["frame.crop=part", "scoring.region=part", "frame.size=64"]


def flat_sample(height: int, width: int) -> Sample:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
    rows, columns = np.indices((height, width)) - np.array([height, width]).reshape(2, 1, 1) / 2
    z = np.full((height, width), 0.4)
    z[height // 3 : height // 2, width // 3 : 2 * width // 3] -= 0.02
    xyz = np.stack([columns * z / 300, rows * z / 300, z], axis=-1).astype(np.float32)
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2, width // 3 : width // 2] = True
    return Sample("one", {"rgb": rgb, "xyz": xyz}, "dent", mask)


def scan(height: np.ndarray, tilt: float = 0.0, distance: float = 0.4, name: str = "one") -> Sample:
    """A camera's view of a height field over a table tilted by `tilt` degrees, with a grey image and fine noise."""
    rows, columns = np.indices(height.shape) - np.array(height.shape).reshape(2, 1, 1) / 2
    z = distance - height + np.random.default_rng(0).normal(0, 5e-5, height.shape)
    flat = np.stack([columns * distance / 300, rows * distance / 300, z - distance], axis=-1)
    turn = np.radians(tilt)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    xyz = (flat @ rotation.T + [0, 0, distance]).astype(np.float32)
    return Sample(name, {"rgb": np.full((*height.shape, 3), 128, np.uint8), "xyz": xyz}, "good")


def block(height: float = 0.01, top: int = 50, left: int = 60) -> np.ndarray:
    field = np.zeros((120, 160))
    field[top : top + 30, left : left + 50] = height
    return field


def rough_border(sample: Sample, name: str) -> Sample:
    """The same part among things: no plane along the border."""
    xyz = np.array(sample.arrays["xyz"])
    xyz[:20:2, :, 2] -= 0.1
    xyz[100::2, :, 2] -= 0.05
    xyz[:, :20, 2] -= 0.07
    xyz[:, 140:, 2] += 0.08
    return Sample(name, {**sample.arrays, "xyz": xyz}, "good")


def in_millimetres(sample: Sample) -> Sample:
    return Sample(sample.id, {**sample.arrays, "xyz": sample.arrays["xyz"] * np.float32(1000)}, sample.defect)
