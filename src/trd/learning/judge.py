"""Is the detector with a lesson better than without? Defects are asked out of fold, good parts are never learned from.

How far a part's score lies: 0 is the median good part, 1 the threshold, cut at `FARTHEST`, since a defect that is
detected far above the threshold is not detected any better. The gain is the mean over the labelled defects; its
interval is by resampling good parts and defects, the same ones with and without the lesson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trd.learning.heads import Lesson, good_scores
from trd.statistics.conformal import conformal_rank
from trd.statistics.resampling import Interval, interval, resampled, resampled_auroc

FOLDS = 5
FARTHEST = 2.0  # times the way from the median good part to the threshold
MOST_LOST = 0.005  # image AUROC of kinds that a lesson has not seen
FEWEST = 5  # defects: of fewer, an interval says nothing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Of the labelled defects, each asked by a lesson that has not seen it: image AUROC and number above threshold."""

    auroc: float
    detected: int


@dataclass(frozen=True)
class Judgement:
    """gain: mean over the defects (module's docstring). unlabelled: kind -> image AUROC of its parts with a lesson of
    the other kinds, less that without a lesson; empty for one kind. reasons: why it is refused, none where it is
    better. scores: id of each defect -> its place without and with a lesson that has not seen it, uncut."""

    defects: int
    good: int
    before: Figures
    after: Figures
    gain: Interval
    unlabelled: dict[str, float]
    reasons: tuple[str, ...]
    scores: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class _Scores:
    """good: (N,) of the calibration parts. defects: of those that were asked."""

    good: Floats
    defects: Floats


def judged(lesson: Lesson) -> Judgement:
    """Of at least `FEWEST` defects."""
    every = list(range(len(lesson.defects)))
    kinds = np.array([part.kind for part in lesson.defects])
    before = _asked(lesson, None, every)
    folds = dealt(kinds, min(FOLDS, len(every)))
    after = [_asked(lesson, sorted(set(every) - set(fold)), fold) for fold in folds]
    gain, places = _gain(before, after, folds, lesson.scoring.false_alarm_rate)
    unlabelled = {}
    for kind in lesson.kinds if len(lesson.kinds) > 1 else ():
        asked = np.flatnonzero(kinds == kind).tolist()
        others = _asked(lesson, np.flatnonzero(kinds != kind).tolist(), asked)
        unlabelled[kind] = _auroc(others) - _auroc(_Scores(before.good, before.defects[asked]))
    sizes = {kind: int((kinds == kind).sum()) for kind in lesson.kinds}
    aurocs = [_auroc(scores) * len(fold) for scores, fold in zip(after, folds, strict=True)]
    old = Figures(_auroc(before), int((places[:, 0] > 1).sum()))
    new = Figures(sum(aurocs) / len(every), int((places[:, 1] > 1).sum()))
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


def _asked(lesson: Lesson, learned: Sequence[int] | None, asked: Sequence[int]) -> _Scores:
    """Scores by a lesson of the defects `learned`, None for without a lesson."""
    directions = None if learned is None else lesson.directions(learned)
    calibration = lesson.before if directions is None else lesson.calibrated(directions)
    scores = [lesson.score(lesson.defects[index], calibration, directions) for index in asked]
    return _Scores(good_scores(calibration, lesson.good), np.array(scores))


def _gain(
    before: _Scores, after: Sequence[_Scores], folds: Sequence[Sequence[int]], rate: float
) -> tuple[Interval, Floats]:
    """The gain, and (D, 2) uncut places of the defects without and with."""
    good, defects = len(before.good), len(before.defects)
    once = np.ones((1, good), np.int32)
    counts = resampled(np.arange(good + defects) >= good)
    places, drawn = np.empty((defects, 2)), np.empty((len(counts), defects))
    for fold, scores in zip(folds, after, strict=True):
        old = _Scores(before.good, before.defects[list(fold)])
        places[fold, 0], places[fold, 1] = (_places(some, once, rate)[0] for some in (old, scores))
        with_, without = (_cut(_places(some, counts[:, :good], rate)) for some in (scores, old))
        drawn[:, fold] = with_ - without
    weights = counts[:, good:] / defects
    value = float((_cut(places[:, 1]) - _cut(places[:, 0])).mean())
    return interval(value, (weights * drawn).sum(axis=1)), places


def _places(scores: _Scores, counts: NDArray[np.int32], rate: float) -> Floats:
    """(R, D): where the defects lie for each of R draws of the good parts, (R, N)."""
    order = np.argsort(scores.good, kind="stable")
    reached = np.cumsum(counts[:, order], axis=1)
    number = reached.shape[1]
    middle, threshold = (
        scores.good[order][(reached >= rank).argmax(axis=1)] for rank in (-(-number // 2), conformal_rank(number, rate))
    )
    room = np.maximum(threshold - middle, 1e-9)
    return np.asarray((scores.defects[None] - middle[:, None]) / room[:, None])


def _cut(places: Floats) -> Floats:
    return np.minimum(places, FARTHEST)


def _auroc(scores: _Scores) -> float:
    every = np.concatenate([scores.good, scores.defects])
    defective = np.arange(len(every)) >= len(scores.good)
    return float(resampled_auroc(every, defective, np.ones((1, len(every)), np.int32))[0])


def _reasons(
    before: Figures, after: Figures, gain: Interval, unlabelled: dict[str, float], sizes: dict[str, int]
) -> list[str]:
    reasons = []
    if not gain.low > 0:
        reasons.append(
            f"the labelled defects do not stand out more by it: gain {gain.value:.2f}, 95 % interval {gain.low:.2f} to "
            f"{gain.high:.2f}, which holds 0"
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
