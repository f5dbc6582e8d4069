"""The line: a bounded queue of parts, one thread that owns the models, and threads that store.

The model's thread takes what is queued, up to `group` parts, has them prepared on all cores, scores them, hands each
on to be stored: the order of work as `Detector.predict_many`, in which nothing computes beside the network.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from trd.errors import OutputError, TRDError
from trd.preprocess.threads import in_threads
from trd_station.settings import Settings
from trd_station.shelf.shelf import Shelf
from trd_station.store import history
from trd_station.store.database import Database, Unsure
from trd_station.store.files import Files
from trd_station.work.jobs import Job, Request, Stored
from trd_station.work.parts import Part, finished, prepare, score

STORING = 2  # threads that write files: they wait for the disk
RECENT = 60.0  # seconds over which rates are told

log = logging.getLogger("trd")


class QueueFull(TRDError):
    """retry_after: whole seconds until there will be room."""

    def __init__(self, capacity: int, retry_after: int) -> None:
        super().__init__(f"the queue is full: {capacity} parts wait or are worked on; send it again")
        self.retry_after = retry_after


class NotReady(TRDError):
    """No model of this class serves, or the station is stopping."""


@dataclass(frozen=True)
class LineState:
    """busy: share of the last minute in which the model's thread worked."""

    queued: int
    capacity: int
    parts_per_minute: float
    busy: float


