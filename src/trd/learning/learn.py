"""A detector's folder, labelled defects and good parts -> a new run folder beside it, where they make it better."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trd.config import KNOWN_DEFECTS, KnownDefectsConfig, Recipe
from trd.data.listing import camera_near
from trd.detector import Detector
from trd.engines.base import Placement
from trd.engines.pytorch.engine import PyTorchEngine
from trd.errors import OutputError, TRDError
from trd.evidence.detection import detector_engine, joined
from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.evidence import state_of
from trd.evidence.known_defects.kinds import state_of_kinds
from trd.evidence.repeatable import repeatable
from trd.export.parts import ExportParts, parts_of, prepared_parts
from trd.files import locked, write_json
from trd.learning.given import digests_of_given
from trd.learning.good_parts import GoodJudgement, Growth
from trd.learning.heads import Lesson
from trd.learning.judge import Judgement, judged
from trd.learning.kinds import taught_kinds
from trd.learning.labels import LessonOn, Likeness, asked_about
from trd.learning.learner import growing_recipe, learner
from trd.learning.parts import LessonPart, lesson_parts, marked_sample, unmarked
from trd.learning.record import FEWEST, LESSON
from trd.learning.scores import scoring_at_rates
from trd.learning.taking import taken_in
from trd.preprocess.parts import PreparedParts
from trd.preprocess.threads import in_threads
from trd.runs.record import Record
from trd.stored import WITHOUT, DetectorFacts, read_detector, save_detector
from trd.training.fit import calibrated_on, raw_maps
from trd.training.prepare import FURTHER, RECORD
from trd.types import SampleFiles, State

MOST_TRAINING = 32  # training parts, evenly chosen: their cells' scatter is known well enough


class LessonRefused(TRDError):
    """A lesson makes the detector no better; nothing was written. judgement: what was measured. good: the same of good
    parts that were to be taken in with it, and would have been."""

    def __init__(self, judgement: Judgement, good: GoodJudgement | None = None) -> None:
        super().__init__("the lesson is refused, nothing was written: " + "; ".join(judgement.reasons))
        self.judgement, self.good = judgement, good


@dataclass(frozen=True)
class LessonJob:
    """run: the detector's folder, or a run folder with one class. defects: labelled, `SampleFiles.defect` their kinds,
    with masks where somebody marked them. out: the new run folder. data: of the class, where it was moved since the
    training. by: who teaches, for the record. good: parts that were wrongly rejected, or of a new batch. must_find:
    defects that good parts must not hide; they teach nothing. sure: good parts that look like defects are good."""

    run: Path
    defects: Sequence[SampleFiles]
    out: Path
    data: Path | None = None
    by: str = ""
    device: str = "auto"
    good: Sequence[SampleFiles] = ()
    must_find: Sequence[SampleFiles] = ()
    sure: bool = False


@dataclass(frozen=True)
class Learned:
    """folder: of the new detector. judgement: of the defects, None for none. good: of the good parts, None for none."""

    folder: Path
    facts: DetectorFacts
    judgement: Judgement | None
    good: GoodJudgement | None = None


def learn(job: LessonJob, console: Console) -> Learned:
    """Judge a lesson out of fold, of the good parts first; where it is better, save the detector that has it.

    Takes half a second or so for each part on one core of a Xeon, with good parts several, so that an interrupted
    lesson is started again. Raises LessonRefused, GoodPartsRefused, DoubtfulLabels, DataError for parts that cannot be
    used, CheckpointError for a detector that cannot learn.
    """
    begin = time.monotonic()
    before, state, folder = _learning_detector(job)
    out = job.out / before.class_name
    if out.exists():  # this and what follows is refused before anything is computed
        raise OutputError(f"{out} exists: a lesson makes a new run folder, choose another --out")
    if job.good:
        growing_recipe(before.recipe)
    digests = digests_of_given(job.defects, job.good, job.must_find, folder)
    parts, good = parts_of(before, folder, job.data), prepared_parts(before, job.good)
    detector, taken, taught = before, None, None
    alike: dict[str, Likeness] = {}
    if job.good:
        alike = _asked_about(job, before, parts, good, console)
        must_find = prepared_parts(before, job.must_find or job.defects)
        taken = taken_in(Growth(before, state, parts, good, must_find, job.device, console))
        detector, state = taken.detector, taken.state
    facts = replace(detector.facts, id="")
    if job.defects:
        try:
            taught = _taught(job, detector, state, parts, good, digests.defects, console)
        except LessonRefused as refused:
            raise LessonRefused(refused.judgement, None if taken is None else taken.judgement) from None
        facts, state = taught.facts, taught.state
    with locked(job.out, "a lesson"):
        record = _record(folder, facts.recipe, digests.good)
        Record(job.out).enter(Path(record["data"]).parent, facts.recipe, [detector.class_name])
        if detector.facts.stand_ins:
            shutil.copytree(folder / WITHOUT, out / WITHOUT)
        facts = save_detector(out, facts, state)
        lesson_record = {
            "learned_from": str(folder.resolve()),
            "detector_before": before.facts.id,
            "by": job.by,
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "defects": [] if taught is None else taught.defects,
            "judgement": None if taught is None else asdict(taught.judgement),
            **({} if taken is None else taken.record(digests.good, alike)),
            "threshold_before": before.calibration.image_threshold.value,
            "threshold": facts.calibration.image_threshold.value,
            "seconds": time.monotonic() - begin,
        }
        write_json(out / LESSON, lesson_record)
        write_json(out / RECORD, {**record, "detector": facts.id})
    return Learned(out, facts, None if taught is None else taught.judgement, None if taken is None else taken.judgement)


@dataclass(frozen=True)
class _Taught:
    """A detector that knows the labelled defects, before it is saved. defects: what lesson.json says of them."""

    facts: DetectorFacts
    state: State
    judgement: Judgement
    defects: list[dict[str, Any]]


def _taught(
    job: LessonJob,
    detector: Detector,
    state: State,
    parts: ExportParts,
    good: PreparedParts,
    digests: Mapping[str, str],
    console: Console,
) -> _Taught:
    """good: parts that were taken in before. Raises LessonRefused."""
    recipe = with_known_defects(detector.recipe)
    with repeatable(recipe.seed):
        lesson = lessons_of(job, detector, recipe, parts, console)(_computed_good(detector, recipe, good, console))
        with console.status("judging the lesson out of fold"):
            judgement = judged(lesson)
        if judgement.reasons:
            raise LessonRefused(judgement)
        directions = lesson.directions(range(len(lesson.defects)))
        distances, kinds = taught_kinds(lesson, [digests[part.id] for part in lesson.defects])
    learned = {**state_of(lesson.channels, directions), **state_of_kinds(distances)}
    state = joined({"": state, f"{KNOWN_DEFECTS}.": learned})
    facts = replace(_calibrated(detector, recipe, state, parts.calibration, job.device, console), kinds=kinds)
    defects = [
        {"id": part.id, "kind": part.kind, "files": digests[part.id], "marked": part.marked is not None}
        for part in lesson.defects
    ]
    return _Taught(facts, state, judgement, defects)


def _asked_about(
    job: LessonJob, detector: Detector, parts: ExportParts, good: PreparedParts, console: Console
) -> dict[str, Likeness]:
    """Of the good parts, where there are defects enough to compare them with. Raises DoubtfulLabels."""
    judges = job.must_find or job.defects
    if len(judges) < FEWEST:
        return {}
    recipe = with_known_defects(detector.recipe)
    with repeatable(recipe.seed):
        lesson_on = lessons_of(replace(job, defects=judges), detector, recipe, parts, console)
        return asked_about(lesson_on, _computed_good(detector, recipe, good, console), job.sure)


def with_known_defects(recipe: Recipe) -> Recipe:
    """The recipe with this evidence, last, as it needs the maps of the others."""
    return recipe.changed(f"evidence.{KNOWN_DEFECTS}=true")


def _learning_detector(job: LessonJob) -> tuple[Detector, State, Path]:
    """Raises CheckpointError or DataError where it cannot learn."""
    _, folder = learner(job.run, job.data)
    _, state = read_detector(folder)
    return Detector.load(folder, job.device), state, folder


def lesson_of(job: LessonJob, detector: Detector, recipe: Recipe, parts: ExportParts, console: Console) -> Lesson:
    return lessons_of(job, detector, recipe, parts, console)(())


def lessons_of(job: LessonJob, detector: Detector, recipe: Recipe, parts: ExportParts, console: Console) -> LessonOn:
    """Lessons of the job's defects, whose parts are computed once."""
    engine = detector.engine
    assert isinstance(engine, PyTorchEngine)
    computed = partial(lesson_parts, engine, Channels(recipe).eval(), console=console)
    count = min(MOST_TRAINING, len(parts.training))
    chosen = parts.training.chosen(np.linspace(0, len(parts.training) - 1, count).round().astype(int).tolist())
    camera = camera_near(job.defects, recipe.point_cloud_sources, detector.facts.camera)
    section = recipe.evidence[KNOWN_DEFECTS]
    assert isinstance(section, KnownDefectsConfig)
    scoring = scoring_at_rates(detector.recipe, detector.calibration)
    marked = in_threads(marked_sample(detector, camera), job.defects)
    training = computed(unmarked(chosen), "training parts", count)
    calibration = computed(unmarked(parts.calibration), "calibration parts", len(parts.calibration))
    defects = computed(marked, "labelled defects", len(job.defects))

    def lesson(further: Sequence[LessonPart]) -> Lesson:
        usual = [*training, *further]
        branches = detector.recipe.branches
        return Lesson.of(Channels(recipe).eval(), usual, calibration, defects, branches, scoring, section.shrinkage)

    return lesson


