"""What was measured -> a row per recipe: values with their 95 % intervals, and paired differences to the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trd.evaluation.evaluate import FUSED
from trd.evaluation.tables import number
from trd.statistics.intervals import independent_count, share_interval
from trd.statistics.resampling import (
    REPEATS,
    UNKNOWN,
    Interval,
    auroc_interval,
    independent_pairs,
    interval,
    resampled,
    resampled_auroc,
)
from trd.types import GOOD
from trd_bench.compare.measure import Measured
from trd_bench.compare.testing import TestSet

LIMITS = (0.30, 0.01)
PIXEL_METRICS = ("pixel_auroc", "aupro_30", "aupro_1")
MEAN = "mean"
BEST, SAME, WORSE = "best", "no difference seen", "worse"
SHOWN, LEAST_SPREAD = 8, 0.1  # parts on which recipes disagree

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """hits of count parts, averaged over seeds, and the interval of the share behind them. independent: how many
    independent parts they are worth; None for all."""

    hits: float
    count: int
    independent: int | None = None

    @property
    def share(self) -> Interval:
        if not self.count:
            return UNKNOWN
        value, independent = self.hits / self.count, self.count if self.independent is None else self.independent
        low, high = share_interval(round(value * independent), independent)
        return Interval(value, min(low, value), max(high, value))


@dataclass(frozen=True)
class Cost:
    """training: seconds, with the shortest and longest. predicting: milliseconds per part, the median with the 10 %
    and 90 % quantiles; None where it was not measured. megabytes: of one detector on disk. device: where it predicts,
    and in what precision."""

    training: Interval
    megabytes: float
    predicting: Interval | None = None
    device: str = ""


@dataclass(frozen=True)
class Row:
    """One recipe on one class, or on average. seeds: trainings that were averaged. difference: to the best recipe's
    image AUROC, None for the best itself. false: None where the good parts set the threshold themselves."""

    class_name: str
    recipe: str
    seeds: tuple[int, ...]
    image_auroc: Interval
    difference: Interval | None
    pixels: Mapping[str, Interval]
    found: Share
    false: Share | None
    cost: Cost

    @property
    def verdict(self) -> str:
        if self.difference is None:
            return BEST
        return SAME if self.difference.holds_zero else WORSE


@dataclass(frozen=True)
class Disagreement:
    """One test part. placement: recipe -> share of the parts of the other kind (good or defective) that it is on the
    right side of; spread: the largest difference between recipes."""

    id: str
    defect: str
    spread: float
    placement: Mapping[str, float]


@dataclass(frozen=True)
class ClassTable:
    """kinds: defect kind -> recipe -> image AUROC of its parts against all good ones. counts: parts per kind.
    rates: of false alarms, that the thresholds promise. roc: recipe -> shares of false alarms and of defects found."""

    name: str
    rows: tuple[Row, ...]
    kinds: Mapping[str, Mapping[str, Interval]]
    counts: Mapping[str, int]
    rates: tuple[float, ...]
    roc: Mapping[str, tuple[Floats, Floats]]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class ClassMeasurements:
    """The detectors of one class, several per recipe where there are several seeds, all measured on the same parts."""

    test: TestSet
    measured: Mapping[str, Sequence[Measured]]
    number: int  # of the class, so that classes are resampled independently
    repeats: int = REPEATS
    costs: dict[str, Cost] = field(default_factory=dict)

    @property
    def _first(self) -> Measured:
        return next(iter(self.measured.values()))[0]

    @cached_property
    def defective(self) -> NDArray[np.bool_]:
        return np.array([defect != GOOD for defect in self._first.defects])

    @cached_property
    def groups(self) -> NDArray[np.intp] | None:
        base = self.test.base
        return None if base is None else np.array([base[part_id] for part_id in self._first.ids], np.intp)

    @cached_property
    def counts(self) -> NDArray[np.int32]:
        return resampled(self.defective, self.repeats, self.number, self.groups)

    @property
    def pairs(self) -> int:
        return independent_pairs(self.defective, self.groups)

    @cached_property
    def image_auroc(self) -> dict[str, tuple[float, Floats]]:
        """recipe -> its mean over seeds, and that of every resample."""
        return {recipe: self._auroc(trainings) for recipe, trainings in self.measured.items()}

    def _auroc(self, trainings: Sequence[Measured], chosen: NDArray[np.bool_] | None = None) -> tuple[float, Floats]:
        part_mask = np.ones(len(self.defective), bool) if chosen is None else chosen
        flags, counts = self.defective[part_mask], self.counts[:, part_mask]
        once = np.ones((1, len(flags)), np.int32)
        values = [float(resampled_auroc(training.scores[part_mask], flags, once)[0]) for training in trainings]
        replicates = [resampled_auroc(training.scores[part_mask], flags, counts) for training in trainings]
        return float(np.mean(values)), np.mean(replicates, axis=0)

    @cached_property
    def pixels(self) -> dict[str, dict[str, tuple[float, Floats]]]:
        """recipe -> pixel metric -> its mean over seeds, and that of every resample."""
        result = {}
        for recipe, trainings in self.measured.items():
            values = {
                key: float(np.mean([number(training.metrics["maps"][FUSED].get(key)) for training in trainings]))
                for key in PIXEL_METRICS
            }
            result[recipe] = {
                key: (value, self._pixel_replicates(trainings, key, value)) for key, value in values.items()
            }
        return result

    def _pixel_replicates(self, trainings: Sequence[Measured], key: str, value: float) -> Floats:
        """Around the exact value: the profile's approximation is good for differences."""
        if any(training.profile is None for training in trainings):
            return np.full(self.repeats, np.nan)
        once = np.ones((1, len(self.defective)), np.int32)
        profiles = [training.profile for training in trainings if training.profile is not None]
        replicates = np.mean([p.resampled(self.counts, LIMITS)[key] for p in profiles], axis=0)
        approximation = np.mean([p.resampled(once, LIMITS)[key][0] for p in profiles])
        return np.asarray(np.clip(replicates + (value - approximation), 0, 1))

    def detected(self, recipe: str) -> Share:
        return self._alarms(recipe, self.defective)

    def false(self, recipe: str) -> Share | None:
        return self._alarms(recipe, ~self.defective) if self.test.unseen else None

    def _alarms(self, recipe: str, part_mask: NDArray[np.bool_]) -> Share:
        """Several defects drawn into one part are found, or not, together: that part is what is independent."""
        hits = np.mean([training.scores[part_mask] > training.threshold for training in self.measured[recipe]], axis=0)
        if self.groups is None or not len(hits):
            return Share(float(hits.sum()), len(hits))
        _, part = np.unique(self.groups[part_mask], return_inverse=True)
        count = np.bincount(part).astype(np.float64)
        part_hits = np.bincount(part, hits).astype(np.float64)
        return Share(float(hits.sum()), len(hits), independent_count(part_hits, count))

    def table(self) -> ClassTable:
        best = best_of({recipe: value for recipe, (value, _) in self.image_auroc.items()})
        rows = tuple(
            Row(
                class_name=self.test.place.name,
                recipe=recipe,
                seeds=tuple(training.seed for training in trainings),
                image_auroc=auroc_interval(*self.image_auroc[recipe], self.pairs),
                difference=_difference(self.image_auroc, recipe, best),
                pixels={key: interval(*pair) for key, pair in self.pixels[recipe].items()},
                found=self.detected(recipe),
                false=self.false(recipe),
                cost=self.costs.get(recipe) or training_cost(trainings),
            )
            for recipe, trainings in self.measured.items()
        )
        defects = np.array(self._first.defects)
        kinds: dict[str, dict[str, Interval]] = {}
        for kind in sorted(set(self._first.defects) - {GOOD}):
            chosen = (defects == kind) | (defects == GOOD)
            # of drawn defects, two parts are needed for a pair: one as it is, one with the defect
            drawn = max(1, int((defects == kind).sum()) // 2)
            pairs = independent_pairs(self.defective[chosen]) if self.groups is None else drawn
            kinds[kind] = {
                recipe: auroc_interval(*self._auroc(trainings, chosen), pairs)
                for recipe, trainings in self.measured.items()
            }
        counted = {kind: int((defects == kind).sum()) for kind in (GOOD, *kinds)}
        roc = {recipe: self._roc(trainings) for recipe, trainings in self.measured.items()}
        rates = tuple(training.rate for trainings in self.measured.values() for training in trainings)
        return ClassTable(self.test.place.name, rows, kinds, counted, rates, roc, self.disagreements())

    def _roc(self, trainings: Sequence[Measured]) -> tuple[Floats, Floats]:
        """Share of false alarms, and of defective parts found at the strictest threshold with no more; over seeds."""
        good = int((~self.defective).sum())
        recalls = []
        for training in trainings:
            thresholds = np.append(np.sort(training.scores[~self.defective])[::-1], -np.inf)
            recalls.append((training.scores[self.defective][:, None] > thresholds).mean(axis=0))
        return np.arange(good + 1) / good, np.mean(recalls, axis=0)

    def disagreements(self) -> tuple[Disagreement, ...]:
        """The parts that recipes rank most differently, largest spread first."""
        if len(self.measured) < 2:
            return ()
        placed = {
            recipe: np.mean([placements(training.scores, self.defective) for training in trainings], axis=0)
            for recipe, trainings in self.measured.items()
        }
        stacked = np.stack(list(placed.values()))
        spread = stacked.max(axis=0) - stacked.min(axis=0)
        order = [int(index) for index in np.argsort(-spread, kind="stable")[:SHOWN] if spread[index] >= LEAST_SPREAD]
        first = self._first
        return tuple(
            Disagreement(
                first.ids[index],
                first.defects[index],
                float(spread[index]),
                {recipe: float(values[index]) for recipe, values in placed.items()},
            )
            for index in order
        )


def placements(scores: NDArray[np.float32], defective: NDArray[np.bool_]) -> Floats:
    """(N,) share of the parts of the other kind that each part is on the right side of, ties half: of a defective part
    the good ones below it, of a good part the defective ones above it."""
    result = np.empty(len(scores))
    for sign, same_kind in ((1, defective), (-1, ~defective)):
        own_scores, other_scores = sign * scores[same_kind][:, None], sign * scores[~same_kind][None]
        result[same_kind] = ((own_scores > other_scores) + 0.5 * (own_scores == other_scores)).mean(axis=1)
    return result


def training_cost(trainings: Sequence[Measured]) -> Cost:
    """Over classes and seeds: the mean, the shortest and the longest."""
    seconds = [
        training.seconds.get("training", 0.0) + training.seconds.get("calibration", 0.0) for training in trainings
    ]
    megabytes = float(np.mean([training.size for training in trainings])) / 1e6
    return Cost(Interval(float(np.mean(seconds)), min(seconds), max(seconds)), megabytes)


def mean_rows(classes: Sequence[ClassMeasurements]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Rows over several classes, each weighing the same, and the classes: those that every recipe has results of."""
    recipes = dict.fromkeys(recipe for cls in classes for recipe in cls.measured)
    common = [cls for cls in classes if all(recipe in cls.measured for recipe in recipes)]
    if not common:
        return (), ()
    aurocs = {recipe: _mean([cls.image_auroc[recipe] for cls in common]) for recipe in recipes}
    best = best_of({recipe: value for recipe, (value, _) in aurocs.items()})
    rows = []
    for recipe in recipes:
        trainings = [training for cls in common for training in cls.measured[recipe]]
        false = [cls.false(recipe) for cls in common]
        pairs = len(common) * min(cls.pairs for cls in common)
        costs = [cls.costs[recipe] for cls in common if recipe in cls.costs]
        timed = [cost.predicting for cost in costs if cost.predicting is not None]
        cost = training_cost(trainings)
        if timed:
            cost = Cost(cost.training, cost.megabytes, _middle(timed), costs[0].device)
        rows.append(
            Row(
                class_name=MEAN,
                recipe=recipe,
                seeds=tuple(dict.fromkeys(training.seed for training in trainings)),
                image_auroc=auroc_interval(*aurocs[recipe], pairs),
                difference=_difference(aurocs, recipe, best),
                pixels={key: interval(*_mean([cls.pixels[recipe][key] for cls in common])) for key in PIXEL_METRICS},
                found=_added([cls.detected(recipe) for cls in common]),
                false=None if None in false else _added([share for share in false if share is not None]),
                cost=cost,
            )
        )
    return tuple(rows), tuple(cls.test.place.name for cls in common)


def best_of(values: Mapping[str, float]) -> str:
    """The recipe with the largest value, the first of several; nan loses."""
    return max(values, key=lambda recipe: -1.0 if np.isnan(values[recipe]) else values[recipe])


def _difference(aurocs: Mapping[str, tuple[float, Floats]], recipe: str, best: str) -> Interval | None:
    if recipe == best:
        return None
    (value, replicates), (best_value, best_replicates) = aurocs[recipe], aurocs[best]
    return interval(value - best_value, replicates - best_replicates)


def _mean(pairs: Sequence[tuple[float, Floats]]) -> tuple[float, Floats]:
    return float(np.mean([value for value, _ in pairs])), np.mean([replicates for _, replicates in pairs], axis=0)


def _added(shares: Sequence[Share]) -> Share:
    worth = [share.count if share.independent is None else share.independent for share in shares]
    return Share(sum(share.hits for share in shares), sum(share.count for share in shares), sum(worth))


def _middle(intervals: Sequence[Interval]) -> Interval:
    """Each number's mean."""
    value, low, high = (float(np.mean([getattr(span, key) for span in intervals])) for key in ("value", "low", "high"))
    return Interval(value, low, high)
