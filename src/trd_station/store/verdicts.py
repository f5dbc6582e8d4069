"""Verdicts and events: added, never changed; an event may be acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, or_, select, update

from trd_station import times
from trd_station.store.database import inserted
from trd_station.store.filters import COUNTED
from trd_station.store.schema import event, inspection, verdict

v, e, c = verdict.c, event.c, inspection.c

Row = dict[str, Any]


def add_verdict(connection: Connection, inspection_id: int, values: Mapping[str, Any]) -> Row:
    """values: verdict, kind, reason, who, mask. The inspection shows the latest."""
    number = inserted(connection, insert(verdict).values(inspection_id=inspection_id, at=times.now(), **values))
    connection.execute(
        update(inspection)
        .where(c.id == inspection_id)
        .values(verdict=values["verdict"], verdict_kind=values.get("kind"))
    )
    return dict(connection.execute(select(verdict).where(v.id == number)).mappings().one())


def verdicts_of(connection: Connection, inspection_ids: Sequence[int]) -> list[Row]:
    """Oldest first."""
    query = select(verdict).where(v.inspection_id.in_(inspection_ids)).order_by(v.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def verdict_by_id(connection: Connection, verdict_id: int) -> Row | None:
    return _row_or_none(connection, select(verdict).where(v.id == verdict_id))


def kinds(connection: Connection, class_id: int) -> list[str]:
    """Of defects, most frequent first."""
    query = (
        select(c.verdict_kind)
        .where(c.verdict.is_not(None), c.verdict == "defect", c.class_id == class_id, c.verdict_kind.is_not(None))
        .group_by(c.verdict_kind)
        .order_by(func.count().desc(), c.verdict_kind)
        .limit(200)
    )
    return [str(kind) for kind in connection.execute(query).scalars()]


def since(connection: Connection, at: int, class_id: int | None = None) -> int:
    """Number of verdicts from a time on."""
    query = select(func.count()).select_from(verdict).where(v.at >= at)
    if class_id is not None:
        query = query.join(inspection, c.id == v.inspection_id).where(c.class_id == class_id)
    return int(connection.execute(query).scalar_one())


def open_reviews(connection: Connection, class_id: int) -> dict[str, int]:
    """Parts without verdict in "review" and in "audit"; counted up to COUNTED in all."""
    some = (
        select(c.queue)
        .where(c.class_id == class_id, c.queue.is_not(None), c.verdict.is_(None))
        .limit(COUNTED)
        .subquery()
    )
    counts = connection.execute(select(some.c.queue, func.count()).group_by(some.c.queue)).all()
    return {"review": 0, "audit": 0} | {row[0]: row[1] for row in counts}


@dataclass(frozen=True)
class NewEvent:
    """level: "info", "warning" or "alarm". class_id None: of the whole station."""

    level: str
    kind: str
    text: str
    class_id: int | None = None
    data: Mapping[str, Any] | None = None


def add_event(connection: Connection, new: NewEvent) -> Row:
    row = insert(event).values(
        at=times.now(),
        class_id=new.class_id,
        level=new.level,
        kind=new.kind,
        text=new.text,
        data=dict(new.data or {}),
    )
    number = inserted(connection, row)
    return dict(connection.execute(select(event).where(e.id == number)).mappings().one())


@dataclass(frozen=True)
class EventFilters:
    """class_id: also takes events of the whole station, which concern every class."""

    class_id: int | None = None
    level: str | None = None
    kind: str | None = None
    open: bool = False
    since: int | None = None
    until: int | None = None


def events(
    connection: Connection, filters: EventFilters, cursor: tuple[int, int] | None, limit: int
) -> tuple[list[Row], tuple[int, int] | None]:
    """Newest first, and the cursor of the next page."""
    query = select(event)
    for column, value in ((e.level, filters.level), (e.kind, filters.kind)):
        if value is not None:
            query = query.where(column == value)
    if filters.class_id is not None:
        query = query.where(or_(e.class_id == filters.class_id, e.class_id.is_(None)))
    if filters.open:
        query = query.where(e.acknowledged_at.is_(None))
    if filters.since is not None:
        query = query.where(e.at >= filters.since)
    if filters.until is not None:
        query = query.where(e.at < filters.until)
    if cursor is not None:
        query = query.where(or_(e.at < cursor[0], and_(e.at == cursor[0], e.id < cursor[1])))
    matches = connection.execute(query.order_by(e.at.desc(), e.id.desc()).limit(limit + 1)).mappings()
    rows = [dict(row) for row in matches]
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], (rows[limit - 1]["at"], rows[limit - 1]["id"])


def open_alarms(connection: Connection, class_id: int) -> int:
    """Of the class and of the whole station."""
    own = or_(e.class_id == class_id, e.class_id.is_(None))
    query = select(func.count()).where(own, e.level == "alarm", e.acknowledged_at.is_(None))
    return int(connection.execute(query.select_from(event)).scalar_one())


def open_alarm_rows(connection: Connection) -> list[Row]:
    """Of all classes, oldest first."""
    query = select(event).where(e.level == "alarm", e.acknowledged_at.is_(None)).order_by(e.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def event_by_id(connection: Connection, event_id: int) -> Row | None:
    return _row_or_none(connection, select(event).where(e.id == event_id))


def acknowledge(connection: Connection, event_id: int, who: str, cause: str | None) -> Row | None:
    """The event, None where it was acknowledged before: who was first stays."""
    changed = connection.execute(
        update(event)
        .where(e.id == event_id, e.acknowledged_at.is_(None))
        .values(acknowledged_by=who, acknowledged_at=times.now(), cause=cause)
    )
    return event_by_id(connection, event_id) if changed.rowcount else None


def _row_or_none(connection: Connection, query: Select[Any]) -> Row | None:
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)
