"""Good parts that were wrongly rejected -> a detector whose evidence has them too, judged out of fold.

They enter what grows without a training: the memory bank and the patch statistics. They calibrate nothing: somebody
picked them because they scored high, and a threshold of such parts would be too high. So the calibration parts stay
who they were, and are scored anew by what has grown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trd.decision.calibration import Calibration
from trd.decision.maps import decide
from trd.detector import Detector
from trd.engines.base import Maps, Placement
from trd.errors import TRDError
from trd.evidence.base import FitJob
from trd.evidence.detection import detector_engine, grown_evidence
from trd.export.parts import ExportParts
from trd.learning.learner import growing_recipe
from trd.learning.scores import Scores, good_scores, scoring_at_rates
from trd.preprocess.parts import PreparedParts
from trd.preprocess.regions import limit_map
from trd.statistics.resampling import Interval, interval, resampled
from trd.training.fit import calibrated_on, raw_maps
from trd.types import State

FOLDS = 5


@dataclass(frozen=True)
class GoodFigures:
    """alarms: good parts above the threshold; with the lesson each is asked by one of the others. detected, auroc: of
    the defects that judge, 0 and None without any."""

    alarms: int
    detected: int
    auroc: float | None


@dataclass(frozen=True)
class GoodJudgement:
    """fall: mean over the good parts of how far their places fall, in deviations of the calibration parts' scores.
    auroc_change: of the defects against the calibration parts, both resampled; None without any. places: id of each
    good part -> its place without and with a lesson of the others. above: ids of those that are still above the
    threshold then. reasons: why it is refused, none where it is better."""

    good: int
    calibration: int
    defects: int
    before: GoodFigures
    after: GoodFigures
    fall: Interval
    auroc_change: Interval | None
    places: dict[str, tuple[float, float]]
    above: tuple[str, ...]
    reasons: tuple[str, ...]


class GoodPartsRefused(TRDError):
    """Further good parts make the detector no better; nothing was written. judgement: what was measured."""

    def __init__(self, judgement: GoodJudgement) -> None:
        super().__init__("the good parts are refused, nothing was written: " + "; ".join(judgement.reasons))
        self.judgement = judgement


@dataclass(frozen=True)
class Growth:
    """A detector, and the parts that it may take in. state: of the detector. defects: that must not be lost."""

    detector: Detector
    state: State
    parts: ExportParts
    good: PreparedParts
    defects: PreparedParts
    device: str
    console: Console

    def grown(self, indices: Sequence[int]) -> State:
        """With these of the good parts."""
        facts = self.detector.facts
        job = FitJob(
            recipe=facts.recipe,
            title=facts.class_name,
            training=self.parts.training,
            held_out=self.parts.calibration,
            folder=Path(),
            device=self.device,
            console=self.console,
        )
        return grown_evidence(job, self.state, self.good.chosen(indices))

    @cached_property
    def maps(self) -> dict[str, Maps]:
        """Of calibration parts, good parts and defects, by the detector as it is."""
        parts = {"calibration parts": self.parts.calibration, "good parts": self.good, "defects": self.defects}
        engine = self.detector.engine
        return {name: raw_maps(engine, some, self.console, name) if len(some) else {} for name, some in parts.items()}

    def maps_by(self, state: State, asked: str, indices: Sequence[int]) -> tuple[Maps, Maps]:
        """Of the calibration parts, and of those that are asked ("good parts" or "defects"), by a state that has
        grown."""
        placement = Placement(self.device, self.detector.calibration.precision or None)
        recipe, size = growing_recipe(self.detector.recipe), self.detector.facts.frame.size
        engine = detector_engine(recipe, state, size, placement)
        some = (self.good if asked == "good parts" else self.defects).chosen(indices)
        old = {name: values[list(indices)] for name, values in self.maps[asked].items()}
        calibration = raw_maps(engine, self.parts.calibration, self.console, "calibration parts")
        new = raw_maps(engine, some, self.console, asked) if len(some) else {}
        return {**self.maps["calibration parts"], **calibration}, {**old, **new}

    def calibrated(self, raw: Maps) -> Calibration:
        """On the calibration parts, at the rates that the detector has now."""
        recipe = self.detector.recipe
        scoring = scoring_at_rates(recipe, self.detector.calibration)
        return calibrated_on(self.parts.calibration, raw, recipe, scoring, self.detector.engine.precision)

    def scores(self, calibration: Calibration, raw: Maps, asked: PreparedParts) -> Scores:
        frame = self.detector.recipe.frame
        values = [
            float(decide(calibration, _of_part(raw, index), part.region, limits=limit_map(frame, part.named)).score)
            for index, part in enumerate(asked)
        ]
        good = good_scores(calibration, [part.id for part in self.parts.calibration])
        return Scores(good, np.array(values), calibration.image_threshold.value)


def _of_part(raw: Maps, index: int) -> Mapping[str, NDArray[np.float32]]:
    return {name: values[index] for name, values in raw.items()}


def judged_growth(growth: Growth) -> tuple[GoodJudgement, State, Calibration]:
    """Also the detector's state and calibration with all of the good parts.

    Of at least `trd.learning.record.FEWEST_GOOD`.
    """
    every = range(len(growth.good))
    before = growth.calibrated(growth.maps["calibration parts"])
    old = growth.scores(before, growth.maps["good parts"], growth.good)
    places = np.stack([old.places()[0], np.empty(len(every))], axis=1)
    above = np.zeros(len(every), bool)
    for fold in (list(every[number::FOLDS]) for number in range(FOLDS)):
        state = growth.grown([index for index in every if index not in fold])
        good, asked = growth.maps_by(state, "good parts", fold)
        scores = growth.scores(growth.calibrated(good), asked, growth.good.chosen(fold))
        places[fold, 1], above[fold] = scores.places()[0], scores.above
    state = growth.grown(every)
    good, asked = growth.maps_by(state, "defects", range(len(growth.defects)))
    calibration = growth.calibrated(good)
    kept = growth.scores(before, growth.maps["defects"], growth.defects)
    grown = growth.scores(calibration, asked, growth.defects)
    first, second = (
        GoodFigures(int(alarms.sum()), int(scores.above.sum()), float(scores.auroc()[0]) if len(scores.asked) else None)
        for alarms, scores in ((old.above, kept), (above, grown))
    )
    falls = places[:, 0] - places[:, 1]
    counts = resampled(np.zeros(len(falls), bool))
    fall = interval(float(falls.mean()), counts @ falls / len(falls))
    change = _auroc_change(kept, grown) if len(growth.defects) else None
    ids = [part.id for part in growth.good]
    judgement = GoodJudgement(
        good=len(ids),
        calibration=len(growth.parts.calibration),
        defects=len(growth.defects),
        before=first,
        after=second,
        fall=fall,
        auroc_change=change,
        places={name: (float(a), float(b)) for name, (a, b) in zip(ids, places, strict=True)},
        above=tuple(name for name, still in zip(ids, above, strict=True) if still),
        reasons=tuple(_reasons(first, second, fall, change)),
    )
    return judgement, state, calibration


def _auroc_change(before: Scores, after: Scores) -> Interval:
    good, defects = len(before.good), len(before.asked)
    counts = resampled(np.arange(good + defects) >= good)
    return interval(float((after.auroc() - before.auroc())[0]), after.auroc(counts) - before.auroc(counts))


def _reasons(before: GoodFigures, after: GoodFigures, fall: Interval, change: Interval | None) -> list[str]:
    reasons = []
    if not fall.low > 0:
        reasons.append(
            f"good parts like them do not score lower by it: their scores change by {-fall.value:.2f} deviations of "
            f"the calibration parts, 95 % interval {-fall.high:.2f} to {-fall.low:.2f}"
        )
    if after.alarms > before.alarms:
        reasons.append(f"more of them are above the threshold: {after.alarms} instead of {before.alarms}")
    if after.detected < before.detected:
        reasons.append(
            f"fewer of the defects are detected: {after.detected} instead of {before.detected} (defects of a batch "
            "that is rejected as a whole judge nothing: give others)"
        )
    if change is not None and change.high < 0:
        reasons.append(
            f"the defects stand out less against the calibration parts: image AUROC {change.value:+.3f}, 95 % interval "
            f"{change.low:+.3f} to {change.high:+.3f}"
        )
    return reasons
