"""Times as the station keeps them (milliseconds since 1970, UTC) and as it tells them (ISO 8601)."""

from __future__ import annotations

import time
from datetime import datetime, timezone

HOUR = 3_600_000
DAY = 24 * HOUR


def now() -> int:
    return time.time_ns() // 1_000_000


def to_iso(at: int) -> str:
    """`2026-11-25T21:30:01.123Z`."""
    whole, part = divmod(at, 1000)
    return f"{datetime.fromtimestamp(whole, timezone.utc):%Y-%m-%dT%H:%M:%S}.{part:03d}Z"


def to_iso_or_none(at: int | None) -> str | None:
    return None if at is None else to_iso(at)


def day_of(at: int) -> str:
    """`20261125`: the folder of that day's files."""
    return f"{datetime.fromtimestamp(at // 1000, timezone.utc):%Y%m%d}"


def in_milliseconds(moment: datetime) -> int:
    """A moment without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1000)
