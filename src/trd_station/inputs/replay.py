"""Recorded parts once more, as if they came along the line."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from trd.data.listing import list_class
from trd.types import SampleFiles
from trd_station.inputs.taking import job_of_files, sources_of
from trd_station.station import Station

POLL = 1.0  # seconds between looks for a class that is not served yet


class Replay:
    """The test parts of a data folder, in a random order, one every `every` seconds.

    rounds: how often all of them are shown, without end for None. Where the station serves nothing yet, it waits until
    the class is taught. Raises DataError for a folder that is none.
    """

    def __init__(
        self, station: Station, class_name: str, data: Path, every: float, rounds: int | None = None, seed: int = 0
    ) -> None:
        self.name = f"replay of '{class_name}'"
        self._station, self._class, self._every, self._rounds = station, class_name, every, rounds
        self._data = data
        self._parts = self._listed() if station.shelf.classes else None
        self._chance = random.Random(seed)
        self._left: list[int] = []
        self._due = time.monotonic()

    def test(self) -> str:
        if self._parts is None:
            return "waits until the class is taught"
        return f"{len(self._parts)} parts, one every {self._every:g} s"

    def _listed(self) -> tuple[SampleFiles, ...]:
        return list_class(self._data, "", *sources_of(self._station, self._class)).test

    def step(self, stopping: threading.Event) -> float | None:
        if self._parts is None:
            if self._station.shelf.serving(self._class) is None:
                return POLL
            self._parts, self._due = self._listed(), time.monotonic()
        if not self._left:
            if self._rounds == 0 or not self._parts:
                return None
            self._rounds = None if self._rounds is None else self._rounds - 1
            self._left = list(range(len(self._parts)))
            self._chance.shuffle(self._left)
        files = self._parts[self._left.pop()]
        name = files.id.removeprefix("test/")
        self._station.inspect([job_of_files(self._station, self._class, name, files.sources, "replay")])
        self._due = max(self._due + self._every, time.monotonic())
        return max(0.0, self._due - time.monotonic())
