"""What projecting costs: I-AUROC of detectors of projected clouds against one of registered clouds (`draw.py`).

    trd train --data OUT/WHICH/CATEGORY --recipe lite-bank-statistics --out RUNS/WHICH-CATEGORY     # of every WHICH
    python benchmarks/registration/accuracy.py OUT RUNS CATEGORY [CATEGORY ...]

Prints a Markdown table for each category: each choice of the detector's kinds of evidence, its I-AUROC on registered
clouds with the interval over resampled test parts, and the differences from it: of clouds whose noise was drawn once
more, which is what chance alone gives, and of projected ones. Resamples are paired: all see the same test parts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pieces import choices, raw_maps

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.decision.calibrate import calibrate
from trd.decision.maps import decide
from trd.detector import Detector
from trd.evaluation.curves import image_curves
from trd.preprocess.threads import in_threads
from trd.statistics.resampling import auroc_interval, independent_pairs, interval, resampled, resampled_auroc
from trd.training.prepare import with_calibration_parts
from trd.types import PreparedSample, SampleFiles

REFERENCE, OTHERS = "registered", ("again", "organised", "loose")

Scores = dict[str, NDArray[np.float64]]


def scored(folder: Path, data: Path) -> tuple[NDArray[np.bool_], Scores]:
    """Which test parts are defective (N,), and their scores (N,) by each choice of evidence."""
    detector = Detector.load(folder)
    recipe = detector.recipe
    files = with_calibration_parts(list_class(data, "", recipe.sources, recipe.point_cloud_sources), recipe)

    def prepared(sample: SampleFiles) -> PreparedSample:
        return detector.pipeline(load_sample(sample, recipe.point_cloud_sources, files.camera))

    good, raw_good = raw_maps(detector, in_threads(prepared, files.validation))
    test, raw_test = raw_maps(detector, in_threads(prepared, files.test))
    scores: Scores = {}
    for choice, branches in choices(detector).items():
        if choice in recipe.branches:  # a single map
            continue
        calibration = calibrate(
            {name: raw_good[name] for name in branches}, [part.region for part in good], recipe.scoring
        )
        decisions = (
            decide(calibration, {name: raw_test[name][index] for name in branches}, part.region)
            for index, part in enumerate(test)
        )
        scores[choice] = np.array([float(decision.score) for decision in decisions])
    return np.array([part.defect != "good" for part in test]), scores


def main() -> None:
    out, runs, *categories = sys.argv[1:]
    for category in categories:
        results = {}
        for which in (REFERENCE, *OTHERS):
            results[which] = scored(Path(runs, f"{which}-{category}", category), Path(out, which, category))
            print(f"{category}: {which} is scored", file=sys.stderr, flush=True)
        defective, reference = results[REFERENCE]
        counts, pairs = resampled(defective), independent_pairs(defective)
        print(f"\n{category}: {defective.sum()} defective and {(~defective).sum()} good test parts\n")
        print(f"| evidence | {REFERENCE} | {' | '.join(OTHERS)} |\n|---{'|---' * (1 + len(OTHERS))}|")
        for choice, scores in reference.items():
            value, spread = image_curves(scores, defective).auroc(), resampled_auroc(scores, defective, counts)
            own = auroc_interval(value, spread, pairs)
            cells = [f"{value:.3f} ({own.low:.2f} to {own.high:.2f})"]
            for which in OTHERS:
                others = results[which][1][choice]
                gain = image_curves(others, defective).auroc() - value
                gains = interval(gain, resampled_auroc(others, defective, counts) - spread)
                cells.append(f"{gain:+.3f} ({gains.low:+.3f} to {gains.high:+.3f})")
            print(f"| {choice} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
