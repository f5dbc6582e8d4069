"""Parts on their way, and the request that they came in."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trd_station.store.history import RequestKey

Stored = dict[str, Any]
"""An inspection's row, as it is in the database."""


@dataclass(frozen=True)
class Job:
    """One part. folder: its files, below `incoming`. sources: source -> file in it. sent_as: source -> the name that
    the sender gave. sampled: drawn at random, before anything is known of it. received: seconds, monotonic."""

    uid: str
    class_name: str
    part: str
    origin: int
    folder: Path
    sources: Mapping[str, Path]
    sent_as: Mapping[str, str]
    sampled: bool
    camera: Path | None = None
    received: float = field(default_factory=time.monotonic)


class Request:
    """Parts that are stored together and answered together, once.

    answer: has the rows in the order of the jobs, or an OutputError where they could not be stored.
    """

    def __init__(self, jobs: Sequence[Job], key: RequestKey | None = None) -> None:
        self.jobs = tuple(jobs)
        self.key = key
        self.answer: Future[list[Stored]] = Future()
        self._rows: list[Stored | None] = [None] * len(self.jobs)
        self._left = len(self.jobs)
        self._ended = False
        self._counting = threading.Lock()

    def finish(self, place: int, row: Stored) -> list[Stored] | None:
        """Note the outcome of the job at a place; all rows when it was the last one; none where the request has ended,
        which knows nothing of this row then."""
        with self._counting:
            if self._ended:
                return []
            self._rows[place] = row
            self._left -= 1
            return None if self._left else [row for row in self._rows if row is not None]

    def end(self, unless_finished: bool = False) -> bool:
        """True once: whoever gets it gives the request's room back and answers. unless_finished: not where all rows
        are there, which somebody is writing."""
        with self._counting:
            if self._ended or (unless_finished and not self._left):
                return False
            self._ended = True
            return True

    @property
    def finished(self) -> list[Stored]:
        """Rows of the jobs that were finished before the end."""
        with self._counting:
            return [row for row in self._rows if row is not None]
