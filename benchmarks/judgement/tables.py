"""RESULTS -> Markdown tables: means over classes and trainings, 95 % intervals of resampled test parts, differences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.evaluation.pixel_profile import PixelProfile
from trd.statistics.resampling import REPEATS, resampled, resampled_auroc
from trd.types import GOOD

PIXELS = ("pixel_auroc", "aupro_30", "aupro_1")
LIMITS = (0.30, 0.01)
METHODS = ("default", "statistics", "bank", "mapping")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """Over the trainings of one class, or over classes: by_training: (S,), value: their mean, replicates: (R,)."""

    by_training: Floats
    replicates: Floats

    @property
    def value(self) -> float:
        return float(self.by_training.mean())


class Results:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = {path.stem for path in folder.glob("*.npz")}
        self.classes = sorted({name.split(".")[1].split("+")[0] for name in names})
        self.seeds = sorted({name.split(".")[0].split("-")[1] for name in names})
        self._counts = {
            name: resampled(self.defective(next(one for one in sorted(names) if one.endswith(name))), REPEATS, number)
            for number, name in enumerate(self.classes)
        }

    def read(self, name: str) -> tuple[dict[str, Any], dict[str, Floats]] | None:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            return json.loads(str(file["head"])), {key: file[key] for key in file.files if key != "head"}

    def defective(self, name: str) -> NDArray[np.bool_]:
        head, _ = self.read(name) or ({"defects": []}, {})
        return np.array([defect != GOOD for defect in head["defects"]])

    def of_class(self, tasks: Sequence[str], class_name: str, metric: str) -> Value | None:
        """metric: "image_auroc", a pixel metric, or the name of a map whose image AUROC is meant."""
        values, replicates = [], []
        for task in tasks:
            name = f"{task}.{class_name}" if "+" not in task else "{0}.{2}+{1}".format(*task.split("+"), class_name)
            found = self.read(name)
            if found is None:
                return None
            head, arrays = found
            bad, counts = self.defective(name), self._counts[class_name]
            once = np.ones((1, len(bad)), np.int32)
            if metric in PIXELS:
                fields = ("good", "defective", "overlap", "regions")
                profile = PixelProfile(*(arrays[f"profile_{key}"].astype(np.float64) for key in fields))
                value = float(head["metrics"][metric])
                own = profile.resampled(once, LIMITS)[metric][0]
                replicates.append(profile.resampled(counts, LIMITS)[metric] - own + value)
            else:
                scores = arrays["score_fused" if metric == "image_auroc" else metric]
                value = float(resampled_auroc(scores, bad, once)[0])
                replicates.append(resampled_auroc(scores, bad, counts))
            values.append(value)
        return Value(np.array(values), np.mean(replicates, axis=0))

    def mean(self, tasks: Sequence[str], metric: str = "image_auroc") -> tuple[list[float], Value] | None:
        """Per class, and the mean over all classes; None where one is missing."""
        found = [self.of_class(tasks, name, metric) for name in self.classes]
        if not found or any(one is None for one in found):
            return None
        whole = [one for one in found if one is not None]
        trainings = np.mean([one.by_training for one in whole], axis=0)
        return [one.value for one in whole], Value(trainings, np.mean([one.replicates for one in whole], axis=0))


def show(folder: Path) -> None:
    results = Results(folder)
    first = results.seeds[0]
    every = {method: [f"{method}-{seed}" for seed in results.seeds] for method in METHODS}
    for metric in ("image_auroc", *PIXELS):
        _table(results, metric, list(every.items()), "Peers")
        ablation = {
            "default": [f"default-{first}"],
            "with the Filter": [f"filter-{first}"],
            "without the Amplifier": [f"no_amplifier-{first}"],
            "network alone": [f"default-{first}+network"],
            "network alone, with the Filter": [f"filter-{first}+network"],
            "network alone, without the Amplifier": [f"no_amplifier-{first}+network"],
            "statistics alone": [f"statistics-{first}"],
            "sum of z-scores": [f"default-{first}+sum"],
        }
        _table(results, metric, list(ablation.items()), "Ablation")
    found = results.read(f"default-{first}.{results.classes[0]}")
    branches = sorted(key for key in (found[1] if found else {}) if key.startswith("score_"))
    for key in branches:
        _table(results, key, [(key, every["default"])], "Branch")
    for method in METHODS:
        _decisions(results, method)
    for method in ("default", "statistics", "bank"):
        rows = [(f"{n} parts", [f"{method}-{first}-{n}{draw}" for draw in "ab"]) for n in (5, 10, 20)]
        planted = [(kind, [f"{method}-{first}-{kind}"]) for kind in ("bad", "without")]
        _table(
            results,
            "image_auroc",
            [("all parts", [f"{method}-{first}"]), *rows, *planted],
            f"Few and bad parts, {method}",
        )


def _table(results: Results, metric: str, rows: Sequence[tuple[str, Sequence[str]]], title: str) -> None:
    shown = [(label, row) for label, tasks in rows if (row := results.mean(tasks, metric)) is not None]
    if not shown:
        return
    print(f"\n{title}, {metric}\n\n| | {' | '.join(results.classes)} | mean | difference to the first | by training |")
    print("|" + "---|" * (len(results.classes) + 4))
    base = shown[0][1][1]
    for label, (classes, mean) in shown:
        low, high = np.quantile(mean.replicates, [0.025, 0.975])
        apart = mean.replicates - base.replicates
        ends = np.quantile(apart, [0.025, 0.975])
        difference = "" if mean is base else f"{mean.value - base.value:+.3f} ({ends[0]:+.3f} to {ends[1]:+.3f})"
        each = ", ".join(f"{value:.3f}" for value in mean.by_training)
        cells = " | ".join(f"{value:.3f}" for value in classes)
        print(f"| {label} | {cells} | {mean.value:.3f} ({low:.3f} to {high:.3f}) | {difference} | {each} |")


def _decisions(results: Results, method: str) -> None:
    """At the calibrated thresholds, mean over trainings."""
    cells, sums = [], np.zeros(4)
    for class_name in results.classes:
        names = [f"{method}-{seed}.{class_name}" for seed in results.seeds]
        found = [(name, one) for name in names if (one := results.read(name)) is not None]
        if not found:
            return
        counted = np.zeros(4)
        for name, (head, arrays) in found:
            bad, alarm = results.defective(name), arrays["score_fused"] > head["threshold"]
            counted += [alarm[bad].sum(), bad.sum(), alarm[~bad].sum(), (~bad).sum()]
        counted /= len(found)
        cells.append(f"{class_name} {counted[0]:.1f} of {counted[1]:.0f}, {counted[2]:.1f} of {counted[3]:.0f}")
        sums += counted
    print(f"\n{method}, defective parts found and false alarms: {'; '.join(cells)}")
    print(f"of all {sums[0] / sums[1]:.3f} and {sums[2] / sums[3]:.3f}")
