"""Sensor and defects of a drawn class beside those of a real one: are they alike?

    python benchmarks/structured/check.py REAL DRAWN [DRAWN ...]

Each is a class folder in the MVTec 3D-AD layout with a bright part on a dark support. A row per figure: the median over
the good training parts (or over all masks), and the ratio to REAL's. No detector has a say in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

Array = NDArray[Any]
PARTS = 16  # good parts looked at
ALIKE = 1.5
BOUND = ("missing on the part", "missing on the support", "noise of the support, mm")  # what must agree within ALIKE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("drawn", type=Path, nargs="+")
    arguments = parser.parse_args()
    places = [arguments.real, *arguments.drawn]
    columns = [{**goods(place), **masks(place)} for place in places]
    print("| figure | " + " | ".join(place.name for place in places) + " |\n" + "|---" * (len(places) + 1) + "|")
    for name in dict.fromkeys(name for column in columns for name in column):
        first = columns[0].get(name)
        cells = []
        for number, column in enumerate(columns):
            value = column.get(name)
            cell = "-" if value is None else f"{value:.3g}"
            if number and first and value is not None:
                cell += f" (x {value / first:.2f})"
                if name in BOUND and not 1 / ALIKE <= value / first <= ALIKE:
                    cell += " !"
            cells.append(cell)
        print(f"| {name} | " + " | ".join(cells) + " |")


def read(picture: Path) -> tuple[Array, Array]:
    """Grey levels (H, W) and the cloud in mm."""
    cloud = tifffile.imread(picture.parent.parent / "xyz" / f"{picture.stem}.tiff")
    grey = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2GRAY)
    return grey, np.asarray(cloud, np.float64) * 1000


def outline(grey: Array) -> NDArray[np.bool_]:
    """The part: what is brighter than the support, without its holes."""
    bright = (cv2.GaussianBlur(grey, (3, 3), 0) > 22).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, facts, _ = cv2.connectedComponentsWithStats(bright)
    largest = (labels == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    contours, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(grey), contours, -1, 1, -1) > 0)


def pitch(cloud: Array, part: NDArray[np.bool_]) -> float:
    """mm a pixel on the part."""
    there = part & (cloud[..., 2] > 0)
    steps = np.linalg.norm(np.diff(cloud, axis=1), axis=2)[there[:, 1:] & there[:, :-1]]
    return float(np.median(steps))


def goods(place: Path) -> dict[str, float]:
    """Medians over good training parts."""
    rows = []
    for picture in sorted((place / "train/good/rgb").glob("*.png"))[:PARTS]:
        grey, cloud = read(picture)
        part = outline(grey)
        there = cloud[..., 2] > 0
        support = cv2.dilate(part.astype(np.uint8), np.ones((41, 41))) == 0
        points = cloud[support & there]
        middle = points.mean(0)
        normal = np.linalg.svd(points[::7] - middle, full_matrices=False)[2][2]
        normal *= np.sign(normal[2])
        height = -(cloud - middle) @ normal
        steps = np.diff(np.where(there & support, height, np.nan), axis=1)
        second = np.diff(np.where(there & _inside(part, 7), height, np.nan), n=2, axis=1)
        rim = cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5))) > 0
        rows.append(
            {
                "missing on the support": 1 - there[support].mean(),
                "missing on the part": 1 - there[part].mean(),
                "missing inside the part": 1 - there[_inside(part, 9)].mean(),
                "missing at its outline": 1 - there[rim].mean(),
                "noise of the support, mm": _spread(steps) / 2**0.5,
                "waves of the support, mm": np.median(np.abs(height[support & there])) * 1.48,
                "roughness of the part, mm": _spread(second) / 6**0.5,
                "height, mm": np.percentile(height[part & there], 99),
                "part in the image": part.mean(),
                "mm a pixel": pitch(cloud, part),
                "tilt of the camera, degrees": np.degrees(np.arccos(normal[2])),
                "grey of the part": np.median(grey[part]),
                "its 5th percentile": np.percentile(grey[part], 5),
                "its 95th percentile": np.percentile(grey[part], 95),
                "its 99.9th percentile": np.percentile(grey[part], 99.9),
                "grey of the support": np.median(grey[support]),
                "its noise": grey[support][grey[support] < 25].std(),
            }
        )
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


def _inside(part: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    return np.asarray(cv2.erode(part.astype(np.uint8), np.ones((width, width))) > 0)


def _spread(values: Array) -> float:
    """Deviation, from the median of deviations."""
    values = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def masks(place: Path) -> dict[str, float]:
    """Medians over the masks of each kind: area, share of the part, depth against the surroundings."""
    result = {}
    for folder in sorted(path for path in (place / "test").glob("*") if path.name != "good"):
        rows = []
        for picture in sorted((folder / "rgb").glob("*.png")):
            grey, cloud = read(picture)
            mask = cv2.imread(str(folder / "gt" / picture.name), cv2.IMREAD_GRAYSCALE) > 0
            part = outline(grey)
            there = cloud[..., 2] > 0
            rows.append(
                (mask.sum() * pitch(cloud, part) ** 2, mask.sum() / part.sum(), _depth(cloud[..., 2], mask, there))
            )
        table = np.array(rows)
        result[f"{folder.name}: mask, mm2"] = float(np.median(table[:, 0]))
        result[f"{folder.name}: smallest, mm2"] = float(table[:, 0].min())
        result[f"{folder.name}: share of the part"] = float(np.median(table[:, 1]))
        result[f"{folder.name}: depth off its surroundings, mm"] = float(np.nanmedian(table[:, 2]))
    return result


def _depth(z: Array, mask: NDArray[np.bool_], there: NDArray[np.bool_]) -> float:
    """90th percentile of how far the mask's points lie off a quadric through a ring around it, mm."""
    ring = (cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) > 0) & ~mask & there
    if ring.sum() < 12 or not (mask & there).any():
        return float("nan")
    row, column = np.argwhere(mask).mean(0)
    rows, columns = np.indices(z.shape)
    x, y = (columns - column) / 10, (rows - row) / 10
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    weight = np.ones(ring.sum())
    factors = np.zeros(6)
    for _ in range(8):  # most of the ring counts, not its edges
        factors = np.linalg.lstsq(terms[ring] * weight[:, None], z[ring] * weight, rcond=None)[0]
        weight = (1 + ((z[ring] - terms[ring] @ factors) / 0.2) ** 2) ** -0.5
    inside = mask & there
    return float(np.percentile(np.abs(z[inside] - terms[inside] @ factors), 90))


if __name__ == "__main__":
    main()
