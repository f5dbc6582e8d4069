"""Predictions -> files: scores as CSV and JSON lines, heat-map overlays, raw maps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from trd.detector import Detector
from trd.errors import OutputError, TRDError
from trd.evaluation.figures import outlined, overlay, png
from trd.files import csv_line, folder_to_disk, locked, to_disk, write_bytes, write_whole
from trd.preprocess.image import full_scale_of, unit_range
from trd.preprocess.threads import in_threads
from trd.types import Failure, Prediction, Sample, SampleFiles

JSONL, CSV, PARTIAL = "scores.jsonl", "scores.csv", "scores.jsonl.part"

Outcome = tuple[Sample, Prediction | TRDError]
"""One part and what became of it; the sample of a part that could not be read has no arrays."""


@dataclass(frozen=True)
class Written:
    """Numbers of parts: with a score, anomalous among them, and those that could not be read or used."""

    scored: int = 0
    anomalous: int = 0
    failed: int = 0


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


def write_predictions(
    detector: Detector,
    results: Iterable[Outcome],
    out: Path,
    raw_maps: bool = False,
    overlays: bool = True,
    keep_going: bool = False,
) -> Written:
    """Write `overlays/ID.png`, with `raw_maps` also `maps/ID.tiff` (float32, z-scores), and the scores.

    Scores are appended to `scores.jsonl.part` as they come, one whole line each. It becomes `scores.jsonl`, with
    `scores.csv` beside it, when all is done; just before, what earlier calls left there of other parts is deleted.
    Whatever interrupts the work leaves the earlier scores as they were, and the partial file.

    A part that could not be read or used ends the work with its error; the scores of those before it are put in place
    where there were none, else they stay in the partial file. With `keep_going` it gets a row with nothing but its
    `error`. Raises OutputError when a file cannot be written, when `out` holds a scores.jsonl that is not ours, or when
    another process predicts into it.
    """
    partial_file = out / PARTIAL
    scored = anomalous = failed = 0
    bad: TRDError | None = None
    with locked(out, "predicting", ("overlays", "maps")):
        earlier, complete = _earlier_ids(out), (out / JSONL).exists()
        results = iter(results)
        first = list(islice(results, 1))
        if first and isinstance(first[0][1], TRDError) and not keep_going:
            raise first[0][1]  # nothing new: what an interrupted call left stays too
        redone: set[str] = set()  # of the earlier ones; nothing else is kept in memory
        try:
            with partial_file.open("w", encoding="ascii") as lines:
                for sample, result in chain(first, results):
                    if isinstance(result, TRDError):
                        if not keep_going:
                            bad = result
                            break
                        line = error_row(sample.id, result, detector.recipe.branches)
                        failed += 1
                    else:
                        _write_pictures(detector, sample, result, out, raw_maps, overlays)
                        redone |= {sample.id} & earlier
                        line = row(result) | ({"error": None} if keep_going else {})
                        scored, anomalous = scored + 1, anomalous + bool(result.is_anomalous)
                    lines.write(json.dumps(line) + "\n")
                    lines.flush()
            kept = bad is not None and complete  # a complete earlier result is worth more than a part of this one
            if (scored or failed) and not kept:
                _write_csv(out)
                # The partial file is still there, so that after a kill the next call knows all parts of this one too.
                _delete_earlier(out, earlier, redone if overlays else set(), redone if raw_maps else set())
                os.replace(partial_file, out / JSONL)
                folder_to_disk(out)
        except (OSError, OutputError) as error:
            done = f"; {partial_file} holds the {scored + failed} parts done so far" if scored or failed else ""
            raise OutputError(f"{error}{done}") from error
        finally:
            if not scored and not failed:
                partial_file.unlink(missing_ok=True)
    if bad is not None and kept and scored:
        where = f"{partial_file} holds the {scored} parts before it; earlier scores are as they were"
        raise type(bad)(f"{bad}; {where}") from bad
    if bad is not None:
        raise bad
    return Written(scored, anomalous, failed)


def _write_pictures(
    detector: Detector, sample: Sample, prediction: Prediction, out: Path, raw_maps: bool, overlays: bool
) -> None:
    if overlays:
        write_bytes(_files(out, sample.id)[0], png(picture(detector, sample, prediction)), durable=False)
    if raw_maps:
        write_whole(_files(out, sample.id)[1], partial(tifffile.imwrite, data=prediction.map), durable=False)


def _delete_earlier(out: Path, earlier: set[str], new_overlays: set[str], new_maps: set[str]) -> None:
    """What earlier calls left of parts without new ones: beside the new scores it would mislead."""
    for name in earlier - new_overlays:
        _files(out, name)[0].unlink(missing_ok=True)
    for name in earlier - new_maps:
        _files(out, name)[1].unlink(missing_ok=True)


def _write_csv(out: Path) -> None:
    """The partial file -> scores.csv; as long as that is there, the result is not complete."""
    partial_file = out / PARTIAL

    def to_csv(path: Path) -> None:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            for number, line in enumerate(_rows(partial_file)):
                if not number:
                    file.write(csv_line(line))
                file.write(csv_line(line.values()))

    to_disk(partial_file)
    write_whole(out / CSV, to_csv)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a score file; a last line that a kill or a full disk cut off is dropped. Raises ValueError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                values = json.loads(line)
                if not isinstance(values, dict) or "id" not in values:
                    raise ValueError(f"a line without id: {line[:40]!r}")
                yield values


def _files(out: Path, sample_id: str) -> tuple[Path, Path]:
    name = sample_id.replace("/", "_")
    return out / "overlays" / f"{name}.png", out / "maps" / f"{name}.tiff"


def _earlier_ids(out: Path) -> set[str]:
    """The parts in an earlier call's scores.jsonl, and in what an interrupted one left."""
    ids: set[str] = set()
    for scores in (out / JSONL, out / PARTIAL):
        if scores.exists():
            try:
                ids |= {str(values["id"]) for values in _rows(scores)}
            except (OSError, ValueError) as error:
                raise OutputError(f"{scores} is not ours ({error!r}): choose another --out, or delete it") from error
    return ids


def row(prediction: Prediction) -> dict[str, object]:
    """The scalar part of a prediction, as it stands in the score files."""
    return {
        "id": prediction.id,
        "score": round(prediction.score, 5),
        "threshold": round(prediction.threshold, 5),
        "anomalous": prediction.is_anomalous,
        "p_value": round(prediction.p_value, 5),
        "peak_row": prediction.peak[0],
        "peak_column": prediction.peak[1],
        **{f"share_{name}": round(share, 4) for name, share in prediction.share.items()},
        "used": "+".join(prediction.used),
        "notes": "; ".join(prediction.notes),
    }


def error_row(sample_id: str, error: TRDError, branches: Iterable[str]) -> dict[str, object]:
    """The same columns as `row` for a part without a prediction, all empty but for its id, and why in `error`."""
    names = ("score", "threshold", "anomalous", "p_value", "peak_row", "peak_column")
    shares = (f"share_{name}" for name in branches)
    return {"id": sample_id, **dict.fromkeys((*names, *shares, "used", "notes")), "error": str(error)}


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
