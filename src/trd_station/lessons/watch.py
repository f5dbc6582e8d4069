"""Looks after lessons that serve: both models score the judged sampled parts as these get more, and a lesson that they
show to be worse is told. Parts of another time show no lesson to be worse: line and lamp change, too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from trd.errors import TRDError
from trd_station.alarms.alarms import LESSON
from trd_station.lessons.gain import FALSE_ALARMS, FOUND, Comparison
from trd_station.lessons.lessons import Gain, Lesson, Lessons
from trd_station.store import verdicts
from trd_station.store.database import Database
from trd_station.store.verdicts import EventFilters, NewEvent
from trd_station.teaching.jobs import ENDED

FIRST = 10  # judged sampled parts that both models score the first time
GROWTH = 1.25  # and by which factor they grow until the next


class LessonWatch:
    """report: of an event, as loud as the rules of its class have it."""

    def __init__(self, database: Database, lessons: Lessons, report: Callable[[NewEvent], Any]) -> None:
        self._database, self._lessons, self._report = database, lessons, report

    def look(self, class_name: str, class_id: int) -> None:
        """At the lesson that serves a class."""
        for lesson in self._lessons.of_class(class_name):
            gain = self._lessons.gain(lesson) if lesson.state == "serving" else None
            if gain is None:
                continue
            if gain.both and gain.both.worse and not self._was_told(lesson, class_id):
                data = {"lesson": lesson.job.id, "worse": list(gain.both.worse)}
                text = f"lesson {lesson.job.id} is worse on sampled parts: {_told(gain.both)}"
                self._report(NewEvent("alarm", LESSON, text, class_id, data)).result()
            if _is_due(gain):
                with contextlib.suppress(TRDError):  # the model before or the files of the parts are not here any more
                    self._lessons.score_audited(lesson, "station")

    def _was_told(self, lesson: Lesson, class_id: int) -> bool:
        assert lesson.service is not None  # it serves
        with self._database.reading() as connection:
            filters = EventFilters(class_id, kind=LESSON, since=lesson.service.since)
            rows, _ = verdicts.events(connection, filters, None, 100)
        return any(row["data"].get("lesson") == lesson.job.id for row in rows)


def _is_due(gain: Gain) -> bool:
    if not gain.trials:
        return gain.audited >= FIRST
    last = gain.trials[0]
    return last.state in ENDED and gain.audited >= max(FIRST, GROWTH * last.asked["audited"])


def _told(compared: Comparison) -> str:
    (found_before, found), (false_before, false) = compared.shares[FOUND], compared.shares[FALSE_ALARMS]
    return (
        f"{found.hits} of {found.count} defects rejected, before {found_before.hits} of {found_before.count}; "
        f"{false.hits} of {false.count} good parts rejected, before {false_before.hits} of {false_before.count}"
    )
