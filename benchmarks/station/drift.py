"""False alarms of the watch on lines that do not change, and how soon it finds a darker lamp and a moved table.

python benchmarks/station/drift.py [--lines 40] [--parts 10000] [--drawn 320]: made-up lines of eight measures, then
measures of drawn parts, in random orders, with the lamp at 85 % or the table 2 mm farther away from some part on.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from trd.config import load_recipe
from trd.data.demo import draw_demo
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.preprocess.measures import measures_of
from trd.runs import fit
from trd.types import Sample
from trd_station.watch.exchangeable import ExchangeabilityTest

RATE = 0.01
CHANGED = 60


def false_alarms(lines: int, parts: int, streams: int = 8) -> int:
    """Lines on which any stream ever alarms."""
    alarm, found = math.log10(streams / RATE), 0
    for line in range(lines):
        rng = np.random.default_rng(line)
        kinds = (rng.normal, rng.standard_cauchy, rng.exponential, rng.random)
        tests = [ExchangeabilityTest(1000 * line + number) for number in range(streams)]
        values = [kinds[number % len(kinds)](size=parts) for number in range(streams)]
        found += any(max(_evidence(test, own)) >= alarm for test, own in zip(tests, values, strict=True))
    return found


def _evidence(test: ExchangeabilityTest, values: np.ndarray) -> list[float]:
    told = []
    for value in values:
        test.add(float(value))
        told.append(test.log10_evidence)
    return told


def darker(sample: Sample) -> Sample:
    return Sample(sample.id, {**sample.arrays, "rgb": (sample.arrays["rgb"] * 0.85).astype(np.uint8)})


def farther(sample: Sample) -> Sample:
    cloud = sample.arrays["xyz"].copy()
    cloud[..., 2][cloud[..., 2] != 0] += 0.002
    return Sample(sample.id, {**sample.arrays, "xyz": cloud})


def measured(detector: Detector, samples: list[Sample]) -> list[dict[str, float]]:
    return [measures_of(detector.recipe, detector.facts.frame, one, detector.pipeline(one)) for one in samples]


def delays(before: list[dict[str, float]], after: list[dict[str, float]], orders: int) -> dict[str, list[int | None]]:
    """Measure -> parts after the change until its alarm, for each order; None: not within CHANGED."""
    streams = len(before[0]) + 1
    alarm = math.log10(streams / RATE)
    found: dict[str, list[int | None]] = {name: [] for name in before[0]}
    for order in range(orders):
        rng = np.random.default_rng(order)
        first = rng.permutation(len(before))[: len(before) - CHANGED]
        last = rng.permutation(len(after))[:CHANGED]
        for name, told_of in found.items():
            test = ExchangeabilityTest(order)
            _evidence(test, np.array([before[number][name] for number in first]))
            told = _evidence(test, np.array([after[number][name] for number in last]))
            told_of.append(next((n + 1 for n, value in enumerate(told) if value >= alarm), None))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--drawn", type=int, default=320)
    parser.add_argument("--orders", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_demo(Path(folder), seed=5, train=args.drawn, validation=20, good=1, per_kind=1)
        recipe = load_recipe("patch-statistics", ["frame.size=64", "scoring.stand_ins=false"])
        detector = fit(folder, Path(folder) / "run", recipe, device="cpu")["biscuit"]
        files = list_class(Path(folder), "biscuit", ("rgb", "xyz"), ("xyz",)).train
        samples = [load_sample(one, ("xyz",)) for one in files]
    before = measured(detector, samples)
    for name, change in (("lamp at 85 %", darker), ("table 2 mm farther", farther)):
        print(name, "on", len(samples) - CHANGED, "parts:")
        for measure, found in delays(before, measured(detector, [change(one) for one in samples]), args.orders).items():
            there = [one for one in found if one is not None]
            if there:
                print(f"  {measure}: {len(there)} of {len(found)} orders, after {min(there)} to {max(there)} parts")
    print(
        f"{false_alarms(args.lines, args.parts)} of {args.lines} lines of {args.parts} parts alarmed (bound {RATE:.0%})"
    )


if __name__ == "__main__":
    main()
