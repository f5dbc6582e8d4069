"""Defects that people judged, taught to a detector: what a lesson is made of, and the job that makes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from trd.errors import DataError, OutputError
from trd.files import write_bytes, write_json
from trd.learning.record import LESSON, read_lesson
from trd.stored import FACTS
from trd_station.shelf.discovery import path_of, stored_path
from trd_station.store.files import linked
from trd_station.teaching.jobs import LEARNED, RUN, Job
from trd_station.teaching.labelled import MASKS, kind_folder, mask_png, stem_of
from trd_station.teaching.settings import CAMERA

if TYPE_CHECKING:
    from trd.learning.judge import Judgement
    from trd.learning.learn import LessonJob

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
    that were rejected and judged good."""

    model: str
    path: str
    detector: str
    data: str | None
    camera: str | None
    defects: tuple[TaughtPart, ...]
    good: tuple[TaughtPart, ...]

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
            return cls(**{**values, **parts})._with_paths(lambda path: str(path_of(path, job.data)))
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


def lesson(job: Job, console: Console) -> dict[str, Any]:
    """As `trd learn` on the labelled folder, into the job's folder. An interrupted one begins anew."""
    from trd.learning.learn import LessonRefused, learn

    plan = LessonPlan.read(job)
    for name in (LEARNED, RUN):
        shutil.rmtree(job.folder / name, ignore_errors=True)
    try:
        learned = learn(_lesson_job(job, plan), console)
    except LessonRefused as refused:
        return {"refused": True, "detector": None, **_judged(refused.judgement)}
    assert learned.judgement is not None  # there are defects
    _keep(job, plan, learned.folder)
    threshold = learned.facts.calibration.image_threshold
    return {
        "refused": False,
        "detector": learned.facts.id,
        "guaranteed_rate": threshold.guaranteed_rate,
        "promise": learned.facts.calibration.promise,
        "good_count": threshold.count,
        **_judged(learned.judgement),
    }


def _lesson_job(job: Job, plan: LessonPlan) -> LessonJob:
    from trd.data.defective import list_defective
    from trd.learning.learn import LessonJob
    from trd.packages.facts import facts_at

    path, recipe = Path(plan.path), facts_at(Path(plan.path)).recipe
    defects = list_defective(job.parts, recipe.inputs, recipe.point_cloud_sources, masked=True)
    data = Path(plan.data) if plan.data else None
    return LessonJob(path, defects, job.folder / LEARNED, data, job.who)


def _keep(job: Job, plan: LessonPlan, folder: Path) -> None:
    """Where a trained detector lies, under the station's name of the class, with the verdicts in its record."""
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    write_json(folder / FACTS, {**facts, "class_name": job.class_name})
    verdicts = [
        {"inspection": part.id, "verdict": part.verdict, "who": part.who, "files": part.digest} for part in plan.defects
    ]
    write_json(folder / LESSON, {**(read_lesson(folder) or {}), "job": job.id, "verdicts": verdicts})
    os.replace(folder, job.folder / RUN)
    shutil.rmtree(job.folder / LEARNED, ignore_errors=True)


def _judged(judgement: Judgement) -> dict[str, Any]:
    """places, unseen: by inspections' ids, as text for JSON."""
    return {
        "defects": judgement.defects,
        "good": judgement.good,
        "before": asdict(judgement.before),
        "after": asdict(judgement.after),
        "gain": asdict(judgement.gain),
        "unlabelled": judgement.unlabelled,
        "reasons": list(judgement.reasons),
        "places": {_inspection(name): list(places) for name, places in judgement.scores.items()},
        "unseen": [int(_inspection(name)) for name in judgement.unseen],
    }


def _inspection(name: str) -> str:
    """Of a part "KIND/STEM"."""
    return str(int(name.rpartition("/")[2]))