class Line:
    """keep_inputs: of parts that come from now on; may be set. on_stored: called with the rows of each request, when
    they are on the disk, in the order of their ids."""

    def __init__(
        self,
        settings: Settings,
        shelf: Shelf,
        database: Database,
        files: Files,
        on_stored: Callable[[list[Stored]], None],
    ) -> None:
        self._settings, self._shelf, self._database, self._files = settings, shelf, database, files
        self._on_stored = on_stored
        self.keep_inputs = settings.keep_inputs
        self._queue: queue.SimpleQueue[tuple[Request, int] | None] = queue.SimpleQueue()
        self._room = threading.Lock()
        self._reserved = 0
        self._stopping = False
        self._done: deque[tuple[float, float]] = deque(maxlen=10_000)  # when parts left the model, and its seconds
        self._storing = ThreadPoolExecutor(STORING, thread_name_prefix="station-store")
        self._thread = threading.Thread(target=self._run, name="station-model", daemon=True)
        self._thread.start()

    # --- taking parts

    def reserve(self, count: int = 1) -> None:
        """Room for parts that will come. Raises QueueFull, NotReady when stopping."""
        with self._room:
            if self._stopping:
                raise NotReady("the station is stopping")
            if self._reserved + count > self._settings.capacity:
                raise QueueFull(self._settings.capacity, self._until_room(count))
            self._reserved += count

    def release(self, count: int = 1) -> None:
        with self._room:
            self._reserved -= count

    def submit(self, request: Request) -> Future[list[Stored]]:
        """Parts for which room was reserved; from here on they are decided, stored, and their room is given back.

        Raises NotReady: no model of the class, or stopping.
        """
        for job in request.jobs:
            if self._shelf.serving(job.class_name) is None:
                raise NotReady(f"no model serves the class '{job.class_name}' yet")
        with self._room:
            if self._stopping:
                raise NotReady("the station is stopping")
            for place in range(len(request.jobs)):
                self._queue.put((request, place))
        return request.answer

    def _until_room(self, count: int) -> int:
        each = self._seconds_each() or 0.1
        return max(1, math.ceil(each * max(count, self._reserved / 4)))

    def _seconds_each(self) -> float:
        some = list(self._done)[-20:]
        return sum(seconds for _, seconds in some) / len(some) if some else 0.0

    @property
    def state(self) -> LineState:
        now = time.monotonic()
        recent = [seconds for at, seconds in list(self._done) if now - at < RECENT]
        return LineState(
            self._reserved, self._settings.capacity, 60 * len(recent) / RECENT, min(1.0, sum(recent) / RECENT)
        )

    def stop(self) -> None:
        """Take nothing more, finish what was taken, end the threads."""
        with self._room:
            first, self._stopping = not self._stopping, True
            if first:
                self._queue.put(None)
        self._thread.join()
        self._storing.shutdown(wait=True)

    # --- the model's thread

    def _run(self) -> None:
        going = True
        while going:
            group = [self._queue.get()]
            while len(group) < self._settings.group and not self._queue.empty():
                group.append(self._queue.get())
            going = None not in group
            entries = [entry for entry in group if entry is not None]
            try:
                self._work(entries)
            except Exception as error:  # nothing may be lost: whoever waits is told
                log.exception("the line failed")
                failed = OutputError(f"the line failed: {type(error).__name__}")
                for request, _ in entries:
                    self._give_up(request, failed, unless_finished=True)

    def _work(self, entries: list[tuple[Request, int]]) -> None:
        if not entries:
            return
        begin = time.monotonic()
        jobs = [request.jobs[place] for request, place in entries]
        parts = list(in_threads(self._prepared, jobs, self._settings.group))
        places = {id(part): place for part, place in zip(parts, entries, strict=True)}
        for ready, some in groupby(parts, lambda part: not part.fault and part.serving.version.id):
            if not ready:
                self._hand_on(some, places)
                continue
            for chunk in _chunks(list(some), self._settings.batch):
                scored = score(chunk, self._settings.batch)
                for before, after in zip(chunk, scored, strict=True):
                    places[id(after)] = places[id(before)]
                self._hand_on(scored, places)
        end = time.monotonic()
        self._done.extend((end, (end - begin) / len(entries)) for _ in entries)

    def _prepared(self, job: Job) -> Part:
        serving = self._shelf.serving(job.class_name)
        assert serving is not None  # `submit` has seen one, and a class never loses its model
        return prepare(job, serving)

    def _hand_on(self, parts: Iterable[Part], places: dict[int, tuple[Request, int]]) -> None:
        for part in parts:
            request, place = places[id(part)]
            self._storing.submit(self._store, part, request, place)

    # --- storing

    def _store(self, part: Part, request: Request, place: int) -> None:
        try:
            row = finished(part, self._files, self.keep_inputs)
            rows = request.finish(place, row)
            if rows is None:
                return
            if not rows:  # another part of it could not be stored: its sender was told
                self._delete([row])
                return
            stored = self._database.begin(partial(history.add, rows=rows, key=request.key))
            stored.add_done_callback(partial(self._answer, request))
        except Exception as error:
            log.exception("part %s could not be stored", part.job.part)
            expected = isinstance(error, TRDError)
            self._give_up(
                request, error if expected else OutputError(f"it could not be stored: {type(error).__name__}")
            )

    def _answer(self, request: Request, stored: Future[list[Stored]]) -> None:
        error = stored.exception()
        if error is not None:
            self._give_up(request, error)
            return
        rows = stored.result()
        try:
            self._on_stored(rows)
        finally:
            if request.end():
                self.release(len(request.jobs))
                with contextlib.suppress(InvalidStateError):  # nobody waits any more
                    request.answer.set_result(rows)

    def _give_up(self, request: Request, error: BaseException, unless_finished: bool = False) -> None:
        """Once for each request: its files are deleted, its room is given back, its sender told."""
        if request.end(unless_finished):
            for job in request.jobs:
                self._files.delete_incoming(job.uid)
            if not (isinstance(error, Unsure) and self._may_be_there(request)):
                self._delete(request.finished)
            self.release(len(request.jobs))
            with contextlib.suppress(InvalidStateError):
                request.answer.set_exception(error)

    def _delete(self, rows: list[Stored]) -> None:
        for row in rows:
            named = {role: values for role, values in row["files"].items() if role != "day"}
            with contextlib.suppress(OSError):  # then `reconcile` finds them
                self._files.delete(row["files"]["day"], row["uid"], named)

    def _may_be_there(self, request: Request) -> bool:
        """Whether a commit that failed may have stored the request, or may yet: then `reconcile` has to decide."""
        if self._database.engine.dialect.name != "sqlite":
            return True  # a server that cannot be heard any more may still be committing
        try:
            with self._database.reading() as connection:
                return history.lately_stored(connection, [job.uid for job in request.jobs])
        except Exception:
            return True


def _chunks(parts: list[Part], size: int) -> Iterable[list[Part]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))
