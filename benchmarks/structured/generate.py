"""Synthetic structured parts in the MVTec 3D-AD layout, with small breaks of their structure.

    python benchmarks/structured/generate.py --out DIR --scene gland --seed 1 [--counts train=60,good=16,defect=8]

Scenes: gland (grey plastic), connector (dark plastic, bright pins), heatsink (brushed metal). The same seed gives the
same bytes. README.md says how parts, sensor and defects were made.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from connector import Connector
from gland import Gland
from heatsink import Heatsink
from numpy.typing import NDArray
from part import Part
from render import DISTANCE, Surface, changed, focal, photograph, scan, trace

from trd.files import write_bytes, write_json, write_whole

SCENES: dict[str, type[Part]] = {"gland": Gland, "connector": Connector, "heatsink": Heatsink}
SIZE = 320  # pixels, square
COUNTS = {"train": 60, "validation": 12, "good": 16, "defect": 8}
LEAST = {"hole": 2.0, "rib": 3.0}  # mm2 of a defect that the camera must see
LEAST_ELSE = 5.0  # the same of other kinds: the smallest of the real class's masks
TRIES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scene", choices=sorted(SCENES), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--counts", default="", help="of train, validation, good, defect (of each kind)")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels along a side; the view is the same")
    arguments = parser.parse_args()
    if arguments.size % 2:
        parser.error("--size: an even number, please")
    counts = dict(COUNTS)
    for item in filter(None, arguments.counts.split(",")):
        name, _, number = item.partition("=")
        if name not in counts or not number.isdigit():
            parser.error(f"--counts: '{item}' is none of {', '.join(f'{name}=N' for name in COUNTS)}")
        counts[name] = int(number)
    begin = time.perf_counter()
    number = generate(arguments.out, arguments.scene, arguments.seed, counts, arguments.size)
    print(f"{arguments.scene}: {number} parts, {(time.perf_counter() - begin) / max(number, 1):.2f} s a part")


def generate(out: Path, scene: str, seed: int, counts: dict[str, int], size: int = SIZE) -> int:
    """Write the class to `out`/`scene`; the number of parts."""
    cv2.setNumThreads(1)
    folder = out / scene
    plan: list[tuple[str, str | None, int]] = [
        ("train/good", None, counts["train"]),
        ("validation/good", None, counts["validation"]),
        ("test/good", None, counts["good"]),
    ]
    plan += [(f"test/{kind}", kind, counts["defect"]) for kind in SCENES[scene].kinds]
    facts = []
    for index, (place, kind, count) in enumerate(plan):
        for number in range(count):
            rng = np.random.default_rng([seed, sorted(SCENES).index(scene), index, number])
            rgb, xyz, mask = sample(rng, scene, kind, size)
            stem = f"{number:03d}"
            write_bytes(folder / place / "rgb" / f"{stem}.png", bytes(imagecodecs.png_encode(rgb)))
            write_whole(folder / place / "xyz" / f"{stem}.tiff", lambda path, xyz=xyz: _write_cloud(path, xyz))
            if place.startswith("test"):
                white = mask.astype(np.uint8) * np.uint8(255)
                write_bytes(folder / place / "gt" / f"{stem}.png", bytes(imagecodecs.png_encode(white)))
                facts.append({"place": f"{place}/{stem}", "mask_pixels": int(mask.sum())})
    camera: dict[str, Any] = {"fx": focal(size), "fy": focal(size), "cx": (size - 1) / 2, "cy": (size - 1) / 2}
    camera |= {"image_width": size, "image_height": size}
    write_json(folder / "calibration" / "camera_parameters.json", camera)
    write_json(folder / "calibration" / "samples.json", {"seed": seed, "counts": counts, "samples": facts})
    return sum(count for _, _, count in plan)


def _write_cloud(path: Path, xyz: NDArray[np.float32]) -> None:
    tifffile.imwrite(path, xyz, photometric="rgb", compression="zlib", predictor=True)


def sample(
    rng: np.random.Generator, scene: str, kind: str | None, size: int = SIZE
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Colour image, cloud and mask of one part, good where `kind` is None."""
    part: Part = SCENES[scene](rng)
    pose = part.pose()
    seen = trace(part.distance, pose, size)
    look = part.look(seen.point)
    mask = np.zeros((size, size), bool)
    if kind is not None:
        least = LEAST.get(kind, LEAST_ELSE) / (DISTANCE / focal(size)) ** 2
        normal = (pose.turn.T @ seen.normal).astype(np.float32)
        good, good_look = seen, look
        shown = _facing(good)
        for _ in range(TRIES):
            broken = part.broken(kind, rng, good.point[:, shown], normal[:, shown])
            seen = trace(broken.distance, pose, size)
            look = broken.look(seen.point)
            mask = changed(good, seen, good_look, look)
            if mask.sum() >= least:
                break
    rgb, bright, dark = photograph(rng, seen, look, pose)
    return rgb, scan(rng, seen, bright, dark), mask


def _facing(seen: Surface) -> NDArray[np.intp]:
    """Points that the camera sees well."""
    return np.flatnonzero(-seen.normal[2] > 0.45)


if __name__ == "__main__":
    main()
