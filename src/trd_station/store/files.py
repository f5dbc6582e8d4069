"""Files beside the database: what was sent, and the maps. Named by inspection and content, written whole, row last."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trd.errors import OutputError
from trd.files import delete_scraps, folder_to_disk, to_disk, write_bytes
from trd_station import times

UID = re.compile(r"[0-9a-f]{16}")
DAY = re.compile(r"[0-9]{8}")
NAME = re.compile(r"(?P<uid>[0-9a-f]{16})-(?P<role>.+)-(?P<digest>[0-9a-f]{16})(?P<suffix>\.[a-z]+)", re.DOTALL)
UNSAFE = re.compile(r"[^A-Za-z0-9_.]")
MAPS = "maps"
INPUT = "in."


def new_uid() -> str:
    return secrets.token_hex(8)


def digest_of(path: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def linked(path: Path, place: Path) -> None:
    """The file under another name, too: without a copy where the file system can. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, place)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, place)


@dataclass(frozen=True)
class StoredFile:
    """One file of an inspection. role: "maps", "mask", or "in.SOURCE". sent_as: its name as a client gave it."""

    role: str
    digest: str
    suffix: str
    size: int
    sent_as: str = ""

    def to_json(self) -> list[Any]:
        return [self.digest, self.suffix, self.size, *([self.sent_as] if self.sent_as else [])]

    @classmethod
    def from_json(cls, role: str, values: list[Any]) -> StoredFile:
        return cls(role, values[0], values[1], values[2], values[3] if len(values) > 3 else "")


def stored_files(files: Mapping[str, Any]) -> dict[str, StoredFile]:
    """Role -> file, from an inspection's column `files`."""
    return {role: StoredFile.from_json(role, values) for role, values in files.items()}


class Files:
    """DATA/files/DAY/UID-ROLE-DIGEST.SUFFIX, and DATA/incoming/UID/ for what is not decided yet."""

    def __init__(self, data: Path) -> None:
        self.root = data / "files"
        self.incoming = data / "incoming"
        for folder in (self.root, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, day: str, uid: str, stored_file: StoredFile) -> Path:
        role = UNSAFE.sub(lambda match: f"%{ord(match[0]):x}", stored_file.role)
        return self.root / day / f"{uid}-{role}-{stored_file.digest}{stored_file.suffix}"

    def write(self, day: str, uid: str, role: str, suffix: str, data: bytes) -> StoredFile:
        """Whole, and on the disk when this returns. Raises OutputError."""
        stored_file = StoredFile(role, hashlib.sha256(data).hexdigest()[:16], suffix, len(data))
        write_bytes(self.path(day, uid, stored_file), data)
        return stored_file

    def adopt(self, day: str, uid: str, role: str, sent_as: str, path: Path) -> StoredFile:
        """Move a file that came in to its place; its content is on the disk when this returns, its name after
        `names_to_disk`. Raises OutputError."""
        try:
            stored_file = StoredFile(role, digest_of(path), path.suffix.lower(), path.stat().st_size, sent_as)
            place = self.path(day, uid, stored_file)
            place.parent.mkdir(exist_ok=True)
            to_disk(path)
            os.replace(path, place)
        except OSError as error:
            raise OutputError(f"cannot keep the file of '{role}': {error.strerror or error}") from error
        return stored_file

    def names_to_disk(self, day: str) -> None:
        """Of the files that were adopted on a day: once for a part, however many they are. Raises OutputError."""
        try:
            folder_to_disk(self.root / day)
        except OSError as error:
            raise OutputError(f"cannot keep the files of {day}: {error.strerror or error}") from error

    def delete(self, day: str, uid: str, files: Mapping[str, Any]) -> None:
        for stored_file in stored_files(files).values():
            self.path(day, uid, stored_file).unlink(missing_ok=True)

    def delete_incoming(self, uid: str) -> None:
        shutil.rmtree(self.incoming / uid, ignore_errors=True)

    def clear_incoming(self) -> int:
        """What a stopped station had not answered yet; how many parts that was."""
        folders = [path for path in self.incoming.iterdir() if path.is_dir()]
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
        return len(folders)

    def clear_temporary(self) -> None:
        """What a killed station was writing: of the last days, as there may be a million files of earlier ones."""
        for day in sorted(path for path in self.root.iterdir() if path.is_dir())[-2:]:
            delete_scraps(day, 0.0)

    def all_files(self) -> Iterator[tuple[str, Path]]:
        """(day, file) of everything below `files`, also what is not ours."""
        for day in sorted(self.root.iterdir()):
            if day.is_dir():
                for path in sorted(day.iterdir()):
                    yield day.name, path

    def delete_empty_days(self) -> None:
        """But not of the last days: a part may be about to be written there."""
        recent = times.day_of(times.now() - times.DAY)
        for day in self.root.iterdir():
            if day.name >= recent:
                continue
            with contextlib.suppress(OSError):  # not empty, or no folder
                day.rmdir()
