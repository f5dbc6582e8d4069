"""What outputs send: inspections, and alarms with their acknowledgements, each in the order of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select, true

from trd_station.alarms.alarms import ACKNOWLEDGED
from trd_station.station import Station
from trd_station.store import verdicts
from trd_station.store.schema import event, inspection

Row = dict[str, Any]


@dataclass(frozen=True)
class Feed:
    """Rows of a table that fit `some`. event: of the live stream, which tells that there may be more."""

    event: str
    table: Table
    some: ColumnElement[bool]

    def newest(self, connection: Connection) -> int:
        number = self.table.c.id
        return int(connection.execute(select(func.coalesce(func.max(number), 0))).scalar_one())

    def waiting(self, connection: Connection, last: int) -> int:
        """Rows after one."""
        if self.table is inspection:  # whose numbers have no gaps; millions may wait
            return max(0, self.newest(connection) - last)
        query = select(func.count()).where(self.table.c.id > last, self.some)
        return int(connection.execute(query).scalar_one())

    def after(self, connection: Connection, last: int, most: int) -> list[Row]:
        """At most so many rows after one, oldest first."""
        number = self.table.c.id
        query = select(self.table).where(number > last, self.some).order_by(number).limit(most)
        return [dict(row) for row in connection.execute(query).mappings()]

    def content(self, station: Station, row: Row) -> Row:
        """As docs/station-api.md tells it; an acknowledgement is the alarm as it is then."""
        if self.table is inspection:
            return station.serializer.inspection(row)
        if row["kind"] == ACKNOWLEDGED:
            with station.database.reading() as connection:
                row = verdicts.event_by_id(connection, row["data"]["event"]) or row
        return station.serializer.event(row)


INSPECTIONS = Feed("inspection", inspection, true())
ALARMS = Feed("event", event, or_(event.c.level == "alarm", event.c.kind == ACKNOWLEDGED))
