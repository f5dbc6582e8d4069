"""Models tried on parts that people have judged: what each finds, its false alarms, and where they disagree."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from rich.console import Console

from trd.detector import Detector
from trd.errors import DataError, TRDError
from trd.files import write_bytes, write_json
from trd.packages.facts import digests_of_parts
from trd.progress import tracked
from trd.training.digests import part_digests
from trd.types import UNLABELLED, Prediction, SampleFiles
from trd_station import pictures
from trd_station.reading import Inputs
from trd_station.recalibration import Estimate
from trd_station.shelf.discovery import path_of, stored_path
from trd_station.teaching.jobs import PICTURES, Job

FILE = "trial.json"
MOST_SHOWN = 40  # parts on which the models disagree, with pictures
SIZE = 480  # pixels of a picture's longer side


@dataclass(frozen=True)
class Tried:
    """A model. path: of a detector or package. reject_above: its limit in the station, None for the detector's own."""

    name: str
    path: str
    serves: bool
    reject_above: float | None


@dataclass(frozen=True)
class JudgedPart:
    """id: of the inspection. verdict: good or defect; of a shadow's part also None. sources: source -> file. camera:
    the file that was sent with it."""

    id: int
    part: str
    verdict: str | None
    kind: str | None
    sampled: bool
    sources: Mapping[str, str]
    camera: str | None


@dataclass(frozen=True)
class Plan:
    models: tuple[Tried, ...]
    parts: tuple[JudgedPart, ...]

    def write(self, job: Job) -> None:
        """Into the job's folder; paths move with the station's."""
        write_json(
            job.folder / FILE, asdict(self._with_paths(lambda path: stored_path(Path(path).resolve(), job.data)))
        )

    @classmethod
    def read(cls, job: Job) -> Plan:
        """Raises DataError."""
        folder = job.folder
        try:
            values = json.loads((folder / FILE).read_text("utf-8"))
            models = tuple(Tried(**model) for model in values["models"])
            plan = cls(models, tuple(JudgedPart(**part) for part in values["parts"]))
            return plan._with_paths(lambda path: str(path_of(path, job.data)))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{folder / FILE} cannot be read: {error}; ask for the trial again") from error

    def _with_paths(self, changed: Callable[[str], str]) -> Plan:
        models = tuple(replace(model, path=changed(model.path)) for model in self.models)
        parts = tuple(
            replace(
                part,
                sources={source: changed(path) for source, path in part.sources.items()},
                camera=changed(part.camera) if part.camera else None,
            )
            for part in self.parts
        )
        return Plan(models, parts)


def trial(job: Job, console: Console) -> dict[str, Any]:
    """Scores of every part by every model. Parts that a model was fitted or calibrated on, or that its lesson taught,
    are left out: their scores say too much for it."""
    plan = Plan.read(job)
    known, unusable, limits = set[int](), dict[int, str](), list[float]()
    scores: list[dict[int, float]] = []
    for model in plan.models:
        detector = Detector.load(Path(model.path), "auto")
        limits.append(detector.calibration.image_threshold.value if model.reject_above is None else model.reject_above)
        own: dict[int, float] = {}
        for part in tracked(plan.parts, f"{model.name}: judged parts", len(plan.parts), console):
            try:
                own[part.id] = predicted(detector, part).score
            except TRDError as error:
                unusable[part.id] = str(error)
        known |= _trained_on(Path(model.path), detector, [part for part in plan.parts if part.id in own])
        scores.append(own)
    used = [part for part in plan.parts if part.id not in known and part.id not in unusable]
    rejected = {part.id: [own[part.id] > limit for own, limit in zip(scores, limits, strict=True)] for part in used}
    flips = [part for part in used if len(set(rejected[part.id])) > 1]
    shown = sorted(flips, key=lambda part: (part.verdict != "defect", part.id))[:MOST_SHOWN]
    named = _pictures(job, plan.models, limits, shown, console)
    return {
        "parts": len(used),
        "trained_on": len(known),
        "unusable": [{"id": number, "reason": reason} for number, reason in unusable.items()],
        "models": [
            {
                "name": model.name,
                "serves": model.serves,
                "reject_above": limit,
                "found": _share(used, rejected, place, "defect"),
                "false_alarms": _share(used, rejected, place, "good"),
                "false_alarms_sampled": _share([part for part in used if part.sampled], rejected, place, "good"),
            }
            for place, (model, limit) in enumerate(zip(plan.models, limits, strict=True))
        ],
        "disagreements": len(flips),
        "alone": {verdict: _alone(used, rejected, verdict) for verdict in ("defect", "good")},
        "flips": [
            {
                "id": part.id,
                "part": part.part,
                "verdict": part.verdict,
                "kind": part.kind,
                "scores": [own[part.id] for own in scores],
                "rejected": rejected[part.id],
                "pictures": named[part.id],
            }
            for part in shown
        ],
    }


