"""A dry run over a data folder: what training would meet, in a minute, without training."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trd.check.outliers import strangeness
from trd.check.region_pictures import region_pictures
from trd.check.registration import Registration, registration
from trd.check.resolution import DefectSize, Resolution, pixel_pitch, resolution
from trd.config import Recipe
from trd.data.check import doubtful_masks, grouped, unreadable
from trd.data.listing import layout_of, list_class
from trd.data.loading import load_sample
from trd.data.unread import unread_below, unread_files
from trd.errors import TRDError
from trd.evaluation.figures import as_picture, data_uri, outlined, overlay
from trd.preprocess.parts import at_map_size
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.view_pipeline import ViewPipeline
from trd.training.cross import dealt
from trd.training.prepare import PreparedClass, prepare_class, with_calibration_parts
from trd.types import ClassFiles, ClassFolder, PreparedSample

STRANGEST = 10  # training parts that are shown
SHOWN = 3  # ordinary ones beside them
LOOK = 4.0  # strangeness from which on a part is said to deserve a look
WHERE = "where it is strange"


@dataclass(frozen=True)
class PartPicture:
    """One training part as the network will see it, and where it is strange. strangeness: `check.outliers`."""

    id: str
    strangeness: float
    pictures: tuple[tuple[str, str], ...]  # modality or WHERE, data URI


@dataclass(frozen=True)
class ClassCheck:
    """What was found of one class. problems: what stops training. warnings: what makes its result doubtful.

    facts: label -> text, in order. strangest, ordinary: training parts, also those that would be held out to calibrate
    on, worst first. registered: with a colour camera, ids and pictures (data URIs) of the first parts, with the edges
    of the projected depth. regions: with regions, ids and pictures of parts that they are drawn on; `region_facts` says
    what the numbers in these mean.
    """

    name: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    strangest: tuple[PartPicture, ...] = ()
    ordinary: tuple[PartPicture, ...] = ()
    registered: tuple[tuple[str, str], ...] = ()
    regions: tuple[tuple[str, str], ...] = ()
    region_facts: dict[str, str] = field(default_factory=dict)


def check_class(
    place: ClassFolder, recipe: Recipe, console: Console | None = None, smallest: DefectSize | None = None
) -> ClassCheck:
    """Read every file of a class, fit the pipeline, and compare the training parts; every mistake becomes a problem.

    smallest: defect that the network must see.
    """
    console = console or Console(quiet=True)
    recipe = recipe.for_class(place.name)
    layout = layout_of(place.path)
    facts = {"layout": layout.name}
    try:
        files = list_class(place.path, "", recipe.inputs, recipe.point_cloud_sources)
    except TRDError as error:
        return ClassCheck(place.name, (str(error),), tuple(unread_below(place.path)), facts)
    samples = (*files.train, *files.validation, *files.test)
    unread, aside = unread_files(place.path, samples, layout.set_aside)
    facts |= _counted(files) | ({"files that this recipe does without": "; ".join(aside)} if aside else {})
    bad = unreadable(samples, recipe.point_cloud_sources, files.camera)
    if bad:
        return ClassCheck(place.name, tuple(grouped(bad, place.path)), tuple(unread), facts)
    preparation_warnings = _WarningLines()
    log = logging.getLogger("trd")
    log.addHandler(preparation_warnings)
    try:
        split_files = with_calibration_parts(files, recipe)
        if recipe.scoring.calibration == "cross":
            dealt(len(files.train) + len(files.validation), recipe.scoring.folds, recipe.seed)
        parts = prepare_class(split_files, recipe, {"seconds": {}}, console)
    except TRDError as error:
        return ClassCheck(place.name, (str(error),), (*unread, *preparation_warnings.lines), facts)
    finally:
        log.removeHandler(preparation_warnings)
    projection = _registration(files, recipe)
    facts |= _fitted(files, parts) | projection.facts
    seen = _resolution(smallest, files, recipe, parts)
    facts |= {"smallest defect": seen.fact} if seen.fact else {}
    trained = {sample.id for sample in files.train}
    tiles = parts.pipeline.frame.tiles
    good = [at_map_size(part, tiles) for part in parts.training.and_also(parts.validation)]
    drawn_regions = region_pictures(parts.pipeline, sorted(good, key=lambda part: part.id))
    training = [part for part in good if part.id in trained]
    outliers = strangeness(training, recipe, console)
    order = np.argsort(-outliers.scores, kind="stable")
    worst, ordinary = order[:STRANGEST], order[len(order) // 2 :][:SHOWN]
    warnings = [
        *unread,
        *doubtful_masks(files.test),
        *preparation_warnings.lines,
        *projection.warnings,
        *([seen.warning] if seen.warning else []),
        *_doubts(recipe, files, parts),
        *_noted(list(parts.training)),
    ]
    suspicious = [training[index].id for index in order if outliers.scores[index] > LOOK]
    if suspicious:
        warnings.append(f"unlike the other training parts, look at them: {', '.join(suspicious)}")
    return ClassCheck(
        place.name,
        (),
        tuple(warnings),
        facts,
        tuple(_picture(training[index], float(outliers.scores[index]), outliers.maps[index]) for index in worst),
        tuple(_picture(training[index], float(outliers.scores[index]), outliers.maps[index]) for index in ordinary),
        projection.pictures,
        drawn_regions.pictures,
        drawn_regions.facts,
    )


def _registration(files: ClassFiles, recipe: Recipe) -> Registration:
    """Of the first training parts, where a colour camera of its own takes the pictures."""
    clouds = recipe.point_cloud_sources
    pictures = [source for source in recipe.sources if source not in clouds]
    if files.camera is None or files.camera.colour is None or not pictures or not clouds:
        return Registration()
    samples = (load_sample(sample, clouds, files.camera) for sample in files.train[:SHOWN])
    return registration(samples, pictures[0], clouds[0])


def _resolution(smallest: DefectSize | None, files: ClassFiles, recipe: Recipe, parts: PreparedClass) -> Resolution:
    if smallest is None:
        return Resolution("")
    clouds, frame = recipe.point_cloud_sources, parts.pipeline.frame
    samples = [load_sample(sample, clouds, files.camera) for sample in files.train[:SHOWN] if clouds]
    samples = [sample.view(sample.views[0][0]) if sample.views else sample for sample in samples]
    arrays = [sample.arrays[clouds[0]] for sample in samples]
    pitch = pixel_pitch([cast(NDArray[np.float32], array) * np.float32(frame.cloud_scale) for array in arrays])
    return resolution(smallest, recipe.frame, frame, pitch)


class _WarningLines(logging.Handler):
    """Keeps what preparation warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _counted(files: ClassFiles) -> dict[str, str]:
    kinds = Counter(sample.defect for sample in files.test)
    masks = sum(bool(sample.masks) for sample in files.test)
    tested = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return {
        "good parts to train on": str(len(files.train)),
        "good parts to calibrate on": str(len(files.validation)) if files.validation else "none: held out of training",
        "parts to test on": f"{tested}; {masks} masks" if tested else "none: nothing will be measured",
        "endings": ", ".join(sorted({path.suffix for s in files.train for path in s.sources.values()})),
    }


