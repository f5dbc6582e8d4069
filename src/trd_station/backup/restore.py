"""A station's folder made of an archive: all of it or nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from trd.errors import DataError, OutputError
from trd.files import LOCK, SCRAP, locked, to_disk
from trd_station.backup.members import DATABASE, FORMAT, LINKS, MANIFEST, OUTPUTS, SETTINGS, is_of_a_station
from trd_station.backup.models import FOLDER
from trd_station.backup.snapshot import fill_database, sqlite_url
from trd_station.backup.taught import TEACH
from trd_station.store.database import KIND, NEWEST, WRITES, note_kind, open_engine, upgrade
from trd_station.store.files import linked
from trd_station.store.verdicts import NewEvent, add_event

STATION = (DATABASE, KIND)  # a station on PostgreSQL has the second alone
MOST_MANIFEST = 2**20  # bytes


@dataclass(frozen=True)
class Restored:
    """at: when the archive was written, ISO 8601. version: of the station that wrote it."""

    at: str
    version: str
    inspections: int
    models: tuple[str, ...]


def restore(
    path: Path, data: Path, url: URL | None = None, tracked: Callable[[list[str]], Iterable[str]] = iter
) -> Restored:
    """A station in `data`, which must be empty or not there. url: an empty database that gets the rows in the place of
    SQLite in the folder. tracked: the members' names once more, with progress.

    Raises DataError for what is no archive, OutputError.
    """
    with locked(data, "restoring"):
        _forget_killed(data)
        if sorted(entry.name for entry in data.iterdir()) != [LOCK]:
            raise OutputError(f"{data} is not empty: restore into a new folder")
        folder = data / f".restore.trd-{secrets.token_hex(4)}"
        try:
            manifest = _unpack(path, folder, tracked)
            _say_so(folder / DATABASE, path, manifest["at"])
            if url is not None:
                fill_database(folder / DATABASE, url)
                (folder / DATABASE).unlink()
            note_kind(folder, url or sqlite_url(data / DATABASE))
            to_disk_whole(folder)
            for entry in sorted(folder.iterdir(), key=lambda entry: entry.name in STATION):
                os.replace(entry, data / entry.name)
            folder.rmdir()
        except OSError as error:
            raise OutputError(f"{data} cannot be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return Restored(manifest["at"], manifest["version"], manifest["inspections"], tuple(manifest["models"]))


def _unpack(path: Path, folder: Path, tracked: Callable[[list[str]], Iterable[str]]) -> dict[str, Any]:
    """The manifest. Raises DataError, OutputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            names = _names(archive, path)
            links = _links(archive, path, names)
            for name in tracked([name for name in names if name != LINKS]):
                _extract(archive, name, folder / name)
            for name, other in links.items():
                _link(folder / other, folder / name)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        what = f"truncated or damaged ({error})"
        raise DataError(f"{path} is no backup of a station, {what}: copy it anew") from error
    return manifest


def _forget_killed(data: Path) -> None:
    """Delete what a restoring that was killed has left. What makes a folder a station's comes last; a folder with it is
    left alone."""
    left = [path for path in data.iterdir() if path.is_dir() and SCRAP.fullmatch(path.name)]
    if left and not any((data / name).exists() for name in STATION):
        for name in ("files", FOLDER, TEACH, OUTPUTS):
            shutil.rmtree(data / name, ignore_errors=True)
        for name in SETTINGS:
            (data / name).unlink(missing_ok=True)
    for path in left:
        shutil.rmtree(path)


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST:
            raise ValueError("too long")
        manifest = json.loads(archive.read(MANIFEST))
        known = manifest["kind"] == "station" and int(manifest["format"]) >= 1
        newer = int(manifest["format"]) > FORMAT or str(manifest["tables"]) > NEWEST
        text = {"at": str(manifest["at"]), "version": str(manifest["version"])}
        count, models = int(manifest["inspections"]), [str(name) for name in manifest["models"]]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no backup of a station: {MANIFEST} is missing or damaged") from error
    if not known:
        raise DataError(f"{path} is no backup of a station")
    if newer:
        raise DataError(f"{path} was written by TRD {text['version']}, which is newer: install that version")
    return {**text, "inspections": count, "models": models}


def _names(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Of all members. Raises DataError for one that would lie elsewhere than a station's files do."""
    names = [name for name in archive.namelist() if name != MANIFEST]
    for name in names:
        if not is_of_a_station(name):
            raise DataError(f"{path} is no backup of a station: it holds '{name[:100]}'")
    if DATABASE not in names:
        raise DataError(f"{path} is no backup of a station: it holds no {DATABASE}")
    return names


def _links(archive: zipfile.ZipFile, path: Path, names: list[str]) -> dict[str, str]:
    """Name of a file that is not among the members -> member that it is the same as; an earlier archive has none."""
    if LINKS not in names:
        return {}
    known = set(names)
    try:
        links: dict[str, str] = json.loads(archive.read(LINKS))
        sound = all(other in known and name not in known and is_of_a_station(name) for name, other in links.items())
    except (ValueError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise DataError(f"{path} is no backup of a station: {LINKS} is damaged")
    return links


def _link(path: Path, place: Path) -> None:
    try:
        linked(path, place)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror or error}") from error


def _extract(archive: zipfile.ZipFile, name: str, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, place.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)  # the end of the member is compared with its checksum
        if name == SETTINGS[0]:
            place.chmod(0o600)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror or error}") from error


def _say_so(database: Path, path: Path, at: str) -> None:
    """An event of the restored station."""
    engine = open_engine(sqlite_url(database))
    try:
        upgrade(engine)
        with engine.execution_options(**WRITES).connect() as connection, connection.begin():
            add_event(connection, NewEvent("info", "backup", f"restored from {path.name}, which was written at {at}"))
    finally:
        engine.dispose()


def to_disk_whole(folder: Path) -> None:
    """Wait until all files below a folder are on the disk."""
    if hasattr(os, "sync"):
        os.sync()  # at once; one by one takes milliseconds each
        return
    for path in folder.rglob("*"):
        if path.is_file():
            to_disk(path)
