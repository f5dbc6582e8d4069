"""Lessons of a class, with what became of them and what they brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from trd.errors import DataError
from trd_station.lessons.gain import Comparison, of_same_parts, over_time
from trd_station.lessons.service import Service, services, state_of, switches
from trd_station.serialization import Serializer
from trd_station.shelf.shelf import Shelf
from trd_station.store import history, versions
from trd_station.store.database import Database
from trd_station.store.filters import Filters
from trd_station.store.versions import ModelVersion
from trd_station.stored_parts import StoredParts
from trd_station.teaching.jobs import Job
from trd_station.teaching.lesson import LessonPlan
from trd_station.teaching.teaching import Teaching
from trd_station.teaching.trial import JudgedPart, Plan
from trd_station.trial_model import trial_model

MOST_AUDITED = 500  # parts of each verdict that both models score


@dataclass(frozen=True)
class Lesson:
    """state: of the job, or what became of the detector; "asked": good parts look like defects, somebody has to
    look. models: numbers of its models here. service: the last time in which it served."""

    job: Job
    state: str
    models: tuple[int, ...]
    service: Service | None

    @cached_property
    def plan(self) -> LessonPlan:
        """Raises DataError."""
        return LessonPlan.read(self.job)


@dataclass(frozen=True)
class Gain:
    """audited: sampled parts that were judged since the switch. both: of parts that both models have scored. trials:
    jobs in which they do, newest first."""

    audited: int
    over_time: Comparison
    both: Comparison | None
    trials: tuple[Job, ...]


class Lessons:
    def __init__(
        self,
        database: Database,
        serializer: Serializer,
        shelf: Shelf,
        stored: StoredParts,
        teaching: Teaching,
        data: Path,
    ) -> None:
        """data: the station's folder."""
        self._database, self._serializer, self._shelf, self._stored = database, serializer, shelf, stored
        self._teaching, self._data = teaching, data

    def of_class(self, class_name: str) -> list[Lesson]:
        """Newest first."""
        asked = [job for job in self._teaching.queue.jobs(class_name) if job.kind == "lesson"]
        class_id = self._serializer.class_id(class_name)
        if not asked or class_id is None:
            return []
        with self._database.reading() as connection:
            models, events = versions.models(connection, class_id), switches(connection, class_id)
        return [_lesson(job, models, events) for job in asked]

    def lesson(self, number: int) -> Lesson:
        """Raises KeyError."""
        job = self._teaching.queue.job(number)
        if job is None or job.kind != "lesson":
            raise KeyError(number)
        return next(lesson for lesson in self.of_class(job.class_name) if lesson.job.id == number)

    def before(self, lesson: Lesson) -> ModelVersion | None:
        """The model to go back to from a lesson that serves."""
        with self._database.reading() as connection:
            before = lesson.service.before if lesson.service else None
            version = versions.model_by_id(connection, before) if before is not None else None
        return version or self._shelf.before(lesson.job.class_name)

    def gain(self, lesson: Lesson) -> Gain | None:
        """None of one that has not served yet."""
        if lesson.service is None:
            return None
        with self._database.reading() as connection:
            compared = over_time(connection, self._class_id(lesson), lesson.models, lesson.service)
        trials = tuple(
            job
            for job in self._teaching.queue.jobs(lesson.job.class_name)
            if job.kind == "trial" and job.asked.get("lesson") == lesson.job.id and job.at >= lesson.service.since
        )
        done = next((job for job in trials if job.state == "done"), None)
        both = of_same_parts(done.result or {}) if done else None
        audited = sum(since.count for _, since in compared.shares.values())
        return Gain(audited, compared, both, trials)

    def score_audited(self, lesson: Lesson, who: str) -> Job:
        """A job in which the model before and the lesson's score the sampled parts that were judged since the switch.
        Raises DataError where there is no such model, or no such part."""
        service = lesson.service
        if service is None or service.before is None:
            raise DataError(f"lesson {lesson.job.id} has not served in the place of another model: nothing to compare")
        with self._database.reading() as connection:
            before = versions.model_by_id(connection, service.before)
            assert before is not None  # models' rows stay
            own = [m for m in versions.models(connection, self._class_id(lesson)) if m.id in lesson.models]
            taught = next((version for version in own if version.state == "serving"), own[0])
            plan = Plan(
                tuple(trial_model(connection, version, self._data) for version in (before, taught)),
                tuple(self._audited(connection, self._class_id(lesson), service)),
            )
        if not plan.parts:
            raise DataError(f"no sampled part was judged since lesson {lesson.job.id} serves: judge some")
        audited = gain.audited if (gain := self.gain(lesson)) else 0
        about = {"lesson": lesson.job.id, "audited": audited}
        return self._teaching.try_models(lesson.job.class_name, who, plan, about)

    def _audited(self, connection: Connection, class_id: int, service: Service) -> list[JudgedPart]:
        parts = []
        for verdict in ("defect", "good"):
            filters = Filters((class_id,), verdicts=(verdict,), sampled=True, since=service.since, until=service.until)
            rows, _ = history.page(connection, filters, None, MOST_AUDITED)
            parts += [part for row in rows if (part := self._stored.judged(row)) is not None]
        return parts

    def _class_id(self, lesson: Lesson) -> int:
        number = self._serializer.class_id(lesson.job.class_name)
        assert number is not None  # of a class that has a model
        return number


def _lesson(job: Job, models: Sequence[ModelVersion], events: Sequence[Mapping[str, Any]]) -> Lesson:
    result = job.result or {}
    if job.state != "done":
        return Lesson(job, job.state, (), None)
    if result["refused"]:
        return Lesson(job, "asked" if result.get("doubtful") else "refused", (), None)
    own = [version for version in models if version.detector == result["detector"]]
    numbers = tuple(version.id for version in own)
    served = services(events, numbers)
    serving = next((version for version in own if version.state == "serving"), None)
    if serving is not None and not served:
        served = [Service(serving.served_at or serving.at, None)]  # since a start of the station
    last = served[-1] if served else None
    detectors = {version.id: version.detector for version in models}
    return Lesson(job, state_of(last, serving is not None, detectors), numbers, last)
