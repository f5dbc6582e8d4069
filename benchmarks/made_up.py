"""How many lessons the judge takes that teach nothing: marks on good parts, drawn by chance.

    python benchmarks/made_up.py RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

Of the calibration parts and the good test parts 5 or 10 get an ellipse somewhere on the part and one of two kinds; the
others calibrate. Figures are in cells of four pixels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from labels import Trial, share
from pairs import pairs_parser

from trd.learning.judge import judged
from trd.learning.parts import LessonPart

NUMBERS, DRAWS = (5, 10), 7
RADII = (1.0, 6.0)  # of an ellipse, in cells
KINDS = ("a", "b")


def made_up(part: LessonPart, kind: str, random: np.random.Generator) -> LessonPart:
    """The part with an ellipse around one of its scored cells for a defect."""
    rows, columns = np.nonzero(part.scored)
    centre = int(random.integers(len(rows)))
    high, wide = random.uniform(*RADII, 2)
    row, column = np.ogrid[: part.scored.shape[0], : part.scored.shape[1]]
    ellipse = ((row - rows[centre]) / high) ** 2 + ((column - columns[centre]) / wide) ** 2 <= 1
    return replace(part, kind=kind, marked=ellipse & part.scored)


def taken(trial: Trial, number: int, draw: int) -> bool:
    random = np.random.default_rng([draw, number])
    pool = [*trial.calibration, *trial.good]
    order = [pool[index] for index in random.permutation(len(pool))]
    defects = [made_up(part, KINDS[place % len(KINDS)], random) for place, part in enumerate(order[:number])]
    return not judged(trial.lesson(defects, calibration=order[number:])).reasons


if __name__ == "__main__":
    every: list[bool] = []
    for folder, data in pairs_parser(__doc__).parse_args().classes:
        trial = Trial(Path(folder), Path(data))
        words = [taken(trial, number, draw) for number in NUMBERS for draw in range(DRAWS)]
        every += words
        print(f"{folder}: {share(sum(words), len(words))} taken", flush=True)
    print(f"all: {share(sum(every), len(every))} taken")
