"""The classes that are taught, for a backup: their folders as they are at one moment, without a copy of any file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from trd.data.names import part_name
from trd.errors import DataError, OutputError
from trd.files import LOCK, SCRAP
from trd_station.store.files import linked
from trd_station.teaching.collection import DISCARDED, INCOMPLETE, TRAIN
from trd_station.teaching.drop import REFUSED
from trd_station.teaching.jobs import FOLDER, RECORD
from trd_station.teaching.settings import CAMERA, FILE, PARTS, ClassSettings

TEACH = "teach"


def taught_of_one_moment(data: Path, place: Path) -> tuple[str, ...]:
    """Link the files of DATA/teach into `place`, but those that are not collected yet; the names of the classes.

    The station goes on meanwhile: a part of which not all files were there is left out, and a job's record is taken
    last, so that one that is at work in it has all that it needs to go on. Raises OutputError.
    """
    names = []
    for folder in sorted((data / TEACH).glob("*")):
        target = place / folder.name
        try:
            if (folder / FILE).exists():  # else it is served, not taught here, and has jobs only
                names.append(_link_class(folder, target))
            for job in sorted((folder / FOLDER).glob("*")):
                if (job / RECORD).is_file():
                    _link_folder(job, target / FOLDER / job.name)
        except DataError:
            continue  # settings that cannot be read: the station's start tells of it
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be backed up: {error.strerror or error}") from error
    return tuple(names)


def _link_class(folder: Path, target: Path) -> str:
    """The settings and the parts of a class, whose name it returns. Raises DataError, OSError."""
    settings = ClassSettings.read(folder)
    linked(folder / FILE, target / FILE)
    _link_parts(folder / PARTS, target / PARTS, settings.sources)
    for name in (REFUSED, INCOMPLETE, DISCARDED):  # after the parts: what is discarded now is there then
        _link_folder(folder / name, target / name)
    return settings.name


def _link_parts(parts: Path, target: Path, sources: tuple[str, ...]) -> None:
    names: list[set[str]] = []
    for source in sources:
        _link_folder(parts / TRAIN / source, target / TRAIN / source)
        names.append({part_name(path) for path in (target / TRAIN / source).glob("*")})
    whole = set.intersection(*names)
    for path in target.glob(f"{TRAIN}/*/*"):
        if part_name(path) not in whole:
            path.unlink()
    _link(parts / CAMERA, target / CAMERA)


def _link_folder(folder: Path, target: Path) -> None:
    """The record of a job comes last."""
    for path in sorted(_files(folder), key=lambda path: (path == folder / RECORD, path)):
        _link(path, target / path.relative_to(folder))


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):  # passes over what goes meanwhile
        yield from (Path(place, name) for name in names if name != LOCK and not SCRAP.fullmatch(name))


def _link(path: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # it has gone meanwhile
        linked(path, target)


def links_among(place: Path, is_taken: Callable[[str], bool]) -> tuple[list[tuple[Path, str]], dict[str, str]]:
    """(file, its name in the archive) of what lies in `place`, and names of files that are the same as one of these ->
    the name of that one: a job's parts are the collection's files. is_taken: whether an archive takes a name; the
    others are no links, nor linked to."""
    files: list[tuple[Path, str]] = []
    links: dict[str, str] = {}
    names: dict[tuple[int, int], str] = {}
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        name, facts = f"{TEACH}/{path.relative_to(place).as_posix()}", path.stat()
        same = facts.st_ino and is_taken(name)
        first = names.setdefault((facts.st_dev, facts.st_ino), name) if same else name
        if first == name:
            files.append((path, name))
        else:
            links[name] = first
    return files, links