def _computed_good(detector: Detector, recipe: Recipe, good: PreparedParts, console: Console) -> list[LessonPart]:
    """Nothing where there are none."""
    assert isinstance(detector.engine, PyTorchEngine)
    return lesson_parts(
        detector.engine, Channels(recipe).eval(), unmarked(good), "good parts", len(good), console=console
    )


def _calibrated(
    detector: Detector, recipe: Recipe, state: State, good: PreparedParts, device: str, console: Console
) -> DetectorFacts:
    """On the calibration parts, which the lesson has not learned from, at the rates that the detector has now."""
    before = detector.calibration
    engine = detector_engine(recipe, state, detector.facts.frame.size, Placement(device, before.precision or None))
    raw = raw_maps(engine, good, console, "calibration")
    calibration = calibrated_on(good, raw, recipe, scoring_at_rates(recipe, before), engine.precision)
    return replace(detector.facts, recipe=recipe, calibration=calibration, id="")


def _record(folder: Path, recipe: Recipe, good: Mapping[str, str]) -> dict[str, Any]:
    """training.json of the new detector: what was trained stays as it was. good: id -> digest of the good parts that
    joined, which it may not be calibrated on later."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
    further = {f"learned/{name}": digest for name, digest in good.items()}
    parts = {**record["parts"], **further}
    return {**record, "recipe": recipe.identity(), "parts": parts, **({FURTHER: list(further)} if further else {})}
