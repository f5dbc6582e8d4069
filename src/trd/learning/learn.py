"""A detector's folder and labelled defects -> a new run folder beside it, where the lesson makes it better."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trd.config import KNOWN_DEFECTS, KnownDefectsConfig, Recipe
from trd.data.listing import camera_near
from trd.detector import Detector
from trd.engines.base import Placement
from trd.engines.pytorch.engine import PyTorchEngine
from trd.errors import CheckpointError, DataError, OutputError, TRDError
from trd.evidence.detection import detector_engine, joined
from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.evidence import state_of
from trd.evidence.known_defects.kinds import state_of_kinds
from trd.evidence.repeatable import repeatable
from trd.export.parts import ExportParts, parts_of
from trd.files import locked, write_json
from trd.learning.heads import Lesson
from trd.learning.judge import FEWEST, Judgement, judged
from trd.learning.kinds import taught_kinds
from trd.learning.parts import LessonPart, Marked, lesson_part, marked_sample, unmarked
from trd.learning.record import LESSON, read_lesson
from trd.packages.facts import digests_of_parts
from trd.packages.package import is_package
from trd.preprocess.parts import PreparedParts
from trd.preprocess.threads import in_threads
from trd.progress import tracked
from trd.runs.record import Record
from trd.stored import WITHOUT, DetectorFacts, detector_folder, read_detector, save_detector
from trd.training.digests import part_digests
from trd.training.fit import calibrated_on, raw_maps
from trd.training.prepare import RECORD
from trd.types import SampleFiles, State

MOST_TRAINING = 32  # training parts, evenly chosen: their cells' scatter is known well enough


class LessonRefused(TRDError):
    """A lesson makes the detector no better; nothing was written. judgement: what was measured."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__("the lesson is refused, nothing was written: " + "; ".join(judgement.reasons))
        self.judgement = judgement


@dataclass(frozen=True)
class LessonJob:
    """run: the detector's folder, or a run folder with one class. defects: labelled, `SampleFiles.defect` their kinds,
    with masks where somebody marked them. out: the new run folder. data: of the class, where it was moved since the
    training. by: who teaches, for the record."""

    run: Path
    defects: Sequence[SampleFiles]
    out: Path
    data: Path | None = None
    by: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class Learned:
    """folder: of the new detector."""

    folder: Path
    facts: DetectorFacts
    judgement: Judgement


def learn(job: LessonJob, console: Console) -> Learned:
    """Judge a lesson of the defects out of fold; where it is better, save the detector that has it.

    Takes a second or so for each part on a laptop, so that an interrupted lesson is started again. Raises
    LessonRefused, DataError for defects that cannot be used, CheckpointError for a detector that cannot learn.
    """
    begin = time.monotonic()
    detector, state, folder = _learning_detector(job)
    digests, out = _digests_of_defects(job, folder), job.out / detector.class_name
    if out.exists():
        raise OutputError(f"{out} exists: a lesson makes a new run folder, choose another --out")
    parts = parts_of(detector, folder, job.data)
    recipe = with_known_defects(detector.recipe)
    with repeatable(recipe.seed):
        lesson = lesson_of(job, detector, recipe, parts, console)
        with console.status("judging the lesson out of fold"):
            judgement = judged(lesson)
        if judgement.reasons:
            raise LessonRefused(judgement)
        directions = lesson.directions(range(len(lesson.defects)))
        distances, kinds = taught_kinds(lesson, [digests[part.id] for part in lesson.defects])
    learned = {**state_of(lesson.channels, directions), **state_of_kinds(distances)}
    state = joined({"": state, f"{KNOWN_DEFECTS}.": learned})
    facts = _calibrated(detector, recipe, state, parts.calibration, job.device, console)
    with locked(job.out, "a lesson"):
        record = _record(folder, recipe)
        Record(job.out).enter(Path(record["data"]).parent, recipe, [detector.class_name])
        if detector.facts.stand_ins:
            shutil.copytree(folder / WITHOUT, out / WITHOUT)
        facts = save_detector(out, replace(facts, kinds=kinds), state)
        lesson_record = {
            "learned_from": str(folder.resolve()),
            "detector_before": detector.facts.id,
            "by": job.by,
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "defects": [
                {"id": part.id, "kind": part.kind, "files": digests[part.id], "marked": part.marked is not None}
                for part in lesson.defects
            ],
            "judgement": asdict(judgement),
            "threshold_before": detector.calibration.image_threshold.value,
            "threshold": facts.calibration.image_threshold.value,
            "seconds": time.monotonic() - begin,
        }
        write_json(out / LESSON, lesson_record)
        write_json(out / RECORD, {**record, "detector": facts.id})
    return Learned(out, facts, judgement)


