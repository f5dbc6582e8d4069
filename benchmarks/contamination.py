"""Bad parts among the good ones: does `trd check` show them first?

    python benchmarks/contamination.py GOOD DEFECTIVE [--bad 5] [--draws 3] [--shown 10] [--recipe lite-rgb-normals]

GOOD holds good parts (rgb, xyz), DEFECTIVE a folder per kind of defect (a folder "good" is left alone). In every draw
some of the good parts, chosen at random, give their places to defective ones of random kinds; all are prepared as in
training, and ranked by how unlike the others they are. A row per draw: how many of the bad parts are among the first,
their ranks and kinds, and how many bad and good parts are said to deserve a look. Results: docs/results.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trd.check.check import LOOK
from trd.check.outliers import strangeness
from trd.config import load_recipe
from trd.data.listing import list_class
from trd.training.prepare import prepare_class
from trd.types import ClassFiles, SampleFiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("good", type=Path)
    parser.add_argument("defective", type=Path)
    parser.add_argument("--bad", type=int, default=5)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--shown", type=int, default=10)
    parser.add_argument("--recipe", default="lite-rgb-normals")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(arguments.recipe)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "parts"
        (place / "train").mkdir(parents=True)
        (place / "train/good").symlink_to(arguments.good.resolve())
        (place / "test").symlink_to(arguments.defective.resolve())
        files = list_class(place, "", recipe.sources, recipe.point_cloud_sources)
        for seed in range(arguments.draws):
            mixed = contaminated(files, arguments.bad, seed)
            parts = list(prepare_class(mixed, recipe, {"seconds": {}}).training)
            begin = time.perf_counter()
            scores = strangeness(parts, recipe).scores
            seconds = time.perf_counter() - begin
            ranks = np.argsort(np.argsort(-scores)) + 1
            bad = np.array([part.defect != "good" for part in parts])
            where = sorted((int(ranks[index]), parts[index].defect) for index in np.flatnonzero(bad))
            found = sum(rank <= arguments.shown for rank, _ in where)
            print(
                f"draw {seed}: {found} of {len(where)} among the first {arguments.shown} "
                f"({', '.join(f'{rank} {kind}' for rank, kind in where)}); above {LOOK:g}: "
                f"{(scores[bad] > LOOK).sum()} bad, {(scores[~bad] > LOOK).sum()} good; {seconds:.0f} s",
                flush=True,
            )


def contaminated(files: ClassFiles, count: int, seed: int) -> ClassFiles:
    """The good training parts, `count` of them replaced by defective ones: a kind at random, then a part of it."""
    rng = np.random.default_rng(seed)
    kinds = sorted({part.defect for part in files.test if not part.is_good})
    chosen: list[SampleFiles] = []
    while len(chosen) < count:
        kind = kinds[rng.integers(len(kinds))]
        left = [part for part in files.test if part.defect == kind and part not in chosen]
        chosen.append(left[rng.integers(len(left))])
    train = list(files.train)
    for place, part in zip(rng.choice(len(train), count, replace=False), chosen, strict=True):
        train[place] = replace(part, mask=None)
    return replace(files, train=tuple(train), validation=(), test=())


if __name__ == "__main__":
    main()
