"""What speed costs in accuracy: a trained detector, straightforwardly in float32, and our prediction in each precision.

    python benchmarks/accuracy.py DETECTOR DATA [--device cpu]

DETECTOR: the folder of one class of a run; DATA: the class's folder, or the folder of all classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import baseline
import numpy as np
from sklearn.metrics import roc_auc_score

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    plain = Detector.load(arguments.detector, arguments.device)
    modules = baseline.plain_modules(arguments.detector, plain)
    clouds, name = plain.recipe.point_cloud_sources, plain.class_name
    name = name if (arguments.data / name).is_dir() else ""
    files = list_class(arguments.data, name, plain.recipe.sources, clouds)
    samples = [load_sample(sample, clouds, files.camera) for sample in files.test]
    labels = [sample.defect != "good" for sample in samples]
    expected = np.array([baseline.predict(modules, sample)[1] for sample in samples])
    print(f"straightforward float32: image AUROC {roc_auc_score(labels, expected):.4f} on {len(labels)} parts")
    prepared = [plain.pipeline(sample) for sample in samples]
    for precision in ("fp32", "bf16", "fp16"):
        detector = Detector.load(arguments.detector, arguments.device, precision=precision)
        scores = np.array([scored.score for scored in detector.score(prepared)])
        difference = np.abs(scores - expected).mean() / expected.std()
        print(f"ours, {precision:4s}: {roc_auc_score(labels, scores):.4f}, scores off by {difference:.1e} deviations")


if __name__ == "__main__":
    main()
