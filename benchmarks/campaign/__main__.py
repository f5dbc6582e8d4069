"""What happens when things go wrong: kills, full disks, damaged files, senseless recipes, and over ten thousand parts.

    python benchmarks/campaign kill|full|readers|recipes|predict|station [--minutes 8] [--count N] [--seed 0]

Every part works on drawn data in a temporary folder with a cache folder of its own, reaches no network, ends when its
time is up or its count is reached, and prints a Markdown table (docs/results.md). POSIX only: it forks. The exit
status is 1 where something was found. What `kill` and `full` run is `trd.cli.main` in a forked process, so that not
every start waits for torch; a tenth of the starts are `python -m trd` from scratch.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from full import full
from kill import kill
from predict import predict
from readers import readers
from recipes import recipes

from bench import ROOT, Bench
from station import station

PARTS = {"kill": kill, "full": full, "readers": readers, "recipes": recipes, "predict": predict,
         "station": station}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--count", type=int, help="of kills or full disks per command, files, parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", help="a command to kill or fill, such as train; a kind of files to damage"
    )
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/fakes")]
    _import_once()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="campaign-") as folder:
        bench = Bench(Path(folder).resolve(), random.Random(arguments.seed), arguments.only)
        os.environ.update(bench.environment())
        head, rows, findings = PARTS[arguments.part](bench, arguments.minutes, arguments.count)
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(f"\n{len(findings)} findings")
    for finding in findings:
        print(f"- {finding}")
    from trd.engines.pytorch.precision import processor_name

    names = ("trd-anomaly", "torch", "numpy", "safetensors")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    print(
        f"\n`campaign {arguments.part} --seed {arguments.seed}`, {time.strftime('%Y-%m-%d')}, "
        f"{(time.monotonic() - begin) / 60:.1f} min on one core of {processor_name()}; Python "
        f"{sys.version.split()[0]}, {versions}"
    )
    raise SystemExit(bool(findings))


def _import_once() -> None:
    """What the commands import, so that forked processes need not."""
    for name in ("trd.cli", "trd.runs", "trd.predictions", "trd_bench.reproduce.reproduce",
    "trd.evidence.reverse_distillation", "trd.detector",
                 "matplotlib.figure", "matplotlib.backends.backend_agg", "tensorboard",
                 "torch.utils.tensorboard", "trd.data.demo", "scipy.ndimage"):  # fmt: skip
        importlib.import_module(name)


if __name__ == "__main__":
    main()
