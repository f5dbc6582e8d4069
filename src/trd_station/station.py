"""The station: store, shelf, line and watch together, and what follows when a part was stored."""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any

from sqlalchemy import select

from trd.errors import DataError, TRDError
from trd.files import locked
from trd.preprocess.ranges import TrainingRanges
from trd_station import serialization, times
from trd_station.alarms.alarms import ACKNOWLEDGED, Alarms
from trd_station.attachments import Attachments
from trd_station.backup.archive import BACKING_UP
from trd_station.kept_settings import KeptSettings, changes, keep, read_kept, with_kept
from trd_station.live import Live, Message
from trd_station.metrics import Metrics
from trd_station.serialization import Serializer
from trd_station.settings import Settings
from trd_station.shadows import Shadows
from trd_station.shelf.discovery import detectors_at
from trd_station.shelf.shelf import Replaced, Shelf
from trd_station.store import history, verdicts, versions
from trd_station.store.database import Database, check_kind, note_kind
from trd_station.store.files import Files
from trd_station.store.history import RequestKey
from trd_station.store.retention import needed_bytes, prune, used_bytes
from trd_station.store.verdicts import EventFilters, NewEvent
from trd_station.store.versions import ModelVersion
from trd_station.stored_parts import StoredParts
from trd_station.teaching.serialization import job_json
from trd_station.teaching.teaching import Teaching
from trd_station.tokens import Tokens
from trd_station.watch.watch import Watch
from trd_station.work.jobs import Job, Request, Stored
from trd_station.work.line import Line

STATE_EVERY = 2.0  # seconds
PRUNE_EVERY = 600.0
REFUSED_EVERY = 60.0
AHEAD = 60_000  # milliseconds of a stored time before the clock, from which on it is told
KEY_RETENTION = 7 * times.DAY  # of Idempotency-Key

Listener = Callable[[Message], None]

log = logging.getLogger("trd")


