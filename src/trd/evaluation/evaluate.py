"""A detector and a class's test split -> metrics for the fused map, each modality alone and each defect kind."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector, ScoredSample
from trd.errors import DataError
from trd.evaluation.curves import (
    aupro_key,
    aupro_metrics,
    image_curves,
    image_metrics,
    pixel_curves,
    pixel_metrics,
)
from trd.files import write_json
from trd.preprocess.threads import in_threads
from trd.types import GOOD, UNLABELLED, ClassFiles, PreparedSample, SampleFiles

FUSED, SAMPLED = "fused", "sampled_aupro"
PAPERS_THRESHOLDS = 100
MEMORY = 2 * 2**30  # bytes of maps of one class that are held in memory; more go to a temporary file
DEFECT_METRICS = ("image_auroc", "pixel_auroc", aupro_key(0.30))


@dataclass(frozen=True)
class ClassResult:
    """Everything that reports need of one class.

    ids, defects: per test sample. scores: (N,) image scores per map name ("fused" and each modality). maps: per map
    name (N, H, W) float32 over the whole frame at the network's scale. masks: (N, H, W) bool, None when some defective
    sample has no mask (then there are image metrics only). metrics: the content of metrics.json.
    """

    class_name: str
    files: ClassFiles
    ids: tuple[str, ...]
    defects: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float32]]
    maps: Mapping[str, NDArray[np.float32]]
    masks: NDArray[np.bool_] | None
    metrics: dict[str, Any]
    seconds: float

    @property
    def defective(self) -> NDArray[np.bool_]:
        return np.array([defect != GOOD for defect in self.defects])


def evaluate_class(
    detector: Detector, data: Path, class_name: str, out: Path | None = None, console: Console | None = None
) -> ClassResult:
    """Score the test split of one class; writes metrics.json into `out`.

    Raises DataError when the test split is empty or unlabelled.
    """
    begin = time.monotonic()
    recipe = detector.recipe
    files = list_class(data, class_name, recipe.sources, recipe.point_cloud_sources)
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

    def prepared(sample: SampleFiles) -> PreparedSample:
        return detector.pipeline(load_sample(sample, recipe.point_cloud_sources, files.camera))

    scored = track(
        detector.score(in_threads(prepared, files.test, ahead=detector.device.type != "cpu")),
        f"{files.name}: scoring",
        total=len(files.test),
        console=console or Console(quiet=True),
        transient=True,
    )
    result = _result(detector, files, scored, begin)
    if out is not None:
        write_json(out / "metrics.json", result.metrics)
    return result


def _result(detector: Detector, files: ClassFiles, scored: Iterable[ScoredSample], begin: float) -> ClassResult:
    frame, count = detector.pipeline.frame, len(files.test)
    floors = {name: numbers.floor for name, numbers in detector.calibration.maps.items()}
    floors = {FUSED: sum(floors.values()), **floors}
    maps = {name: _room((count, *frame.canvas), count * len(floors)) for name in floors}
    scores = {name: np.empty(count, np.float32) for name in floors}
    ids, defects, ground_truth = [], [], []
    for index, one in enumerate(scored):
        for name, values in {FUSED: one.fused, **one.modality_maps}.items():
            maps[name][index] = frame.to_canvas(values, floors[name])
            scores[name][index] = values.max()  # not of the canvas, whose scale may be smaller
        ids.append(one.sample.id)
        defects.append(one.sample.defect)
        ground_truth.append(one.sample.mask)
    masks = None
    if all(mask is not None for mask in ground_truth):
        masks = np.stack([mask for mask in ground_truth if mask is not None])
    metrics = class_metrics(maps, scores, masks, tuple(defects), str(detector.device))
    seconds = time.monotonic() - begin
    return ClassResult(files.name, files, tuple(ids), tuple(defects), scores, maps, masks, metrics, seconds)


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
) -> dict[str, Any]:
    """The content of metrics.json: metrics per map, `by_defect` kind, and `sampled_aupro` (fused map, 100 thresholds as
    in published tables). Without masks there are image metrics only; a metric that needs both good and defective
    samples is null (nan here) where one kind is missing."""
    defective = np.array([defect != GOOD for defect in defects])
    metrics: dict[str, Any] = {}
    for name, values in maps.items():
        metrics[name] = image_metrics(image_curves(scores[name], defective))
        if masks is not None:
            curves = pixel_curves(values, masks, device=device)
            metrics[name] |= pixel_metrics(curves)
            if name == FUSED:
                metrics[SAMPLED] = {"thresholds": PAPERS_THRESHOLDS, **aupro_metrics(curves, PAPERS_THRESHOLDS)}
    metrics["by_defect"] = {}
    for kind in sorted(set(defects) - {GOOD}):
        chosen = np.array([defect in (kind, GOOD) for defect in defects])
        subset = image_metrics(image_curves(scores[FUSED][chosen], defective[chosen]))
        if masks is not None:
            subset |= pixel_metrics(pixel_curves(maps[FUSED], masks, chosen, device))
        metrics["by_defect"][kind] = {key: subset[key] for key in DEFECT_METRICS if key in subset}
    return metrics
