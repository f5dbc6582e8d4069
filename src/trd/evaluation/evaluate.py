"""A detector and a class's test split -> metrics for the fused map, each modality alone and each defect kind."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trd.data.listing import camera_near, list_class
from trd.data.loading import load_sample
from trd.detector import Detector, ScoredSample
from trd.errors import DataError
from trd.evaluation.curves import (
    Line,
    aupro_key,
    aupro_metrics,
    image_curves,
    image_metrics,
    pixel_curves,
    pixel_metrics,
    pro_line,
)
from trd.evaluation.kinds import kind_metrics
from trd.preprocess.threads import in_threads
from trd.progress import tracked
from trd.types import GOOD, UNLABELLED, Camera, ClassFiles, ClassFolder, PreparedSample, SampleFiles

METRICS, METRICS_FORMAT = "metrics.json", 2
FUSED = "fused"
PAPERS_THRESHOLDS = 100
MEMORY = 2 * 2**30  # bytes of maps of one class that are held in memory; more go to a temporary file
DEFECT_METRICS = ("image_auroc", "pixel_auroc", aupro_key(0.30))


@dataclass(frozen=True)
class ClassResult:
    """Everything that reports need of one class.

    ids, defects: per test sample. scores: (N,) image scores per map name ("fused" and each modality). maps: per map
    name (N, H, W) float32 over the whole frame at the network's scale. masks: (N, H, W) bool, None when some defective
    sample has no mask (then there are image metrics only). metrics: the content of metrics.json. pro: per map name the
    PRO curve as `pro_line` gives it, for figures; empty without masks.
    """

    class_name: str
    files: ClassFiles
    camera: Camera | None
    ids: tuple[str, ...]
    defects: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float32]]
    maps: Mapping[str, NDArray[np.float32]]
    masks: NDArray[np.bool_] | None
    metrics: dict[str, Any]
    seconds: float
    pro: Mapping[str, Line] = field(default_factory=dict)

    @property
    def defective(self) -> NDArray[np.bool_]:
        return np.array([defect != GOOD for defect in self.defects])


def evaluate_class(detector: Detector, place: ClassFolder, console: Console | None = None) -> ClassResult:
    """Score the test split of one class. Raises DataError when it is empty or unlabelled."""
    begin = time.monotonic()
    recipe = detector.recipe
    files = list_class(place.path, "", recipe.inputs, recipe.point_cloud_sources)
    if not files.test:
        raise DataError(
            f"{files.root}/test is empty or missing: nothing to evaluate; use `trd predict` on unlabelled parts"
        )
    unlabelled = [sample.id for sample in files.test if sample.defect == UNLABELLED]
    if unlabelled:
        raise DataError(
            f"{files.root}/test holds unlabelled samples ({unlabelled[0]}): sort them into test/good and test/DEFECT, "
            "or use `trd predict`"
        )
    return evaluate_files(detector, place.name, files, console, begin)


def evaluate_files(
    detector: Detector, name: str, files: ClassFiles, console: Console | None = None, begin: float | None = None
) -> ClassResult:
    """The same for a test split that is listed already and labelled. begin: of the work, on the monotonic clock."""
    begin = time.monotonic() if begin is None else begin
    recipe = detector.recipe
    camera = camera_near(files.test, recipe.point_cloud_sources, detector.facts.camera)

    def prepared(sample: SampleFiles) -> PreparedSample:
        return detector.pipeline(load_sample(sample, recipe.point_cloud_sources, camera))

    scored = tracked(
        detector.score(in_threads(prepared, files.test, ahead=detector.engine.device != "cpu")),
        f"{name}: scoring",
        len(files.test),
        console or Console(quiet=True),
    )
    return _result(detector, name, files, camera, scored, begin)


def _result(
    detector: Detector,
    name: str,
    files: ClassFiles,
    camera: Camera | None,
    scored: Iterable[ScoredSample],
    begin: float,
) -> ClassResult:
    frame, count = detector.facts.frame, len(files.test)
    floors = {FUSED: detector.calibration.fused_floor, **detector.calibration.floors}
    maps = {name: _room((count, *frame.canvas), count * len(floors)) for name in floors}
    scores = {name: np.empty(count, np.float32) for name in floors}
    ids, defects, ground_truth, suggestions = [], [], [], []
    threshold, known = detector.calibration.image_threshold.value, detector.facts.kinds
    for index, part in enumerate(scored):
        for map_name, values in {FUSED: part.fused, **part.branch_maps}.items():
            maps[map_name][index] = frame.to_canvas(values, floors[map_name])
            scores[map_name][index] = values.max()  # not of the canvas, whose scale may be smaller
        ids.append(part.sample.id)
        defects.append(part.sample.defect)
        ground_truth.append(part.sample.mask)
        suggestions.append(detector.kind(part) if part.score > threshold else None)
    masks = None
    if all(mask is not None for mask in ground_truth):
        masks = np.stack([mask for mask in ground_truth if mask is not None])
    metrics, pro = class_metrics(maps, scores, masks, tuple(defects), detector.engine.device)
    if known is not None:
        metrics["kinds"] = kind_metrics(known, files.test, suggestions)
    seconds = time.monotonic() - begin
    return ClassResult(name, files, camera, tuple(ids), tuple(defects), scores, maps, masks, metrics, seconds, pro)


def _room(shape: tuple[int, int, int], maps: int) -> NDArray[np.float32]:
    """An array for one kind of map; a temporary file where all `maps` single maps together would fill the memory."""
    if maps * shape[1] * shape[2] * 4 <= MEMORY:
        return np.empty(shape, np.float32)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the array does, and is gone with it
    return np.memmap(file, np.float32, mode="w+", shape=shape)


def class_metrics(
    maps: Mapping[str, NDArray[np.float32]],
    scores: Mapping[str, NDArray[np.float32]],
    masks: NDArray[np.bool_] | None,
    defects: tuple[str, ...],
    device: str = "cpu",
) -> tuple[dict[str, Any], dict[str, Line]]:
    """The content of metrics.json, and each map's PRO curve by `pro_line`, without masks none.

    In metrics.json: `maps` (metrics of each map), `by_defect` (of the fused map, per kind), and
    `sampled_aupro` (fused map, 100 thresholds as in published tables). Without masks there are image metrics only; a
    metric that needs both good and defective samples is null (nan here) where one kind is missing."""
    defective = np.array([defect != GOOD for defect in defects])
    metrics: dict[str, Any] = {"format": METRICS_FORMAT, "maps": {}, "by_defect": {}}
    pro: dict[str, Line] = {}
    for name, values in maps.items():
        map_metrics = image_metrics(image_curves(scores[name], defective))
        if masks is not None:
            curves = pixel_curves(values, masks, device=device)
            map_metrics |= pixel_metrics(curves)
            pro[name] = pro_line(curves)
            if name == FUSED:
                metrics["sampled_aupro"] = {"thresholds": PAPERS_THRESHOLDS, **aupro_metrics(curves, PAPERS_THRESHOLDS)}
        metrics["maps"][name] = map_metrics
    for kind in sorted(set(defects) - {GOOD}):
        chosen = np.array([defect in (kind, GOOD) for defect in defects])
        subset = image_metrics(image_curves(scores[FUSED][chosen], defective[chosen]))
        if masks is not None:
            subset |= pixel_metrics(pixel_curves(maps[FUSED], masks, chosen, device))
        metrics["by_defect"][kind] = {key: subset[key] for key in DEFECT_METRICS if key in subset}
    return metrics, pro


def read_metrics(folder: Path) -> dict[str, Any] | None:
    """A class folder's metrics.json; None where there is none that can be read."""
    try:
        content = json.loads((folder / METRICS).read_text("utf-8"))
        return dict(content) if FUSED in content["maps"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