def _fitted(files: ClassFiles, parts: PreparedClass) -> dict[str, str]:
    pipeline, facts = parts.pipeline, dict[str, str]()
    views = pipeline.pipelines.items() if isinstance(pipeline, ViewPipeline) else [("", pipeline)]
    for view, view_pipeline in views:
        record = pipeline.record["views"][view] if view else pipeline.record
        for label, text in _frame_facts(view_pipeline, record, len(parts.training)).items():
            facts[f"{view}: {label}" if view else label] = text
    if pipeline.ranges is not None:
        facts |= pipeline.ranges.described()
    if held_out := len(parts.validation) - len(files.validation):
        facts["held out for calibration"] = f"{held_out} of the parts to train on"
    return facts


def _frame_facts(pipeline: Pipeline, record: dict[str, Any], count: int) -> dict[str, str]:
    """count: of the training parts."""
    frame = pipeline.frame
    top, left, height, width = frame.window
    tiles = f", in {len(frame.tiles.places)} tiles of {frame.tile}" if frame.tiles else ""
    facts = {
        "frame": f"{frame.sensor[0]} x {frame.sensor[1]} pixels (height x width)",
        "window": f"rows {top} to {top + height}, columns {left} to {left + width}, "
        f"resized to {frame.size[0]} x {frame.size[1]}{tiles}",
        "scored": {"part": "the part", "frame": "the whole window"}[pipeline.region],
    }
    if record:
        unit = {1.0: "metres", 0.001: "millimetres"}.get(frame.cloud_scale, f"{frame.cloud_scale:g} metres per unit")
        facts["3D in"] = unit
        facts["support plane not found in"] = f"{len(record['without_plane'])} of {count} training parts"
        if "parts_found" in record:
            facts["part found in"] = f"{record['parts_found']} of {count} training parts"
    return facts


def _doubts(recipe: Recipe, files: ClassFiles, parts: PreparedClass) -> list[str]:
    """Too few parts to promise the requested rate, or to learn from."""
    doubts = []
    rate, cross = recipe.scoring.false_alarm_rate, recipe.scoring.calibration == "cross"
    count = len(files.train) + len(files.validation) if cross else len(parts.validation)
    if 1 / (count + 1) > rate:
        doubts.append(
            f"{count} calibration parts can promise a false-alarm rate of {1 / (count + 1):.1%} at best, not "
            f"{rate:.1%}: give {round(1 / rate) - 1}" + ("" if cross else ", or take --set scoring.calibration=cross")
        )
    if len(parts.training) < 20:
        doubts.append(f"{len(parts.training)} parts are few to train on: 50 or more are better")
    return doubts


def _noted(training: list[PreparedSample]) -> list[str]:
    counts = Counter(note for part in training for note in part.notes)
    return [f"{count} training parts: {note}" for note, count in counts.items()]


def _picture(part: PreparedSample, score: float, anomaly_map: NDArray[np.float32]) -> PartPicture:
    pictures = []
    for name, image in part.images.items():
        picture = as_picture(image)
        if part.region is not None:
            picture = outlined(picture, part.region, (255, 255, 255))
        pictures.append((name, data_uri(picture)))
    first = as_picture(next(iter(part.images.values())))
    values = np.asarray(cv2.resize(anomaly_map, first.shape[1::-1]), np.float32)
    return PartPicture(part.id, score, (*pictures, (WHERE, data_uri(overlay(first, values, LOOK)))))
