"""What a station does every ten minutes: files go by age and room, and warnings of clocks and disks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import Gauge

from trd_station import times
from trd_station.settings import Settings
from trd_station.store import history, verdicts
from trd_station.store.database import Database
from trd_station.store.files import Files
from trd_station.store.retention import needed_bytes, prune, used_bytes
from trd_station.store.verdicts import EventFilters, NewEvent

AHEAD = 60_000  # milliseconds of a stored time before the clock, from which on it is told
KEY_RETENTION = 7 * times.DAY  # of Idempotency-Key


class Housekeeping:
    """used_bytes: of files, counted anew with every pruning; the caller adds what comes in between."""

    def __init__(
        self,
        database: Database,
        files: Files,
        settings: Callable[[], Settings],
        report: Callable[[NewEvent], Any],
        stored: Gauge,
    ) -> None:
        """settings: as they are now. report: stores an event; a future of its row. stored: shows `used_bytes`."""
        self._database, self._files, self._settings = database, files, settings
        self._report, self._stored = report, stored
        self.used_bytes = 0

    def prune(self) -> None:
        settings = self._settings()
        gone = prune(self._database, self._files, settings.keep_days, settings.keep_bytes)
        if gone.inspections:
            freed = f"the files of {gone.inspections} inspections were deleted, {gone.bytes / 1e6:.0f} MB"
            self._report(NewEvent("info", "retention", f"{freed}; their rows stay"))
        if gone.held:
            self._warn(
                "clock", "no part came for days before the last one: is the clock right? No files go for their age"
            )
        self._database.write(partial(history.forget_keys, before=times.now() - KEY_RETENTION))
        with self._database.reading() as connection:
            self.used_bytes = used_bytes(connection)
            needed = needed_bytes(connection)
            ahead = history.newest_at(connection) - times.now()
        if ahead > AHEAD:
            hours = f"{ahead / times.HOUR:.1f} hours"
            self._warn(
                "clock", f"the last part was stored with a time {hours} ahead; until then all get that same time"
            )
        self._stored.set(self.used_bytes)
        if 2 * needed > (most := settings.keep_bytes):
            self._warn(
                "retention",
                f"{needed / 1e9:.1f} of {most / 1e9:.1f} GB are files of parts that are judged or sampled, which never "
                "go, or wait for review, which go last: the others' go the sooner. Raise --keep-gb, or lower --audit",
            )

    def _warn(self, kind: str, text: str) -> None:
        """Once a day, also where the station starts again."""
        today = EventFilters(kind=kind, level="warning", since=times.now() - times.DAY)
        with self._database.reading() as connection:
            earlier, _ = verdicts.events(connection, today, None, 1)
        if not earlier:
            self._report(NewEvent("warning", kind, text)).result()
