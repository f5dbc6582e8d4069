"""Defects and good parts that people judged, taught to a detector: what a lesson is made of, and how it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trd.errors import DataError, OutputError
from trd.files import write_bytes, write_json
from trd_station.shelf.discovery import path_of, stored_path
from trd_station.store.files import linked
from trd_station.teaching.jobs import Job
from trd_station.teaching.labelled import MASKS, kind_folder, mask_png, stem_of
from trd_station.teaching.settings import CAMERA

FILE = "lesson.json"
GOOD = "good"  # the folder of wrongly rejected parts


@dataclass(frozen=True)
class TaughtPart:
    """A judged part. id: of the inspection. verdict: number of the verdict; who, kind: as it says. frame: (height,
    width). sources: source -> file. mask: file, None where nobody marked the place. digest: of the sources, as
    detectors record those that they were trained on."""

    id: int
    part: str
    verdict: int
    who: str
    kind: str | None
    frame: tuple[int, int]
    sources: Mapping[str, str]
    mask: str | None
    digest: str


@dataclass(frozen=True)
class LessonPlan:
    """model: name of the detector that learns; path: its folder; detector: its identity. data: the class's folder,
    where it is not the one that the detector's record names. camera: of all parts, None: the training's. good: parts
    that were rejected and judged good, taken in. teaches_defects: else they only judge the good parts. sure:
    inspections of good parts that look like defects and are good, as somebody has said."""

    model: str
    path: str
    detector: str
    data: str | None
    camera: str | None
    defects: tuple[TaughtPart, ...]
    good: tuple[TaughtPart, ...]
    teaches_defects: bool = True
    sure: tuple[int, ...] = ()

    @property
    def taught(self) -> tuple[TaughtPart, ...]:
        """Defects that are taught."""
        return self.defects if self.teaches_defects else ()

    def write(self, job: Job) -> None:
        """Into the job's folder: the plan, whose paths move with the station's, and the parts as they are now in a
        labelled folder. Raises DataError for a mask that cannot be read, OutputError."""
        place = job.parts
        try:
            _write_parts(place, ((kind_folder(part.kind, part.sources), part) for part in self.defects))
            _write_parts(place, ((GOOD, part) for part in self.good))
            if self.camera:
                linked(Path(self.camera), place / CAMERA)
        except OSError as error:
            raise OutputError(f"{place} cannot be written: {error.strerror or error}") from error
        write_json(
            job.folder / FILE, asdict(self._with_paths(lambda path: stored_path(Path(path).resolve(), job.data)))
        )

    @classmethod
    def read(cls, job: Job) -> LessonPlan:
        """Raises DataError."""
        folder = job.folder
        try:
            values = json.loads((folder / FILE).read_text("utf-8"))
            parts = {
                name: tuple(TaughtPart(**{**part, "frame": tuple(part["frame"])}) for part in values[name])
                for name in ("defects", "good")
            }
            sure = tuple(values.get("sure", ()))
            return cls(**{**values, **parts, "sure": sure})._with_paths(lambda path: str(path_of(path, job.data)))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{folder / FILE} cannot be read: {error}; ask for the lesson again") from error

    def _with_paths(self, changed: Callable[[str], str]) -> LessonPlan:
        data, camera = (changed(path) if path else None for path in (self.data, self.camera))
        return replace(self, path=changed(self.path), data=data, camera=camera)


def _write_parts(place: Path, parts: Iterable[tuple[str, TaughtPart]]) -> None:
    for folder, part in parts:
        stem = stem_of(part.id)
        for source, path in part.sources.items():
            linked(Path(path), place / folder / source / f"{stem}{Path(path).suffix}")
        if part.mask:
            drawn = mask_png(Path(part.mask).read_bytes(), part.frame)
            write_bytes(place / folder / MASKS / f"{stem}.png", drawn, durable=False)
