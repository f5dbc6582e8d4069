"""From maps to decisions: z-scores and fusion as published, and thresholds with a stated guarantee (ours).

All numbers come from good parts that the method was not trained on: a validation split, held-out training parts, or
every good part as scored by a detector that was trained without it ("cross").
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from trd.types import PrecisionName

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]
Fusion = Literal["sum", "norm"]


@dataclass(frozen=True)
class MapStatistics:
    """Mean and population standard deviation over all scored pixels of the good parts' maps, and their minimum."""

    mean: Finite
    std: Positive
    minimum: Finite

    @property
    def floor(self) -> float:
        """z-score of the least anomalous good pixel: what pixels outside the scored region count as."""
        return (self.minimum - self.mean) / self.std


@dataclass(frozen=True)
class Threshold:
    """An operating threshold for a requested false-alarm rate, from `count` good parts.

    Scores strictly above `value` are alarms. guaranteed_rate: the false-alarm rate that holds for a further good part
    drawn like the calibration parts, averaged over calibration sets (with `Calibration.kind` "cross" it is an
    estimate, see there); it exceeds `requested_rate` where `count` is too small: n parts cannot promise less than
    1 / (n + 1).
    """

    value: Finite
    requested_rate: Rate
    guaranteed_rate: Rate
    count: Annotated[int, Field(ge=1)]

    @property
    def attained(self) -> bool:
        return self.guaranteed_rate <= self.requested_rate


