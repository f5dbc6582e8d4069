"""Writing a station's archive: a ZIP that is read whole or refused, whatever happens while it is written."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Connection, select

from trd.errors import OutputError
from trd.files import SCRAP, folder_to_disk, locked, write_json, write_whole
from trd_station import times
from trd_station.backup.members import (
    DATABASE,
    FORMAT,
    LINKS,
    MANIFEST,
    OUTPUTS,
    SETTINGS,
    Member,
    is_of_a_station,
)
from trd_station.backup.models import files_in, models_of, point_to
from trd_station.backup.snapshot import sqlite_url, take_snapshot
from trd_station.backup.taught import TEACH, links_among, taught_of_one_moment
from trd_station.store.database import NEWEST, WRITES, open_engine
from trd_station.store.files import Files, stored_files
from trd_station.store.retention import mark_missing, rows_with_files
from trd_station.store.schema import verdict

BACKING_UP = "backing-up"
NOTE = "backup.json"  # in the station's folder: when the last archive was written
BLOCK = 1 << 20


@dataclass(frozen=True)
class Written:
    """files: of the archive, with the database. missing: inspections whose files retention had deleted meanwhile; they
    are marked so. taught: classes. lost: models that lie nowhere any more."""

    inspections: int
    files: int
    missing: int
    models: tuple[str, ...]
    taught: tuple[str, ...]
    lost: tuple[str, ...]


class Backup:
    """Of the station in a folder, running or not, one at a time. As a context, or until `close`: the snapshot lies in
    DATA/backing-up until the end; a process that is killed leaves it, and the next start or backup deletes it.

    `members` in order go to `add`, one after another; `finish` then makes the archive one that can be restored.
    """

    def __init__(self, data: Path, url: URL) -> None:
        """Raises OutputError, and CheckpointError where a model that serves has gone."""
        self._data, self._files = data, Files(data)
        self._missing: set[int] = set()
        self._count = 0
        folder = data / BACKING_UP
        self._snapshot = folder / f".snapshot.trd-{secrets.token_hex(4)}.db"
        taught = self._snapshot.with_name(f".{TEACH}.trd-{secrets.token_hex(4)}")
        with ExitStack() as stack:
            stack.callback(_remove_empty, folder)
            stack.enter_context(locked(folder, "a backup"))
            _delete_folders(folder)
            stack.callback(self._forget)
            take_snapshot(url, self._snapshot)
            stack.callback(shutil.rmtree, taught, ignore_errors=True)
            self._taught = taught_of_one_moment(data, taught)  # before the models, into which a run may move meanwhile
            engine = open_engine(sqlite_url(self._snapshot))
            stack.callback(engine.dispose)
            with engine.execution_options(**WRITES).connect() as connection, connection.begin():
                models, lost = models_of(connection, data)
                point_to(connection, models)
            with engine.connect() as connection:
                members = [*self._inspected(connection), *self._settings()]
            members += [Member(file, name) for backed_up in models for file, name in backed_up.files]
            members += [Member(file, name, optional=True) for file, name in files_in(data)]
            files, self._links = links_among(taught, is_of_a_station)
            members += [Member(file, name) for file, name in files]
            by_name: dict[str, Member] = {}
            for member in members:
                if not is_of_a_station(member.name):  # nobody could read it again
                    lost.append(f"{member.path.name!a}: a file with this name cannot be in an archive")
                    continue
                by_name.setdefault(member.name, member)  # one that must not be missing comes before an optional one
            self.members = list(by_name.values())
            self._models = tuple(backed_up.row.name for backed_up in models)
            self._lost = tuple(lost)
            self._engine = engine
            self._opened = stack.pop_all()

    def __enter__(self) -> Backup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others make a backup; more than once does no harm."""
        self._opened.close()

    def _forget(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            self._snapshot.with_name(self._snapshot.name + ending).unlink(missing_ok=True)

    def _inspected(self, connection: Connection) -> Iterator[Member]:
        for row in rows_with_files(connection):
            day = row.files["day"]
            values = {role: value for role, value in row.files.items() if role != "day"}
            for stored_file in stored_files(values).values():
                path = self._files.path(day, row.uid, stored_file)
                yield Member(path, f"files/{day}/{path.name}", 0 if row.pruned else row.id, optional=True)
        for mask in connection.execute(select(verdict.c.mask).where(verdict.c.mask.is_not(None))).scalars():
            yield Member(self._files.root / mask, f"files/{mask}", optional=True)

    def _settings(self) -> Iterator[Member]:
        paths = [self._data / name for name in SETTINGS]
        for path in [*paths, *sorted((self._data / OUTPUTS).glob("*.json"))]:
            if path.is_file():
                yield Member(path, path.relative_to(self._data).as_posix(), optional=True)

    def add(self, archive: zipfile.ZipFile, member: Member) -> Iterator[None]:
        """Write a file block by block. Raises OutputError."""
        try:
            file = member.path.open("rb")
        except FileNotFoundError as error:
            if not member.optional:
                raise OutputError(f"{member.path} has gone while the backup was written: start it again") from error
            self._missing |= {member.row} - {0}
            return
        except OSError as error:
            raise OutputError(f"{member.path} cannot be read: {error.strerror or error}") from error
        with file:
            yield from _packed(archive, file, member.name, zipfile.ZIP_STORED)
        self._count += 1

    def finish(self, archive: zipfile.ZipFile) -> Iterator[None]:
        """The database, with the rows whose files had gone marked, and the manifest. `written` is known then."""
        with self._engine.execution_options(**WRITES).connect() as connection, connection.begin():
            count = mark_missing(connection, sorted(self._missing))
        self._engine.dispose()  # what it wrote lies in the file then
        with self._snapshot.open("rb") as file:
            yield from _packed(archive, file, DATABASE, zipfile.ZIP_DEFLATED)
        links = io.BytesIO(json.dumps(self._links).encode())
        yield from _packed(archive, links, LINKS, zipfile.ZIP_DEFLATED)
        files = self._count + len(self._links) + 1
        self.written = Written(count, files, len(self._missing), self._models, self._taught, self._lost)
        archive.writestr(MANIFEST, json.dumps(self._manifest(), indent=1))

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": "station",
            "version": metadata.version("trd-anomaly"),
            "tables": NEWEST,
            "at": times.to_iso(times.now()),
            "inspections": self.written.inspections,
            "files": self.written.files,
            "models": list(self.written.models),
            "taught": list(self.written.taught),
        }


