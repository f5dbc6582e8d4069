"""What becomes of each part: its prediction or its error, its row, its pictures; by a detector here or elsewhere."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.data.listing import camera_near
from trd.data.loading import load_sample
from trd.decision.kinds import UNLIKE, KnownKinds
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, TRDError
from trd.evaluation.figures import outlined, overlay, png
from trd.preprocess.image import full_scale_of, unit_range
from trd.preprocess.threads import in_threads
from trd.types import Camera, Failure, KindSuggestion, Prediction, Sample, SampleFiles

Outcome = tuple[Sample, Prediction | TRDError]
"""One part and what became of it; the sample of a part that could not be read has no arrays."""


@dataclass(frozen=True)
class Output:
    """What is written, and where. keep_going: a part that cannot be read or used gets a row with its error."""

    out: Path
    raw_maps: bool = False
    overlays: bool = True
    keep_going: bool = False


@dataclass(frozen=True)
class PartResult:
    """What is written of one part. overlay: PNG. map: (H, W) float32, z-scores. error: instead of a prediction."""

    row: dict[str, object]
    overlay: bytes | None = None
    map: NDArray[np.float32] | None = None
    error: TRDError | None = None


@dataclass(frozen=True)
class DetectorReference:
    """What loads the same detector again, in this process or another one, and reads parts for it.

    path, device, compiled, precision, without: of `Detector.load`. camera: that depth images are read with. detector,
    calibration: ids of what is there now. folder: that relative paths begin at.
    """

    path: Path
    device: str
    compiled: bool
    precision: str | None
    without: str
    camera: Camera | None
    detector: str
    calibration: str
    folder: Path

    @classmethod
    def of(
        cls, detector: Detector, files: Sequence[SampleFiles], path: Path, device: str, compiled: bool,
        precision: str | None, without: str,
    ) -> DetectorReference:  # fmt: skip
        """For the files to predict, with the detector that is at `path`."""
        facts = detector.facts
        camera = camera_near(files, detector.recipe.point_cloud_sources, facts.camera)
        return cls(path, device, compiled, precision, without, camera, facts.id, facts.calibration.id, Path.cwd())

    def load(self) -> Detector:
        """The detector in a process of its own, perhaps on another machine, which moves into `folder`.

        Raises DataError where this machine does not see the folder, CheckpointError for another detector than was there
        when the call began.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise DataError(
                f"{self.folder} cannot be entered on {socket.gethostname()} ({error.strerror}): all machines of the "
                "Ray cluster must see detector and parts under the same paths"
            ) from error
        detector = Detector.load(self.path, self.device, self.compiled, self.precision, self.without)
        if (detector.facts.id, detector.calibration.id) != (self.detector, self.calibration):
            raise CheckpointError(f"{self.path} has changed since this call began: start it again")
        return detector

    def results(self, detector: Detector, files: Iterable[SampleFiles], output: Output) -> Iterator[PartResult]:
        """What is written of the parts, in order, by the detector that `load` gives."""
        load = partial(load_sample, clouds=detector.recipe.point_cloud_sources, camera=self.camera)
        return part_results(detector, part_outcomes(detector, files, load), output)


def part_outcomes(
    detector: Detector, files: Iterable[SampleFiles], load: Callable[[SampleFiles], Sample]
) -> Iterator[Outcome]:
    """What becomes of each part, in order; a TRDError of `load` or of the detector is that part's outcome."""

    def loaded(part: SampleFiles) -> Sample | Failure:
        try:
            return load(part)
        except TRDError as error:
            return Failure(part.id, error)

    scored, shown = tee(in_threads(loaded, files))  # in batches to the network, one by one to the pictures
    for outcome, sample in zip(detector.predict_many(scored), shown, strict=True):
        part = Sample(sample.id, {}) if isinstance(sample, Failure) else sample
        yield part, outcome.error if isinstance(outcome, Failure) else outcome


def part_results(detector: Detector, outcomes: Iterable[Outcome], output: Output) -> Iterator[PartResult]:
    """Row and pictures of each outcome, in order."""
    for sample, outcome in outcomes:
        if isinstance(outcome, TRDError):
            yield PartResult(_error_row(sample.id, outcome, detector.recipe, detector.facts.kinds), error=outcome)
            continue
        yield PartResult(
            _row(outcome, detector.facts.kinds) | ({"error": None} if output.keep_going else {}),
            png(picture(detector, sample, outcome)) if output.overlays else None,
            outcome.map if output.raw_maps else None,
        )


def _row(prediction: Prediction, kinds: KnownKinds | None) -> dict[str, object]:
    """The scalar part of a prediction, as it stands in the score files. kinds: that the detector was taught."""
    return {
        "id": prediction.id,
        "score": round(prediction.score, 5),
        "threshold": round(prediction.threshold, 5),
        "anomalous": prediction.is_anomalous,
        "p_value": round(prediction.p_value, 5),
        "peak_row": prediction.peak[0],
        "peak_column": prediction.peak[1],
        **({} if prediction.region is None else {"region": prediction.region}),
        **({} if kinds is None else _kind(prediction.kind, kinds)),
        **{f"share_{name}": round(share, 4) for name, share in prediction.share.items()},
        "used": "+".join(prediction.used),
        "notes": "; ".join(prediction.notes),
    }


def _kind(suggestion: KindSuggestion | None, kinds: KnownKinds) -> dict[str, object]:
    """Columns of the suggestion; empty for a part that is not anomalous."""
    likeness = {} if suggestion is None else suggestion.likeness
    return {
        "kind": None if suggestion is None else suggestion.kind or UNLIKE,
        **{f"like_{name}": round(likeness[name], 4) if likeness else None for name in sorted(set(kinds.kinds))},
    }


def _error_row(sample_id: str, error: TRDError, recipe: Recipe, kinds: KnownKinds | None) -> dict[str, object]:
    """The columns of `_row`, all empty but for the id, and why in `error`."""
    named = (*(("region",) if recipe.frame.regions else ()), *(() if kinds is None else _kind(None, kinds)))
    names = ("score", "threshold", "anomalous", "p_value", "peak_row", "peak_column", *named)
    shares = (f"share_{name}" for name in recipe.branches)
    return {"id": sample_id, **dict.fromkeys((*names, *shares, "used", "notes")), "error": str(error)}


def picture(detector: Detector, sample: Sample, prediction: Prediction) -> NDArray[np.uint8]:
    """The sample's first modality under the fused heat map, with the region above the map threshold outlined."""
    config = next(iter(detector.recipe.modalities.values()))
    source = config.source
    array = sample.arrays[source]
    if source in detector.recipe.point_cloud_sources:
        depth = np.asarray(array[..., 2], np.float32)
        measured = depth != 0
        low, high = float(depth[measured].min()), float(depth[measured].max())
        array = np.where(measured, (high - depth) / max(high - low, 1e-9), 0).astype(np.float32)
    if array.dtype == np.uint8 and array.ndim == 3:
        image = np.asarray(array, np.uint8)
    else:
        full = full_scale_of(array, config.full_scale if config.representation == "image" else "auto")
        image = (np.moveaxis(unit_range(array, full), 0, -1) * 255).astype(np.uint8)
    drawn = overlay(image, prediction.map, prediction.threshold)
    return outlined(drawn, prediction.map > prediction.pixel_threshold, (80, 200, 255))
