"""Which good part a part is compared with: the one whose measures are most alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from trd_station.store.schema import DECISIONS, inspection

Row = Mapping[str, Any]
c = inspection.c

CANDIDATES = 200  # of the newest
OK = DECISIONS.index("ok")


def good_parts(connection: Connection, row: Row) -> list[dict[str, Any]]:
    """Of the class and with the frame of an inspection: those with the verdict good, else those that were accepted
    and have no verdict; newest first. Their files are there, as far as they were kept."""
    own = (c.class_id == row["class_id"], c.id != row["id"], c.height == row["height"], c.width == row["width"])
    judged = (c.verdict.is_not(None), c.verdict == "good")
    for good in (judged, (c.verdict.is_(None), c.decision == OK)):
        query = select(inspection).where(*own, *good, ~c.pruned).order_by(c.at.desc(), c.id.desc()).limit(CANDIDATES)
        rows = [dict(found) for found in connection.execute(query).mappings()]
        if rows:
            return rows
    return []


def most_alike(measures: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> int:
    """The place of the one whose measures differ least, each in units of its spread among the others; the first where
    there is nothing to compare."""
    names = [name for name in measures if all(name in other for other in others)]
    if not names:
        return 0
    values = np.array([[other[name] for name in names] for other in others], np.float64)
    spread = values.std(axis=0)
    apart = (values - np.array([measures[name] for name in names])) / np.where(spread > 0, spread, math.inf)
    return int((apart**2).sum(axis=1).argmin())