class Station:
    """Opened by `Station.open`, closed by `close`. The parts of the interface that the routes call."""

    def __init__(self, settings: Settings, runs: Sequence[str], opened: ExitStack) -> None:
        """opened: what is let go of at the end, in reverse order; also where this fails halfway."""
        self.settings, self._opened = settings, opened
        self.version = metadata.version("trd-anomaly")
        self.tokens = Tokens(settings.data)
        self.files = Files(settings.data)
        self.database = Database(settings.url)
        opened.callback(self.database.close)
        note_kind(settings.data, settings.url)
        self.serializer = Serializer(self.database)
        self.parts = StoredParts(self.database, self.files, self.serializer)
        self.live = Live()
        self.listeners: list[Listener] = [self.live.publish]
        self.shelf = Shelf(
            self.database,
            [detector for run in runs for detector in detectors_at(run)],
            settings.models,
            settings.device,
            settings.review_factor,
            self.parts.recorded,
        )
        self.parts.shelf = self.shelf
        self.alarms = Alarms(self.database, settings.data, self.report)
        self.watch = Watch(
            self.database, settings.watch_rate, self._model, self._ranges, self._good_scores, self.alarms.watched
        )
        self._news: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.line = Line(settings, self.shelf, self.database, self.files, self._stored)
        self.metrics = Metrics(lambda: self.line.state.queued, settings.capacity)
        self.changing = threading.RLock()  # thresholds and models are changed by one caller at a time
        self.used_bytes = 0  # of files; counted anew with every pruning
        self.attachments = Attachments()
        self._settings_fault = ""
        self._refused_at = -REFUSED_EVERY
        self.teaching = Teaching(
            settings.data / "teach",
            settings.models,
            lambda name: self.database.write(partial(versions.class_id, name=name)),
            self.report,
            lambda job: self.tell(Message("job", job_json(self.teaching.queue, job))),
            self.taught_changed,
        )
        self.shadows = Shadows(self.database, self.parts, settings.data / "shadows", self.report)
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"station-{name}", daemon=True)
            for name, target in (("news", self._tell_news), ("clock", self._tick))
        ]

    @classmethod
    def open(cls, settings: Settings, runs: Sequence[str]) -> Station:
        """runs: folders of runs or detectors, or packages. Raises OutputError where another station has the folder,
        the database cannot be opened or is of another kind than the folder's, CheckpointError where no class can be
        served."""
        with ExitStack() as opened:
            opened.enter_context(locked(settings.data, "a station", inside=(BACKING_UP,)))
            check_kind(settings.data, settings.url)
            settings = with_kept(settings)
            station = cls(settings, runs, opened)
            station._opened = opened.pop_all()
        try:
            station._start()
        except BaseException:
            station.close()
            raise
        return station

    def _start(self) -> None:
        lost = self.files.clear_incoming()
        refused, replaced = self.shelf.start()
        class_ids = [self.class_id(name) for name in self.shelf.classes]
        self.watch.start(class_ids)
        self.alarms.start(class_ids)
        for thread in self._threads:
            thread.start()
        for error in refused:
            self.report(NewEvent("alarm", "self_test", str(error), error.version.class_id))
        self.teaching.start()
        self.shadows.start()
        for change in replaced:
            self.report(NewEvent("warning", "model", _of_replaced(change), change.before.class_id))
        names = ", ".join(f"{name} by {self._serving(name)}" for name in self.shelf.classes) or "no class yet"
        unanswered = f"; {lost} parts had not been decided when it stopped" if lost else ""
        self.report(NewEvent("info", "started", f"the station serves {names}{unanswered}"))

    def close(self) -> None:
        """What was taken is decided and stored first."""
        self.teaching.stop()
        self.shadows.stop()
        self.line.stop()
        with contextlib.suppress(TRDError):
            self.report(NewEvent("info", "stopped", "the station stops")).result()
        self._ending.set()
        self._news.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        with contextlib.suppress(TRDError):
            self.watch.save()
        with contextlib.suppress(TRDError):
            self.tokens.save_seen()
        self._opened.close()

    @property
    def ready(self) -> dict[str, bool]:
        """Class -> whether it is served; empty where the database does not answer or the station stops."""
        if self._ending.is_set():
            return {}
        try:
            with self.database.reading() as connection:
                connection.execute(select(1))
        except Exception:
            return {}
        return {name: self.shelf.serving(name) is not None for name in self.shelf.classes}

    # --- parts

    def sampled(self) -> bool:
        """Drawn before a part is decided, by chance that nobody can foresee."""
        return secrets.randbelow(10**6) < round(self.settings.audit_rate * 10**6)

    def inspect(self, jobs: Sequence[Job], key: RequestKey | None = None) -> list[Stored]:
        """From a folder, a replay or a camera: waits for room, and for the answer. key: stored with the parts. Raises
        NotReady, OutputError."""
        while True:
            try:
                self.line.reserve(len(jobs))
                break
            except TRDError as error:
                wait = getattr(error, "retry_after", None)
                if wait is None or self._ending.wait(min(wait, 1)):
                    raise
        try:
            answer = self.line.submit(Request(jobs, key))
        except TRDError:
            self.line.release(len(jobs))
            raise
        return answer.result()

    def change_settings(self, values: KeptSettings, who: str) -> None:
        """From the next part on, and over the next start. Raises DataError, OutputError."""
        with self.changing:
            keep(self.settings.data, values)
            self._take_settings(f" by {who}")

    def _take_settings(self, by: str = "") -> None:
        """Those of the file, which the command changes too."""
        with self.changing:
            before, after = self.settings, replace(self.settings, **read_kept(self.settings.data).given())
            self.settings, self.line.keep_inputs = after, after.keep_inputs
        if changed := changes(before, after):
            self.report(NewEvent("info", "settings", f"settings were changed{by}: {', '.join(map(str, changed))}"))

    def refused_sign_in(self, address: str) -> None:
        """Logged each time; an event at most once a minute, as whoever tries all tokens would fill the database."""
        log.warning("a token was refused at the sign-in, from %s", address)
        now = time.monotonic()
        if now - self._refused_at >= REFUSED_EVERY:
            self._refused_at = now
            self.report(NewEvent("warning", "sign_in", f"a token was refused at the sign-in, from {address}"))

    def _reread_settings(self) -> None:
        """A file that cannot be read changes nothing, and is told once."""
        try:
            self._take_settings()
            self._settings_fault = ""
        except DataError as error:
            if str(error) != self._settings_fault:
                self.report(NewEvent("warning", "settings", str(error)))
            self._settings_fault = str(error)

    def model_json(self, version: ModelVersion) -> dict[str, Any]:
        with self.database.reading() as connection:
            return self.serializer.model(version, versions.inspections_of(connection, version.id))

    # --- what happens

    def report(self, event: NewEvent) -> Any:
        """Store an event and tell everyone; a future of its row."""
        future = self.database.begin(partial(verdicts.add_event, new=event))

        def tell(done: Any) -> None:
            if done.exception() is None:
                self._news.put(partial(self._tell_event, done.result()))

        future.add_done_callback(tell)
        return future

    def judged(self, row: Mapping[str, Any], verdict: dict[str, Any]) -> None:
        """A verdict was stored; row: the inspection as it was before."""
        first = row["verdict"] is None

        def news() -> None:
            name = self.serializer.class_name(row["class_id"])
            self._tell(Message("verdict", serialization.verdict(verdict), name))
            if first and row["sampled"] and verdict["verdict"] == "good":
                self.watch.confirmed(row)

        self._news.put(news)

    def open_alarms(self) -> list[dict[str, Any]]:
        """As docs/station-api.md tells events, oldest first."""
        with self.database.reading() as connection:
            return [self.serializer.event(row) for row in verdicts.open_alarm_rows(connection)]

    def acknowledged(self, row: Mapping[str, Any]) -> None:
        """An event was acknowledged, which the log of events tells too; row: as it is now."""
        why = f": {row['cause']}" if row["cause"] else ""
        text = f"acknowledged by {row['acknowledged_by']}{why} ({row['text']})"
        alarm = row["level"] == "alarm"
        self.report(NewEvent("info", ACKNOWLEDGED if alarm else "watch", text, row["class_id"], {"event": row["id"]}))
        if alarm:
            self.alarms.acknowledged(row)
        self.changed("watch", "" if row["class_id"] is None else self.serializer.class_name(row["class_id"]))

    def changed(self, what: str, class_name: str) -> None:
        self.tell(Message("changed", {"what": what, "class": class_name}, class_name))

    def taught_changed(self, class_name: str) -> None:
        """Readers of other classes hear of it, too: a page that teaches is open beside any class."""
        self.tell(Message("changed", {"what": "teaching", "class": class_name}))

    def tell(self, message: Message) -> None:
        """Everyone who listens, after what happened before."""
        self._news.put(partial(self._tell, message))

    def class_id(self, name: str) -> int:
        number = self.serializer.class_id(name)
        assert number is not None  # of a class that is served
        return number

    def state(self) -> dict[str, Any]:
        """As the event `state` of the live stream."""
        line = self.line.state
        classes = {}
        with self.database.reading() as connection:
            for name in self.shelf.classes:
                number = self.class_id(name)
                waiting = sum(verdicts.open_reviews(connection, number).values())
                self.metrics.review.labels(name).set(waiting)
                classes[name] = {
                    "ready": self.shelf.serving(name) is not None,
                    "review_open": waiting,
                    "alarms_open": verdicts.open_alarms(connection, number),
                }
        return {
            "queue": line.queued,
            "capacity": line.capacity,
            "parts_per_minute": round(line.parts_per_minute, 1),
            "model_busy": round(line.busy, 3),
            "classes": classes,
        }

    def _stored(self, rows: list[Stored]) -> None:
        self._news.put(partial(self._tell_stored, rows))

    def _tell_stored(self, rows: list[Stored]) -> None:
        self.shadows.observe(rows)
        for row in rows:
            name = self.serializer.class_name(row["class_id"])
            self.metrics.decided(name, row["decision"], row["timings"]["total_ms"] / 1000)
            self.used_bytes += row["bytes"]
            self.watch.observe(row)
            self.alarms.observe(row)
            self._tell(Message("inspection", self.serializer.inspection(row), name, row["id"]))

    def _tell_event(self, row: dict[str, Any]) -> None:
        name = "" if row["class_id"] is None else self.serializer.class_name(row["class_id"])
        level = logging.INFO if row["level"] == "info" else logging.WARNING
        log.log(level, "%s%s", f"{name}: " if name else "", row["text"])
        self._tell(Message("event", self.serializer.event(row), name))

    def _tell(self, message: Message) -> None:
        for listener in list(self.listeners):
            try:
                listener(message)
            except Exception:
                log.exception("an output failed")

    def _tell_news(self) -> None:
        while (news := self._news.get()) is not None:
            try:
                news()
            except Exception:
                log.exception("what followed a part failed")

    def _tick(self) -> None:
        next_pruning = time.monotonic()
        while not self._ending.wait(STATE_EVERY):
            try:
                self._reread_settings()
                self.tokens.save_seen()
                self._tell(Message("state", self.state()))
                self.alarms.look()
                if time.monotonic() >= next_pruning:
                    next_pruning = time.monotonic() + PRUNE_EVERY
                    self._prune()
            except Exception:
                log.exception("the station's clock failed")

    def _prune(self) -> None:
        gone = prune(self.database, self.files, self.settings.keep_days, self.settings.keep_bytes)
        if gone.inspections:
            freed = f"the files of {gone.inspections} inspections were deleted, {gone.bytes / 1e6:.0f} MB"
            self.report(NewEvent("info", "retention", f"{freed}; their rows stay"))
        if gone.held:
            self._warn(
                "clock", "no part came for days before the last one: is the clock right? No files go for their age"
            )
        self.database.write(partial(history.forget_keys, before=times.now() - KEY_RETENTION))
        with self.database.reading() as connection:
            self.used_bytes = used_bytes(connection)
            needed = needed_bytes(connection)
            ahead = history.newest_at(connection) - times.now()
        if ahead > AHEAD:
            hours = f"{ahead / times.HOUR:.1f} hours"
            self._warn(
                "clock", f"the last part was stored with a time {hours} ahead; until then all get that same time"
            )
        self.metrics.stored.set(self.used_bytes)
        if 2 * needed > (most := self.settings.keep_bytes):
            self._warn(
                "retention",
                f"{needed / 1e9:.1f} of {most / 1e9:.1f} GB are files of parts that are judged or sampled, which never "
                "go, or wait for review, which go last: the others' go the sooner. Raise --keep-gb, or lower --audit",
            )

    def _warn(self, kind: str, text: str) -> None:
        """Once a day, also where the station starts again."""
        today = EventFilters(kind=kind, level="warning", since=times.now() - times.DAY)
        with self.database.reading() as connection:
            earlier, _ = verdicts.events(connection, today, None, 1)
        if not earlier:
            self.report(NewEvent("warning", kind, text)).result()

    # --- what shelf and watch ask for

    def _serving(self, name: str) -> str:
        serving = self.shelf.serving(name)
        return "nothing" if serving is None else serving.version.name

    def _model(self, class_id: int) -> int | None:
        serving = self.shelf.serving(self.serializer.class_name(class_id))
        return serving.version.id if serving else None

    def _ranges(self, class_id: int) -> TrainingRanges | None:
        serving = self.shelf.serving(self.serializer.class_name(class_id))
        return serving.detector.facts.ranges if serving else None

    def _good_scores(self, class_id: int) -> Sequence[float]:
        serving = self.shelf.serving(self.serializer.class_name(class_id))
        if serving is None or serving.detector.calibration.kind != "split":
            return ()
        return serving.detector.calibration.good_scores


def _of_replaced(change: Replaced) -> str:
    """For its event."""
    before, now = change.before, change.now
    above = "" if change.rejected_above is None else f", which rejected above {change.rejected_above:.5g}"
    return (
        f"{before.name} (model {before.id}) served before{above}, and is not at {before.path} any more or was refused; "
        f"now {now.version.name} (model {now.version.id}) serves and rejects above "
        f"{now.threshold.limits.reject_above:.5g}. If that is not wanted, give the earlier one at the start, or put it "
        "into the station's folder `models`, and switch to it"
    )
