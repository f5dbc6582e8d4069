"""What wrong labels cost a lesson, and how many are named: 10 % of the defects are good parts, and one is called good.

    python benchmarks/labels.py RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

In each draw 20 defects of the test split are taught, of which two are good parts without a mark, and half of its good
parts are given as good, with a defect among them. "unseen" are taught defects that left no trace, "alike" good parts
that look like the taught defects, "above" those that the detector rejects. The parts that were not given are asked by
the detector without a lesson, with the right labels, with the wrong ones, and with the wrong ones but for those that
were named. In cells of four pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pairs import pairs_parser
from rich.console import Console

from trd.config import KNOWN_DEFECTS, KnownDefectsConfig
from trd.data.listing import camera_near, list_class
from trd.detector import Detector
from trd.evidence.known_defects.channels import Channels
from trd.export.parts import parts_of
from trd.learning.heads import Lesson
from trd.learning.judge import judged
from trd.learning.labels import likenesses
from trd.learning.learn import MOST_TRAINING, with_known_defects
from trd.learning.parts import LessonPart, lesson_parts, marked_sample, unmarked
from trd.statistics.intervals import share_interval

DRAWS, TAUGHT, WRONG = 6, 20, 2


class Trial:
    """All parts of a class, computed once."""

    def __init__(self, folder: Path, data: Path) -> None:
        detector, console = Detector.load(folder, "cpu"), Console()
        self.recipe, engine = with_known_defects(detector.recipe), detector.engine
        self.branches, self.scoring = detector.recipe.branches, detector.recipe.scoring
        channels, parts = Channels(self.recipe).eval(), parts_of(detector, folder, data)
        count = min(MOST_TRAINING, len(parts.training))
        chosen = parts.training.chosen(np.linspace(0, len(parts.training) - 1, count).round().astype(int).tolist())
        self.training = lesson_parts(engine, channels, unmarked(chosen), "training", count, console)
        good = parts.calibration
        self.calibration = lesson_parts(engine, channels, unmarked(good), "calibration", len(good), console)
        clouds = self.recipe.point_cloud_sources
        test = list_class(data, "", self.recipe.sources, clouds).test
        read = marked_sample(detector, camera_near(test, clouds, detector.facts.camera))
        every = lesson_parts(engine, channels, map(read, test), "test", len(test), console)
        self.good = [replace(part, marked=None) for part in every if part.kind == "good"]
        self.defects = [part for part in every if part.kind != "good"]

    def lesson(
        self,
        defects: Sequence[LessonPart],
        further: Sequence[LessonPart] = (),
        calibration: Sequence[LessonPart] | None = None,
    ) -> Lesson:
        """further: good parts that count as usual. calibration: in the place of the class's own."""
        good = self.calibration if calibration is None else calibration
        section = self.recipe.evidence[KNOWN_DEFECTS]
        assert isinstance(section, KnownDefectsConfig)
        usual, channels = [*self.training, *further], Channels(self.recipe).eval()
        return Lesson.of(channels, usual, good, defects, self.branches, self.scoring, section.shrinkage)

    def found(self, lesson: Lesson, taught: bool, parts: Sequence[LessonPart]) -> int:
        directions = lesson.directions(range(len(lesson.defects))) if taught else None
        calibration = lesson.before if directions is None else lesson.calibrated(directions)
        threshold = calibration.image_threshold.value
        return sum(lesson.score(part, calibration, directions) > threshold for part in parts)

    def draw(self, seed: int) -> Counter[str]:
        random = np.random.default_rng(seed)
        good = [self.good[index] for index in random.permutation(len(self.good))]
        defects = [self.defects[index] for index in random.permutation(len(self.defects))]
        half = len(good) // 2
        kinds = random.choice([part.kind for part in defects], WRONG)
        called_defects = [replace(part, kind=str(kind)) for part, kind in zip(good[half:], kinds, strict=False)]
        called_good = replace(defects[TAUGHT], kind="good", marked=None)
        right, asked_good, asked = defects[:TAUGHT], good[half + WRONG :], defects[TAUGHT + 1 :]
        wrong = [*defects[: TAUGHT - WRONG], *called_defects]
        lesson = self.lesson(wrong)
        judgement = judged(lesson)
        unseen = set(judgement.unseen)
        called = [*good[:half], called_good]
        alike = likenesses(lambda further: self.lesson(wrong, further), called)
        named = {name for name, likeness in alike.items() if likeness.doubtful}
        above = {part.id for part in called if self.found(lesson, False, [part])}
        flipped = {part.id for part in called_defects}
        cleaned = self.lesson([part for part in wrong if part.id not in unseen])
        taught = self.lesson(right)
        counts = Counter(
            {
                "defects wrong": WRONG,
                "unseen wrong": len(unseen & flipped),
                "defects right": TAUGHT - WRONG,
                "unseen right": len(unseen - flipped),
                "good wrong": 1,
                "alike wrong": len(named & {called_good.id}),
                "good right": half,
                "alike right": len(named - {called_good.id}),
                "above wrong": len(above & {called_good.id}),
                "above right": len(above - {called_good.id}),
                "either wrong": len((above | named) & {called_good.id}),
                "either right": len((above | named) - {called_good.id}),
                "asked": len(asked),
                "asked good": len(asked_good),
                "refused wrong": bool(judgement.reasons),
                "refused right": bool(judged(taught).reasons),
            }
        )
        for name, how, with_lesson in (
            ("none", lesson, False), ("right", taught, True), ("wrong", lesson, True), ("cleaned", cleaned, True)
        ):  # fmt: skip
            counts[f"found {name}"] = self.found(how, with_lesson, asked)
            counts[f"alarms {name}"] = self.found(how, with_lesson, asked_good)
        return counts


def share(hits: int, count: int) -> str:
    low, high = share_interval(hits, count)
    return f"{hits} of {count} ({low:.0%} to {high:.0%})"


def print_rows(name: str, counts: Counter[str]) -> None:
    print(f"\n### {name}: {DRAWS} draws\n")
    for group, word in (("defects", "unseen"), ("good", "alike"), ("good", "above"), ("good", "either")):
        for label in ("wrong", "right"):
            print(f"- {group}, labels {label}: {word} {share(counts[f'{word} {label}'], counts[f'{group} {label}'])}")
    for how in ("none", "right", "wrong", "cleaned"):
        found, alarms = (counts[f"{key} {how}"] for key in ("found", "alarms"))
        print(f"- {how}: found {share(found, counts['asked'])}, alarms {share(alarms, counts['asked good'])}")
    print(
        f"- refused: {counts['refused wrong']} with wrong labels, {counts['refused right']} with right ones", flush=True
    )


if __name__ == "__main__":
    for folder, data in pairs_parser(__doc__).parse_args().classes:
        trial, total = Trial(Path(folder), Path(data)), Counter[str]()
        for seed in range(DRAWS):
            total.update(trial.draw(seed))
        print_rows(folder, total)
