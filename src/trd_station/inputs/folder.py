"""A folder into which a machine writes: one folder per source, files of one name are a part."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from trd.data.names import part_name
from trd.errors import DataError, OutputError
from trd_station.inputs.taking import job_of_files, sources_of
from trd_station.reading import suffixes
from trd_station.station import Station
from trd_station.store import history
from trd_station.store.history import RequestKey

POLL = 0.25  # seconds; a file that has not changed between two looks is complete
DONE = "inspected"

Facts = tuple[int, int]
"""Bytes, and when it was last changed, in nanoseconds."""


class WatchedFolder:
    """FOLDER/rgb/0001.png and FOLDER/xyz/0001.tiff are inspected when both are complete, then moved to
    FOLDER/inspected/, so that nothing is inspected twice, also after a stop. Files whose partner does not come stay.

    Where they cannot be moved, only that is tried again.
    """

    def __init__(self, station: Station, class_name: str, folder: Path) -> None:
        self.name = f"folder of '{class_name}'"
        self._station, self._class, self._folder = station, class_name, folder
        self._previous: dict[Path, Facts] = {}
        self._inspected: dict[Path, Facts] = {}  # and still there

    def step(self, stopping: threading.Event) -> float | None:
        sources, clouds = sources_of(self._station, self._class)
        parts: dict[str, dict[str, Path]] = {}
        current: dict[Path, Facts] = {}
        for source in sources:
            endings = suffixes(source in clouds)
            place = self._folder / source
            if not place.is_dir():
                raise DataError(f"{place} does not exist: make a folder for each of {', '.join(sources)}")
            for path in place.iterdir():
                if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file():
                    facts = path.stat()
                    current[path] = (facts.st_size, facts.st_mtime_ns)
                    if self._inspected.get(path) == current[path]:
                        continue
                    parts.setdefault(part_name(path), {})[source] = path
        ready = [
            (stem, files)
            for stem, files in sorted(parts.items())
            if len(files) == len(sources) and all(self._previous.get(path) == current[path] for path in files.values())
        ]
        self._previous = current
        self._inspected = {path: facts for path, facts in self._inspected.items() if current.get(path) == facts}
        failure = self._move(list(self._inspected))
        for stem, files in ready:
            if stopping.is_set():
                break
            self._inspect(stem, files)
            self._inspected.update((path, current[path]) for path in files.values())
            failure = self._move(list(files.values())) or failure
        if failure is not None:
            raise failure
        return POLL

    def _inspect(self, stem: str, files: dict[str, Path]) -> None:
        key = _key(files)
        with self._station.database.reading() as connection:
            answered = history.answered_before(connection, self._station.class_id(self._class), key.key)
        if answered is None:  # else the station was killed before it had moved them
            self._station.inspect([job_of_files(self._station, self._class, stem, files, "folder")], key)

    def _move(self, paths: list[Path]) -> OutputError | None:
        """What kept one of them where it is."""
        failure = None
        for path in paths:
            place = self._folder / DONE / path.parent.name
            try:
                place.mkdir(parents=True, exist_ok=True)
                os.replace(path, place / path.name)
                del self._inspected[path]
            except OSError as error:
                failure = OutputError(
                    f"{path} was inspected but cannot be moved to {place}: {error.strerror or error}; it is not "
                    "inspected again, let the station write there"
                )
        return failure


def _key(files: dict[str, Path]) -> RequestKey:
    """Of these files as they are: another of the same name has another one, and so has one that was put back."""
    digest = hashlib.sha256()
    for source, path in sorted(files.items()):
        facts = path.stat()
        digest.update(os.fsencode(path.absolute()))
        digest.update(f"\0{source}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}\0".encode())
    return RequestKey(f"folder-{digest.hexdigest()}", digest.hexdigest())
