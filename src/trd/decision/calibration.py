"""The numbers that turn raw maps into scores and decisions.

All come from good parts that the detector was not trained on: a validation split, held-out training parts, or every
good part as scored by a detector that was trained without it ("cross").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from trd.decision.fusion import RULES, Fusion
from trd.statistics.conformal import Finite, Threshold, conformal_threshold, p_value
from trd.types import VIEW_SEPARATOR, PrecisionName, plain_sources

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class MapStatistics:
    """Of one branch's raw map. mean, std (population), minimum: over the scored pixels of the good parts.

    shift, scale: (raw - shift) / scale is what is smoothed and fused (`decision.units`).
    """

    mean: Finite
    std: Positive
    minimum: Finite
    shift: Finite
    scale: Positive

    @property
    def floor(self) -> float:
        """The least anomalous good pixel in these units: what pixels outside the scored region count as."""
        return (self.minimum - self.shift) / self.scale


@dataclass(frozen=True)
class Calibration:
    """Everything that turns raw maps into scores and decisions; JSON in and out.

    maps: per branch, with the units of all calibration parts; of parts with several views per view and branch, as
    "front/rgb". views: their names, in the order in which they lie in the maps. sigma: of the smoothing, pixels.
    fusion: `decision.units` says what the units of each are. image_threshold: for decisions. pixel_threshold: for the
    map; the rate is the share of a good part's scored pixels above it.

    good_scores: image scores of the good calibration parts, ascending, each in the units of the others. In units that a
    part has a share in, it looks more usual than a new part does, and thresholds from such scores are passed too often
    (from 19 parts by 6 to 10 % of new ones where 5 % was asked for). A new part is scored in the units of all, one part
    more. That is the leave-one-out (jackknife) argument: but for what one part more does to the units, the scores are
    those of exchangeable parts. It is no proof, as there is none for jackknife thresholds without further assumptions.
    In simulations 3.7 to 5.2 % of new parts passed thresholds for 5 % (tests/decision/test_promise.py).

    kind: "split" where the parts were kept out of training. "cross" where each part was scored by a detector trained
    without its fold: all good parts count, but the detector that decides is another one, trained on all, so the rates
    are estimates; they err on the safe side as far as a detector trained on more parts knows good parts better.
    precision: that the engine computed in ("" if not recorded); of another one the thresholds promise nothing.
    good_parts: ids of the parts of `good_scores`, in that order; () if not recorded.
    """

    maps: Mapping[str, MapStatistics]
    sigma: Annotated[float, Field(ge=0, le=50)]
    good_scores: tuple[Finite, ...]
    image_threshold: Threshold
    pixel_threshold: Threshold
    kind: Literal["split", "cross"] = "split"
    precision: PrecisionName | Literal[""] = ""
    fusion: Fusion = "sum"
    good_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the maps of one view."""
        return plain_sources(self.maps) if self.views else tuple(self.maps)

    def units(self, branch: str) -> dict[str, MapStatistics]:
        """view -> the branch's numbers; "" where parts have one picture."""
        if not self.views:
            return {"": self.maps[branch]}
        return {view: self.maps[f"{view}{VIEW_SEPARATOR}{branch}"] for view in self.views}

    @property
    def threshold_origin(self) -> str:
        """Which good part the image threshold is the score of, as a clause; "" where no names are recorded."""
        above = sum(score > self.image_threshold.value for score in self.good_scores)
        place = len(self.good_scores) - above - 1
        if len(self.good_parts) != len(self.good_scores) or place < 0:
            return ""
        name = self.good_parts[place]
        if above:
            return f"the score of {name}, which {above} of {len(self.good_scores)} good parts exceed"
        following = f"; the next has {self.good_scores[place - 1]:.3f}" if place else ""
        return f"the score of one part, {name}, the strangest of {len(self.good_scores)}{following}"

    def p_value(self, score: float) -> float:
        """Share of good parts, with this one, at least as anomalous."""
        return p_value(self.good_scores, score)

    @property
    def promise(self) -> str:
        """The word for what the rates are: "guaranteed", or "estimated" (`kind`)."""
        return "guaranteed" if self.kind == "split" else "estimated"

    @property
    def floors(self) -> dict[str, float]:
        """What pixels outside the scored window count as, per branch; the least of its views'."""
        return {name: min(numbers.floor for numbers in self.units(name).values()) for name in self.branches}

    @property
    def fused_floor(self) -> float:
        """What pixels outside the scored window count as in the fused map."""
        return float(RULES[self.fusion].fused([np.float64(floor) for floor in self.floors.values()]))

    def shares(self, values: Mapping[str, float]) -> dict[str, float]:
        """branch -> its part of the fused value at a pixel, 0 to 1, adding up to 1. values: branch -> standardised."""
        weights = dict(zip(values, RULES[self.fusion].weights(list(values.values())), strict=True))
        total = sum(weights.values())
        return {name: weight / total if total else 1 / len(weights) for name, weight in weights.items()}

    def for_rate(self, rate: float) -> Calibration:
        """The same with the image threshold for another false-alarm rate, from the stored scores."""
        return replace(self, image_threshold=conformal_threshold(np.array(self.good_scores), rate))

    @property
    def id(self) -> str:
        """16 hexadecimal digits of its content."""
        content = asdict(self)
        for later in ("good_parts", "views"):  # calibrations without keep the id that they had
            if not content[later]:
                del content[later]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Calibration:
        """Raises ValueError for what `to_json` cannot have written."""
        try:
            calibration: Calibration = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            if place.endswith((".shift", ".scale")) and first["type"] == "missing":
                raise ValueError("calibration: of an earlier version, whose thresholds are too low") from error
            raise ValueError(f"calibration, {place}: {first['msg']}") from error
        if not calibration.good_scores or not calibration.maps:
            raise ValueError("calibration: no good parts or no maps")
        return calibration
