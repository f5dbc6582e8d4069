"""Alarms are events of the level "alarm": raised once, open until someone acknowledges them with a cause."""

from __future__ import annotations

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from trd_station.alarms.rules import LONGEST_WINDOW, ClassRules, StationRules, rules_from_json
from trd_station.alarms.tally import RATE, REJECTS, UNUSABLE, Tally
from trd_station.store import alarm_rules, verdicts
from trd_station.store.database import Database
from trd_station.store.schema import event, inspection
from trd_station.store.verdicts import NewEvent

OUTPUT, DISK, DRIFT, LESSON = "output", "disk", "drift", "lesson"
ACKNOWLEDGED = "acknowledged"  # the kind of the event that tells it
TALLIED = (REJECTS, RATE, UNUSABLE)

Key = tuple[int | None, str, str]  # class, kind, and of an output its name


class Alarms:
    """folder: on the disk that is looked at. report: stores an event and tells it; a future of its row.

    What was counted and what is open survives a restart: it is read from the parts and events since the last
    acknowledgement.
    """

    def __init__(self, database: Database, folder: Path, report: Callable[[NewEvent], Future[Any]]) -> None:
        self._database, self._folder, self._report = database, folder, report
        self._lock = threading.Lock()
        self._tallies: defaultdict[int, Tally] = defaultdict(Tally)
        self._open: set[Key] = set()
        self._standing: set[Key] = set()  # of a state that lasts: it is told once, also where it is acknowledged
        self._failing: dict[str, float] = {}  # output -> since when, by the monotonic clock
        self._class_rules: dict[int, ClassRules] = {}
        self._station_rules = StationRules()

    def start(self, class_ids: Iterable[int]) -> None:
        with self._database.reading() as connection:
            self._station_rules = rules_from_json(StationRules, alarm_rules.current(connection, None))
            for row in verdicts.open_alarm_rows(connection):
                self._open.add(_key(row))
            for class_id in class_ids:
                self._tally_again(connection, class_id)

    def _tally_again(self, connection: Connection, class_id: int) -> None:
        c, e = inspection.c, event.c
        query = select(c.at, c.decision).where(c.class_id == class_id).order_by(c.at.desc(), c.id.desc())
        rows = connection.execute(query.limit(LONGEST_WINDOW)).all()
        acknowledged = {}
        for kind in TALLIED:
            latest = select(e.acknowledged_at).where(
                e.class_id == class_id, e.kind == kind, e.acknowledged_at.is_not(None)
            )
            acknowledged[kind] = connection.execute(latest.order_by(e.acknowledged_at.desc()).limit(1)).scalar() or 0
        for row in reversed(rows):
            self._tallies[class_id].add(tuple(kind for kind in TALLIED if row.at > acknowledged[kind]), row.decision)

    # --- rules

    def class_rules(self, class_id: int) -> ClassRules:
        if class_id not in self._class_rules:
            with self._database.reading() as connection:
                stored = alarm_rules.current(connection, class_id)
            # what `use` has set meanwhile is newer
            return self._class_rules.setdefault(class_id, rules_from_json(ClassRules, stored))
        return self._class_rules[class_id]

    @property
    def station_rules(self) -> StationRules:
        return self._station_rules

    def use(self, rules: ClassRules | StationRules, class_id: int | None) -> None:
        """From now on; they are stored already."""
        if isinstance(rules, StationRules):
            self._station_rules = rules
        elif class_id is not None:
            self._class_rules[class_id] = rules

    # --- what happens

    def observe(self, row: Mapping[str, Any]) -> None:
        """An inspection that was stored."""
        class_id = row["class_id"]
        rules = self.class_rules(class_id)
        with self._lock:
            self._tallies[class_id].add(TALLIED, row["decision"])
            faults = self._tallies[class_id].broken(rules, row)
        for kind, text in faults.items():
            self._raise((class_id, kind, ""), text, {"inspection": row["id"]})

    def watched(self, new: NewEvent) -> Any:
        """An event of a watch, as loud as the rules of its class have it."""
        rules = None if new.class_id is None else self.class_rules(new.class_id)
        quiet = rules is not None and not {DRIFT: rules.drift, LESSON: rules.lesson}.get(new.kind, True)
        return self._report(replace(new, level="warning") if quiet and new.level == "alarm" else new)

    def output_failed(self, name: str) -> None:
        """Called with each attempt in vain."""
        with self._lock:
            self._failing.setdefault(name, time.monotonic())

    def output_works(self, name: str) -> None:
        with self._lock:
            self._failing.pop(name, None)
            self._standing.discard((None, OUTPUT, name))

    def look(self) -> None:
        """At what lasts: outputs that do not receive, and the disk. Called every few seconds."""
        rules = self._station_rules
        with self._lock:
            failing = {name: time.monotonic() - since for name, since in self._failing.items()}
        for name, seconds in failing.items():
            if rules.output_dead_s and seconds >= rules.output_dead_s:
                self._raise(
                    (None, OUTPUT, name), f"{name} has not received results for {seconds:.0f} s", {"name": name}
                )
        try:
            free = shutil.disk_usage(self._folder).free / 1e9
        except OSError:  # a share that is away: who writes to it says so
            return
        if rules.disk_free_gb and free < rules.disk_free_gb:
            self._raise((None, DISK, ""), f"{free:.1f} GB are free on the disk, fewer than {rules.disk_free_gb:g}", {})
        else:
            with self._lock:
                self._standing.discard((None, DISK, ""))

    def acknowledged(self, row: Mapping[str, Any]) -> None:
        """An alarm's event that is not open any more: what it counted begins anew."""
        key = _key(row)
        with self._lock:
            self._open.discard(key)
            if row["class_id"] is not None:
                self._tallies[row["class_id"]].reset(row["kind"])

    def _raise(self, key: Key, text: str, data: Mapping[str, Any]) -> None:
        class_id, kind, _ = key
        with self._lock:
            if key in self._open or key in self._standing:
                return
            self._open.add(key)
            if kind in (OUTPUT, DISK):
                self._standing.add(key)
        self._report(NewEvent("alarm", kind, text, class_id, data)).add_done_callback(
            partial(self._forget_unstored, key)
        )

    def _forget_unstored(self, key: Key, stored: Future[Any]) -> None:
        """An alarm that the database could not store is raised again when the rule is broken the next time."""
        if stored.exception() is not None:
            with self._lock:
                self._open.discard(key)
                self._standing.discard(key)


def _key(row: Mapping[str, Any]) -> Key:
    name = row["data"].get("name", "") if row["kind"] == OUTPUT else ""
    return row["class_id"], row["kind"], name
