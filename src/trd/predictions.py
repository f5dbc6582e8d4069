"""Predictions -> files: scores as CSV and JSON lines, heat-map overlays, raw maps."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import tee
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from trd.detector import Detector
from trd.errors import OutputError
from trd.evaluation.figures import outlined, overlay, png
from trd.files import write_bytes, write_text, write_whole
from trd.preprocess.image import full_scale_of, unit_range
from trd.types import Prediction, Sample


def write_predictions(
    detector: Detector, samples: Iterable[Sample], out: Path, raw_maps: bool = False
) -> list[Prediction]:
    """Predict and write `overlays/ID.png`, with `raw_maps` also `maps/ID.tiff` (float32, z-scores), then the scores.

    An unreadable sample or Ctrl-C ends the work with its error; the scores of what was done before are written all the
    same, and what an earlier call left there of other parts is deleted. Returns the predictions without their maps,
    which are on disk.
    """
    stale = _earlier_files(out)
    rows: list[Prediction] = []
    given, shown = tee(samples)  # in batches to the network, one by one to the pictures
    try:
        for prediction, sample in zip(detector.predict_all(given), shown, strict=True):
            overlay_file, map_file = _files(out, sample.id)
            write_bytes(overlay_file, png(picture(detector, sample, prediction)))
            stale.discard(overlay_file)
            if raw_maps:
                write_whole(map_file, partial(tifffile.imwrite, data=prediction.map))
                stale.discard(map_file)
            rows.append(replace(prediction, map=np.zeros((0, 0), np.float32), modality_maps={}))
    finally:
        if rows:
            for path in stale:  # beside the new scores they would mislead
                path.unlink(missing_ok=True)
            write_text(out / "scores.csv", to_csv(rows))
            write_text(out / "scores.jsonl", "".join(json.dumps(row(p)) + "\n" for p in rows))
    return rows


def _files(out: Path, sample_id: str) -> tuple[Path, Path]:
    name = sample_id.replace("/", "_")
    return out / "overlays" / f"{name}.png", out / "maps" / f"{name}.tiff"


def _earlier_files(out: Path) -> set[Path]:
    """Pictures and maps of the parts in an earlier call's scores.jsonl."""
    scores = out / "scores.jsonl"
    if not scores.exists():
        return set()
    try:
        ids = [str(json.loads(line)["id"]) for line in scores.read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{scores} is not ours ({error!r}): choose another --out, or delete it") from error
    return {path for name in ids for path in _files(out, name)}


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
    }


def to_csv(predictions: list[Prediction]) -> str:
    rows = [row(p) for p in predictions]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


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
    full = full_scale_of(array, config.full_scale if config.representation == "image" else "auto")
    image = (np.moveaxis(unit_range(array, full), 0, -1) * 255).astype(np.uint8)
    drawn = overlay(image, prediction.map, prediction.threshold)
    return outlined(drawn, prediction.map > prediction.pixel_threshold, (80, 200, 255))
