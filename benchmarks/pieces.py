"""What each kind of a trained detector's evidence brings, alone and together, without training again.

    python benchmarks/pieces.py RUN/CLASS=DATA/CLASS [RUN/CLASS=DATA/CLASS ...]

Evidence is fitted independently, so that a detector of some of it has the same maps. Each choice of evidence is
calibrated on the detector's own calibration parts, and scored on the test split. Prints Markdown: a table for each
class, and, of several classes, how alike they rank the choices (Spearman's correlation of I-AUROC with the first).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import pairs_parser
from scipy.stats import spearmanr

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.decision.calibrate import calibrate
from trd.decision.maps import decide
from trd.detector import Detector
from trd.evaluation.curves import image_curves, pixel_curves
from trd.preprocess.threads import in_threads
from trd.statistics.resampling import auroc_interval, independent_pairs, resampled, resampled_auroc
from trd.training.prepare import with_calibration_parts
from trd.types import PreparedSample, SampleFiles

Row = tuple[float, float, float, float, float, int, int]
"""I-AUROC and its 95 % interval, AUPRO@30, AUPRO@1, defective parts detected, false alarms."""


def choices(detector: Detector) -> dict[str, tuple[str, ...]]:
    """Name -> branches: every combination of kinds of evidence, then each branch."""
    recipe = detector.recipe
    of_kind = {kind: tuple(config.branches(tuple(recipe.modalities))) for kind, config in recipe.evidence.items()}
    named = {
        " + ".join(kinds): tuple(name for kind in kinds for name in of_kind[kind])
        for size in range(1, len(of_kind) + 1)
        for kinds in combinations(of_kind, size)
    }
    return named | {branch: (branch,) for branch in recipe.branches}


def raw_maps(
    detector: Detector, parts: Iterable[PreparedSample]
) -> tuple[list[PreparedSample], dict[str, NDArray[np.float32]]]:
    """The parts, and branch -> (N, h, w)."""
    listed, maps = list(parts), dict[str, list[NDArray[np.float32]]]()
    for part in listed:
        for name, values in detector.raw_maps([part]).items():
            maps.setdefault(name, []).append(values[0])
    return listed, {name: np.stack(values) for name, values in maps.items()}


def measured(folder: str, data: str) -> dict[str, Row]:
    """Choice -> figures."""
    detector = Detector.load(folder)
    recipe, frame = detector.recipe, detector.facts.frame
    files = with_calibration_parts(list_class(Path(data), "", recipe.sources, recipe.point_cloud_sources), recipe)

    def prepared(sample: SampleFiles) -> PreparedSample:
        return detector.pipeline(load_sample(sample, recipe.point_cloud_sources, files.camera))

    good, raw_good = raw_maps(detector, in_threads(prepared, files.validation))
    test, raw_test = raw_maps(detector, in_threads(prepared, files.test))
    defective = np.array([part.defect != "good" for part in test])
    masks = np.stack([part.mask for part in test if part.mask is not None])
    counts, pairs = resampled(defective), independent_pairs(defective)
    rows = {}
    for choice, branches in choices(detector).items():
        calibration = calibrate(
            {name: raw_good[name] for name in branches}, [part.region for part in good], recipe.scoring
        )
        scores, maps = [], []
        for index, part in enumerate(test):
            decision = decide(calibration, {name: raw_test[name][index] for name in branches}, part.region)
            scores.append(float(decision.score))
            maps.append(frame.to_canvas(decision.fused, calibration.fused_floor))
        alarms = np.array(scores) > calibration.image_threshold.value
        image, pixel = image_curves(np.array(scores), defective).auroc(), pixel_curves(np.stack(maps), masks)
        interval = auroc_interval(image, resampled_auroc(np.array(scores), defective, counts), pairs)
        detected, false = int(alarms[defective].sum()), int(alarms[~defective].sum())
        rows[choice] = (image, interval.low, interval.high, pixel.aupro(0.3), pixel.aupro(0.01), detected, false)
    print(f"\n### {detector.class_name}: {folder}\n")
    print(f"{len(good)} calibration parts, {defective.sum()} defective and {(~defective).sum()} good test parts\n")
    print("| evidence | I-AUROC | AUPRO@30 | AUPRO@1 | detected | false alarms |\n|---|---|---|---|---|---|")
    for choice, (image, low, high, at_30, at_1, detected, false) in rows.items():
        print(
            f"| {choice} | {image:.3f} ({low:.2f} to {high:.2f}) | {at_30:.3f} | {at_1:.3f} | {detected} | {false} |",
            flush=True,
        )
    return rows


def print_correlations(classes: Mapping[str, Mapping[str, Row]]) -> None:
    first, *others = classes
    print(f"\nSpearman's correlation of I-AUROC with {first}:")
    for name in others:
        shared = [choice for choice in classes[first] if choice in classes[name]]
        values = ([classes[which][choice][0] for choice in shared] for which in (first, name))
        print(f"- {name}: {spearmanr(*values).statistic:.2f} over {len(shared)} choices of evidence")


def main() -> None:
    classes = {}
    for folder, data in pairs_parser(__doc__).parse_args().classes:
        classes[folder] = measured(folder, data)
    if len(classes) > 1:
        print_correlations(classes)


if __name__ == "__main__":
    main()
