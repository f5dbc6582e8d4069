"""What becomes of each part: its prediction or its error, its row, its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.detector import Detector
from trd.errors import TRDError
from trd.evaluation.figures import outlined, overlay, png
from trd.predictions.rows import error_row, row
from trd.preprocess.image import full_scale_of, unit_range
from trd.preprocess.threads import in_threads
from trd.types import Failure, Prediction, Sample, SampleFiles

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


def outcomes(
    detector: Detector, files: Iterable[SampleFiles], load: Callable[[SampleFiles], Sample]
) -> Iterator[Outcome]:
    """What becomes of each part, in order; a TRDError of `load` or of the detector is that part's outcome."""

    def loaded(one: SampleFiles) -> Sample | Failure:
        try:
            return load(one)
        except TRDError as error:
            return Failure(one.id, error)

    given, shown = tee(in_threads(loaded, files))  # in batches to the network, one by one to the pictures
    for outcome, sample in zip(detector.predict_many(given), shown, strict=True):
        part = Sample(sample.id, {}) if isinstance(sample, Failure) else sample
        yield part, outcome.error if isinstance(outcome, Failure) else outcome


def in_step(files: Sequence[SampleFiles], begin: int, size: int) -> tuple[Sequence[SampleFiles], Sequence[SampleFiles]]:
    """`files` from number `begin` on: those up to the next multiple of `size`, and the rest.

    So a call that goes on makes batches of the parts that would have been together: rounding depends on a batch.
    """
    there = begin + -begin % size
    return files[begin:there], files[there:]


def part_results(detector: Detector, found: Iterable[Outcome], output: Output) -> Iterator[PartResult]:
    """Row and pictures of each outcome, in order."""
    for sample, result in found:
        if isinstance(result, TRDError):
            yield PartResult(error_row(sample.id, result, detector.recipe.branches), error=result)
            continue
        yield PartResult(
            row(result) | ({"error": None} if output.keep_going else {}),
            png(picture(detector, sample, result)) if output.overlays else None,
            result.map if output.raw_maps else None,
        )


def picture(detector: Detector, sample: Sample, prediction: Prediction) -> NDArray[np.uint8]:
    """The sample's first modality under the fused heat map, with the region above the map threshold outlined."""
    config = next(iter(detector.recipe.modalities.values()))
    source = config.source
    array = sample.arrays[source]
    if source in detector.recipe.point_cloud_sources:
        depth = np.asarray(array[..., 2], np.float32)
        known = depth != 0
        low, high = float(depth[known].min()), float(depth[known].max())
        array = np.where(known, (high - depth) / max(high - low, 1e-9), 0).astype(np.float32)
    if array.dtype == np.uint8 and array.ndim == 3:
        image = np.asarray(array, np.uint8)
    else:
        full = full_scale_of(array, config.full_scale if config.representation == "image" else "auto")
        image = (np.moveaxis(unit_range(array, full), 0, -1) * 255).astype(np.uint8)
    drawn = overlay(image, prediction.map, prediction.threshold)
    return outlined(drawn, prediction.map > prediction.pixel_threshold, (80, 200, 255))
