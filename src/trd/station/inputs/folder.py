"""A folder into which a machine writes: one folder per source, files of one name are a part."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from trd.data.clouds import CLOUD_SUFFIXES
from trd.data.images import IMAGE_SUFFIXES
from trd.errors import DataError, OutputError
from trd.station.inputs.taking import job_of_files, sources_of
from trd.station.station import Station

POLL = 0.25  # seconds; a file that has not changed between two looks is complete
DONE = "inspected"


class WatchedFolder:
    """FOLDER/rgb/0001.png and FOLDER/xyz/0001.tiff are inspected when both are complete, then moved to
    FOLDER/inspected/, so that nothing is inspected twice, also after a stop. Files whose partner does not come stay.
    """

    def __init__(self, station: Station, class_name: str, folder: Path) -> None:
        self.name = f"folder of '{class_name}'"
        self._station, self._class, self._folder = station, class_name, folder
        self._seen: dict[Path, tuple[int, int]] = {}

    def step(self, stopping: threading.Event) -> float | None:
        sources, clouds = sources_of(self._station, self._class)
        parts: dict[str, dict[str, Path]] = {}
        seen: dict[Path, tuple[int, int]] = {}
        for source in sources:
            suffixes = CLOUD_SUFFIXES if source in clouds else IMAGE_SUFFIXES
            place = self._folder / source
            if not place.is_dir():
                raise DataError(f"{place} does not exist: make a folder for each of {', '.join(sources)}")
            for path in place.iterdir():
                if path.suffix.lower() in suffixes and not path.name.startswith("."):
                    facts = path.stat()
                    seen[path] = (facts.st_size, facts.st_mtime_ns)
                    parts.setdefault(path.stem, {})[source] = path
        ready = [
            (stem, files)
            for stem, files in sorted(parts.items())
            if len(files) == len(sources) and all(self._seen.get(path) == seen[path] for path in files.values())
        ]
        self._seen = seen
        for stem, files in ready:
            if stopping.is_set():
                break
            self._station.inspect([job_of_files(self._station, self._class, stem, files, "folder")])
            self._move(files)
        return POLL

    def _move(self, files: dict[str, Path]) -> None:
        try:
            for source, path in files.items():
                place = self._folder / DONE / source
                place.mkdir(parents=True, exist_ok=True)
                os.replace(path, place / path.name)
        except OSError as error:
            raise OutputError(
                f"{error.filename} was inspected but cannot be moved: {error.strerror or error}"
            ) from error
