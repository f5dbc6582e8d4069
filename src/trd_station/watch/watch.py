"""The watch of all classes: every part's measures go into a test each, an alarm becomes an event.

Its state is saved now and then and at the end; after a stop the inspections since then are read again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select

from trd.preprocess.measures import UNITS
from trd.preprocess.ranges import TrainingRanges
from trd_station import times
from trd_station.store.database import Database
from trd_station.store.schema import inspection, watch_state
from trd_station.store.verdicts import NewEvent
from trd_station.watch.exchangeable import START, ExchangeabilityTest

SAVED = 50  # parts between two savings at least
SAVED_S = 300.0  # seconds between them, since a save writes all values: a megabyte for each 10,000 parts of 10 measures
RECENT = 20  # values whose mean is shown
CAUGHT_UP = 20_000  # inspections that are read again after a stop, at most
SCORE, SCORE_GOOD = "score", "score good"

log = logging.getLogger("trd")


@dataclass
class Stream:
    """One measure of one class. model: of scores, whose they are (another model's are not comparable), else 0."""

    name: str
    since: int
    test: ExchangeabilityTest
    model: int = 0
    last_id: int = 0
    alarm_since: int | None = None
    outside: bool = False
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def value(self) -> float | None:
        return sum(self.recent) / len(self.recent) if self.recent else None


class Watch:
    """rate: the probability of any false alarm of a class. model: class id -> the id of the model that serves, None
    where none does; the scores of any other are in other units and left out. ranges: class id -> the training's ranges
    of that model, None where it has none. good_scores: class id -> scores of the good parts that it was calibrated on,
    where further good parts are promised to be like them: "score good" begins with these. report: called with a new
    event."""

    def __init__(
        self,
        database: Database,
        rate: float,
        model: Callable[[int], int | None],
        ranges: Callable[[int], TrainingRanges | None],
        good_scores: Callable[[int], Sequence[float]],
        report: Callable[[NewEvent], None],
    ) -> None:
        self._database, self._rate, self._ranges, self._report = database, rate, ranges, report
        self._model, self._good_scores = model, good_scores
        self._lock = threading.Lock()
        self._streams: dict[int, dict[str, Stream]] = {}
        self._unsaved: dict[int, int] = {}
        self._saved: dict[int, float] = {}  # class id -> when, by the monotonic clock

    def start(self, class_ids: Iterable[int]) -> None:
        for class_id in class_ids:
            self._streams[class_id] = self._read(class_id)
            for name in (SCORE, SCORE_GOOD):
                stream = self._streams[class_id].get(name)
                if stream is not None and stream.model != self._model(class_id):
                    del self._streams[class_id][name]
            self._catch_up(class_id)

    def observe(self, row: Mapping[str, Any]) -> None:
        """An inspection that was stored."""
        with self._lock:
            self._take(row)
            due = self._due(row["class_id"])
        if due:
            self.save(row["class_id"])

    def _due(self, class_id: int) -> bool:
        since = time.monotonic() - self._saved.get(class_id, -math.inf)
        return self._unsaved.get(class_id, 0) >= SAVED and since >= SAVED_S

    def confirmed(self, row: Mapping[str, Any]) -> None:
        """A sampled part got its first verdict, and it is good."""
        if row["score"] is not None:
            with self._lock:
                self._feed(row, SCORE_GOOD, row["score"], row["model_id"])

    def restart(self, class_id: int, name: str | None = None) -> list[str]:
        """From now on is the new normal, of one stream or of all; the names. Raises KeyError."""
        with self._lock:
            streams = self._streams.setdefault(class_id, {})
            chosen = [name] if name is not None else list(streams)
            for stream_name in chosen:
                old = streams[stream_name]
                streams[stream_name] = Stream(
                    stream_name, times.now(), ExchangeabilityTest(old.test.seed + 1), old.model, old.last_id
                )
        self.save(class_id)
        return chosen

    def new_model(self, class_id: int) -> None:
        """Another model's scores are in other units."""
        with self._lock:
            streams = self._streams.setdefault(class_id, {})
            streams.pop(SCORE, None)
            streams.pop(SCORE_GOOD, None)

    def to_json(self, class_id: int) -> dict[str, Any]:
        """As docs/station-api.md says."""
        with self._lock:
            streams = list(self._streams.get(class_id, {}).values())
            ranges = self._ranges(class_id)
            return {
                "false_alarm_rate": self._rate,
                "since": times.to_iso_or_none(min((stream.since for stream in streams), default=None)),
                "streams": [self._stream_json(stream, ranges, len(streams)) for stream in sorted(streams, key=_order)],
            }

    def _stream_json(self, stream: Stream, ranges: TrainingRanges | None, count: int) -> dict[str, Any]:
        usual, value = ranges.widened(stream.name) if ranges else None, stream.value
        reference = stream.test.quantiles(0.05, 0.95)
        return {
            "name": stream.name,
            "unit": UNITS.get(stream.name.partition(" ")[0], ""),
            "value": value,
            "training": None if usual is None else list(usual),
            "inside": None if usual is None or value is None else usual[0] <= value <= usual[1],
            "reference": None if reference is None else list(reference),
            "count": stream.test.count,
            "log10_evidence": stream.test.log10_evidence,
            "alarm_at": self._alarm_at(count),
            "alarm": stream.alarm_since is not None,
            "alarm_since": times.to_iso_or_none(stream.alarm_since),
            "ready": stream.test.count >= START,
        }

    def _alarm_at(self, count: int) -> float:
        """Each stream may use up its part of the rate."""
        return math.log10(max(count, 1) / self._rate)

    def _take(self, row: Mapping[str, Any]) -> None:
        for name, value in (row["measures"] or {}).items():
            self._feed(row, name, value, 0)
        if row["score"] is not None:
            self._feed(row, SCORE, row["score"], row["model_id"])
        self._unsaved[row["class_id"]] = self._unsaved.get(row["class_id"], 0) + 1

    def _feed(self, row: Mapping[str, Any], name: str, value: float, model: int) -> None:
        if model and model != self._model(row["class_id"]):
            return  # a part of the model before that was still on its way, or a late verdict on one
        streams = self._streams.setdefault(row["class_id"], {})
        stream = streams.get(name)
        if stream is None or stream.model != model:
            seed = zlib.crc32(f"{row['class_id']}/{name}/{model}".encode())
            stream = streams[name] = Stream(name, row["at"], ExchangeabilityTest(seed), model)
            if name == SCORE_GOOD:
                for good_score in np.random.default_rng(seed).permutation(self._good_scores(row["class_id"])):
                    stream.test.add(float(good_score))
        if name != SCORE_GOOD and row["id"] <= stream.last_id:
            return
        stream.last_id = max(stream.last_id, row["id"])
        stream.test.add(float(value))
        stream.recent.append(float(value))
        self._judge(row["class_id"], stream, len(streams))

    def _judge(self, class_id: int, stream: Stream, count: int) -> None:
        if stream.alarm_since is None and stream.test.log10_evidence >= self._alarm_at(count):
            stream.alarm_since = times.now()
            self._report(
                NewEvent("alarm", "drift", _drifted(stream), class_id, {"name": stream.name, "value": stream.value})
            )
        ranges = self._ranges(class_id)
        usual = ranges.widened(stream.name) if ranges else None
        if usual is None or len(stream.recent) < RECENT or stream.value is None:
            return
        outside = not usual[0] <= stream.value <= usual[1]
        if outside and not stream.outside:
            low, high = usual
            text = (
                f"{stream.name}: mean of the last {RECENT} parts {stream.value:.4g}, training {low:.4g} to {high:.4g}"
            )
            self._report(NewEvent("warning", "range", text, class_id, {"name": stream.name, "value": stream.value}))
        stream.outside = outside

    def save(self, class_id: int | None = None) -> None:
        for number in [class_id] if class_id is not None else list(self._streams):
            with self._lock:
                rows = [
                    {
                        "class_id": number,
                        "name": stream.name,
                        "since": stream.since,
                        "last_id": stream.last_id,
                        "alarm_since": stream.alarm_since,
                        "state": stream.model.to_bytes(8, "big") + stream.test.to_bytes(),
                    }
                    for stream in self._streams.get(number, {}).values()
                ]
                self._unsaved[number], self._saved[number] = 0, time.monotonic()
            self._database.write(partial(_replace, class_id=number, rows=rows))

    def _read(self, class_id: int) -> dict[str, Stream]:
        streams = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(watch_state).where(watch_state.c.class_id == class_id)).mappings():
                try:
                    test = ExchangeabilityTest.from_bytes(row["state"][8:])
                except ValueError as error:
                    log.warning("the watch of '%s' begins anew: %s", row["name"], error)
                    continue
                model = int.from_bytes(row["state"][:8], "big")
                streams[row["name"]] = Stream(
                    row["name"], row["since"], test, model, row["last_id"], row["alarm_since"]
                )
        return streams

    def _catch_up(self, class_id: int) -> None:
        # the latest of any: all are saved together, and a measure that few parts have would have all of them read again
        last_id = max(
            (stream.last_id for name, stream in self._streams[class_id].items() if name != SCORE_GOOD), default=0
        )
        c = inspection.c
        with self._database.reading() as connection:
            newest = connection.execute(
                select(c.id).where(c.class_id == class_id).order_by(c.at.desc(), c.id.desc()).limit(1)
            ).scalar()
            if newest is None or newest <= last_id:
                return
            query = select(c.id, c.at, c.class_id, c.model_id, c.score, c.measures)
            query = query.where(c.class_id == class_id, c.id > last_id).order_by(c.at.desc(), c.id.desc())
            rows = connection.execute(query.limit(CAUGHT_UP)).mappings().all()
        with self._lock:
            for row in reversed(rows):
                self._take(dict(row))


def _replace(connection: Connection, class_id: int, rows: list[dict[str, Any]]) -> None:
    connection.execute(delete(watch_state).where(watch_state.c.class_id == class_id))
    if rows:
        connection.execute(insert(watch_state), rows)


def _drifted(stream: Stream) -> str:
    usual = stream.test.quantiles(0.05, 0.95) or (0.0, 0.0)
    return (
        f"{stream.name} has changed: the last {len(stream.recent)} parts are at {stream.value:.4g} in the mean, "
        f"where 90 % of all since the watch began lie between {usual[0]:.4g} and {usual[1]:.4g}"
    )


def _order(stream: Stream) -> tuple[int, str]:
    return (0 if stream.name == SCORE else 1 if stream.name == SCORE_GOOD else 2), stream.name
