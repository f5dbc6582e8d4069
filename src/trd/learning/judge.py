"""Is the detector with a lesson better than without? Defects are asked out of fold, good parts are never learned from.

A defect's place is its score in deviations of good parts from their mean. The gain is the mean over the labelled
defects of how far their places rise; its interval is by resampling good parts and defects, the same ones with and
without the lesson. Defects that were detected before count by their whole rise: they show that a lesson knows its
kinds, and those that were missed are too few to show anything. Distances from the threshold would not do: it is nearly
the greatest of few scores and moves with any further branch. With it held fixed, real good parts with made-up marks
counted as a gain in four draws of four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trd.learning.heads import Lesson
from trd.learning.scores import Floats, Scores, good_scores
from trd.statistics.resampling import Interval, interval, resampled

FOLDS = 5
MOST_LOST = 0.005  # image AUROC of kinds that a lesson has not seen
UNSEEN = 1.0  # deviation; chosen on real glands, measured on gears and cookies too (docs/results.md)


@dataclass(frozen=True)
class Figures:
    """Of the labelled defects, each asked by a lesson that has not seen it: image AUROC and number above threshold."""

    auroc: float
    detected: int


@dataclass(frozen=True)
class Judgement:
    """gain: mean over the defects (module's docstring). unlabelled: kind -> image AUROC of its parts with a lesson of
    the other kinds, less that without a lesson; empty for one kind. reasons: why it is refused, none where it is
    better. scores: id of each defect -> its place without and with a lesson that has not seen it."""

    defects: int
    good: int
    before: Figures
    after: Figures
    gain: Interval
    unlabelled: dict[str, float]
    reasons: tuple[str, ...]
    scores: dict[str, tuple[float, float]]

    @property
    def unseen(self) -> tuple[str, ...]:
        """Ids of defects less than `UNSEEN` from the mean good part, without and with a lesson: too faint, or wrongly
        labelled."""
        return tuple(name for name, places in self.scores.items() if max(places) < UNSEEN)


def judged(lesson: Lesson) -> Judgement:
    """Of at least `trd.learning.record.FEWEST` defects."""
    every = list(range(len(lesson.defects)))
    kinds = np.array([part.kind for part in lesson.defects])
    before = _asked(lesson, None, every)
    folds = dealt(kinds, min(FOLDS, len(every)))
    after = [_asked(lesson, sorted(set(every) - set(fold)), fold) for fold in folds]
    gain, places = _gain(before, after, folds)
    unlabelled = {}
    for kind in lesson.kinds if len(lesson.kinds) > 1 else ():
        asked = np.flatnonzero(kinds == kind).tolist()
        others = _asked(lesson, np.flatnonzero(kinds != kind).tolist(), asked)
        unlabelled[kind] = _auroc(others) - _auroc(before.of(asked))
    sizes = {kind: int((kinds == kind).sum()) for kind in lesson.kinds}
    aurocs = [_auroc(scores) * len(fold) for scores, fold in zip(after, folds, strict=True)]
    old = Figures(_auroc(before), _detected(before))
    new = Figures(sum(aurocs) / len(every), sum(_detected(scores) for scores in after))
    return Judgement(
        defects=len(every),
        good=len(lesson.good),
        before=old,
        after=new,
        gain=gain,
        unlabelled=unlabelled,
        reasons=tuple(_reasons(old, new, gain, unlabelled, sizes)),
        scores={part.id: (float(a), float(b)) for part, (a, b) in zip(lesson.defects, places, strict=True)},
    )


def dealt(kinds: NDArray[np.str_], folds: int) -> list[list[int]]:
    """Indices of each fold's defects, kinds spread as evenly as they can be."""
    order = np.argsort(kinds, kind="stable")
    return [sorted(order[fold::folds].tolist()) for fold in range(folds)]


def _asked(lesson: Lesson, learned: Sequence[int] | None, asked: Sequence[int]) -> Scores:
    """Scores by a lesson of the defects `learned`, None for without a lesson."""
    directions = None if learned is None else lesson.directions(learned)
    calibration = lesson.before if directions is None else lesson.calibrated(directions)
    scores = [lesson.score(lesson.defects[index], calibration, directions) for index in asked]
    good = good_scores(calibration, [part.id for part in lesson.good])
    return Scores(good, np.array(scores), calibration.image_threshold.value)


def _gain(before: Scores, after: Sequence[Scores], folds: Sequence[Sequence[int]]) -> tuple[Interval, Floats]:
    """The gain, and (D, 2) places of the defects without and with."""
    good, defects = len(before.good), len(before.asked)
    counts = resampled(np.arange(good + defects) >= good)
    places, rises = np.empty((defects, 2)), np.empty((len(counts), defects))
    for fold, scores in zip(folds, after, strict=True):
        old = before.of(fold)
        places[fold, 0], places[fold, 1] = old.places()[0], scores.places()[0]
        drawn = counts[:, :good]
        rises[:, fold] = scores.places(drawn) - old.places(drawn)
    value = float((places[:, 1] - places[:, 0]).mean())
    return interval(value, (counts[:, good:] * rises).sum(axis=1) / defects), places


def _auroc(scores: Scores) -> float:
    return float(scores.auroc()[0])


def _detected(scores: Scores) -> int:
    return int(scores.above.sum())


def _reasons(
    before: Figures, after: Figures, gain: Interval, unlabelled: dict[str, float], sizes: dict[str, int]
) -> list[str]:
    reasons = []
    if not gain.low > 0:
        reasons.append(
            f"the labelled defects do not stand out more by it: gain {gain.value:.2f} deviations of good parts, 95 % "
            f"interval {gain.low:.2f} to {gain.high:.2f}"
        )
    if after.detected < before.detected:
        reasons.append(f"fewer defects are detected: {after.detected} instead of {before.detected}")
    if unlabelled:
        total = sum(sizes.values())
        change = sum(unlabelled[kind] * sizes[kind] for kind in unlabelled) / total
        if change < -MOST_LOST:
            worst = min(unlabelled, key=lambda kind: unlabelled[kind])
            reasons.append(
                f"kinds that it has not seen lose {-change:.3f} image AUROC where {MOST_LOST} are allowed, '{worst}' "
                "most"
            )
    return reasons