def _packed(archive: zipfile.ZipFile, file: IO[bytes], name: str, method: int) -> Iterator[None]:
    entry = zipfile.ZipInfo(name)
    entry.compress_type, entry.external_attr = method, 0o600 << 16
    with archive.open(entry, "w", force_zip64=True) as place:
        while block := file.read(BLOCK):
            place.write(block)
            yield


def write_backup(
    data: Path, url: URL, out: Path, tracked: Callable[[list[Member]], Iterable[Member]] = iter
) -> Written:
    """The archive at `out`, whole or not at all. tracked: the members once more, with progress. Raises OutputError,
    CheckpointError."""
    if out.exists():
        raise OutputError(f"{out} exists: choose a new file")
    with Backup(data, url) as backup:

        def write(place: IO[bytes] | Path) -> None:
            with zipfile.ZipFile(place, "w") as archive:
                for member in tracked(backup.members):
                    for _ in backup.add(archive, member):
                        pass
                for _ in backup.finish(archive):
                    pass

        if not write_unnamed(out, write):
            write_whole(out, write)
        note_backup(data)
        return backup.written


def write_unnamed(out: Path, write: Callable[[IO[bytes]], None]) -> bool:
    """Write a new file that gets its name when it is on the disk: of a process that is killed nothing is left at all.
    False where the system or the drive has no such files. Raises OutputError."""
    if sys.platform != "linux":
        return False
    with ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            handles = os.open("/proc/self/fd", os.O_RDONLY)
            stack.callback(os.close, handles)
            file = os.fdopen(os.open(out.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
            stack.enter_context(file)
        except OSError:  # `write_whole` tells of what is amiss
            return False
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.link(str(file.fileno()), out, src_dir_fd=handles, follow_symlinks=True)
            folder_to_disk(out.parent)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {out}: {reason}; free some space and start again") from error
    return True


def forget_killed(data: Path) -> None:
    """Delete what a backup that was killed has left; one that is being made is left alone."""
    folder = data / BACKING_UP
    if folder.is_dir():
        with suppress(OutputError), locked(folder, "a station"):
            _delete_folders(folder)
        _remove_empty(folder)


def _delete_folders(folder: Path) -> None:
    """The snapshots in it; `locked` deletes files alone."""
    for path in folder.iterdir():
        if path.is_dir() and SCRAP.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def note_backup(data: Path) -> None:
    """For `last_backup`."""
    write_json(data / NOTE, {"at": times.now()})


def last_backup(data: Path) -> int | None:
    """When the last archive was written whole, in milliseconds; None where none was."""
    try:
        return int(json.loads((data / NOTE).read_text("utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