def with_known_defects(recipe: Recipe) -> Recipe:
    """The recipe with this evidence, last, as it needs the maps of the others."""
    return recipe.changed(f"evidence.{KNOWN_DEFECTS}=true")


def _learning_detector(job: LessonJob) -> tuple[Detector, State, Path]:
    """Raises CheckpointError where it cannot learn."""
    if is_package(job.run):
        raise CheckpointError(f"{job.run} is a package, which cannot learn: give the run folder that it was made from")
    folder = detector_folder(job.run)
    facts, state = read_detector(folder)
    if KNOWN_DEFECTS in facts.recipe.evidence:
        before = (read_lesson(folder) or {}).get("learned_from", "the detector before")
        raise CheckpointError(f"{folder} has had a lesson: teach {before} all defects together")
    if facts.frame.tiles is not None:
        raise CheckpointError(
            f"{folder} looks at tiles or at several views, which a lesson does not: train without them"
        )
    if facts.calibration.kind == "cross":
        raise CheckpointError(
            f"{folder} was calibrated on the parts that it was trained on (scoring.calibration = 'cross'), and a "
            "lesson needs good parts that nothing was fitted on: train with --set scoring.calibration=split"
        )
    return Detector.load(folder, job.device), state, folder


def _digests_of_defects(job: LessonJob, folder: Path) -> dict[str, str]:
    """Id -> digest. Raises DataError for too few defects, and where one is among the good parts or given twice."""
    if len(job.defects) < FEWEST:
        raise DataError(
            f"{len(job.defects)} labelled defects are too few to judge what they bring: give {FEWEST} or more, some "
            "of every kind"
        )
    digests, good, ids = part_digests(job.defects), digests_of_parts(folder), dict[str, str]()
    for part, digest in digests.items():
        if digest in good:
            raise DataError(f"{part} is one of the good parts that {folder} was trained or calibrated on: which is it?")
        if digest in ids:
            raise DataError(f"{part} is a copy of {ids[digest]}: keep one, or the lesson is judged on what it has seen")
        ids[digest] = part
    return digests


def lesson_of(job: LessonJob, detector: Detector, recipe: Recipe, parts: ExportParts, console: Console) -> Lesson:
    engine = detector.engine
    assert isinstance(engine, PyTorchEngine)
    channels = Channels(recipe).eval()

    def computed(marked: Iterable[Marked], title: str, count: int) -> list[LessonPart]:
        return [lesson_part(engine, channels, part) for part in tracked(marked, title, count, console)]

    count = min(MOST_TRAINING, len(parts.training))
    chosen = parts.training.chosen(np.linspace(0, len(parts.training) - 1, count).round().astype(int).tolist())
    camera = camera_near(job.defects, recipe.point_cloud_sources, detector.facts.camera)
    before, section = detector.calibration, recipe.evidence[KNOWN_DEFECTS]
    assert isinstance(section, KnownDefectsConfig)
    rate = before.image_threshold.requested_rate
    return Lesson.of(
        channels,
        computed(unmarked(chosen), "training parts", count),
        computed(unmarked(parts.calibration), "calibration parts", len(parts.calibration)),
        computed(in_threads(marked_sample(detector, camera), job.defects), "labelled defects", len(job.defects)),
        detector.recipe.branches,
        detector.recipe.scoring.model_copy(update={"false_alarm_rate": rate}),
        section.shrinkage,
    )


def _calibrated(
    detector: Detector, recipe: Recipe, state: State, good: PreparedParts, device: str, console: Console
) -> DetectorFacts:
    """On the calibration parts, which the lesson has not learned from, at the rates that the detector has now."""
    before = detector.calibration
    engine = detector_engine(recipe, state, detector.facts.frame.size, Placement(device, before.precision or None))
    scoring = recipe.scoring.model_copy(
        update={
            "false_alarm_rate": before.image_threshold.requested_rate,
            "pixel_false_alarm_rate": before.pixel_threshold.requested_rate,
        }
    )
    raw = raw_maps(engine, good, console, "calibration")
    calibration = calibrated_on(good, raw, recipe, scoring, engine.precision)
    return replace(detector.facts, recipe=recipe, calibration=calibration, id="")


def _record(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """training.json of the new detector: what was trained stays as it was."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
    return {**record, "recipe": recipe.identity()}
