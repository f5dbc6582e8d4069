"""The good parts that a detector was trained and calibrated on, and its test parts, found again for the export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trd.data.listing import camera_near, list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import CheckpointError, DataError
from trd.preprocess.parts import PreparedParts
from trd.preprocess.threads import in_threads
from trd.training.digests import changed_parts, part_digests
from trd.training.prepare import FURTHER, RECORD, with_calibration_parts
from trd.types import GOOD, UNLABELLED, Camera, ClassFiles, Sample, SampleFiles


@dataclass(frozen=True)
class ExportParts:
    """training, calibration: good parts, prepared. test: labelled, for the comparison; may be empty. example: a decoded
    calibration part."""

    training: PreparedParts
    calibration: PreparedParts
    test: ClassFiles | None
    example: Sample


def parts_of(detector: Detector, folder: Path, data: Path | None, good: Sequence[SampleFiles] = ()) -> ExportParts:
    """folder: the detector's. data: of its class, where it was moved since the training. good: parts to calibrate on
    instead of the training's own. Raises DataError or CheckpointError where they are not what they were."""
    record, place, recipe = _record(folder), data_place(folder, data), detector.recipe
    listed = list_class(place, "", recipe.inputs, recipe.point_cloud_sources)
    left_out = set(record.get("left_out", ()))
    remaining = replace(
        listed,
        train=tuple(part for part in listed.train if part.id not in left_out),
        validation=tuple(part for part in listed.validation if part.id not in left_out),
    )
    files = with_calibration_parts(remaining, recipe)
    _refuse_others(files, record, detector, place)
    calibration = tuple(good) or files.validation or files.train  # "cross" calibrates on all of them
    camera = camera_near(calibration, recipe.point_cloud_sources, files.camera or detector.facts.camera)
    example = load_sample(calibration[0], recipe.point_cloud_sources, camera)
    labelled = bool(files.test) and all(part.defect != UNLABELLED for part in files.test)
    mixed = {part.defect == GOOD for part in files.test} == {True, False}
    return ExportParts(
        training=prepared_parts(detector, files.train, files.camera),
        calibration=prepared_parts(detector, calibration, files.camera),
        test=files if labelled and mixed else None,
        example=example,
    )


def data_place(folder: Path, data: Path | None) -> Path:
    """`data`, or the folder of the class that a detector was trained on. Raises DataError or CheckpointError where
    neither is there."""
    place = data or Path(_record(folder)["data"])
    if not place.is_dir():
        raise DataError(
            f"{place.absolute()}, on which {folder} was trained, does not exist: give the class's folder with --data"
        )
    return place


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        parts = {name: digest for name, digest in record["parts"].items() if name not in record.get(FURTHER, ())}
        return {"data": str(record["data"]), "parts": parts, "left_out": record.get("left_out", ())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / RECORD} does not say what the detector was trained on ({error!r}): it was written by an "
            "earlier version; train again to export"
        ) from error


def _refuse_others(files: ClassFiles, record: dict[str, Any], detector: Detector, place: Path) -> None:
    if detector.facts.without:
        return  # the record's digests are of all sensors' files
    difference = changed_parts(record["parts"], part_digests([*files.train, *files.validation]))
    if difference:
        raise DataError(
            f"{place}: since the training {difference}: give the folder as it was with --data, or train again"
        )


def prepared_parts(detector: Detector, files: Sequence[SampleFiles], camera: Camera | None = None) -> PreparedParts:
    """As the detector takes them. camera: of their depth images, where none is named beside them; else the training's.
    Raises DataError for a part that cannot be used."""
    clouds = detector.recipe.point_cloud_sources
    known_camera = camera_near(files, clouds, camera or detector.facts.camera)
    parts = PreparedParts(len(files), lambda index: detector.pipeline(load_sample(files[index], clouds, known_camera)))
    for _ in in_threads(parts.__getitem__, range(len(parts))):
        pass
    return parts
