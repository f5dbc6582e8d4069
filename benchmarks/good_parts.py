"""What ten good parts of a new batch bring a trained detector that rejects them.

    python benchmarks/good_parts.py RUN/CLASS=DATA/CLASS=BATCH [...] [--draws 2]

BATCH is laid out like a test split, of parts under another lamp, or of another material. Ten of its good parts that the
detector rejects are drawn and taken in; the further ones and its defects are asked, and the test split of DATA.
--copies: the batch's good parts are copies of DATA's validation parts, under the same names; taught ones do not
calibrate.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from trd.data.defective import list_defective
from trd.data.listing import list_class, list_unlabelled
from trd.detector import Detector
from trd.export.parts import parts_of, prepared_parts
from trd.learning.good_parts import Growth
from trd.preprocess.parts import PreparedParts
from trd.statistics.intervals import share_interval
from trd.stored import read_detector

TAUGHT = 10


def measured(folder: Path, data: Path, batch: Path, draws: int, wrong: int, copies: bool) -> Counter[str]:
    detector = Detector.load(folder, "cpu")
    recipe = detector.recipe
    sources, clouds = recipe.inputs, recipe.point_cloud_sources
    test = list_class(data, "", sources, clouds).test
    groups = {
        "batch good": list(list_unlabelled(batch / "good", sources, clouds)),
        "old good": [part for part in test if part.is_good],
        "old defects": [part for part in test if not part.is_good],
        "batch defects": list(list_defective(batch, sources, clouds)),
    }
    owner = np.repeat(list(groups), [len(group) for group in groups.values()])
    good = np.flatnonzero(owner == "batch good")
    asked = prepared_parts(detector, [part for group in groups.values() for part in group])
    nothing = PreparedParts(0, asked.__getitem__)
    parts, (_, state) = parts_of(detector, folder, data), read_detector(folder)
    every = Growth(detector, state, parts, asked, nothing, "cpu", Console())
    calibration = every.calibrated(every.maps["calibration parts"])
    rejected = np.flatnonzero(
        every.scores(calibration, every.maps["good parts"], asked).above & (owner == "batch good")
    )
    print(f"\n### {folder}: {len(rejected)} of {len(good)} good parts of the batch are rejected", flush=True)
    counts = Counter[str]()
    for draw in range(draws):
        random = np.random.default_rng(draw)
        taught = random.permutation(rejected)[: TAUGHT - wrong].tolist()
        taught += random.permutation(np.flatnonzero(owner == "batch defects"))[:wrong].tolist()
        out = {f"validation/good/{asked[index].id}" for index in taught} if copies else set()
        kept = [index for index, part in enumerate(parts.calibration) if part.id not in out]
        growth = replace(every, parts=replace(parts, calibration=parts.calibration.chosen(kept))) if out else every
        rest = [index for index in range(len(owner)) if index not in taught]
        old = {name: values[rest] for name, values in growth.maps["good parts"].items()}
        for when in ("before", "after"):
            raw, maps = growth.maps["calibration parts"], old
            if when == "after":
                raw, maps = growth.maps_by(growth.grown(taught), "good parts", rest)
            above = growth.scores(growth.calibrated(raw), maps, asked.chosen(rest)).above
            counts.update({f"{name} {when}": int(above[owner[rest] == name].sum()) for name in groups})
        counts.update({name: int((owner[rest] == name).sum()) for name in groups})
        print(f"draw {draw}: {len(kept)} calibration parts, {dict(counts)}", flush=True)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("classes", nargs="+")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--wrong", type=int, default=0, help="so many of the ten are defects of the batch")
    parser.add_argument("--copies", action="store_true", help="good parts of BATCH are copies of validation parts")
    arguments = parser.parse_args()
    for triple in arguments.classes:
        total = measured(*map(Path, triple.split("=")), arguments.draws, arguments.wrong, arguments.copies)
        for group in ("batch good", "old good", "old defects", "batch defects"):
            for when in ("before", "after"):
                hits, count = total[f"{group} {when}"], total[group]
                low, high = share_interval(hits, count)
                print(f"- {group} above the threshold {when}: {hits} of {count} ({low:.0%} to {high:.0%})", flush=True)
