"""What a list of inspections can be asked for, as conditions that the indices answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select

from trd.station.store.schema import inspection

c = inspection.c
SELECTIVE = 2000  # rows: from so few on they are looked up by themselves, else the list is walked through in order
COUNTED = 10_000  # where nothing is kept ready, counting ends here

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class Filters:
    """As in docs/station-api.md; classes: identifiers, all where empty. decisions: places in `schema.DECISIONS`.
    verdicts: also "none". queues: "review", "audit". since, until: milliseconds."""

    classes: tuple[int, ...] = ()
    decisions: tuple[int, ...] = ()
    verdicts: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    open: bool = False
    sampled: bool | None = None
    part: str | None = None
    part_prefix: str | None = None
    model: int | None = None
    threshold: int | None = None
    origin: int | None = None
    since: int | None = None
    until: int | None = None
    score_from: float | None = None
    score_to: float | None = None

    @property
    def counted(self) -> bool:
        """Whether the maintained counters can tell how many there are."""
        return self == Filters(self.classes, self.decisions, since=self.since, until=self.until)

    def conditions(self) -> list[Condition]:
        """Those that hold in every slice."""
        found: list[Condition] = []
        if self.sampled is not None:
            found.append(c.sampled == literal(self.sampled, literal_execute=True))
        if self.open:
            found += [c.queue.is_not(None), c.verdict.is_(None)]
        for column, value in (
            (c.part, self.part),
            (c.model_id, self.model),
            (c.threshold_id, self.threshold),
            (c.origin, self.origin),
        ):
            if value is not None:
                found.append(column == value)
        if self.origin:
            found.append(c.origin != literal(0, literal_execute=True))  # its index holds no others
        if self.since is not None:
            found.append(c.at >= self.since)
        if self.until is not None:
            found.append(c.at < self.until)
        return found

    def slices(self, classes: Sequence[int]) -> Iterator[list[Condition]]:
        """One for each combination of class, decision, verdict and queue: an index has each of them in order."""
        decisions: list[list[Condition]] = [[c.decision == decision] for decision in self.decisions]
        verdicts: list[list[Condition]] = [_verdict(verdict) for verdict in self.verdicts]
        queues: list[list[Condition]] = [[c.queue.is_not(None), c.queue == queue] for queue in self.queues]
        for name, *others in itertools.product(
            self.classes or classes, decisions or [[]], verdicts or [[]], queues or [[]]
        ):
            yield [c.class_id == name, *itertools.chain(*others)]

    def narrowed(self, connection: Connection, classes: Sequence[int]) -> list[Condition]:
        """Conditions on score and name: by their own index where that leaves few rows, else for a walk in order."""
        found: list[Condition] = []
        if self.score_from is not None or self.score_to is not None:
            low, high = self.score_from, self.score_to
            own = _between(c.score, low, high)
            asked = own & c.class_id.in_(self.classes or classes)
            found.append(c.id.in_(_ids(asked)) if _is_few(connection, asked) else _between(c.score + 0.0, low, high))
        if self.part_prefix:
            own = _begins(c.part, self.part_prefix)
            found.append(
                c.id.in_(_ids(own)) if _is_few(connection, own) else _begins(c.part.concat(""), self.part_prefix)
            )
        return found


def _ids(condition: Condition) -> Select[tuple[int]]:
    return select(c.id).where(condition)


def _is_few(connection: Connection, condition: Condition) -> bool:
    some = select(literal(1)).select_from(inspection).where(condition).limit(SELECTIVE + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() <= SELECTIVE


def _verdict(verdict: str) -> list[Condition]:
    return [c.verdict.is_(None)] if verdict == "none" else [c.verdict.is_not(None), c.verdict == verdict]


def _between(value: ColumnElement[float], low: float | None, high: float | None) -> Condition:
    bounds = [value >= low] if low is not None else []
    return and_(*bounds, *([value <= high] if high is not None else []))


def _begins(value: ColumnElement[str], prefix: str) -> Condition:
    """Text from the prefix on, before the first one that does not begin with it."""
    last = ord(prefix[-1])
    if last >= 0x10FFFF or 0xD7FF <= last < 0xE000:
        return value.startswith(prefix, autoescape=True)
    return and_(value >= prefix, value < prefix[:-1] + chr(last + 1))


def before(cursor: tuple[int, int] | None, newest_first: bool) -> list[Condition]:
    """Rows behind the cursor (at, id) in the order of the list."""
    if cursor is None:
        return []
    at, row = cursor
    if newest_first:
        return [c.at <= at, or_(c.at < at, c.id < row)]
    return [c.at >= at, or_(c.at > at, c.id > row)]
