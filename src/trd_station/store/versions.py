"""Classes, versions of models and of thresholds: rows are added, never changed but for what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, true, update

from trd_station import times
from trd_station.deciding import VERDICTS, Limits, Scored
from trd_station.store.database import inserted
from trd_station.store.schema import DECISIONS, inspection, model, part_class, threshold

c = inspection.c

JUDGED = 2000


@dataclass(frozen=True)
class ThresholdVersion:
    """made_from: "training", "sampled" or "both". id: 0 before it is stored."""

    class_id: int
    model_id: int
    limits: Limits
    made_from: str
    who: str
    reason: str
    id: int = 0
    at: int = 0
    active: bool = True


@dataclass(frozen=True)
class ModelVersion:
    """facts: what answers need (`shelf.facts.facts_of`). state: "serving", "ready", "failed" or "retired"."""

    class_id: int
    name: str
    path: str
    detector: str
    calibration: str
    facts: Mapping[str, Any]
    state: str
    who: str
    error: str | None = None
    self_test: Mapping[str, Any] | None = field(default=None)
    served_at: int | None = None
    id: int = 0
    at: int = 0


def class_id(connection: Connection, name: str) -> int:
    """Of a class that is added where it is new."""
    existing = connection.execute(select(part_class.c.id).where(part_class.c.name == name)).scalar()
    if existing is not None:
        return int(existing)
    return inserted(connection, insert(part_class).values(name=name))


def class_names(connection: Connection) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(select(part_class))}


def served_classes(connection: Connection) -> set[str]:
    """Names of classes that a model has ever served."""
    query = select(part_class.c.name).join(model, model.c.class_id == part_class.c.id)
    return set(connection.execute(query.where(model.c.served_at.is_not(None))).scalars())


def models(connection: Connection, class_id: int | None = None) -> list[ModelVersion]:
    """Newest first."""
    query = select(model).order_by(model.c.id.desc())
    if class_id is not None:
        query = query.where(model.c.class_id == class_id)
    return [_model(row) for row in connection.execute(query).mappings()]


def model_by_id(connection: Connection, model_id: int) -> ModelVersion | None:
    row = connection.execute(select(model).where(model.c.id == model_id)).mappings().one_or_none()
    return None if row is None else _model(row)


def _model(row: RowMapping) -> ModelVersion:
    return ModelVersion(**row)


def save_model(connection: Connection, version: ModelVersion) -> int:
    """Add it, or bring the row with its id up to date."""
    values = {column.name: getattr(version, column.name) for column in model.c if column.name not in ("id", "at")}
    if version.id:
        connection.execute(update(model).where(model.c.id == version.id).values(values))
        return version.id
    values["at"] = times.now()
    return inserted(connection, insert(model).values(values))


def inspections_of(connection: Connection, model_id: int, most: int = 100_000) -> int:
    """Number of parts that a model decided, counted up to `most`."""
    some = select(c.id).where(c.model_id == model_id).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def thresholds(connection: Connection, model_id: int) -> list[ThresholdVersion]:
    """Newest first."""
    query = select(threshold).where(threshold.c.model_id == model_id).order_by(threshold.c.id.desc())
    return [_threshold(row) for row in connection.execute(query).mappings()]


def threshold_by_id(connection: Connection, threshold_id: int) -> ThresholdVersion | None:
    row = connection.execute(select(threshold).where(threshold.c.id == threshold_id)).mappings().one_or_none()
    return None if row is None else _threshold(row)


def active_threshold(connection: Connection, model_id: int) -> ThresholdVersion | None:
    query = select(threshold).where(threshold.c.model_id == model_id, threshold.c.active == true())
    row = connection.execute(query.order_by(threshold.c.id.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else _threshold(row)


def _threshold(row: RowMapping) -> ThresholdVersion:
    return ThresholdVersion(
        row["class_id"],
        row["model_id"],
        Limits(row["review_above"], row["reject_above"], tuple(row["good_scores"]), row["promise"]),
        row["made_from"],
        row["who"],
        row["reason"],
        row["id"],
        row["at"],
        row["active"],
    )


def add_threshold(connection: Connection, version: ThresholdVersion) -> ThresholdVersion:
    """In force from now on, in the place of the model's one before."""
    limits = version.limits
    values = {
        "class_id": version.class_id,
        "model_id": version.model_id,
        "active": True,
        "review_above": limits.review_above,
        "reject_above": limits.reject_above,
        "good_scores": list(limits.good_scores),
        "promise": limits.promise,
        "made_from": version.made_from,
        "at": times.now(),
        "who": version.who,
        "reason": version.reason,
    }
    connection.execute(update(threshold).where(threshold.c.model_id == version.model_id).values(active=False))
    stored = threshold_by_id(connection, inserted(connection, insert(threshold).values(values)))
    assert stored is not None
    return stored


def activate_threshold(connection: Connection, version: ThresholdVersion) -> None:
    connection.execute(update(threshold).where(threshold.c.model_id == version.model_id).values(active=False))
    connection.execute(update(threshold).where(threshold.c.id == version.id).values(active=True))


@dataclass(frozen=True)
class Period:
    """Milliseconds; since is included, until is not; None: no end."""

    since: int | None = None
    until: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        return [
            *([c.at >= self.since] if self.since is not None else []),
            *([c.at < self.until] if self.until is not None else []),
        ]


ALWAYS = Period()


def recent_parts(connection: Connection, model_id: int, last: int, period: Period = ALWAYS) -> list[Scored]:
    """The last parts that a model scored, newest first."""
    query = select(c.id, c.score, c.verdict).where(c.model_id == model_id, *period.conditions())
    rows = connection.execute(query.order_by(c.at.desc(), c.id.desc()).limit(last)).all()
    return [Scored(number, score, verdict) for number, score, verdict in rows if score is not None]


def judged(connection: Connection, class_id: int, model_id: int, period: Period = ALWAYS) -> list[Scored]:
    """Parts of a model with verdict and score, the last JUDGED of each verdict and decision, newest first; from an
    index alone."""
    parts = []
    for verdict in VERDICTS:
        for decision in range(len(DECISIONS) - 1):
            query = select(c.id, c.score, c.verdict).where(
                *(c.class_id == class_id, c.verdict.is_not(None), c.verdict == verdict, c.decision == decision),
                *(c.model_id == model_id, c.score.is_not(None), *period.conditions()),
            )
            rows = connection.execute(query.order_by(c.at.desc(), c.id.desc()).limit(JUDGED)).all()
            parts += [Scored(number, score, verdict) for number, score, verdict in rows]
    return sorted(parts, key=lambda part: part.id, reverse=True)


def part_names(connection: Connection, identifiers: Sequence[int]) -> dict[int, str]:
    rows = connection.execute(select(c.id, c.part).where(c.id.in_(identifiers)))
    return {row.id: row.part for row in rows}
