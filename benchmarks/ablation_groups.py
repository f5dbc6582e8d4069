"""The ablation on the rendered classes by what a defect shows in: colour only, geometry only, or both.

    python benchmarks/ablation_groups.py OUT/table.csv      as `trd reproduce folder --ablation` wrote it

Prints Markdown: image AUROC of the fused map in per cent, mean over the group's kinds, classes and seeds, with the
standard deviation over seeds of that mean; and the number of seeds.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict

import numpy as np

GROUPS = {
    "colour only": ("burn", "mould", "flour", "smear", "bleach", "stain"),
    "geometry only": ("blister", "dent", "bulge", "sunken", "swelling"),
    "both": ("crack", "hole", "cut"),
}


def main() -> None:
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    order: list[str] = []
    with open(sys.argv[1]) as file:
        for row in csv.DictReader(file):
            group = next((name for name, kinds in GROUPS.items() if row["defect"] in kinds), None)
            if group is not None:
                values[row["variant"], group, row["seed"]].append(float(row["image_auroc"]))
                order.append(row["variant"])
    print("| variant | seeds | " + " | ".join(GROUPS) + " |\n| --- | --- |" + " --- |" * len(GROUPS))
    for variant in dict.fromkeys(order):
        cells = []
        for group in GROUPS:
            seeds = [100 * np.mean(v) for (name, kind, _), v in values.items() if (name, kind) == (variant, group)]
            spread = f" ± {np.std(seeds, ddof=1):.1f}" if len(seeds) > 1 else ""
            cells.append(f"{np.mean(seeds):.1f}{spread}")
        print(f"| {variant} | {len(seeds)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
