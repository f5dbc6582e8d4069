"""The station: store, shelf, line and watch together, and what follows when a part was stored."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import metadata
from typing import Any

from sqlalchemy import select

from trd.errors import TRDError
from trd.files import locked
from trd.preprocess.ranges import TrainingRanges
from trd_station import serialization
from trd_station.alarms.alarms import ACKNOWLEDGED, Alarms
from trd_station.attachments import Attachments
from trd_station.backup.archive import BACKING_UP, forget_killed
from trd_station.backup.taught import TEACH
from trd_station.clock import Clock, Periodic
from trd_station.current_settings import CurrentSettings
from trd_station.housekeeping import Housekeeping
from trd_station.kept_settings import with_kept
from trd_station.lessons.lessons import Lessons
from trd_station.lessons.proposals import Proposals
from trd_station.lessons.watch import LessonWatch
from trd_station.live import Live, Message
from trd_station.metrics import Metrics
from trd_station.news import News
from trd_station.serialization import Serializer
from trd_station.settings import Settings
from trd_station.shadows import Shadows
from trd_station.shelf.discovery import detectors_at, forget_uploads
from trd_station.shelf.shelf import Shelf
from trd_station.sign_ins import RefusedSignIns
from trd_station.store import verdicts, versions
from trd_station.store.database import Database, check_kind, note_kind
from trd_station.store.files import Files
from trd_station.store.history import RequestKey
from trd_station.store.verdicts import NewEvent
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
LESSONS_EVERY = 60.0

log = logging.getLogger("trd")


class Station:
    """Opened by `Station.open`, closed by `close`. The parts of the interface that the routes call."""

    def __init__(self, settings: Settings, runs: Sequence[str], opened: ExitStack) -> None:
        """opened: what is let go of at the end, in reverse order; also where this fails halfway."""
        self._opened = opened
        self.current_settings = CurrentSettings(settings, self._take_settings, self.report)
        self.version = metadata.version("trd-anomaly")
        self.tokens = Tokens(settings.data)
        self.files = Files(settings.data)
        self.database = Database(settings.url)
        opened.callback(self.database.close)
        note_kind(settings.data, settings.url)
        self.serializer = Serializer(self.database)
        self.parts = StoredParts(self.database, self.files, self.serializer)
        self.live = Live()
        self.news = News()
        self.news.listeners.append(self.live.publish)
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
        self.line = Line(settings, self.shelf, self.database, self.files, self._stored)
        self.metrics = Metrics(lambda: self.line.state.queued, settings.capacity)
        self.changing = threading.RLock()  # thresholds and models are changed by one caller at a time
        self.housekeeping = Housekeeping(
            self.database, self.files, lambda: self.settings, self.report, self.metrics.stored
        )
        self.attachments = Attachments()
        self.refused_sign_ins = RefusedSignIns(self.report)
        self.teaching = Teaching(
            settings.data / TEACH,
            settings.models,
            lambda name: self.database.write(partial(versions.class_id, name=name)),
            self.report,
            lambda job: self.news.tell(Message("job", job_json(self.teaching.queue, job))),
            self.taught_changed,
        )
        shared = self.database, self.serializer, self.shelf, self.parts, self.teaching
        self.proposals = Proposals(*shared, self.files)
        self.lessons = Lessons(*shared, settings.data)
        self.lesson_watch = LessonWatch(self.database, self.lessons, self.alarms.watched)
        self.shadows = Shadows(self.database, self.parts, settings.data / "shadows", self.report)
        self._ending = threading.Event()
        self._clock = Clock(
            STATE_EVERY,
            (
                Periodic(0, self.current_settings.reread),
                Periodic(0, self.tokens.save_seen),
                Periodic(0, lambda: self.news.tell_now(Message("state", self.state()))),
                Periodic(0, self.alarms.look),
                Periodic(PRUNE_EVERY, self.housekeeping.prune),
                Periodic(LESSONS_EVERY, self._look_after_lessons),
            ),
            self._ending,
        )

    @classmethod
    def open(cls, settings: Settings, runs: Sequence[str]) -> Station:
        """runs: folders of runs or detectors, or packages. Raises OutputError where another station has the folder,
        the database cannot be opened or is of another kind than the folder's, CheckpointError where no class can be
        served."""
        with ExitStack() as opened:
            opened.enter_context(locked(settings.data, "a station", inside=(BACKING_UP,)))
            forget_killed(settings.data)
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
        self.files.clear_temporary()
        forget_uploads(self.settings.models)
        refused, replaced = self.shelf.start()
        class_ids = [self.class_id(name) for name in self.shelf.classes]
        self.watch.start(class_ids)
        self.alarms.start(class_ids)
        self.news.start()
        self._clock.start()
        for error in refused:
            self.report(NewEvent("alarm", "self_test", str(error), error.version.class_id))
        self.teaching.start()
        self.shadows.start()
        for change in replaced:
            self.report(NewEvent("warning", "model", str(change), change.before.class_id))
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
        self.news.stop()
        self._clock.join()
        with contextlib.suppress(TRDError):
            self.watch.save()
        with contextlib.suppress(TRDError):
            self.tokens.save_seen()
        self._opened.close()

    @property
    def settings(self) -> Settings:
        """Those in force now."""
        return self.current_settings.now

    def _take_settings(self, settings: Settings) -> None:
        self.line.keep_inputs = settings.keep_inputs

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

    def model_json(self, version: ModelVersion) -> dict[str, Any]:
        with self.database.reading() as connection:
            return self.serializer.model(version, versions.inspections_of(connection, version.id))

    # --- what happens

    def report(self, event: NewEvent) -> Any:
        """Store an event and tell everyone; a future of its row."""
        future = self.database.begin(partial(verdicts.add_event, new=event))

        def tell(done: Any) -> None:
            if done.exception() is None:
                self.news.put(partial(self._tell_event, done.result()))

        future.add_done_callback(tell)
        return future

    def judged(self, row: Mapping[str, Any], verdict: dict[str, Any]) -> None:
        """A verdict was stored; row: the inspection as it was before."""
        first = row["verdict"] is None

        def news() -> None:
            name = self.serializer.class_name(row["class_id"])
            self.news.tell_now(Message("verdict", serialization.verdict(verdict), name))
            if first and row["sampled"] and verdict["verdict"] == "good":
                self.watch.confirmed(row)

        self.news.put(news)

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
        self.news.tell(Message("changed", {"what": what, "class": class_name}, class_name))

    def taught_changed(self, class_name: str) -> None:
        """Readers of other classes hear of it, too: a page that teaches is open beside any class."""
        self.news.tell(Message("changed", {"what": "teaching", "class": class_name}))

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
        self.news.put(partial(self._tell_stored, rows))

    def _tell_stored(self, rows: list[Stored]) -> None:
        self.shadows.observe(rows)
        for row in rows:
            name = self.serializer.class_name(row["class_id"])
            self.metrics.decided(name, row["decision"], row["timings"]["total_ms"] / 1000)
            self.housekeeping.used_bytes += row["bytes"]
            self.watch.observe(row)
            self.alarms.observe(row)
            self.news.tell_now(Message("inspection", self.serializer.inspection(row), name, row["id"]))

    def _tell_event(self, row: dict[str, Any]) -> None:
        name = "" if row["class_id"] is None else self.serializer.class_name(row["class_id"])
        level = logging.INFO if row["level"] == "info" else logging.WARNING
        log.log(level, "%s%s", f"{name}: " if name else "", row["text"])
        self.news.tell_now(Message("event", self.serializer.event(row), name))

    def _look_after_lessons(self) -> None:
        for name in self.shelf.classes:
            self.lesson_watch.look(name, self.class_id(name))

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
