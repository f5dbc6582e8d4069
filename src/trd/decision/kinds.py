"""Which kind of defect a part shows, by the taught defects that lie nearest to it. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from trd.decision.maps import Map, Region, scored_pixels
from trd.statistics.conformal import Finite, Rate, Threshold, conformal_threshold, p_value
from trd.types import KindSuggestion

PLACE, DISTANCES = "known_defects.place", "known_defects.distances"
"""Values of the step on demand: where the defect lies, (1, h, w), 1 there and 0 elsewhere; how far the part lies from
each of D taught defects, (1, D)."""

UNLIKE = "unlike all known kinds"  # what people read where a suggestion's kind is ""
UNLIKE_RATE = 0.1
PLACE_PIXELS = 256  # those of the 16 cells that are taken for the place of a defect that nobody marked


@dataclass(frozen=True)
class KnownKinds:
    """What a lesson knows of kinds beside what its graph computes.

    kinds: of each taught defect, in the order of the distances. nearest: ascending; how far each of them lies from the
    nearest other one, at the place where a lesson that had not seen it looks. parts: digests of their files. rate: the
    share of further defects of these kinds that may be called unlike all of them.
    """

    kinds: tuple[str, ...]
    nearest: tuple[Finite, ...]
    parts: tuple[str, ...] = ()
    rate: Rate = UNLIKE_RATE

    @property
    def limit(self) -> Threshold:
        """Of the distance from the nearest taught defect: what is farther is unlike all taught kinds. Its rate is that
        of defects of the taught kinds, as far as they are exchangeable with those taught."""
        return conformal_threshold(np.array(self.nearest), self.rate)

    def suggested(self, distances: Sequence[float] | NDArray[np.float32]) -> KindSuggestion:
        """distances: (D,) of a part."""
        of_kind: dict[str, float] = {}
        for kind, distance in zip(self.kinds, distances, strict=True):
            of_kind[kind] = min(float(distance), of_kind.get(kind, np.inf))
        ranked = sorted(of_kind, key=lambda kind: of_kind[kind])
        unlike = of_kind[ranked[0]] > self.limit.value
        likeness = {kind: p_value(self.nearest, of_kind[kind]) for kind in ranked}
        return KindSuggestion("" if unlike else ranked[0], likeness)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> KnownKinds:
        """Raises ValueError for what `to_json` cannot have written."""
        try:
            known: KnownKinds = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"kinds, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if not known.kinds or not known.nearest:
            raise ValueError("kinds: no taught defects")
        return known


def place_of(fused: Map, region: Region, count: int = PLACE_PIXELS) -> NDArray[np.float32]:
    """(h, w): 1 at the strongest scored pixels of a part's fused map, 0 elsewhere."""
    region = region if region is not None and region.any() else np.ones(fused.shape, bool)
    values = scored_pixels(fused, region)
    lowest = np.sort(values)[-min(count, len(values))]
    return np.asarray(region & (fused >= lowest), np.float32)
