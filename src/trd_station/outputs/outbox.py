"""Every inspection or alarm, in order, to a receiver that may be away: what was delivered is remembered, the rest
waits."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trd.errors import OutputError, TRDError
from trd.files import write_json
from trd_station import times
from trd_station.attachments import AttachedState
from trd_station.live import Message
from trd_station.outputs.feeds import INSPECTIONS, Feed
from trd_station.station import Station
from trd_station.store.database import reason
from trd_station.store.verdicts import NewEvent

CHUNK = 100
RETRY = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds after the first, second ... failure in a row
IDLE = 2.0  # seconds after which it looks without having been woken

log = logging.getLogger("trd")


class UndeliverableError(OutputError):
    """What the output can never send, however often it tries."""


def body_of(content: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. Raises UndeliverableError for what JSON or UTF-8 does not have."""
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise UndeliverableError(f"it cannot be written as JSON: {error}") from error


class Outbox:
    """deliver: sends one item of the feed (as docs/station-api.md tells it) and returns when the receiver has it. An
    UndeliverableError sets this item aside, with an event; any other exception means that the receiver does not have
    it yet. At least once: after a kill the last one may come again, with the same `id`.

    A new outbox begins with what comes now. Its place is in DATA/outputs/NAME.json.
    """

    def __init__(
        self, station: Station, name: str, deliver: Callable[[dict[str, Any]], None], feed: Feed = INSPECTIONS
    ) -> None:
        self.name, self._feed = name, feed
        self._receiver = name.removesuffix("-alarms")  # which gets both feeds, and is away for both
        self._station, self._deliver = station, deliver
        self._path: Path = station.settings.data / "outputs" / f"{name}.json"
        self._last = self._saved = self._read()
        self._failures = 0
        self._fault = ""
        self._delivered_at: int | None = None
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"station-{name}", daemon=True)
        station.news.listeners.append(self._hear)
        self._thread.start()

    @property
    def delivered(self) -> int:
        """The last row of the feed that the receiver has, or that was set aside."""
        return self._last

    def state(self) -> AttachedState:
        with self._station.database.reading() as connection:
            waiting = self._feed.waiting(connection, self._last)
        return AttachedState("failing" if self._fault else "working", self._fault, self._delivered_at, waiting)

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()
        self._thread.join()
        self._station.news.listeners.remove(self._hear)
        try:
            self._save()
        except TRDError as error:
            log.warning("%s: its last result may come again: %s", self.name, error)

    def _hear(self, message: Message) -> None:
        if message.event == self._feed.event:
            self._news.set()

    def _read(self) -> int:
        try:
            return int(json.loads(self._path.read_text("utf-8"))["delivered"])
        except FileNotFoundError:
            with self._station.database.reading() as connection:
                newest = self._feed.newest(connection)
            write_json(self._path, {"delivered": newest})
            return newest
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s cannot be read: the output begins with what comes now", self._path)
            self._path.unlink(missing_ok=True)
            return self._read()

    def _save(self) -> None:
        if self._saved != self._last:
            write_json(self._path, {"delivered": self._last})
            self._saved = self._last

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            try:
                more = self._send_waiting()
            except Exception as error:  # the disk is full, or the database does not answer: that may pass
                if not self._failures:
                    log.error("%s failed", self.name, exc_info=error)  # where no event can be stored either
                self._failed("cannot go on", error)
            else:
                if not more:
                    self._news.wait(IDLE)

    def _send_waiting(self) -> bool:
        """Whether there may be more."""
        self._save()  # where it failed: while the place is not known, nothing more is sent that would come twice
        with self._station.database.reading() as connection:
            rows = self._feed.after(connection, self._last, CHUNK)
        if not rows:
            self._works("goes on; nothing waits for it")
        for row in rows:
            if self._stopping.is_set():
                return False
            try:
                self._deliver(self._feed.content(self._station, row))
                aside = ""
            except UndeliverableError as error:
                aside = str(error)
            except Exception as error:
                self._failed("does not receive", error)
                return True
            self._last = row["id"]
            self._save()
            if aside:
                text = f"{self.name} never gets {self._feed.event} {row['id']}: {aside[:300]}"
                data = {self._feed.event: row["id"]}
                self._station.report(NewEvent("warning", "output", text, row["class_id"], data))
                continue
            self._delivered_at = times.now()
            self._works("receives again")
        return len(rows) == CHUNK

    def _works(self, what: str) -> None:
        """what: told where it did not before."""
        self._fault = ""
        if self._failures:
            self._failures = 0
            self._station.alarms.output_works(self._receiver)
            self._station.report(NewEvent("info", "output", f"{self.name} {what}"))

    def _failed(self, what: str, error: Exception) -> None:
        self._fault = f"{what} ({type(error).__name__}: {reason(error)[:200]})"
        if not self._failures and not self._stopping.is_set():
            self._station.report(NewEvent("warning", "output", f"{self.name} {self._fault}; results wait for it"))
        self._station.alarms.output_failed(self._receiver)
        wait = RETRY[min(self._failures, len(RETRY) - 1)]
        self._failures += 1
        self._stopping.wait(wait)
