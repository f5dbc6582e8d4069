"""Preparation of an 800 x 800 scan with colour by the default recipe, against preparation as it was before.

    python benchmarks/preparation.py [--size 800] [--threads 1 2] [--repeats 40] [--crop auto|none]

Old (`tests/fakes/plain_preparation.py`) and new take turns; the least time of each counts, by the clock and by the
processor, so that other work on the machine changes the ratios little. "alone" is one sample that has the threads to
itself, "eight" eight samples in the same threads, per sample. The old way has one thread for each sample.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trd.config import load_recipe
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.types import PreparedSample, Sample

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fakes"))
import plain_preparation

TOGETHER = 8  # samples

Prepare = Callable[[Sample], PreparedSample]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=800)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--crop", choices=["auto", "none"], default="auto")
    arguments = parser.parse_args()
    picture = np.random.default_rng(1).integers(0, 256, (arguments.size, arguments.size, 3), dtype=np.uint8)
    sample = Sample("scan", {"rgb": picture, "xyz": scan(arguments.size)})
    pipeline = Pipeline.fit(load_recipe("lite-rgb-normals", [f"frame.crop={arguments.crop}"]), [sample])
    print(f"{platform.machine()}, {os.cpu_count()} processors, window {pipeline.frame.window}, {pipeline.frame.size}")

    def plain(given: Sample) -> PreparedSample:
        return plain_preparation.prepared(pipeline, given)

    refuse_difference(plain(sample), pipeline(sample))
    for threads in arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        for title, run, count in (("alone", alone, 1), ("eight", eight, TOGETHER)):
            old, new = least(lambda: run(plain, sample), lambda: run(pipeline, sample), arguments.repeats)  # noqa: B023
            by = [f"{o / count:6.1f} ms {n / count:6.1f} ms {o / n:5.2f} x" for o, n in zip(old, new, strict=True)]
            print(f"  {threads} threads, {title}:  clock {by[0]}   processor {by[1]}")


def scan(size: int = 800) -> np.ndarray:
    """An organised cloud like a sensor's: a dome of 5 cm on a table, noise, one point in twenty missing."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] * (0.12 / size)
    height = np.sqrt(np.clip(0.025**2 - (x - 0.06) ** 2 - (y - 0.06) ** 2, 0, None))
    xyz = np.dstack([x, y, 0.5 - height + rng.normal(0, 2e-5, (size, size))]).astype(np.float32)
    xyz[rng.random((size, size)) < 0.05] = 0
    return xyz


def refuse_difference(old: PreparedSample, new: PreparedSample) -> None:
    same = all(np.array_equal(image, new.images[name]) for name, image in old.images.items())
    if not same or not np.array_equal(old.region, new.region) or old.notes != new.notes:
        sys.exit("the two ways do not give the same sample")


def alone(prepare: Prepare, sample: Sample) -> None:
    prepare(sample)


def eight(prepare: Prepare, sample: Sample) -> None:
    for _ in in_threads(prepare, [sample] * TOGETHER):
        pass


def least(old: Callable[[], None], new: Callable[[], None], repeats: int) -> list[tuple[float, float]]:
    """(clock, processor) of each in ms, the least of `repeats` turns."""
    times: list[list[tuple[float, float]]] = [[], []]
    for _ in range(repeats):
        for work, kept in zip((old, new), times, strict=True):
            clock, processor = time.perf_counter(), time.process_time()
            work()
            kept.append((1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - processor)))
    return [(min(clock for clock, _ in kept), min(processor for _, processor in kept)) for kept in times]


if __name__ == "__main__":
    main()
