"""One self-contained HTML file per run: tables, curves, score histogram and a gallery that shows the failures too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trd.data.loading import load_sample
from trd.decision.kinds import UNLIKE
from trd.detector import Detector
from trd.evaluation import figures
from trd.evaluation.evaluate import FUSED, ClassResult
from trd.evaluation.kinds import kind_rows, kind_summary
from trd.evaluation.tables import COLUMNS, class_rows, defect_rows
from trd.pages import filled
from trd.preprocess.parts import at_map_size

SECTION = "report.json"  # in a class's folder: its part of the report
PER_KIND = 3  # pictures of each of best, worst, missed and false


@dataclass(frozen=True)
class GalleryRow:
    title: str
    sample: str
    score: float
    shares: str
    pictures: tuple[tuple[str, str], ...]  # caption, data URI


def class_section(detector: Detector, result: ClassResult) -> dict[str, Any]:
    """What the template shows of one class, as JSON can hold it; small enough to keep when the maps are gone."""
    threshold = detector.calibration.image_threshold
    defective, scores = result.defective, result.scores[FUSED]
    alarms = scores > threshold.value
    return {
        "name": result.class_name,
        "metrics": result.metrics,
        "threshold": asdict(threshold),
        "promise": detector.calibration.promise,
        "pixel_threshold": asdict(detector.calibration.pixel_threshold),
        "found": int((alarms & defective).sum()),
        "defective": int(defective.sum()),
        "false": int((alarms & ~defective).sum()),
        "good": int((~defective).sum()),
        "curves": figures.curves_figure(result.scores, defective, result.pro, result.metrics["maps"]),
        "histogram": figures.histogram_figure(scores, defective, threshold.value),
        "kinds": None if (kinds := result.metrics.get("kinds")) is None else [kind_summary(kinds), kind_rows(kinds)],
        "gallery": [
            asdict(_row(detector, result, title, index)) for title, index in _picks(scores, defective, threshold.value)
        ],
    }


def html_report(
    title: str,
    facts: dict[str, Any],
    metrics: Mapping[str, Any],
    sections: list[dict[str, Any]],
    failures: dict[str, str],
) -> str:
    """The report over all classes that have `metrics`; `failures` could not be completed, with the reason."""
    values = {
        "title": title,
        "facts": facts,
        "sections": sections,
        "failures": failures,
        "without_pictures": sorted(metrics.keys() - {section["name"] for section in sections}),
        "columns": COLUMNS,
        "rows": class_rows(metrics) if metrics else [],
        "defects": defect_rows(metrics) if metrics else [],
    }
    return filled("trd.evaluation", "report.html.jinja", values)


def _picks(scores: Any, defective: Any, threshold: float) -> list[tuple[str, int]]:
    """Best and worst found defects, missed ones, false alarms and the most suspicious good part, each sample once."""
    order = np.argsort(-scores, kind="stable")
    detected = [int(i) for i in order if defective[i] and scores[i] > threshold]
    missed = [int(i) for i in order[::-1] if defective[i] and scores[i] <= threshold]
    false = [int(i) for i in order if not defective[i] and scores[i] > threshold]
    good = [int(i) for i in order if not defective[i] and scores[i] <= threshold]
    groups = {
        "found, clearest": detected[:PER_KIND],
        "found, barely": detected[PER_KIND:][-PER_KIND:],
        "missed": missed[:PER_KIND],
        "false alarm": false[:PER_KIND],
        "good, most suspicious": good[:1],
        "good, least suspicious": good[1:][-1:],
    }
    return [(title, index) for title, indices in groups.items() for index in indices]


def _row(detector: Detector, result: ClassResult, title: str, index: int) -> GalleryRow:
    recipe = detector.recipe
    sample = load_sample(result.files.test[index], recipe.point_cloud_sources, result.camera)
    prepared = detector.pipeline(sample)
    frame = detector.facts.frame
    (scored,) = detector.score([prepared])
    prediction = detector.prediction(scored)
    mask = None if sample.mask is None else frame.from_sensor(sample.mask)
    pictures = []
    images = at_map_size(prepared, frame.tiles).images
    for name, image in images.items():
        picture = figures.as_picture(image)
        pictures.append((name, picture if mask is None else figures.outlined(picture, mask, (255, 40, 40))))
    level = prediction.threshold
    for name, values in prediction.modality_maps.items():
        pictures.append((f"{name} map", figures.heat(frame.from_sensor(values), level)))
    fused = figures.overlay(figures.as_picture(next(iter(images.values()))), frame.from_sensor(prediction.map), level)
    pictures.append(("fused map", fused if mask is None else figures.outlined(fused, mask, (255, 40, 40))))
    return GalleryRow(
        title,
        sample.id,
        prediction.score,
        ", ".join(f"{name} {share:.0%}" for name, share in prediction.share.items())
        + (f"; in region {prediction.region}" if prediction.region else "")
        + (f"; suggested kind: {prediction.kind.kind or UNLIKE}" if prediction.kind else ""),
        tuple((caption, figures.data_uri(picture)) for caption, picture in pictures),
    )
