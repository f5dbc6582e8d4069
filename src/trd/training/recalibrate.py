"""Thresholds anew, without training: for another rate, or from other good parts (another lamp, another batch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from trd.config import ScoringConfig
from trd.data.loading import load_sample
from trd.decision.calibration import Calibration
from trd.detector import Detector
from trd.errors import CheckpointError, DataError
from trd.packages.facts import digests_of_parts
from trd.preprocess.parts import PreparedParts
from trd.preprocess.threads import in_threads
from trd.progress import tracked
from trd.statistics.intervals import share_interval
from trd.training.digests import part_digests
from trd.training.fit import calibrated_on, raw_maps
from trd.types import Camera, PreparedSample, SampleFiles


@dataclass(frozen=True)
class Recall:
    """Of defective parts: how many are found at the threshold, and the 95 % interval of the share (Clopper-Pearson)."""

    detected: int
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        return share_interval(self.detected, self.count)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.detected} of {self.count} found ({self.detected / self.count:.0%}; "
            f"95 % interval {low:.0%} to {high:.0%})"
        )


def recalibrated(
    detector: Detector, good: Sequence[SampleFiles], rate: float | None, camera: Camera | None, console: Console
) -> Calibration:
    """z-scores and thresholds of further good parts; with rate None for the requested rate of before.

    Raises DataError for a part that cannot be used, or fewer than two.
    """
    if len(good) < 2:
        raise DataError(
            f"{len(good)} good part to calibrate on: a threshold from one part promises nothing; give 19 or more"
        )
    before, recipe = detector.calibration, detector.recipe
    parts = list(tracked(_prepared(detector, good, camera), "reading good parts", len(good), console))
    prepared = PreparedParts(len(parts), parts.__getitem__, limit=0)
    raw = raw_maps(detector.engine, prepared, console, "calibration")
    scoring = ScoringConfig.model_validate(
        recipe.scoring.model_dump()
        | {"false_alarm_rate": rate or before.image_threshold.requested_rate, "calibration": "split"}
    )
    return calibrated_on(prepared, raw, recipe, scoring, detector.engine.precision)


def recall(detector: Detector, defective: Sequence[SampleFiles], camera: Camera | None, console: Console) -> Recall:
    """How many of these defective parts the detector finds. Raises DataError for a part that cannot be used."""
    scored = tracked(
        detector.score(_prepared(detector, defective, camera)),
        "scoring defective parts",
        len(defective),
        console,
    )
    threshold = detector.calibration.image_threshold.value
    return Recall(sum(scored_part.score > threshold for scored_part in scored), len(defective))


def refuse_trained_on(place: Path, good: Sequence[SampleFiles]) -> None:
    """A part that the detector was trained on scores too low: its threshold would not hold for new ones.

    place: the detector's folder or package. Raises CheckpointError naming the first of them.
    """
    digests = digests_of_parts(place)
    used = [name for name, digest in part_digests(good).items() if digest in digests]
    if used:
        raise CheckpointError(
            f"{len(used)} of these good parts ({', '.join(used[:3])}{', ...' if len(used) > 3 else ''}) were used "
            f"to train or calibrate the detector in {place}: give parts that it has not seen"
        )


def _prepared(detector: Detector, files: Iterable[SampleFiles], camera: Camera | None) -> Iterable[PreparedSample]:
    def prepared(part: SampleFiles) -> PreparedSample:
        return detector.pipeline(load_sample(part, detector.recipe.point_cloud_sources, camera))

    return in_threads(prepared, files)
