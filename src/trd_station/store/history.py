"""Inspections: stored, listed, counted."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, literal, select, update

from trd_station import times
from trd_station.store.database import inserted
from trd_station.store.filters import COUNTED, HELD, Condition, Filters, before, c
from trd_station.store.schema import DECISIONS, counter, inspection, model, part_class, request_key, threshold

Row = Mapping[str, Any]
Cursor = tuple[int, int]


@dataclass(frozen=True)
class Count:
    """exact: false where counting ended early: at least so many."""

    count: int
    exact: bool


@dataclass(frozen=True)
class RequestKey:
    """A client's key and the digest of what was sent with it."""

    key: str
    digest: str


def add(connection: Connection, rows: Sequence[Row], key: RequestKey | None = None) -> list[dict[str, Any]]:
    """Store inspections of one request together, count them, and note the request's key; the rows with `id` and `at`
    come back. `at` never falls with the id, so that both give one order."""
    last = connection.execute(select(c.at).order_by(c.id.desc()).limit(1)).scalar()
    at = max(times.now(), last or 0)
    stored = []
    for row in rows:
        values = {**row, "at": at}
        values["id"] = inserted(connection, insert(inspection).values(values))
        stored.append(values)
    counts = Counter((row["class_id"], at // times.HOUR, row["decision"]) for row in rows)
    for (class_id, hour, decision), count in counts.items():
        count_up(connection, class_id, hour, decision, count)
    if key is not None and stored:
        connection.execute(
            insert(request_key).values(
                class_id=stored[0]["class_id"],
                key=key.key,
                digest=key.digest,
                inspections=[row["id"] for row in stored],
                at=at,
            )
        )
    return stored


def count_up(connection: Connection, class_id: int, hour: int, decision: int, count: int) -> None:
    """Bring the maintained counter of an hour up to date."""
    k = counter.c
    where = and_(k.class_id == class_id, k.hour == hour, k.decision == decision)
    if not connection.execute(update(counter).where(where).values(count=k.count + count)).rowcount:
        connection.execute(insert(counter).values(class_id=class_id, hour=hour, decision=decision, count=count))


def answered_before(connection: Connection, class_id: int, key: str) -> tuple[str, list[int]] | None:
    """(digest, identifiers) of a request with this key."""
    k = request_key.c
    row = connection.execute(select(k.digest, k.inspections).where(k.class_id == class_id, k.key == key)).one_or_none()
    return None if row is None else (row.digest, list(row.inspections))


def forget_keys(connection: Connection, before: int) -> None:
    """Those of requests that came before a time: who has not sent again by then does not."""
    connection.execute(delete(request_key).where(request_key.c.at < before))


def newest_at(connection: Connection) -> int:
    """Time of the newest inspection, 0 where there is none; ahead of the clock where that was set back."""
    return connection.execute(select(func.max(c.at))).scalar() or 0


def lately_stored(connection: Connection, uids: Sequence[str]) -> bool:
    """Whether one of these is among the newest inspections: no index has them all."""
    newest = select(func.coalesce(func.max(c.id), 0)).scalar_subquery()
    query = select(c.id).where(c.id > newest - COUNTED, c.uid.in_(uids)).limit(1)
    return connection.execute(query).scalar() is not None


def inspection_by_id(connection: Connection, inspection_id: int) -> dict[str, Any] | None:
    row = connection.execute(select(inspection).where(c.id == inspection_id)).mappings().one_or_none()
    return None if row is None else dict(row)


def inspections_by_id(connection: Connection, identifiers: Sequence[int]) -> list[dict[str, Any]]:
    """In the order of the identifiers; those that there are."""
    matches = connection.execute(select(inspection).where(c.id.in_(identifiers))).mappings()
    rows = {row["id"]: dict(row) for row in matches}
    return [rows[number] for number in identifiers if number in rows]


def page(
    connection: Connection, filters: Filters, cursor: Cursor | None = None, limit: int = 50, newest_first: bool = True
) -> tuple[list[dict[str, Any]], Cursor | None]:
    """Rows behind the cursor, and the cursor of the next page (None at the end)."""
    classes = _classes(connection, filters)
    few = _few(connection, filters, classes)
    if few is not None:
        return _page_of_few(connection, few, cursor, limit, newest_first)
    shared = [*filters.conditions(), *filters.narrow(in_order=True), *before(cursor, newest_first)]
    order = (c.at.desc(), c.id.desc()) if newest_first else (c.at, c.id)
    rows_of_slices = [
        connection.execute(select(inspection).where(*own, *shared).order_by(*order).limit(limit + 1)).mappings().all()
        for own in filters.slices(classes)
    ]
    merged = heapq.merge(*rows_of_slices, key=_place, reverse=newest_first)
    rows = [dict(row) for _, row in zip(range(limit + 1), merged, strict=False)]
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], _place(rows[limit - 1])


def _few(connection: Connection, filters: Filters, classes: Sequence[int]) -> list[Cursor] | None:
    """Places of the rows that fit, where a score or a name leaves few; else None."""
    identifiers = filters.few(connection, classes)
    if identifiers is None:
        return None
    rows = connection.execute(select(*HELD).where(c.id.in_(identifiers)))
    return [(row.at, row.id) for row in rows if filters.hold(row)]


def _page_of_few(
    connection: Connection, few: list[Cursor], cursor: Cursor | None, limit: int, newest_first: bool
) -> tuple[list[dict[str, Any]], Cursor | None]:
    behind = [place for place in few if cursor is None or (place < cursor if newest_first else place > cursor)]
    behind.sort(reverse=newest_first)
    rows = inspections_by_id(connection, [number for _, number in behind[:limit]])
    return rows, behind[limit - 1] if len(behind) > limit else None


def _classes(connection: Connection, filters: Filters) -> list[int]:
    """Those that the filters leave: a model or a threshold is of one class."""
    for table, number in ((model, filters.model), (threshold, filters.threshold)):
        if number is not None:
            return list(connection.execute(select(table.c.class_id).where(table.c.id == number)).scalars())
    return class_ids(connection)


def _place(row: Mapping[Any, Any]) -> Cursor:
    return row["at"], row["id"]


def class_ids(connection: Connection) -> list[int]:
    return list(connection.execute(select(part_class.c.id).order_by(part_class.c.id)).scalars())


def count(connection: Connection, filters: Filters) -> Count:
    """By the maintained counters where they know; else counted, up to COUNTED."""
    classes = _classes(connection, filters)
    if filters.counted:
        return Count(sum(_decision_counts(connection, filters, classes).values()), True)
    few = _few(connection, filters, classes)
    if few is not None:
        return Count(len(few), True)
    shared = [*filters.conditions(), *filters.narrow(in_order=False)]
    total = 0
    for own in filters.slices(classes):
        some = select(literal(1)).select_from(inspection).where(*own, *shared).limit(COUNTED + 1 - total).subquery()
        total += connection.execute(select(func.count()).select_from(some)).scalar_one()
        if total > COUNTED:
            return Count(COUNTED, False)
    return Count(total, True)


def decisions(connection: Connection, filters: Filters) -> dict[str, int]:
    """Decision -> number, by the counters; of the filters only classes, decisions and times."""
    counts = _decision_counts(connection, filters, class_ids(connection))
    return {name: counts.get(place, 0) for place, name in enumerate(DECISIONS)}


def _decision_counts(connection: Connection, filters: Filters, classes: Sequence[int]) -> Counter[int]:
    """Decision -> number: whole hours from the counters, the hours at both ends from an index."""
    k = counter.c
    first = None if filters.since is None else -(-filters.since // times.HOUR)
    last = None if filters.until is None else filters.until // times.HOUR
    conditions: list[Condition] = [k.class_id.in_(filters.classes or classes)]
    if filters.decisions:
        conditions.append(k.decision.in_(filters.decisions))
    edges: list[tuple[int | None, int | None]] = []
    if first is not None and last is not None and first > last:  # within one hour
        edges, conditions = [(filters.since, filters.until)], [literal(0) == 1]
    else:
        if first is not None:
            conditions.append(k.hour >= first)
            edges.append((filters.since, first * times.HOUR))
        if last is not None:
            conditions.append(k.hour < last)
            edges.append((last * times.HOUR, filters.until))
    totals: Counter[int] = Counter()
    query = select(k.decision, func.sum(k.count).label("total")).where(*conditions).group_by(k.decision)
    for row in connection.execute(query):
        totals[row.decision] += row.total
    for low, high in edges:
        for decision in filters.decisions or range(len(DECISIONS)):
            for name in filters.classes or classes:
                totals[decision] += connection.execute(
                    select(func.count())
                    .select_from(inspection)
                    .where(c.class_id == name, c.decision == decision, c.at >= low, c.at < high)
                ).scalar_one()
    return totals


def by_hour(connection: Connection, filters: Filters) -> list[tuple[int, int, int]]:
    """(hour since 1970, decision, number) of the hours that touch the filters' time."""
    k = counter.c
    conditions: list[Condition] = [k.class_id.in_(filters.classes or class_ids(connection))]
    if filters.since is not None:
        conditions.append(k.hour >= filters.since // times.HOUR)
    if filters.until is not None:
        conditions.append(k.hour < -(-filters.until // times.HOUR))
    query = select(k.hour, k.decision, func.sum(k.count)).where(*conditions).group_by(k.hour, k.decision)
    return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(k.hour))]
