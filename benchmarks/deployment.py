"""Decoded arrays to decision, one part after another: a trained detector in PyTorch beside its exported packages.

    python benchmarks/deployment.py RUN PART_FOLDER part-openvino.trdm part-int8.trdm ... [--rounds 15]

All take turns on the same parts within one process; printed are the best and the median time of each, and the ratio to
PyTorch in float32. PART_FOLDER holds a folder per source. --scan enlarges the parts to 800 x 800 first (nearest pixel),
as an industrial 3D sensor gives them. Threads: OMP_NUM_THREADS. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from trd.data.listing import camera_near, list_unlabelled
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.pytorch.precision import multiplies_bf16, processor_name
from trd.preprocess.threads import thread_count
from trd.types import Sample

SCAN = 800


def enlarged(sample: Sample) -> Sample:
    """Every source at SCAN x SCAN, the nearest pixel's value: no value that was not measured."""
    height, width = next(iter(sample.arrays.values())).shape[:2]
    rows, columns = (np.arange(SCAN) * side // SCAN for side in (height, width))
    return Sample(sample.id, {n: np.ascontiguousarray(a[rows][:, columns]) for n, a in sample.arrays.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("parts", type=Path)
    parser.add_argument("packages", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scan", action="store_true")
    options = parser.parse_args()

    precisions = ("fp32", "bf16") if multiplies_bf16("cpu") else ("fp32",)  # elsewhere bf16 takes minutes
    detectors = {f"PyTorch, {p}": Detector.load(options.run, "cpu", precision=p) for p in precisions}
    for path in options.packages:
        detector = Detector.load(path, "cpu")
        detectors[f"{detector.engine.form}, {detector.engine.precision} ({path.name})"] = detector
    recipe = next(iter(detectors.values())).recipe
    clouds = recipe.point_cloud_sources
    files = list_unlabelled(options.parts, recipe.sources, clouds)[:4]
    samples = [load_sample(one, clouds, camera_near(files, clouds, None)) for one in files]
    samples = [enlarged(sample) for sample in samples] if options.scan else samples

    times: dict[str, list[float]] = {name: [] for name in [*detectors, "preparation alone"]}
    for _ in range(options.rounds + 1):
        for sample in samples:
            for name, detector in detectors.items():
                begin = time.perf_counter()
                detector.predict(sample)
                times[name].append(time.perf_counter() - begin)
            pipeline = next(iter(detectors.values())).pipeline
            begin = time.perf_counter()
            pipeline(sample)
            times["preparation alone"].append(time.perf_counter() - begin)
    measured = {name: np.array(values[len(samples) :]) * 1000 for name, values in times.items()}
    plain = np.median(measured["PyTorch, fp32"])
    shape = "x".join(map(str, next(iter(samples[0].arrays.values())).shape[:2]))
    print(f"{processor_name()}, {thread_count()} threads, parts of {shape}, {options.rounds} rounds of {len(samples)}")
    for name, values in measured.items():
        best, middle = values.min(), np.median(values)
        print(f"{name:60s} best {best:6.1f} ms  median {middle:6.1f} ms  {plain / middle:5.2f} x")


if __name__ == "__main__":
    main()
