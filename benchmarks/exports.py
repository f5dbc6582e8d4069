"""Exports of several trained classes, and how far each decides from its detector: the table of docs/deploy.md.

    python benchmarks/exports.py RUNS DATA OUT --form openvino:fp32 --form openvino:int8 --form onnx:fp32

RUNS holds a run folder per class (or RUNS/PREFIX.CLASS), DATA a class folder with train, validation and test. OUT gets
the packages and a line per package in exports.jsonl; what is there is not made again. An export that is refused is a
line too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trd.errors import TRDError
from trd.export.export import ExportJob, export
from trd.packages.manifest import Runtime
from trd.types import PrecisionName

METRICS = ("image_auroc", "aupro_30")
FORMS: dict[str, tuple[Runtime, PrecisionName]] = {
    "onnx:fp32": ("onnx", "fp32"),
    "onnx:int8": ("onnx", "int8"),
    "openvino:fp32": ("openvino", "fp32"),
    "openvino:bf16": ("openvino", "bf16"),
    "openvino:int8": ("openvino", "int8"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--form", action="append", required=True, choices=FORMS, help="RUNTIME:PRECISION")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    book = arguments.out / "exports.jsonl"
    lines = [json.loads(line) for line in book.read_text("utf-8").splitlines()] if book.exists() else []
    for form in arguments.form:
        for place in sorted(path for path in arguments.data.iterdir() if path.is_dir()):
            if any((line["form"], line["class"]) == (form, place.name) for line in lines):
                continue
            (run,) = (path for path in arguments.runs.iterdir() if path.name.split(".")[-1] == place.name)
            lines.append(_exported(run, place, form, arguments.out))
            with book.open("a", encoding="utf-8") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    _show(lines)


def _exported(run: Path, place: Path, form: str, out: Path) -> dict[str, Any]:
    runtime, precision = FORMS[form]
    path = out / f"{place.name}-{form.replace(':', '-')}.trdm"
    job = ExportJob(run, path, runtime, precision, data=place)
    line: dict[str, Any] = {"form": form, "class": place.name}
    try:
        done = export(job, Console(quiet=True))
    except TRDError as error:
        return {**line, "refused": str(error)}
    found = done.equivalence.to_json()
    return {**line, "refused": "", "bytes": path.stat().st_size, "seconds": done.seconds, **found}


def _show(lines: list[dict[str, Any]]) -> None:
    """A row per form: worst over the classes for differences, mean for metrics."""
    differences = "largest of maps | of scores | decided otherwise | false alarms on good test parts"
    print(f"| form | classes | {differences} | I-AUROC | AUPRO@30 | size, MB |")
    print("|" + "---|" * 9)
    for form in dict.fromkeys(line["form"] for line in lines):
        kept = [line for line in lines if line["form"] == form and not line["refused"]]
        for line in lines:
            if line["form"] == form and line["refused"]:
                print(f"{form}, {line['class']}: {line['refused']}")
        if not kept:
            continue
        splits = [split for line in kept for split in line["splits"].values()]
        parts = sum(split["parts"] for split in splits)
        flipped = sum(len(split["flipped"]) for split in splits)
        largest, score = (max(split[key] for split in splits) for key in ("largest", "score"))
        metrics = [
            f"{np.mean([line['metrics'][name] for line in kept]):.4f} "
            f"({np.mean([line['before'][name] for line in kept]):.4f}; lowest difference "
            f"{min(line['metrics'][name] - line['before'][name] for line in kept):+.4f})"
            for name in METRICS
        ]
        size = np.mean([line["bytes"] for line in kept]) / 1e6
        tests = [line["splits"]["test"] for line in kept if "test" in line["splits"]]
        alarms, before, good = (sum(t[key] for t in tests) for key in ("false_alarms", "false_alarms_before", "good"))
        false = f"{alarms} of {good} ({before})"
        cells = [form, len(kept), f"{largest:.2g}", f"{score:.2g}", f"{flipped} of {parts}", false, *metrics]
        cells.append(f"{size:.2f}")
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
