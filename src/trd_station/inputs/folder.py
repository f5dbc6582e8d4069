"""A folder into which a machine writes: one folder per source, files of one name are a part."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from trd.errors import DamagedFileError, DataError, OutputError
from trd_station.inputs.scanning import Scan, parts_of, scanned, unread_texts
from trd_station.inputs.settling import Facts, Settling, facts_of
from trd_station.inputs.taking import job_of_files, report, sources_of
from trd_station.reading import suffixes
from trd_station.station import Station
from trd_station.store import history
from trd_station.store.history import RequestKey
from trd_station.work.jobs import Job
from trd_station.work.parts import INVALID, inputs_of

POLL = 0.25  # seconds between two looks
PATIENCE = 60.0  # seconds that a part with a damaged file waits for the rest of it; then it is inspected as it is
KEPT = 600.0  # seconds that the files of an invalid part stay, to be inspected again when they change
AGAIN = 5.0  # seconds until files that cannot be copied are tried again
DONE = "inspected"


@dataclass(frozen=True)
class _Inspected:
    """What a file was then, and from when on it is moved away (seconds, monotonic)."""

    facts: Facts
    due: float


@dataclass(frozen=True)
class _Failed:
    """Why a part's files cannot be copied, and when that is tried again (seconds, monotonic)."""

    why: str
    again: float


class WatchedFolder:
    """FOLDER/rgb/0001.png and FOLDER/xyz/0001.tiff are inspected when both are complete (`Settling`), then moved to
    FOLDER/inspected/, so that nothing is inspected twice, also after a stop. Files whose partner does not come stay.

    A part with a damaged file, which may only have ended early, waits for the rest; the files of an invalid part stay
    a while and are inspected again when they change. What stands in the way, and files that no reader takes, are told
    once and passed over. Where files cannot be moved, only that is tried again.
    """

    def __init__(self, station: Station, class_name: str, folder: Path, settle: float | None = None) -> None:
        self.name = f"folder of '{class_name}'"
        self._station, self._class, self._folder = station, class_name, folder
        self._settling = Settling(folder, settle)
        self._inspected: dict[Path, _Inspected] = {}  # and still there
        self._damaged: dict[str, dict[Path, Facts]] = {}  # part -> what its files were then
        self._failed: dict[str, _Failed] = {}
        self._told: set[str] = set()

    def step(self, stopping: threading.Event) -> float | None:
        scan = self._scan()
        self._settling.look(scan.facts)
        self._inspected = {
            path: inspected for path, inspected in self._inspected.items() if scan.facts.get(path) == inspected.facts
        }
        parts = self._parts(scan)
        self._damaged = {name: facts for name, facts in self._damaged.items() if name in parts}
        self._failed = {name: failed for name, failed in self._failed.items() if name in parts}
        failure = self._move()
        for name, files in sorted(parts.items()):
            if stopping.is_set():
                break
            facts = {path: scan.facts[path] for path in files.values()}
            if self._is_due(name, facts):
                self._failed.pop(name, None)
                try:
                    self._inspect(name, files, facts)
                except DataError as error:  # of this part's files: the others go on
                    self._failed[name] = _Failed(str(error), time.monotonic() + AGAIN)
                failure = self._move() or failure
        self._tell(self._in_the_way(scan) | {name: failed.why for name, failed in self._failed.items()})
        if failure is not None:
            raise failure
        return POLL

    def test(self) -> str:
        """What lies in the folder; nothing is inspected. Raises DataError."""
        try:
            scan = self._scan()
        except OSError as error:
            raise DataError(f"{self._folder} cannot be listed: {error.strerror or error}") from error
        counts = ", ".join(f"{len(paths)} in {source}" for source, paths in scan.files.items())
        return f"files: {counts}; a file rests {self._settling.seconds:g} s where nobody tells who writes"

    def _scan(self) -> Scan:
        """Raises DataError, OSError."""
        sources, clouds = sources_of(self._station, self._class)
        return scanned(self._folder, {source: suffixes(source in clouds) for source in sources})

    def _parts(self, scan: Scan) -> dict[str, dict[str, Path]]:
        """Name -> source -> file, of parts with a file of each source that are not inspected as they are."""
        return {
            name: files
            for name, files in parts_of(scan.files)[0].items()
            if len(files) == len(scan.files) and not all(path in self._inspected for path in files.values())
        }

    def _is_due(self, name: str, facts: dict[Path, Facts]) -> bool:
        """Whether all files are complete, and damaged ones have waited for their rest."""
        if self._damaged.get(name) == facts and min(map(self._settling.rest, facts)) < PATIENCE:
            return False
        if name in self._failed and time.monotonic() < self._failed[name].again:
            return False
        return all(self._settling.complete(path) for path in facts)

    def _inspect(self, name: str, files: dict[str, Path], facts: dict[Path, Facts]) -> None:
        """Raises DataError for files that cannot be copied, OutputError, NotReady."""
        key = _key(files)
        with self._station.database.reading() as connection:
            answered = history.answered_before(connection, self._station.class_id(self._class), key.key)
            row = history.inspection_by_id(connection, answered[1][0]) if answered else None
        if row is None:  # else the station was stopped before it had moved them
            job = job_of_files(self._station, self._class, name, files, "folder")
            if not self._is_whole(name, job, facts):
                self._station.files.delete_incoming(job.uid)
                return
            (row,) = self._station.inspect([job], key)
        due = time.monotonic() + (KEPT if row["decision"] == INVALID else 0.0)
        self._inspected.update((path, _Inspected(facts[path], due)) for path in files.values())

    def _is_whole(self, name: str, job: Job, facts: dict[Path, Facts]) -> bool:
        """Whether the copies in the job are of files that nobody changed meanwhile and that do not end early."""
        try:
            if any(facts_of(path) != known for path, known in facts.items()):
                return False
        except OSError:  # one has gone
            return False
        serving = self._station.shelf.serving(self._class)
        if serving is None or self._damaged.get(name) == facts:
            return True
        try:
            inputs_of(job, serving.detector).sample()
        except DamagedFileError:
            self._damaged[name] = facts
            return False
        except DataError:  # whole, but of no use: the inspection says why
            pass
        return True

    def _in_the_way(self, scan: Scan) -> dict[str, str]:
        """What to tell of it, by what it is of: each is told once."""
        texts = {str(path): f"{path} is passed over: {why}" for path, why in scan.obstacles.items()}
        texts |= {str(path): text for path, text in parts_of(scan.files)[1].items() if self._settling.complete(path)}
        return texts | unread_texts([path for path in scan.unread if self._settling.complete(path)], self._folder)

    def _tell(self, troubles: dict[str, str]) -> None:
        for what in sorted(troubles.keys() - self._told):
            report(self._station, "warning", f"{self.name}: {troubles[what]}")
        self._told = set(troubles)

    def _move(self) -> OutputError | None:
        """What kept one of the files that are to go where it is."""
        failure, now = None, time.monotonic()
        for path in [path for path, inspected in self._inspected.items() if inspected.due <= now]:
            place = self._folder / DONE / path.parent.relative_to(self._folder)
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
    """Of these files as they are: another of the same name has another one, and so has one that was put back. Raises
    DataError where one has gone."""
    digest = hashlib.sha256()
    for source, path in sorted(files.items()):
        try:
            facts = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        digest.update(os.fsencode(path.absolute()))
        digest.update(f"\0{source}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}\0".encode())
    return RequestKey(f"folder-{digest.hexdigest()}", digest.hexdigest())
