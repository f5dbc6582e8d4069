"""Is what a lesson is given enough, new to the detector, and given once?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trd.errors import DataError
from trd.learning.record import FEWEST, FEWEST_GOOD
from trd.packages.facts import digests_of_parts
from trd.training.digests import part_digests
from trd.types import SampleFiles


@dataclass(frozen=True)
class Digests:
    """Id -> digest of the files' content, of the defects and of the good parts."""

    defects: dict[str, str]
    good: dict[str, str]


def digests_of_given(
    defects: Sequence[SampleFiles], good: Sequence[SampleFiles], must_find: Sequence[SampleFiles], folder: Path
) -> Digests:
    """folder: of the detector that learns. Raises DataError for nothing or too few, and where a part is among the
    good parts that the detector knows, or given twice."""
    if must_find and not good:
        raise DataError("defects that must be found judge good parts: give --good too, or teach them with --defects")
    if not (defects or good):
        raise DataError("there is nothing to learn: give labelled defects (--defects), good parts (--good) or both")
    if defects and len(defects) < FEWEST:
        raise DataError(
            f"{len(defects)} labelled defects are too few to judge what they bring: give {FEWEST} or more, some "
            "of every kind"
        )
    if good and len(good) < FEWEST_GOOD:
        raise DataError(f"{len(good)} good parts are too few to judge what they bring: give {FEWEST_GOOD} or more")
    digests = Digests(part_digests(defects), part_digests(good))
    known, seen = digests_of_parts(folder), dict[str, tuple[str, bool]]()
    labelled = [(part, digest, True) for part, digest in digests.defects.items()]
    labelled += [(part, digest, False) for part, digest in digests.good.items()]
    for part, digest, defective in labelled:
        if digest in known:
            question = ": which is it?" if defective else ": give parts that it has not seen"
            raise DataError(f"{part} is one of the good parts that {folder} was trained or calibrated on{question}")
        if digest in seen:
            other, other_defective = seen[digest]
            if other_defective != defective:
                raise DataError(f"{part} is given as good, and {other} of the same content as a defect: which is it?")
            raise DataError(f"{part} is a copy of {other}: keep one, or the lesson is judged on what it has seen")
        seen[digest] = part, defective
    for part, digest in part_digests(must_find).items():
        if digest in known or (digest in seen and not seen[digest][1]):
            raise DataError(f"{part}, which must be found, is among the good parts too: which is it?")
    return digests
