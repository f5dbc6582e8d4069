"""Which parts among the good ones look like the labelled defects?

Each good part is asked by a lesson that counts the other good parts as usual, so that what a new batch has in common is
no defect. It is doubtful where it answers to the lesson as strongly as defects do, which are asked out of fold too: no
less than every calibration part, and no less than the lower quartile of the defects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trd.errors import TRDError
from trd.evidence.known_defects.directions import Directions
from trd.learning.heads import Lesson
from trd.learning.parts import LessonPart

FOLDS = 5
QUARTILE = 0.25  # chosen on real glands; measured on gears and cookies too (docs/results.md)

LessonOn = Callable[[Sequence[LessonPart]], Lesson]
"""Further good parts, which count as usual -> a lesson of the labelled defects."""


@dataclass(frozen=True)
class Likeness:
    """Of a good part. response: its strongest to the lesson. limit: from which on it is doubtful."""

    response: float
    limit: float

    @property
    def doubtful(self) -> bool:
        return self.response >= self.limit


class DoubtfulLabels(TRDError):
    """Good parts that look like labelled defects. names: theirs."""

    def __init__(self, names: Sequence[str], count: int) -> None:
        super().__init__(
            f"{len(names)} of {count} good parts look like the labelled defects: {', '.join(names)}; a defect among "
            "the good parts hides its like. Look at them: take the defects out, or say that all are good (--sure). "
            "Nothing was written"
        )
        self.names = tuple(names)


def asked_about(lesson_on: LessonOn, good: Sequence[LessonPart], sure: bool) -> dict[str, Likeness]:
    """`likenesses`. sure: somebody has looked at them. Raises DoubtfulLabels otherwise, where some are doubtful."""
    alike = likenesses(lesson_on, good)
    names = [name for name, likeness in alike.items() if likeness.doubtful]
    if names and not sure:
        raise DoubtfulLabels(names, len(alike))
    return alike


def likenesses(lesson_on: LessonOn, good: Sequence[LessonPart]) -> dict[str, Likeness]:
    """Id of each good part -> how much it looks like the labelled defects. Takes seconds for each fold."""
    by_name = dict[str, Likeness]()
    for number in range(min(FOLDS, len(good))):
        fold = good[number::FOLDS]
        ids = {part.id for part in fold}
        lesson = lesson_on([part for part in good if part.id not in ids])
        every = range(len(lesson.defects))
        directions = lesson.directions(every)
        usual = _responses(lesson, directions, lesson.good).max()
        defects = np.concatenate([_held_out(lesson, every[start::FOLDS]) for start in range(min(FOLDS, len(every)))])
        limit = max(float(usual), float(np.quantile(defects, QUARTILE)))
        for part, response in zip(fold, _responses(lesson, directions, fold), strict=True):
            by_name[part.id] = Likeness(float(response), limit)
    return {part.id: by_name[part.id] for part in good}


def _held_out(lesson: Lesson, fold: Sequence[int]) -> NDArray[np.float64]:
    """Responses of these defects to a lesson of the others."""
    others = [index for index in range(len(lesson.defects)) if index not in fold]
    return _responses(lesson, lesson.directions(others), [lesson.defects[index] for index in fold])


def _responses(lesson: Lesson, directions: Directions, parts: Sequence[LessonPart]) -> NDArray[np.float64]:
    """(N,) strongest response of each part's scored cells."""
    maps = lesson.maps(parts, directions)["learned"]
    return np.array([values[part.scored].max() for values, part in zip(maps, parts, strict=True)], np.float64)
