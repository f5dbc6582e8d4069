"""Good parts -> calibrated detector, of any evidence: prepare, fit, calibrate on parts it was not fitted on, save."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from trd import processes
from trd.config import Recipe, ScoringConfig
from trd.data.unread import unread_beside
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.detector import Detector
from trd.engines.base import Engine, Maps, Placement
from trd.evidence.base import FitJob
from trd.files import write_json
from trd.preprocess.parts import PreparedParts, batches, stacked_images
from trd.preprocess.regions import limit_map
from trd.progress import tracked
from trd.stored import FACTS, WITHOUT, DetectorFacts, save_detector
from trd.training.cross import out_of_fold_maps
from trd.training.prepare import RECORD, PreparedClass, is_complete, list_parts, prepare_class, refuse_other_parts
from trd.training.stand_ins import parts_without
from trd.types import ClassFolder, PrecisionName, State

CHECKPOINTS = "checkpoints"
SCORING_BATCH = 8
POLL = 0.5  # seconds

_log = logging.getLogger(__name__)


def fit_class(
    place: ClassFolder, recipe: Recipe, out: Path, device: str = "auto", console: Console | None = None
) -> Detector:
    """Train and calibrate one class into the folder `out`; goes on from `out`'s checkpoint when there is one.

    Writes training.json (record) early, checkpoints and logs on the way, and the detector's files last; then the
    checkpoints go. A killed run that is started again ends in the same weights as one that was not. Raises TRDError for
    the user's mistakes and KeyboardInterrupt after Ctrl-C, with the last checkpoint kept. Of several processes
    (`trd.processes`) the first one does all but the training; the others wait for its detector.
    """
    from trd.evidence.detection import fit_evidence  # torch, without which packages are calibrated too

    console = console or Console(quiet=True)
    recipe = recipe.for_class(place.name)
    files, record = list_parts(place, recipe, console)
    for line in unread_beside((*files.train, *files.validation)) if processes.rank() == 0 else ():
        _log.warning("%s: %s", place.name, line)
    if (out / CHECKPOINTS).exists():
        refuse_other_parts(out, record)
    parts = prepare_class(files, recipe, record, console)
    return fit_prepared(parts, fit_evidence, out, device, console)


def is_finished(place: ClassFolder, recipe: Recipe, folder: Path) -> bool:
    """`prepare.is_complete`; the checkpoints of a training that was killed when they were to go then do."""
    finished = is_complete(place, recipe, folder)
    if finished and processes.rank() == 0:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return finished


def fit_prepared(
    parts: PreparedClass,
    fit_state: Callable[[FitJob], State],
    out: Path,
    device: str = "auto",
    console: Console | None = None,
) -> Detector:
    """The rest of `fit_class` with parts that are prepared; `fit_state` may be another than `fit_evidence`."""
    from trd.evidence.detection import detector_engine

    console = console or Console(quiet=True)
    recipe, record, first = parts.recipe, parts.record, processes.rank() == 0
    if first:
        write_json(out / RECORD, record)
    cross = recipe.scoring.calibration == "cross"
    job = FitJob(
        recipe=recipe,
        title=parts.files.name,
        training=parts.training.and_also(parts.validation) if cross else parts.training,
        held_out=None if cross else parts.validation,
        folder=out,
        device=device,
        tiles=parts.pipeline.frame.tiles,
        region=parts.pipeline.region,
        console=console,
        record=record,
    )
    begin = time.monotonic()
    raw, good = (out_of_fold_maps(job, fit_state, raw_maps), job.training) if cross else ({}, parts.validation)
    state = fit_state(job)
    if not first:
        while not (out / FACTS).exists():  # should the first process fail, torchrun ends this one
            time.sleep(POLL)
        return Detector.load(out, device)
    record["seconds"]["training"] = time.monotonic() - begin

    begin = time.monotonic()
    engine = detector_engine(recipe, state, job.size, Placement(device), job.tiles)
    raw = raw or raw_maps(engine, good, console, f"{job.title}: calibration")
    calibration = calibrated_on(good, raw, recipe, recipe.scoring, engine.precision)
    pipeline = parts.pipeline
    record["seconds"]["calibration"] = time.monotonic() - begin
    facts = DetectorFacts(
        recipe,
        pipeline.frame,
        calibration,
        pipeline.ranges,
        parts.files.name,
        parts.files.camera,
        without=record.get("without", ""),
        finder=pipeline.finder,
        stand_ins=_fit_stand_ins(parts, out, device, console) if recipe.scoring.stand_ins else {},
    )
    facts = save_detector(out, facts, state)
    record["detector"] = facts.id
    write_json(out / RECORD, record)
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)  # gigabytes at paper size, and of no use any more
    _say_what_is_promised(facts, console)
    return Detector(facts, engine)


def _fit_stand_ins(parts: PreparedClass, out: Path, device: str, console: Console) -> dict[str, str]:
    """Source -> id of the detector that does without it, saved below `out`."""
    from trd.evidence.detection import fit_evidence

    begin, ids = time.monotonic(), dict[str, str]()
    for source in parts.recipe.sources:
        reduced = parts_without(parts, source)
        if reduced is None:
            continue
        with console.status(escape(f"{parts.files.name}: fallback detector without {source}")):
            ids[source] = fit_prepared(reduced, fit_evidence, out / WITHOUT / source, device).facts.id
    parts.record["seconds"]["stand_ins"] = time.monotonic() - begin
    return ids


def calibrated_on(
    good: PreparedParts, raw: Maps, recipe: Recipe, scoring: ScoringConfig, precision: PrecisionName
) -> Calibration:
    """`calibrate` of prepared good parts, whose raw maps are `raw`. scoring: perhaps not the recipe's own."""
    facts = ((part.region, part.id, limit_map(recipe.frame, part.named)) for part in good)
    regions, names, limits = zip(*facts, strict=True)
    return calibrate(raw, regions, scoring, precision, names, recipe.views.names, limits)


def raw_maps(engine: Engine, parts: PreparedParts, console: Console, title: str) -> Maps:
    """branch -> (N, h, w) of all parts, with progress."""
    steps = list(batches(range(len(parts)), SCORING_BATCH))
    shown = tracked(steps, title, len(steps), console)
    maps = [engine.raw_maps(stacked_images([parts[index] for index in step])) for step in shown]
    return {name: np.concatenate([m[name] for m in maps]) for name in maps[0]}


def _say_what_is_promised(facts: DetectorFacts, console: Console) -> None:
    threshold, calibration = facts.calibration.image_threshold, facts.calibration
    console.print(
        f"{facts.class_name}: threshold {threshold.value:.3f}, {calibration.threshold_origin}; `trd calibrate` sets "
        "another",
        markup=False,
    )
    if not threshold.attained:
        more = f"{round(1 / threshold.requested_rate) - 1} parts would do"
        if calibration.kind == "split":
            more += "; with --set scoring.calibration=cross all good parts count"
        console.print(
            f"{facts.class_name}: {threshold.count} calibration parts cannot promise a false-alarm rate of "
            f"{threshold.requested_rate:.1%}; the threshold's is {threshold.guaranteed_rate:.1%}, "
            f"{calibration.promise} ({more})",
            markup=False,
        )
