"""Rules of alarms: rows are added, the newest of a class counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from trd_station import times
from trd_station.store.schema import alarm_rule

a = alarm_rule.c


def current(connection: Connection, class_id: int | None) -> dict[str, Any]:
    """As they were stored, empty where none were. class_id None: of the whole station."""
    own = a.class_id.is_(None) if class_id is None else a.class_id == class_id
    stored = connection.execute(select(a.rules).where(own).order_by(a.id.desc()).limit(1)).scalar()
    return dict(stored or {})


def add(connection: Connection, class_id: int | None, rules: Mapping[str, Any], who: str, reason: str) -> None:
    values = {"class_id": class_id, "rules": dict(rules), "who": who, "reason": reason, "at": times.now()}
    connection.execute(insert(alarm_rule).values(values))
