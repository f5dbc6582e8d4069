"""How many verdicts a station needs until wrongly decided parts are known, by the order in which it asks about them.

    python benchmarks/asking.py RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

All test parts wait, none was reviewed. Wrong are defects below the threshold and good parts above it. Figures are in
cells of four pixels: verdicts until half of the wrong ones are known, and until all are. By time is the mean of 1,000
random orders. With copies every part waits five times, and one verdict on any of them makes the part known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pairs import pairs_parser

from learning import lesson_of_run
from trd.decision.maps import decide
from trd.learning.heads import Lesson
from trd.learning.parts import LessonPart, raw_maps
from trd_station.asking import Candidate, asked_first

ORDERS, COPIES = 1000, 5


def verdicts(order: Sequence[int] | NDArray[np.int64], wrong: NDArray[np.bool_]) -> tuple[int, int]:
    """Until half of the wrong ones are known, and until all are. order: -1 for a verdict that brings nothing new."""
    indices = np.asarray(order)
    places = np.flatnonzero((indices >= 0) & wrong[indices]) + 1
    return int(places[-(-len(places) // 2) - 1]), int(places[-1])


def _first_of_each(order: Sequence[int], parts: int) -> list[int]:
    """The order with -1 in place of copies of parts that are known by then."""
    known, first = set[int](), []
    for index in order:
        first.append(-1 if index % parts in known else index)
        known.add(index % parts)
    return first


def candidates(lesson: Lesson, parts: Sequence[LessonPart]) -> tuple[list[Candidate], NDArray[np.float64]]:
    """Of each part what a station stores, and its score."""
    calibration = lesson.before
    spread = float(np.std(calibration.good_scores))
    waiting, scores = [], []
    for part in parts:
        raw = {name: values[0] for name, values in raw_maps([part], lesson.branches).items()}
        decision = decide(calibration, raw, part.scored)
        row, column = np.unravel_index(int(decision.fused.argmax()), decision.fused.shape)
        share = calibration.shares({name: float(values[row, column]) for name, values in decision.maps.items()})
        distance = abs(float(decision.score) - calibration.image_threshold.value) / spread
        longer = max(decision.fused.shape)
        waiting.append(Candidate(0, distance, share, (float(row) / longer, float(column) / longer)))
        scores.append(float(decision.score))
    return waiting, np.array(scores)


def print_row(name: str, lesson: Lesson, good: Sequence[LessonPart]) -> None:
    parts = [*good, *lesson.defects]
    waiting, scores = candidates(lesson, parts)
    above = scores > lesson.before.image_threshold.value
    wrong = above != (np.arange(len(parts)) >= len(good))
    if not wrong.any():
        print(f"| {name} | {len(parts)} | 0 | - |")
        return
    rng = np.random.default_rng(0)
    at_random = np.mean([verdicts(rng.permutation(len(parts)), wrong) for _ in range(ORDERS)], axis=0)
    ours = verdicts([index for index, _ in asked_first(waiting, [], len(waiting))], wrong)
    near = verdicts(np.argsort([part.distance for part in waiting], kind="stable"), wrong)
    highest = verdicts(np.argsort(-scores, kind="stable"), wrong)
    copied = waiting * COPIES
    with_copies = [
        verdicts(_first_of_each(order, len(waiting)), np.tile(wrong, COPIES))
        for order in (
            [index for index, _ in asked_first(copied, [], len(copied))],
            np.argsort([part.distance for part in copied], kind="stable").tolist(),
        )
    ]
    cells = [f"{half:.0f}, {every:.0f}" for half, every in (ours, near, highest, at_random, *with_copies)]
    print(f"| {name} | {len(parts)} | {int(wrong.sum())} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    classes = pairs_parser(__doc__).parse_args().classes
    columns = ["class", "parts", "wrong", "this order", "nearest the limit", "highest score", "time"]
    columns += [f"{COPIES} copies: this order", f"{COPIES} copies: nearest the limit"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for folder_of_run, data_of_run in classes:
        print_row(folder_of_run, *lesson_of_run(folder_of_run, data_of_run))
