"""Models that score beside the serving one: since when, and what they gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from trd_station import times
from trd_station.store.database import inserted
from trd_station.store.schema import DECISIONS, inspection, shadow, shadow_score

c, s = inspection.c, shadow_score.c
REJECT = DECISIONS.index("reject")


@dataclass(frozen=True)
class Shadow:
    """until: None while it scores. since, until: milliseconds since 1970."""

    id: int
    class_id: int
    model_id: int
    reject_above: float
    since: int
    until: int | None
    who: str


def begin(connection: Connection, class_id: int, model_id: int, reject_above: float, who: str) -> Shadow:
    """In the place of the class's one before."""
    end(connection, class_id)
    values = {"class_id": class_id, "model_id": model_id, "reject_above": reject_above, "who": who}
    number = inserted(connection, insert(shadow).values(since=times.now(), **values))
    return _shadow(connection.execute(select(shadow).where(shadow.c.id == number)).mappings().one())


def end(connection: Connection, class_id: int) -> None:
    _end(connection, shadow.c.class_id == class_id)


def end_one(connection: Connection, shadow_id: int) -> None:
    _end(connection, shadow.c.id == shadow_id)


def _end(connection: Connection, which: ColumnElement[bool]) -> None:
    connection.execute(update(shadow).where(which, shadow.c.until.is_(None)).values(until=times.now()))


def open_shadows(connection: Connection) -> list[Shadow]:
    """Those that score, of all classes."""
    return [_shadow(row) for row in connection.execute(select(shadow).where(shadow.c.until.is_(None))).mappings()]


def latest(connection: Connection, class_id: int) -> Shadow | None:
    query = select(shadow).where(shadow.c.class_id == class_id).order_by(shadow.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _shadow(row)


def _shadow(row: RowMapping) -> Shadow:
    return Shadow(**row)


def add_score(connection: Connection, shadow_id: int, inspection_id: int, score: float) -> None:
    connection.execute(insert(shadow_score).values(shadow_id=shadow_id, inspection_id=inspection_id, score=score))


def counts(connection: Connection, one: Shadow) -> dict[tuple[bool, bool, str | None], int]:
    """(rejected by the model that served, by this one, verdict) -> number of parts."""
    rejected, too = c.decision == REJECT, s.score > one.reject_above
    query = select(rejected, too, c.verdict, func.count()).join(shadow_score, s.inspection_id == c.id)
    rows = connection.execute(query.where(s.shadow_id == one.id).group_by(rejected, too, c.verdict))
    return {(bool(before), bool(after), verdict): count for before, after, verdict, count in rows}


def differing(connection: Connection, one: Shadow, most: int) -> Iterator[dict[str, Any]]:
    """Parts that only one of both models rejects, newest first: id, part, verdict, decision, score, shadow_score."""
    query = (
        select(c.id, c.part, c.verdict, c.decision, c.score, s.score.label("shadow_score"))
        .join(shadow_score, s.inspection_id == c.id)
        .where(s.shadow_id == one.id, (c.decision == REJECT) != (s.score > one.reject_above))
        .order_by(c.id.desc())
        .limit(most)
    )
    yield from (dict(row) for row in connection.execute(query).mappings())
