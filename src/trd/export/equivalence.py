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
        apart = np.abs(old.fused - new.fused)
        largest, total = max(largest, float(apart.max())), total + float(apart.mean())
        beyond += bool(apart.max() > LARGEST_MAP)
        score = max(score, abs(old.score - new.score))
        was, now = _alarm(before, old), _alarm(package, new)
        alarms, alarms_before = alarms + now, alarms_before + was
        if was != now and abs(old.score - before.calibration.image_threshold.value) > NEAR:
            flipped.append(new.sample.id)
    mean, both = total / max(count, 1), (alarms, alarms_before)
    return Split(count, beyond, largest, mean, score, tuple(flipped), *both, count, *both)


def compared_results(before: Detector, package: Detector, old: ClassResult, new: ClassResult) -> Split:
    """The same of an evaluated test split."""
    apart = np.abs(np.asarray(old.maps[FUSED]) - np.asarray(new.maps[FUSED]))
    thresholds = before.calibration.image_threshold.value, package.calibration.image_threshold.value
    was, now = old.scores[FUSED] > thresholds[0], new.scores[FUSED] > thresholds[1]
    far = np.abs(old.scores[FUSED] - thresholds[0]) > NEAR
    flipped = tuple(old.ids[index] for index in np.flatnonzero((was != now) & far))
    score = float(np.abs(old.scores[FUSED] - new.scores[FUSED]).max())
    beyond = int((apart.max(axis=(1, 2)) > LARGEST_MAP).sum())
    largest, mean, good = float(apart.max()), float(apart.mean()), ~old.defective
    false = int((now & good).sum()), int((was & good).sum())
    alarms = int(now.sum()), int(was.sum())
    return Split(len(old.ids), beyond, largest, mean, score, flipped, *alarms, int(good.sum()), *false)


def numbers_of(result: ClassResult) -> dict[str, float]:
    """Of the fused map; a metric that needs both kinds of parts is left out where one is missing."""
    of_map = result.metrics["maps"][FUSED]
    return {name: float(value) for name, value in of_map.items() if value is not None and math.isfinite(value)}


def change_of(old: ClassResult, new: ClassResult) -> dict[str, Interval]:
    """New minus old of the judged metrics, both on the same resamples; without those that one of them lacks."""
    before, after, counts = numbers_of(old), numbers_of(new), resampled(old.defective)
    found = {}
    for metric in JUDGED:
        if metric not in before or metric not in after:
            continue
        replicates, about = _resampled_change(metric, old, new, counts)
        value = after[metric] - before[metric]
        found[metric] = interval(value, replicates - about + value)
    return found


def _resampled_change(
    metric: str, old: ClassResult, new: ClassResult, counts: Counts
) -> tuple[NDArray[np.float64], float]:
    """Of each resample, and of the parts as they are, by the same approximation."""
    every = np.concatenate([np.ones_like(counts[:1]), counts])
    if metric == "image_auroc":
        values = [resampled_auroc(one.scores[FUSED], one.defective, every) for one in (new, old)]
    else:
        assert old.masks is not None  # without masks there is no such metric
        profiles = [pixel_profile(one.maps[FUSED], old.masks) for one in (new, old)]
        values = [profile.resampled(every, (0.30,))[metric] for profile in profiles]
    change = values[0] - values[1]
    return change[1:], float(change[0])


def judged(found: Equivalence) -> Equivalence:
    """With the reasons against using the package, if any.

    A metric that is lower by more than LOWER counts, in less than float32 only where that is more than chance: where
    the interval of the change holds zero, other parts might have shown the reverse. In float32 nothing may move so far.
    """
    reasons = []
    for name, split in found.splits.items() if found.precision == "fp32" else ():
        if not split.largest <= LARGEST_MAP:
            reasons.append(
                f"{name}: the fused maps of {split.beyond} of {split.parts} parts differ by more than {LARGEST_MAP}, "
                f"up to {split.largest:.2g}"
            )
        if not split.score <= LARGEST_SCORE:
            reasons.append(f"{name}: the scores differ by up to {split.score:.2g} (allowed {LARGEST_SCORE})")
        if split.flipped:
            reasons.append(f"{name}: {len(split.flipped)} parts are decided otherwise ({', '.join(split.flipped[:3])})")
    for metric in (name for name in JUDGED if name in found.before):
        change = found.change.get(metric, UNKNOWN)
        chance = found.precision != "fp32" and change.holds_zero
        if not (change.value >= -LOWER or chance):
            reasons.append(
                f"{metric} of the test parts is {found.metrics.get(metric, math.nan):.3f}, where the detector has "
                f"{found.before[metric]:.3f}: {said(change)} (allowed {LOWER} lower, or what may be chance)"
            )
    return replace(found, refused=tuple(reasons))


def said(change: Interval) -> str:
    return f"a difference of {change.value:+.4f}, 95 % from {change.low:+.4f} to {change.high:+.4f}"


def refuse(found: Equivalence) -> None:
    """Raises TRDError where there is a reason."""
    if found.refused:
        raise TRDError(
            "the package does not decide as the detector does, nothing was written: "
            + "; ".join(found.refused)
            + ("" if found.precision == "fp32" else ". Export with --precision fp32")
        )


def _alarm(detector: Detector, scored: ScoredSample) -> bool:
    return scored.score > detector.calibration.image_threshold.value
