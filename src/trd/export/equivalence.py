"""Does the package decide as the trained detector does, on the user's parts? Numbers, and when they are too large."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.detector import Detector, ScoredSample
from trd.errors import TRDError
from trd.evaluation.evaluate import FUSED, ClassResult
from trd.evaluation.pixel_profile import pixel_profile
from trd.statistics.resampling import UNKNOWN, Counts, Interval, interval, resampled, resampled_auroc
from trd.types import PrecisionName, PreparedSample

LARGEST_MAP = 2e-3  # of the fused map in float32, in its own units
LARGEST_SCORE = 1e-3
NEAR = 1e-3  # to the threshold: there a decision may flip by rounding
LOWER = 0.01  # by which I-AUROC or AUPRO@30 of one class may be lower
JUDGED = ("image_auroc", "aupro_30")


@dataclass(frozen=True)
class Split:
    """Of one split's parts. beyond: how many have a fused map that differs somewhere by more than LARGEST_MAP.
    largest, mean: difference of the fused maps. score: largest difference. flipped: ids of parts decided otherwise
    farther than NEAR from the threshold. alarms: with the package, and with the detector. good: how many parts are
    good; false_alarms: how many of those are alarms, in the same way."""

    parts: int
    beyond: int
    largest: float
    mean: float
    score: float
    flipped: tuple[str, ...]
    alarms: int
    alarms_before: int
    good: int
    false_alarms: int
    false_alarms_before: int


@dataclass(frozen=True)
class Equivalence:
    """metrics, before: name -> value on the test split, of the package and of the trained detector in float32; empty
    without a labelled one. change: of those that are judged, with its 95 % interval over resampled test parts. refused:
    why the package must not be used; empty where it may."""

    precision: PrecisionName
    runtime: str
    splits: dict[str, Split]
    metrics: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    change: dict[str, Interval] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "bounds": {"map": LARGEST_MAP, "score": LARGEST_SCORE, "lower": LOWER, "near": NEAR},
        }


def compared(before: Detector, package: Detector, parts: Iterable[PreparedSample], count: int) -> Split:
    """Both detectors on the same prepared good parts."""
    largest = score = total = 0.0
    flipped, alarms, alarms_before, beyond = list[str](), 0, 0, 0
    first, second = tee(parts)
    for old, new in zip(before.score(first), package.score(second), strict=True):
        differences = np.abs(old.fused - new.fused)
        largest, total = max(largest, float(differences.max())), total + float(differences.mean())
        beyond += bool(differences.max() > LARGEST_MAP)
        score = max(score, abs(old.score - new.score))
        old_alarm, new_alarm = _alarm(before, old), _alarm(package, new)
        alarms, alarms_before = alarms + new_alarm, alarms_before + old_alarm
        if old_alarm != new_alarm and abs(old.score - before.calibration.image_threshold.value) > NEAR:
            flipped.append(new.sample.id)
    mean, both = total / max(count, 1), (alarms, alarms_before)
    return Split(count, beyond, largest, mean, score, tuple(flipped), *both, count, *both)


def compared_results(before: Detector, package: Detector, old: ClassResult, new: ClassResult) -> Split:
    """The same of an evaluated test split."""
    differences = np.abs(np.asarray(old.maps[FUSED]) - np.asarray(new.maps[FUSED]))
    thresholds = before.calibration.image_threshold.value, package.calibration.image_threshold.value
    old_alarm, new_alarm = old.scores[FUSED] > thresholds[0], new.scores[FUSED] > thresholds[1]
    far = np.abs(old.scores[FUSED] - thresholds[0]) > NEAR
    flipped = tuple(old.ids[index] for index in np.flatnonzero((old_alarm != new_alarm) & far))
    score = float(np.abs(old.scores[FUSED] - new.scores[FUSED]).max())
    beyond = int((differences.max(axis=(1, 2)) > LARGEST_MAP).sum())
    largest, mean, good = float(differences.max()), float(differences.mean()), ~old.defective
    false = int((new_alarm & good).sum()), int((old_alarm & good).sum())
    alarms = int(new_alarm.sum()), int(old_alarm.sum())
    return Split(len(old.ids), beyond, largest, mean, score, flipped, *alarms, int(good.sum()), *false)


def numbers_of(result: ClassResult) -> dict[str, float]:
    """Of the fused map; a metric that needs both kinds of parts is left out where one is missing."""
    fused_metrics = result.metrics["maps"][FUSED]
    return {name: float(value) for name, value in fused_metrics.items() if value is not None and math.isfinite(value)}


def change_of(old: ClassResult, new: ClassResult) -> dict[str, Interval]:
    """New minus old of the judged metrics, both on the same resamples; without those that one of them lacks."""
    before, after, counts = numbers_of(old), numbers_of(new), resampled(old.defective)
    changes = {}
    for metric in JUDGED:
        if metric not in before or metric not in after:
            continue
        replicates, approximation = _resampled_change(metric, old, new, counts)
        value = after[metric] - before[metric]
        changes[metric] = interval(value, replicates - approximation + value)
    return changes


def _resampled_change(
    metric: str, old: ClassResult, new: ClassResult, counts: Counts
) -> tuple[NDArray[np.float64], float]:
    """Of each resample, and of the parts as they are, by the same approximation."""
    all_counts = np.concatenate([np.ones_like(counts[:1]), counts])
    if metric == "image_auroc":
        values = [resampled_auroc(result.scores[FUSED], result.defective, all_counts) for result in (new, old)]
    else:
        assert old.masks is not None  # without masks there is no such metric
        profiles = [pixel_profile(result.maps[FUSED], old.masks) for result in (new, old)]
        values = [profile.resampled(all_counts, (0.30,))[metric] for profile in profiles]
    change = values[0] - values[1]
    return change[1:], float(change[0])


def judged(report: Equivalence) -> Equivalence:
    """With the reasons against using the package, if any.

    A metric that is lower by more than LOWER counts, in less than float32 only where that is more than chance: where
    the interval of the change holds zero, other parts might have shown the reverse. In float32 nothing may move so far.
    """
    reasons = []
    for name, split in report.splits.items() if report.precision == "fp32" else ():
        if not split.largest <= LARGEST_MAP:
            reasons.append(
                f"{name}: the fused maps of {split.beyond} of {split.parts} parts differ by more than {LARGEST_MAP}, "
                f"up to {split.largest:.2g}"
            )
        if not split.score <= LARGEST_SCORE:
            reasons.append(f"{name}: the scores differ by up to {split.score:.2g} (allowed {LARGEST_SCORE})")
        if split.flipped:
            reasons.append(f"{name}: {len(split.flipped)} parts are decided otherwise ({', '.join(split.flipped[:3])})")
    for metric in (name for name in JUDGED if name in report.before):
        change = report.change.get(metric, UNKNOWN)
        chance = report.precision != "fp32" and change.holds_zero
        if not (change.value >= -LOWER or chance):
            reasons.append(
                f"{metric} of the test parts is {report.metrics.get(metric, math.nan):.3f}, where the detector has "
                f"{report.before[metric]:.3f}: {worded_change(change)} (allowed {LOWER} lower, or what may be chance)"
            )
    return replace(report, refused=tuple(reasons))


def worded_change(change: Interval) -> str:
    return f"a difference of {change.value:+.4f}, 95 % from {change.low:+.4f} to {change.high:+.4f}"


def refuse(report: Equivalence) -> None:
    """Raises TRDError where there is a reason."""
    if report.refused:
        raise TRDError(
            "the package does not decide as the detector does, nothing was written: "
            + "; ".join(report.refused)
            + ("" if report.precision == "fp32" else ". Export with --precision fp32")
        )


def _alarm(detector: Detector, scored: ScoredSample) -> bool:
    return scored.score > detector.calibration.image_threshold.value
