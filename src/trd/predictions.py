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
from trd.evaluation.figures import outlined, overlay, png
from trd.files import write_bytes, write_text, write_whole
from trd.preprocess.image import full_scale_of, unit_range
from trd.types import Prediction, Sample


def write_predictions(
    detector: Detector, samples: Iterable[Sample], out: Path, raw_maps: bool = False
) -> list[Prediction]:
    """Predict and write `overlays/ID.png`, with `raw_maps` also `maps/ID.tiff` (float32, z-scores), then the scores.

    An unreadable sample or Ctrl-C ends the work with its error; the scores of what was done before are written all the
    same. Returns the predictions without their maps, which are on disk.
    """
    rows: list[Prediction] = []
    given, shown = tee(samples)  # in batches to the network, one by one to the pictures
    try:
        for prediction, sample in zip(detector.predict_all(given), shown, strict=True):
            name = sample.id.replace("/", "_")
            write_bytes(out / "overlays" / f"{name}.png", png(picture(detector, sample, prediction)))
            if raw_maps:
                write_whole(out / "maps" / f"{name}.tiff", partial(tifffile.imwrite, data=prediction.map))
            rows.append(replace(prediction, map=np.zeros((0, 0), np.float32), modality_maps={}))
    finally:
        if rows:
            write_text(out / "scores.csv", to_csv(rows))
            write_text(out / "scores.jsonl", "".join(json.dumps(row(p)) + "\n" for p in rows))
    return rows


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
    source = next(iter(detector.recipe.modalities.values())).source
    array = sample.arrays[source]
    if source in detector.recipe.point_cloud_sources:
        depth = np.asarray(array[..., 2], np.float32)
        known = depth != 0
        low, high = float(depth[known].min()), float(depth[known].max())
        array = np.where(known, (high - depth) / max(high - low, 1e-9), 0).astype(np.float32)
    image = (np.moveaxis(unit_range(array, full_scale_of(array)), 0, -1) * 255).astype(np.uint8)
    drawn = overlay(image, prediction.map, prediction.threshold)
    return outlined(drawn, prediction.map > prediction.pixel_threshold, (80, 200, 255))
