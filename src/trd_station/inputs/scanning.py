"""What lies in a watched folder: files that can be read, and what is in their way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trd.data.endings import DOCUMENTS, by_ending, counted, remedy
from trd.data.names import part_name
from trd.errors import DataError
from trd_station.inputs.settling import Facts, facts_of


@dataclass
class Scan:
    """files: source -> its files that have a reader's ending. facts: of these and of `unread`. unread: files of other
    endings. obstacles: entry -> why it is no file."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    facts: dict[Path, Facts] = field(default_factory=dict)
    unread: list[Path] = field(default_factory=list)
    obstacles: dict[Path, str] = field(default_factory=dict)


def scanned(folder: Path, endings: Mapping[str, tuple[str, ...]]) -> Scan:
    """FOLDER/SOURCE of every source. endings: source -> endings that are read. Hidden entries, and documents that
    describe a data set, are left out.

    Raises DataError where a source's folder is missing, OSError where it cannot be listed.
    """
    scan = Scan()
    for source, known in endings.items():
        place = folder / source
        if not place.is_dir():
            raise DataError(f"{place} does not exist: make a folder for each of {', '.join(endings)}")
        scan.files[source] = []
        for path in sorted(place.iterdir()):
            ending = path.suffix.lower()
            if path.name.startswith(".") or (ending in DOCUMENTS and ending not in known):
                continue
            try:
                if path.is_file():
                    scan.facts[path] = facts_of(path)
                    (scan.files[source] if ending in known else scan.unread).append(path)
                elif ending in known and os.path.lexists(path):  # else it has just gone
                    scan.obstacles[path] = _obstacle(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                scan.obstacles[path] = error.strerror or str(error)
    return scan


def parts_of(files: Mapping[str, list[Path]]) -> tuple[dict[str, dict[str, Path]], dict[Path, str]]:
    """Name -> source -> file, of `Scan.files`; and the files that are not among them, as another one has the same name
    with another ending -> what to tell of them."""
    parts: dict[str, dict[str, Path]] = {}
    texts: dict[Path, str] = {}
    for source, paths in files.items():
        for path in paths:
            own = parts.setdefault(part_name(path), {})
            if source in own:
                texts[own[source]] = f"{own[source]} is not read while {path.name} has the same name: leave one of them"
            own[source] = path
    return parts, texts


def unread_texts(paths: list[Path], folder: Path) -> dict[str, str]:
    """Ending -> what to tell of its files: how many, the first names, and what to do."""
    return {
        ending: f"{counted(group, folder)} not read: {remedy(ending)}" for ending, group in by_ending(paths).items()
    }


def _obstacle(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    return "it links to nothing" if path.is_symlink() else "it is no regular file"
