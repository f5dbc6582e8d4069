"""The good parts of a class that is taught: a folder that `trd train` reads, and that is the truth."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trd.data.cameras import read_camera
from trd.data.masks import MASK_END
from trd.data.names import part_name
from trd.errors import DataError, OutputError
from trd.files import folder_to_disk, to_disk
from trd_station.reading import Inputs
from trd_station.store.files import digest_of, new_uid
from trd_station.teaching.settings import CAMERA, PARTS, ClassSettings

TRAIN = "train"
DISCARDED = "discarded"
INCOMPLETE = "incomplete"
INCOMING = "incoming"
UNSAFE = re.compile(r"[^\w.-]+")
LONGEST_STEM = 80  # characters

PartPaths = Mapping[str, Path]
"""Source -> file."""


@dataclass(frozen=True)
class Added:
    """What became of a part. name: its own in the collection, or that of the part which it is a copy of."""

    name: str
    is_copy: bool


class Collection:
    """FOLDER/parts/train/SOURCE/NAME.*. A part is there when all its files are. Files may also come and go without the
    station, so every call looks at the disk."""

    def __init__(self, folder: Path, settings: ClassSettings) -> None:
        self.folder, self._settings = folder, settings
        self._changing = threading.Lock()
        self._digests: dict[tuple[Path, int, int], str] = {}
        self._shapes: dict[str, tuple[int, int]] = {}  # of parts by their digests
        for source in settings.sources:
            (self._train / source).mkdir(parents=True, exist_ok=True)

    @property
    def sources(self) -> tuple[str, ...]:
        return self._settings.sources

    @property
    def parts_folder(self) -> Path:
        """For `trd train --data`."""
        return self.folder / PARTS

    @property
    def _train(self) -> Path:
        return self.folder / PARTS / TRAIN

    def parts(self) -> dict[str, PartPaths]:
        """Name -> files, of the parts whose files are all there, by name."""
        return {name: files for name, files in self._listed().items() if len(files) == len(self._settings.sources)}

    def _listed(self) -> dict[str, dict[str, Path]]:
        listed: dict[str, dict[str, Path]] = {}
        for source in self._settings.sources:
            for path in self._readable(source):
                listed.setdefault(part_name(path), {})[source] = path
        return dict(sorted(listed.items()))

    @property
    def endings(self) -> dict[str, tuple[str, ...]]:
        """Source -> endings of files that are read."""
        return {source: self._settings.suffixes(source) for source in self.sources}

    def _readable(self, source: str) -> list[Path]:
        """By name."""
        place, endings = self._train / source, self._settings.suffixes(source)
        return [
            path
            for path in (sorted(place.iterdir()) if place.is_dir() else ())
            if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
        ]

    def mend(self) -> list[str]:
        """Names of parts that lack a file: a station that was killed while it kept them. `trd train` refuses such
        folders, so what is there moves to `incomplete`. Raises OutputError."""
        with self._changing:
            torn = {name: files for name, files in self._listed().items() if len(files) < len(self._settings.sources)}
            for files in torn.values():
                self._move_away(files, INCOMPLETE)
            for path in (self.folder / INCOMING).glob("*"):
                path.unlink(missing_ok=True)
        return list(torn)

    def inputs(self, files: PartPaths) -> Inputs:
        camera = self.parts_folder / CAMERA
        return Inputs(files, self._settings.clouds, read_camera(camera) if camera.is_file() else None)

    def add(self, name: str, files: PartPaths) -> Added:
        """Move a part's files into the collection; they are on the disk when this returns.

        Raises DataError for files that cannot be read, or whose frame has another size than the first part's.
        """
        shape = self.shape(files)
        with self._changing:
            parts = self.parts()
            copy = self._copy_of(files, parts)
            if copy is not None:
                return Added(copy, True)
            if parts:
                first, first_files = next(iter(parts.items()))
                expected = self.shape(first_files)
                if shape != expected:
                    raise DataError(
                        f"its frame has {shape[0]} x {shape[1]} pixels (height x width), that of '{first}' "
                        f"{expected[0]} x {expected[1]}: all parts of a class are seen in frames of one size"
                    )
            stem = self._free_stem(name, parts)
            self._keep(stem, files)
            return Added(stem, False)

    def shape(self, files: PartPaths) -> tuple[int, int]:
        """(height, width) of a part's frame. Raises DataError."""
        digest = self._digest(files)
        if digest not in self._shapes:
            arrays = self.inputs(files).sample().arrays
            height, width = next(iter(arrays.values())).shape[:2]
            self._shapes[digest] = int(height), int(width)
        return self._shapes[digest]

    def _keep(self, stem: str, files: PartPaths) -> None:
        try:
            for path in files.values():
                to_disk(path)
            for source, path in files.items():
                os.replace(path, self._train / source / f"{stem}{path.suffix.lower()}")
            for source in files:
                folder_to_disk(self._train / source)
        except OSError as error:
            raise OutputError(f"the part '{stem}' cannot be kept: {error.strerror or error}") from error

    def _free_stem(self, name: str, parts: Mapping[str, PartPaths]) -> str:
        stem = UNSAFE.sub("_", name).strip("._")[:LONGEST_STEM] or "part"
        stem += "-part" if stem.endswith(MASK_END) else ""  # else it is taken for another part's mask
        taken = {other.casefold() for other in parts}
        number, free = 2, stem
        while free.casefold() in taken:
            free, number = f"{stem}-{number}", number + 1
        return free

    def _copy_of(self, files: PartPaths, parts: Mapping[str, PartPaths]) -> str | None:
        digest = self._digest(files)
        return next((name for name, other in parts.items() if self._digest(other) == digest), None)

    def _digest(self, files: PartPaths) -> str:
        return hashlib.sha256(
            "".join(self._file_digest(files[source]) for source in sorted(files)).encode()
        ).hexdigest()

    def _file_digest(self, path: Path) -> str:
        """Read once, unless the file has changed."""
        facts = path.stat()
        key = (path, facts.st_size, facts.st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = digest_of(path)
        return self._digests[key]

    def snapshot(self, place: Path) -> int:
        """A data folder of the parts as they are now, which later changes leave alone: the same files, without a copy
        where the file system can. The number of parts. Raises OutputError."""
        with self._changing:
            parts = self.parts()
            try:
                for files in parts.values():
                    for source, path in files.items():
                        linked(path, place / TRAIN / source / path.name)
                if (self.parts_folder / CAMERA).is_file():
                    linked(self.parts_folder / CAMERA, place / CAMERA)
            except OSError as error:
                raise OutputError(f"{place} cannot be written: {error.strerror or error}") from error
        return len(parts)

    def discard(self, name: str) -> None:
        """Move a part's files to `discarded`. Raises KeyError for a part that is not there, OutputError."""
        with self._changing:
            self._move_away(self.parts()[name], DISCARDED)

    def _move_away(self, files: PartPaths, place: str) -> None:
        try:
            for source, path in files.items():
                target = self.folder / place / source / path.name
                if target.exists():
                    target = target.with_stem(f"{target.stem}-{new_uid()}")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
                folder_to_disk(path.parent)
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be moved to {place}: {error.strerror or error}") from error

    def incoming(self, suffix: str) -> Path:
        """A free path for a file that is being received, on the same file system."""
        place = self.folder / INCOMING
        place.mkdir(exist_ok=True)
        return place / f"{new_uid()}{suffix}"


def linked(path: Path, place: Path) -> None:
    """The same file, without a copy where the file system can. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
