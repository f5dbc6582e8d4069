"""Draws boards of 1280 x 1280 pixels on which a defect is 6 to 12 pixels wide: what tiles are for.

    python benchmarks/boards.py OUT
    trd train --data OUT/board --recipe lite-rgb-memory-bank --set frame.size=1280 --set frame.tile=320 --out RUN

30 training, 20 validation, 20 good and 30 defective test parts; seed 3. A part is a board with 81 round or square
elements, each moved by 1.5 pixels, under 2 % other light and 4 grey levels of noise. A defect is a bright, dark or
brown spot or a dark scratch on one element.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, SEED, STEP = 1280, 3, 130
GREEN, WHITE = (60, 110, 70), (210, 210, 215)
CENTRES = [(x, y) for y in range(80, SIDE - 60, STEP) for x in range(80, SIDE - 60, STEP)]
COUNTS = {"train/good": 30, "validation/good": 20, "test/good": 20, "test/spot": 30}
COLOURS = ((230, 230, 235), (30, 30, 30), (170, 70, 50))

Picture = NDArray[np.float32]


def board(random: np.random.Generator) -> Picture:
    """(1280, 1280, 3), 0 to 255."""
    image = np.full((SIDE, SIDE, 3), GREEN, np.float32)
    grain = random.normal(0, 18, (SIDE, SIDE)).astype(np.float32)
    image += cv2.GaussianBlur(grain, (0, 0), 3)[..., None]
    for number, (x, y) in enumerate(CENTRES):
        colour = (150 + 60 * ((number * 7) % 3 - 1), 140, 120 + 40 * ((number * 5) % 3 - 1))
        across, down = (int(value) for value in random.normal((x, y), 1.5))
        if number % 2:
            cv2.circle(image, (across, down), 34, colour, -1, cv2.LINE_AA)
            cv2.circle(image, (across, down), 14, (40, 40, 45), -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (across - 36, down - 26), (across + 36, down + 26), colour, -1)
            for leg in range(-30, 31, 12):
                cv2.line(image, (across + leg, down - 20), (across + leg, down + 20), WHITE, 3, cv2.LINE_AA)
    return image


def with_defect(image: Picture, number: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Draws it; its mask comes back."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    x, y = CENTRES[random.integers(len(CENTRES))] + random.integers((-25, -18), (25, 18))
    radius, kind = int(random.integers(3, 6)), number % 3
    for canvas, colour, width in ((image, COLOURS[kind], 2), (mask, 255, 3)):
        if kind == 1:
            ends = (int(x - radius), int(y - radius)), (int(x + radius), int(y + radius))
            cv2.line(canvas, *ends, colour, width, cv2.LINE_AA if canvas is image else cv2.LINE_8)
        else:
            cv2.circle(canvas, (int(x), int(y)), radius, colour, -1, cv2.LINE_AA if canvas is image else cv2.LINE_8)
    return mask


def photographed(image: Picture, random: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(image * random.normal(1, 0.02) + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def draw(out: Path) -> None:
    random = np.random.default_rng(SEED)
    for split, count in COUNTS.items():
        for number in range(count):
            image = board(random)
            if split.endswith("spot"):
                _save(out / split / "gt" / f"{number:03}.png", with_defect(image, number, random))
            _save(out / split / "rgb" / f"{number:03}.png", photographed(image, random))


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) / "board")
