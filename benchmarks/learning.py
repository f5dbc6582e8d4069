"""What labelled defects bring a trained detector: 1, 3, 5, 10 and 20 of its test split, asked about the others.

    python benchmarks/learning.py [--unmarked] RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

Three draws of each number, one kind left out of each in turn: "seen" are the further parts of the kinds that defects
were drawn of, "held out" those of the kind left out. Figures are on cells of four pixels, with and without the lesson,
of the same parts; good ones are the test split's. "taken" is the judge's word on the drawn defects alone. --unmarked:
the defects are taught without their masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import pairs_parser
from rich.console import Console

from trd.data.defective import list_defective
from trd.data.listing import camera_near, list_class
from trd.decision.calibration import Calibration
from trd.decision.maps import decide
from trd.detector import Detector
from trd.evaluation.curves import image_curves, pixel_curves
from trd.evidence.known_defects.directions import Directions
from trd.export.parts import parts_of
from trd.learning.heads import Lesson
from trd.learning.judge import judged
from trd.learning.learn import LessonJob, lesson_of, with_known_defects
from trd.learning.parts import LessonPart, lesson_part, marked_sample
from trd.learning.record import FEWEST

NUMBERS, DRAWS = (1, 3, 5, 10, 20), 3


@dataclass(frozen=True)
class Figures:
    auroc: float
    aupro_1: float
    missed: float
    false_alarms: float


def figures(
    lesson: Lesson, directions: Directions | None, calibration: Calibration, good: Sequence[LessonPart],
    defects: Sequence[LessonPart],
) -> Figures:  # fmt: skip
    parts = [*good, *defects]
    maps, scores = [], []
    for part in parts:
        raw = {name: values[0] for name, values in lesson.maps([part], directions).items()}
        decision = decide(calibration, raw, part.scored)
        maps.append(decision.fused)
        scores.append(float(decision.score))
    defective, values = np.arange(len(parts)) >= len(good), np.array(scores, np.float32)
    masks = np.stack([np.zeros_like(p.scored) if p.marked is None else p.marked for p in parts])
    above = values > calibration.image_threshold.value
    return Figures(
        image_curves(values, defective).auroc(),
        pixel_curves(np.stack(maps), masks).aupro(0.01),
        float((~above[defective]).mean()),
        float(above[~defective].mean()),
    )


def drawn(kinds: NDArray[np.str_], number: int, without: str, seed: int) -> list[int]:
    """Indices of so many defects, of every kind but one as evenly as can be."""
    rng = np.random.default_rng([seed, number])
    names = [kind for kind in np.unique(kinds) if kind != without]
    pools = {kind: rng.permutation(np.flatnonzero(kinds == kind)) for kind in names}
    rounds = [list(rng.permutation(names)) for _ in range(len(kinds))]
    order = [int(pools[kind][place]) for place, turn in enumerate(rounds) for kind in turn if place < len(pools[kind])]
    return order[:number]


def trials(lesson: Lesson, good: Sequence[LessonPart]) -> Iterator[tuple[int, str, list[Figures], str]]:
    """lesson: of all defects. Yields number, "seen" or "held out", figures without and with, and the judge's word."""
    kinds = np.array([part.kind for part in lesson.defects])
    names = list(np.unique(kinds))
    for number in NUMBERS:
        for draw in range(DRAWS):
            without = names[draw % len(names)]
            taught = drawn(kinds, number, without, draw)
            if len(taught) < number:
                continue
            word = "not judged"
            if number >= FEWEST:
                word = "refused" if judged(only(lesson, taught)).reasons else "taken"
            directions = lesson.directions(taught)
            calibration = lesson.calibrated(directions)
            seen = [i for i in range(len(kinds)) if kinds[i] in set(kinds[taught]) and i not in taught]
            for group, asked in (("seen", seen), ("held out", np.flatnonzero(kinds == without).tolist())):
                parts = [lesson.defects[index] for index in asked]
                before = figures(lesson, None, lesson.before, good, parts)
                yield number, group, [before, figures(lesson, directions, calibration, good, parts)], word


def only(lesson: Lesson, indices: Sequence[int]) -> Lesson:
    names = ("defects", "means", "surroundings")
    return replace(lesson, **{name: [getattr(lesson, name)[index] for index in indices] for name in names})


def print_table(name: str, lesson: Lesson, good: Sequence[LessonPart]) -> None:
    print(f"\n### {name}: {len(lesson.good)} calibration parts, {len(good)} good and {len(lesson.defects)} defective\n")
    print(
        "| defects | kinds | I-AUROC | AUPRO@1 | missed | false alarms | taken |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    rows: dict[tuple[int, str], list[tuple[list[Figures], str]]] = {}
    for number, group, pair, word in trials(lesson, good):
        rows.setdefault((number, group), []).append((pair, word))
    for (number, group), results in rows.items():
        cells = []
        for key in ("auroc", "aupro_1", "missed", "false_alarms"):
            old, new = (np.mean([getattr(pair[which], key) for pair, _ in results]) for which in (0, 1))
            cells.append(f"{old:.3f} to {new:.3f}")
        taken = [word for _, word in results]
        word = f"{taken.count('taken')} of {len(taken)}" if "not judged" not in taken else "-"
        print(f"| {number} | {group} | {' | '.join(cells)} | {word} |", flush=True)


def lesson_of_run(folder: str, data: str, unmarked: bool = False) -> tuple[Lesson, list[LessonPart]]:
    """Of all defects of the test split, and its good parts. unmarked: what is taught has no masks."""
    detector = Detector.load(folder, "cpu")
    recipe = detector.recipe
    marked, taught = (
        list_defective(Path(data) / "test", recipe.sources, recipe.point_cloud_sources, masked=masked)
        for masked in (True, not unmarked)
    )
    job = LessonJob(Path(folder), taught, Path())
    lesson = lesson_of(
        job, detector, with_known_defects(recipe), parts_of(detector, Path(folder), Path(data)), Console()
    )
    test = list_class(Path(data), "", recipe.sources, recipe.point_cloud_sources).test
    good = [part for part in test if part.is_good]
    read = marked_sample(detector, camera_near(good, recipe.point_cloud_sources, detector.facts.camera))
    if unmarked:  # what was learned stays; the masks are for AUPRO
        lesson = replace(lesson, defects=[lesson_part(detector.engine, lesson.channels, read(part)) for part in marked])
    return lesson, [lesson_part(detector.engine, lesson.channels, read(part)) for part in good]


if __name__ == "__main__":
    parser = pairs_parser(__doc__)
    parser.add_argument("--unmarked", action="store_true", help="the defects have no masks")
    arguments = parser.parse_args()
    for folder_of_run, data_of_run in arguments.classes:
        print_table(folder_of_run, *lesson_of_run(folder_of_run, data_of_run, arguments.unmarked))
