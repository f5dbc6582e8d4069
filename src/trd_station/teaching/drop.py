"""The folder of a class into which a machine writes good parts: complete ones move into the collection."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from trd.errors import DataError, OutputError
from trd_station.inputs.scanning import parts_of, scanned
from trd_station.inputs.settling import Settling
from trd_station.store.files import new_uid
from trd_station.teaching.collection import Collection

DROP = "drop"
REFUSED = "refused"
POLL = 0.5  # seconds between looks

log = logging.getLogger("trd")


class DropFolder:
    """FOLDER/drop/SOURCE/NAME.* are collected when they are complete (`Settling`); what cannot be used moves to
    FOLDER/refused. Files without their partner stay."""

    def __init__(self, collection: Collection) -> None:
        self.path = collection.folder / DROP
        self._collection = collection
        for source in collection.sources:
            (self.path / source).mkdir(parents=True, exist_ok=True)
        self._settling = Settling(self.path)

    def take(self) -> tuple[list[str], list[str]]:
        """Names of parts that were collected now, and why others were refused. Raises DataError where a source's folder
        is missing, OSError where it cannot be listed, OutputError."""
        scan = scanned(self.path, self._collection.endings)
        self._settling.look(scan.facts)
        parts, texts = parts_of(scan.files)
        kept, refused = [], []
        for path, text in texts.items():
            if self._settling.complete(path):
                refused.append(text)
                self._set_aside({path.parent.name: path})
        for name, files in sorted(parts.items()):
            if len(files) < len(self._collection.sources) or not all(map(self._settling.complete, files.values())):
                continue
            try:
                outcome = self._collection.add(name, files)
                if not outcome.is_copy:
                    kept.append(outcome.name)
                    continue
                refused.append(f"{name} is a copy of {outcome.name}")
            except DataError as error:
                refused.append(f"{name}: {error}")
            self._set_aside(files)
        return kept, refused

    def _set_aside(self, files: dict[str, Path]) -> None:
        try:
            for source, path in files.items():
                place = self._collection.folder / REFUSED / source
                place.mkdir(parents=True, exist_ok=True)
                os.replace(path, place / f"{path.stem}-{new_uid()}{path.suffix}")
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be moved to {REFUSED}: {error.strerror or error}") from error


class DropFolders:
    """Looks at the folders of all classes. folders: asked before each look. told: called with a folder and what
    `DropFolder.take` gave, where that is something; or with the error, once until it works again."""

    def __init__(
        self,
        folders: Callable[[], Sequence[tuple[str, DropFolder]]],
        told: Callable[[str, Sequence[str], Sequence[str]], None],
    ) -> None:
        self._folders, self._told = folders, told
        self._failing: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="station-drop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(POLL):
            for name, folder in self._folders():
                try:
                    kept, refused = folder.take()
                    self._failing.discard(name)
                    if kept or refused:
                        self._told(name, kept, refused)
                except (OSError, DataError, OutputError) as error:  # a share that is away, a full disk
                    if name not in self._failing:
                        self._failing.add(name)
                        self._told(name, (), [str(error)])
                except Exception:
                    log.exception("the drop folder of %s failed", name)
