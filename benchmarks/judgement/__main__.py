"""What docs/results.md says of `lite-residual` and its peers, from folders of parts.

    python benchmarks/judgement plan --train TRAIN --test TEST [--bad BAD] > plan.jsonl
    python benchmarks/judgement run plan.jsonl RESULTS [--device cpu] [--workers 1]
    python benchmarks/judgement tables RESULTS

TRAIN/CLASS holds train/good and validation/good, TEST/CLASS test/KIND, and BAD/CLASS test/KIND with a defective part of
each kind that may be planted among the training parts. `run` works in as many processes as asked for and leaves out
what RESULTS holds. `tables` prints what is there, with intervals.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import execute
import plan
import tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="print the tasks, the judgement first")
    planning.add_argument("--train", type=Path, required=True)
    planning.add_argument("--test", type=Path, required=True)
    planning.add_argument("--bad", type=Path)
    planning.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    running = commands.add_parser("run", help="train and measure what RESULTS lacks")
    running.add_argument("plan", type=Path)
    running.add_argument("results", type=Path)
    running.add_argument("--device", default="auto")
    running.add_argument("--workers", type=int, default=1)
    running.add_argument("--models", type=Path, help="keep the detectors of the default recipe's first seed here")
    showing = commands.add_parser("tables", help="print what RESULTS holds")
    showing.add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "plan":
        plan.show(arguments.train, arguments.test, arguments.bad, arguments.seeds)
    elif arguments.command == "run":
        execute.run(arguments.plan, arguments.results, arguments.device, arguments.workers, arguments.models)
    else:
        tables.show(arguments.results)


if __name__ == "__main__":
    main()