@dataclass(frozen=True)
class Calibration:
    """Everything that turns raw maps into scores and decisions; JSON in and out.

    maps: per branch. sigma: of the smoothing, pixels. fused: of the sum of the smoothed z-scores, which is standardised
    with it, so that scores are standard deviations of good parts' maps. good_scores: image scores of the good
    calibration parts, ascending. image_threshold: for decisions. pixel_threshold: for the map; the rate is the share
    of a good part's scored pixels above it.

    fusion: "sum" adds the branches' z-scores, as published. "norm" is the root of the sum of the squares of what lies
    above the usual: each branch is first measured in `levels`, whose mean is the median of the good parts' smoothed
    map and whose std is how far above it a good part's worst place lies on average. So 1 is what good parts reach at
    their worst place in one branch, a branch whose good parts have a heavy tail counts for less, and branches that
    agree support each other; where none is above the usual the greatest stands, so that such pixels have an order too.
    `fused` is 0 and 1 then. levels: per branch, empty for "sum".

    kind: "split" where the parts were kept out of training: the rates are guaranteed for parts drawn like them.
    "cross" where each part was scored by a detector trained without its fold: all good parts count, but the detector
    that decides is another one, trained on all, so the rates are estimates; they err on the safe side as far as a
    detector trained on more parts knows good parts better. precision: that the engine computed in ("" if not recorded).
    """

    maps: Mapping[str, MapStatistics]
    sigma: Annotated[float, Field(ge=0, le=50)]
    good_scores: tuple[Finite, ...]
    image_threshold: Threshold
    pixel_threshold: Threshold
    fused: MapStatistics = MapStatistics(0.0, 1.0, 0.0)
    kind: Literal["split", "cross"] = "split"
    precision: PrecisionName | Literal[""] = ""
    fusion: Fusion = "sum"
    levels: Mapping[str, MapStatistics] = field(default_factory=dict)

    def p_value(self, score: float) -> float:
        """Share of good parts (with this one) at least as anomalous: (1 + #{good >= score}) / (n + 1)."""
        at_least = len(self.good_scores) - int(np.searchsorted(self.good_scores, score, side="left"))
        return (1 + at_least) / (len(self.good_scores) + 1)

    @property
    def promise(self) -> str:
        """The word for what the rates are: "guaranteed", or "estimated" (`kind`)."""
        return "guaranteed" if self.kind == "split" else "estimated"

    @property
    def floors(self) -> dict[str, float]:
        """What pixels outside the scored window count as, per branch."""
        units = {name: self.unit(name) for name in self.maps}
        return {name: (numbers.floor - units[name][0]) / units[name][1] for name, numbers in self.maps.items()}

    @property
    def fused_floor(self) -> float:
        """What pixels outside the scored window count as in the fused map."""
        floors, greatest = self.floors.values(), max(self.floors.values())
        if self.fusion == "sum":
            return sum(floors)
        return math.hypot(*(max(floor, 0.0) for floor in floors)) if greatest > 0 else greatest

    def standardised(self, maps: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Smoothed z-scores per branch -> what `decision.maps.fused_map` takes."""
        units = {name: self.unit(name) for name in maps}
        return {name: (m - np.float32(units[name][0])) / np.float32(units[name][1]) for name, m in maps.items()}

    def shares(self, values: Mapping[str, float]) -> dict[str, float]:
        """branch -> its part of the fused value at a pixel, 0 to 1, adding up to 1. values: branch -> standardised."""
        above = {name: max(value, 0.0) for name, value in values.items()}
        weights = above if self.fusion == "sum" else {name: value**2 for name, value in above.items()}
        total = sum(weights.values())
        return {name: weight / total if total else 1 / len(weights) for name, weight in weights.items()}

    def unit(self, name: str) -> tuple[float, float]:
        """Shift and scale of a branch: for "sum" so that the deviation of the fused map over good parts is 1."""
        if self.fusion == "sum":
            return self.fused.mean / len(self.maps), self.fused.std
        return self.levels[name].mean, self.levels[name].std

    def for_rate(self, rate: float) -> Calibration:
        """The same with the image threshold for another false-alarm rate, from the stored scores."""
        return replace(self, image_threshold=conformal_threshold(np.array(self.good_scores), rate))

    @property
    def id(self) -> str:
        """16 hexadecimal digits of its content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Calibration:
        """Raises ValueError for what `to_json` cannot have written."""
        try:
            calibration: Calibration = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"calibration, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if not calibration.good_scores or not calibration.maps:
            raise ValueError("calibration: no good parts or no maps")
        if calibration.fusion == "norm" and calibration.levels.keys() != calibration.maps.keys():
            raise ValueError("calibration: levels are not of the same branches as maps")
        return calibration


def conformal_threshold(good_scores: NDArray[np.float64], rate: float) -> Threshold:
    """Split-conformal threshold (Vovk et al. 2005): the ceil((n + 1)(1 - rate))-th smallest of n good scores.

    A further good part scores above it with probability at most `rate` when it is exchangeable with the n parts. With
    n < 1 / rate - 1 that rank does not exist; then the largest score is used, which guarantees 1 / (n + 1) only.
    """
    count = len(good_scores)
    rank = min(math.ceil((count + 1) * (1 - rate) - 1e-9), count)
    value = float(np.sort(good_scores)[rank - 1])
    return Threshold(value, rate, (count + 1 - rank) / (count + 1), count)


def conformal_pixel_threshold(good_maps: Sequence[NDArray[np.float32]], rate: float) -> Threshold:
    """Conformal risk control (Angelopoulos et al. 2022) of the share of a good part's pixels above the threshold.

    good_maps: the scored pixels of each good part, 1-D. The least value v with (n R(v) + 1) / (n + 1) <= rate, R(v)
    being the mean share above v: the expected share on a further good part is then at most `rate`. Where n < 1 / rate
    - 1 allows no such v, the largest pixel seen is used, which guarantees 1 / (n + 1).
    """
    count = len(good_maps)
    budget = (rate * (count + 1) - 1) / count
    pixels = np.concatenate(good_maps)
    weights = np.concatenate([np.full(len(m), 1 / (len(m) * count)) for m in good_maps])
    order = np.argsort(-pixels, kind="stable")
    ordered, share = pixels[order], np.cumsum(weights[order])
    if budget < 0:
        return Threshold(float(ordered[0]), rate, 1 / (count + 1), count)
    # Scores equal to the value are not alarms, so the first pixel that would break the budget is the threshold.
    index = min(int(np.searchsorted(share, budget + 1e-12, side="right")), len(ordered) - 1)
    return Threshold(float(ordered[index]), rate, rate, count)
