"""What a list of inspections can be asked for, as conditions that the indices answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, literal, or_, select

from trd_station.store.schema import DECISIONS, inspection

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
        """Those that hold in every slice, but for the narrow ones."""
        conditions: list[Condition] = []
        if self.sampled is not None:
            conditions.append(c.sampled == literal(self.sampled, literal_execute=True))
        if self.open:
            conditions += [c.queue.is_not(None), c.verdict.is_(None)]
        for column, value in ((c.model_id, self.model), (c.threshold_id, self.threshold), (c.origin, self.origin)):
            if value is not None:
                conditions.append(column == value)
        if self.origin:
            conditions.append(c.origin != literal(0, literal_execute=True))  # its index holds no others
        if self.since is not None:
            conditions.append(c.at >= self.since)
        if self.until is not None:
            conditions.append(c.at < self.until)
        return conditions

    def slices(self, classes: Sequence[int]) -> Iterator[list[Condition]]:
        """One for each combination of class, decision, verdict and queue: an index has each of them in order."""
        every = range(len(DECISIONS)) if self.verdicts else ()  # the index of verdicts has decisions before times
        decisions: list[list[Condition]] = [[c.decision == decision] for decision in self.decisions or every]
        verdicts: list[list[Condition]] = [_verdict(verdict) for verdict in self.verdicts]
        queues: list[list[Condition]] = [[c.queue.is_not(None), c.queue == queue] for queue in self.queues]
        for name, *others in itertools.product(
            self.classes or classes, decisions or [[]], verdicts or [[]], queues or [[]]
        ):
            yield [c.class_id == name, *itertools.chain(*others)]

    def narrow(self, in_order: bool) -> list[Condition]:
        """Conditions on score and name. in_order: written so that no index of theirs is chosen: rows are walked through
        in the order of the list, of which many fit."""
        conditions = []
        score: ColumnElement[float] = c.score + 0.0 if in_order else c.score
        part: ColumnElement[str] = c.part.concat("") if in_order else c.part
        if self.score_from is not None:
            conditions.append(score >= self.score_from)
        if self.score_to is not None:
            conditions.append(score <= self.score_to)
        if self.part is not None:
            conditions.append(part == self.part)
        if self.part_prefix:
            conditions.append(_begins(part, self.part_prefix))
        return conditions

    def few(self, connection: Connection, classes: Sequence[int]) -> list[int] | None:
        """Identifiers of the rows that the conditions on score or name leave, where these are few; else None."""
        alternatives: list[list[Condition]] = []
        if self.part is not None or self.part_prefix:
            alternatives.append(replace(self, score_from=None, score_to=None).narrow(in_order=False))
        if self.score_from is not None or self.score_to is not None:
            by_score = replace(self, part=None, part_prefix=None).narrow(in_order=False)
            alternatives.append([c.class_id.in_(self.classes or classes), *by_score])
        for conditions in alternatives:
            identifiers = connection.execute(select(c.id).where(*conditions).limit(SELECTIVE + 1)).scalars().all()
            if len(identifiers) <= SELECTIVE:
                return list(identifiers)
        return None

    def hold(self, row: Any) -> bool:
        """Whether a row fits, all conditions taken together."""
        return (
            (not self.classes or row.class_id in self.classes)
            and (not self.decisions or row.decision in self.decisions)
            and (not self.verdicts or (row.verdict or "none") in self.verdicts)
            and (not self.queues or row.queue in self.queues)
            and (not self.open or (row.queue is not None and row.verdict is None))
            and (self.sampled is None or row.sampled == self.sampled)
            and (self.model is None or row.model_id == self.model)
            and (self.threshold is None or row.threshold_id == self.threshold)
            and (self.origin is None or row.origin == self.origin)
            and (self.since is None or row.at >= self.since)
            and (self.until is None or row.at < self.until)
            and (self.part is None or row.part == self.part)
            and (not self.part_prefix or row.part.startswith(self.part_prefix))
            and (self.score_from is None or (row.score is not None and row.score >= self.score_from))
            and (self.score_to is None or (row.score is not None and row.score <= self.score_to))
        )


HELD = (
    *(c.id, c.at, c.class_id, c.decision, c.verdict, c.queue),
    *(c.sampled, c.model_id, c.threshold_id, c.origin, c.part, c.score),
)
"""Columns that `Filters.hold` looks at."""


def _verdict(verdict: str) -> list[Condition]:
    return [c.verdict.is_(None)] if verdict == "none" else [c.verdict.is_not(None), c.verdict == verdict]


def _begins(value: ColumnElement[str], prefix: str) -> Condition:
    """Text from the prefix on, before the first one that does not begin with it, in the order of characters' codes."""
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