def _share(parts: Sequence[JudgedPart], rejected: Mapping[int, list[bool]], place: int, verdict: str) -> dict[str, Any]:
    """Of the parts of a verdict, those that a model rejects."""
    hits = [rejected[part.id][place] for part in parts if part.verdict == verdict]
    return dict(Estimate(sum(hits), len(hits)).to_json())


def _alone(parts: Sequence[JudgedPart], rejected: Mapping[int, list[bool]], verdict: str) -> list[int]:
    """Of the parts of a verdict, those that each model is the only one to reject."""
    sole = [rejected[part.id].index(True) for part in parts if part.verdict == verdict and sum(rejected[part.id]) == 1]
    return [sole.count(place) for place in range(len(next(iter(rejected.values()), [])))]


def predicted(detector: Detector, part: JudgedPart) -> Prediction:
    return detector.predict(_inputs(detector, part).sample(part.part))


def _inputs(detector: Detector, part: JudgedPart) -> Inputs:
    """Raises DataError for a part that lacks a file."""
    recipe = detector.recipe
    for source in recipe.inputs:
        if source not in part.sources:
            raise DataError(f"the part '{part.part}' has no file '{source}', which the recipe '{recipe.name}' needs")
    paths = {source: Path(part.sources[source]) for source in recipe.inputs}
    return Inputs(paths, recipe.cloud_inputs, detector.facts.camera, Path(part.camera) if part.camera else None)


def _trained_on(path: Path, detector: Detector, parts: Sequence[JudgedPart]) -> set[int]:
    """Ids of parts whose files the detector was fitted or calibrated on, or taught by a lesson."""
    kinds = detector.facts.kinds
    trained = digests_of_parts(path) | set(kinds.parts if kinds else ())
    if not trained:
        return set()
    ids = {str(part.id): part.id for part in parts}
    files = [SampleFiles(str(part.id), "predict", UNLABELLED, _inputs(detector, part).sources) for part in parts]
    return {ids[name] for name, digest in part_digests(files).items() if digest in trained}


def _pictures(
    job: Job, models: Sequence[Tried], limits: Sequence[float], parts: Sequence[JudgedPart], console: Console
) -> dict[int, list[str]]:
    """Part -> names of its heat map by each model, over its first picture, in the job's folder."""
    named: dict[int, list[str]] = {part.id: [] for part in parts}
    for place, (model, limit) in enumerate(zip(models, limits, strict=True)) if parts else ():
        detector = Detector.load(Path(model.path), "auto")
        for part in tracked(parts, f"{model.name}: pictures", len(parts), console):
            name = f"{part.id}-{place}.jpg"
            write_bytes(job.folder / PICTURES / name, _heat(detector, part, limit), durable=False)
            named[part.id].append(name)
    return named


def _heat(detector: Detector, part: JudgedPart, limit: float) -> bytes:
    sample, first = _inputs(detector, part).sample(part.part), detector.recipe.sources[0]
    prediction = detector.predict(sample)
    under = pictures.source_picture(sample.arrays[first], first in detector.recipe.point_cloud_sources)
    shown = pictures.map_picture(prediction.map, "overlay", 2 * limit, prediction.pixel_threshold, under)
    small = pictures.at_most(shown, SIZE)
    return bytes(imagecodecs.jpeg_encode(np.ascontiguousarray(small), level=88))
