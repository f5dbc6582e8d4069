"""How well clouds of a displaced sensor lie on the pixels of the picture, against the exact scene (`draw.py`).

    python benchmarks/registration/geometry.py OUT CATEGORY [CATEGORY ...] [--kind good]

Prints a Markdown table, a row for each way of writing the clouds: from the sensor that stands where the camera is, and
from the displaced one in rows and loose, with the sensor's noise and gaps and without. Depth off: median over the
pixels with depth, in mm. Rim off: how far the rim of the part, where measured depth stands out from measured support,
lies from the true one, in pixels. Hidden: pixels whose surface the displaced sensor cannot see. Wrong: pixels whose
depth is of another surface, at true jumps of depth and elsewhere; behind shows: of the part, with depth behind it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.data.cameras import read_camera
from trd.data.clouds import read_cloud
from trd.data.lenses import rays
from trd.types import Camera, ColourCamera

Floats = NDArray[np.float32]

STANDS_OUT = 0.0015  # metres above the support: part
OTHER = 0.002  # metres from the true depth: another surface
A_PIXEL = 1.5  # the next one, aside or diagonal
BORDER = 8  # pixels of the picture that count for no rim
ROWS = ("registered", "organised", "loose", "organised, no noise", "loose, no noise")


def _cloud(which: str, part: dict[str, NDArray[np.generic]], files: Path, cameras: dict[str, Camera]) -> Floats:
    """(H, W, 3) on the pixels of the picture, by the readers of TRD."""
    shape = part["depth"].shape
    kind = which.partition(",")[0]
    if which == kind:
        path = files if kind != "loose" else files.with_suffix(".ply")
        return read_cloud(path, cameras.get(kind), (shape[0], shape[1]))
    points = part["sensor"].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "organised":
            path = Path(folder, "points.npy")
            np.save(path, points)
        else:
            path = Path(folder, "points.xyz")
            np.savetxt(path, 1000 * np.random.default_rng(0).permutation(points[points[..., 2] > 0]), "%.6f")
        return read_cloud(path, cameras[kind], (shape[0], shape[1]))


def _support(depth: Floats, support: NDArray[np.bool_], colour: ColourCamera) -> Floats:
    """Exact depth of the support on every pixel, though the part stands on it: 1 / z is linear in the directions."""
    x, y = rays(colour, (depth.shape[0], depth.shape[1]))
    directions = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float64)
    factors, *_ = np.linalg.lstsq(directions[support], 1 / depth[support].astype(np.float64), rcond=None)
    return np.asarray(1 / (directions @ factors), np.float32)


def _rim(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that have one of another mask beside them."""
    return mask & (cv2.dilate(other.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def measured(which: str, out: Path, category: str, kinds: list[str]) -> dict[str, list[float]]:
    """Figures of every part."""
    folder = which.partition(",")[0]
    cameras = {
        name: read_camera(out / name / category / "camera.json") for name in ("organised", "loose") if name == folder
    }
    colour = read_camera(out / "organised" / category / "camera.json").colour
    assert colour is not None
    figures: dict[str, list[float]] = {}
    for kind in kinds:
        for stored in sorted((out / "geometry" / category / "test" / kind).glob("*.npz")):
            with np.load(stored) as arrays:
                part = dict(arrays)
            files = out / folder / category / "test" / kind / "xyz" / f"{stored.stem}.tiff"
            cloud = _cloud(which, part, files, cameras)
            for name, value in _figures(cloud, part, colour).items():
                figures.setdefault(name, []).append(value)
    return figures


def _figures(cloud: Floats, part: dict[str, NDArray[np.generic]], colour: ColourCamera) -> dict[str, float]:
    depth, truth, on = cloud[..., 2], part["depth"].astype(np.float32), part["part"].astype(bool)
    known, hidden = depth > 0, part["hidden"].astype(bool)
    inner = np.zeros(truth.shape, bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    support = _support(truth, ~on, colour)
    stands, got = support - truth > STANDS_OUT, known & (support - depth > STANDS_OUT)
    away = cv2.distanceTransform((~_rim(stands, ~stands)).astype(np.uint8), cv2.DIST_L2, 5)
    distance = away[_rim(got, known & ~got) & inner]
    jump = cv2.dilate(truth, np.ones((3, 3), np.uint8)) - cv2.erode(truth, np.ones((3, 3), np.uint8)) > OTHER
    off = depth - truth
    wrong = known & (np.abs(off) > OTHER)
    return {
        "depth off": 1000 * float(np.median(np.abs(off[known]))),
        "95 %": 1000 * float(np.quantile(np.abs(off[known]), 0.95)),
        "bias": 1000 * float(np.median(off[known])),
        "got depth": float(known.mean()),
        "on the part": float(known[on].mean()),
        "rim off": float(np.median(distance)),
        "95 % ": float(np.quantile(distance, 0.95)),
        "at most a pixel": float((distance < A_PIXEL).mean()),
        "hidden": float((hidden & inner).sum()),
        "hidden, with depth": float((hidden & known & inner).sum()),
        "behind shows": float((on & wrong & (off > 0) & ~jump).sum()),
        "wrong off the rims": float((wrong & ~jump).sum()),
        "wrong at the rims": float((wrong & jump).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("category", nargs="+")
    parser.add_argument("--kind", action="append", help="of test parts; by default all")
    arguments = parser.parse_args()
    for category in arguments.category:
        kinds = arguments.kind or sorted(
            folder.name for folder in (arguments.out / "geometry" / category / "test").iterdir()
        )
        for number, which in enumerate(ROWS):
            figures = measured(which, arguments.out, category, kinds)
            if not number:
                print(f"\n{category}, {len(figures['depth off'])} parts, means\n\n| | {' | '.join(figures)} |")
                print("|---" * (len(figures) + 1) + "|")
            cells = [f"{np.mean(values):.3g}" for values in figures.values()]
            print(f"| {which} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
