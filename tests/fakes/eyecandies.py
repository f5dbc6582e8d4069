"""A small data set with the files, names and encodings of Eyecandies: round candies on a belt, drawn from a seed."""

from pathlib import Path

import imagecodecs
import numpy as np
import yaml

LIGHTS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (0, 0))  # towards the light, image axes
MASKS = ("bumps", "dents", "colors", "normals")


def draw_eyecandies(root: Path, classes=("CandyCane", "GummyBear"), size: int = 64, train: int = 4) -> None:
    for index, name in enumerate(classes):
        rng = np.random.default_rng([3, index])
        for number in range(train):
            _sample(root / name / "train/data", f"{number:03d}", size, rng, ())
        for number in range(3):
            _sample(root / name / "val/data", f"{number:02d}", size, rng, ())
        for number, kinds in enumerate([(), ("bumps",), ("colors",), ("dents", "normals")]):
            _sample(root / name / "test_public/data", f"{number:02d}", size, rng, kinds)
        _sample(root / name / "test_private/data", "00", size, rng, (), labels=False)


def _sample(folder: Path, number: str, size: int, rng, kinds, labels: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    cx, cy = rng.uniform(-0.05, 0.05, 2)
    height = np.sqrt(np.clip(0.1 - (x - cx) ** 2 - (y - cy) ** 2, 0, None))
    colour = np.where(height[..., None] > 0, (0.9, 0.4, 0.3), (0.3, 0.3, 0.35)) + rng.normal(0, 0.01, (size, size, 3))
    masks = dict.fromkeys(MASKS, np.zeros((size, size), bool))
    for kind in kinds:
        spot = (x - cx - rng.uniform(-0.1, 0.1)) ** 2 + (y - cy - rng.uniform(-0.1, 0.1)) ** 2 < 0.004
        masks[kind] = spot
        if kind == "colors":
            colour[spot] = (0.1, 0.8, 0.2)
        else:
            height = height + np.where(spot, 0.06 if kind == "bumps" else -0.06, 0)
    slope_y, slope_x = np.gradient(height, 1 / size)
    normals = np.dstack([-slope_x, -slope_y, np.ones_like(height)])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    for light, (right, down) in enumerate(LIGHTS):
        shade = np.clip(normals @ np.array([right, down, 1.0]) / 1.5, 0, 1)[..., None]
        _png(folder / f"{number}_image_{light}.png", np.clip(colour * shade, 0, 1) * 255, np.uint8)
    camera_axes = normals * (1, -1, -1)
    _png(folder / f"{number}_normals.png", (camera_axes + 1) * 127.5, np.uint8)
    depth = 1.5 - height
    low, high = float(depth.min()), float(depth.max())
    _png(folder / f"{number}_depth.png", (depth - low) / (high - low) * 65535, np.uint16)
    info = {"normalization": {"min": low, "max": high}}
    (folder / f"{number}_info_depth.yaml").write_text(yaml.safe_dump(info))
    np.savetxt(folder / f"{number}_pose.txt", np.eye(4))
    if labels:
        _png(folder / f"{number}_mask.png", np.any(list(masks.values()), axis=0) * 255, np.uint8)
        for kind, mask in masks.items():
            _png(folder / f"{number}_{kind}_mask.png", mask * 255, np.uint8)
        facts = {"anomalous": int(bool(kinds)), **{kind: int(kind in kinds) for kind in MASKS}}
        (folder / f"{number}_metadata.yaml").write_text(yaml.safe_dump(facts))


def _png(path: Path, values, dtype) -> None:
    path.write_bytes(imagecodecs.png_encode(np.round(values).astype(dtype)))
