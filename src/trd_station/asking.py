"""Which of the parts that wait a person is asked about first: those whose verdicts teach most.

A part is worth asking about where its score is near the limit, and where it is unlike what was reviewed. Both count
from 0 to 1 and alike. Whoever is asked about counts as reviewed for the rest, so that copies do not follow each other.
Parts that were drawn at random are asked about in the order in which they came, whatever they look like: they alone
recalibrate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trd_station.deciding import Limits

Why = Literal["audit", "near_limit", "unlike_reviewed"]
WAITING, REVIEWED = 500, 200  # parts that are compared: the newest that wait, and that have a verdict


@dataclass(frozen=True)
class Candidate:
    """What is stored of a scored part anyway. distance: of its score from the limit, in deviations of good parts.

    share: of each map at the peak. place: row and column of the peak, as parts of the frame's longer side. unlike: all
    known kinds of defects.
    """

    class_id: int
    distance: float
    share: Mapping[str, float]
    place: tuple[float, float]
    unlike: bool = False

    @property
    def near(self) -> float:
        return 1 / (1 + self.distance)


def candidate(row: Mapping[str, Any], limits: Limits) -> Candidate:
    """Of a scored inspection's row."""
    longer = max(row["height"], row["width"])
    suggestion = row["kind_suggestion"]
    return Candidate(
        row["class_id"],
        abs(row["score"] - limits.reject_above) / limits.spread,
        row["share"] or {},
        (row["peak_row"] / longer, row["peak_column"] / longer),
        suggestion is not None and not suggestion["kind"],
    )


def asked_first(
    waiting: Sequence[Candidate], reviewed: Sequence[Candidate], count: int
) -> list[tuple[int, Literal["near_limit", "unlike_reviewed"]]]:
    """Places in `waiting` of the `count` parts to ask about, first things first, and why each of them."""
    apart = _apart(waiting, [*waiting, *reviewed])
    novelty = apart[:, len(waiting) :].min(axis=1, initial=1.0)
    novelty[[part.unlike for part in waiting]] = 1.0
    near = np.array([part.near for part in waiting])
    asked: list[tuple[int, Literal["near_limit", "unlike_reviewed"]]] = []
    left = np.ones(len(waiting), bool)
    for _ in range(min(count, len(waiting))):
        index = int(np.where(left, near + novelty, -1.0).argmax())
        asked.append((index, "near_limit" if near[index] >= novelty[index] else "unlike_reviewed"))
        left[index] = False
        novelty = np.minimum(novelty, apart[:, index])
    return asked


def _apart(parts: Sequence[Candidate], others: Sequence[Candidate]) -> NDArray[np.float64]:
    """(P, O), 0 to 1: mean of how far the shares differ and how far the places lie from each other; 1 between parts of
    two classes."""
    names = sorted({name for part in others for name in part.share})
    shares, its_shares = (
        np.array([[part.share.get(name, 0.0) for name in names] for part in some]).reshape(len(some), len(names))
        for some in (parts, others)
    )
    places, its_places = (np.array([part.place for part in some]).reshape(-1, 2) for some in (parts, others))
    classes, its_classes = (np.array([part.class_id for part in some]) for some in (parts, others))
    differ = np.zeros((len(parts), len(others)))
    for own, other in zip(shares.T, its_shares.T, strict=True):
        differ += np.abs(own[:, None] - other) / 2
    far = np.minimum(np.linalg.norm(places[:, None] - its_places, axis=2), 1)
    return np.where(classes[:, None] == its_classes, (differ + far) / 2, 1.0)


def in_turn(uncertain: Sequence[Any], random: Sequence[Any], count: int) -> list[Any]:
    """One of each after the other, as long as both wait; `count` of them."""
    both = [part for pair in zip(uncertain, random, strict=False) for part in pair]
    shorter = min(len(uncertain), len(random))
    return [*both, *uncertain[shorter:], *random[shorter:]][:count]
