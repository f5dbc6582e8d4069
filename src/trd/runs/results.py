"""Results of a run: tables and report over all classes, and whether they are as new as what they are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trd.evaluation.evaluate import METRICS, read_metrics
from trd.evaluation.kinds import kinds_markdown
from trd.evaluation.report import SECTION, html_report
from trd.evaluation.tables import class_rows, defect_rows, to_csv, to_markdown
from trd.files import write_text
from trd.stored import FACTS

REPORT = "report.html"


def write_tables(
    out: Path, title: str, folders: Mapping[str, Path], facts: Mapping[str, Any], failures: dict[str, str]
) -> None:
    """metrics.csv, metrics.md and report.html in `out` over all classes that have results.

    folders: of every class's results. facts: of the run; its texts head the report. failures: class -> reason.
    """
    metrics = {name: class_metrics for name, folder in folders.items() if (class_metrics := read_metrics(folder))}
    if metrics:
        rows = class_rows(metrics)
        write_text(out / "metrics.csv", to_csv(rows))
        kinds = "\n## Fused map by defect kind\n\n" + to_markdown(defect_rows(metrics))
        write_text(out / "metrics.md", f"# {title}\n\n" + to_markdown(rows) + kinds + kinds_markdown(metrics))
    sections = [section for folder in folders.values() if (section := read_section(folder))]
    texts = {key: value for key, value in facts.items() if isinstance(value, str)}
    write_text(out / REPORT, html_report(f"TRD: {title}", texts, metrics, sections, failures))


def read_section(folder: Path) -> dict[str, Any] | None:
    """A class's part of the report; None where it has not been evaluated."""
    try:
        section: dict[str, Any] = json.loads((folder / SECTION).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return section


def is_evaluated(folder: Path) -> bool:
    """Whether a class's metrics and report are there, newer than its detector."""
    results = _results(folder)
    if not all(path.is_file() for path in results):
        return False
    trained = (folder / FACTS).stat().st_mtime_ns
    return min(path.stat().st_mtime_ns for path in results) > trained


def is_reported(out: Path, folders: Iterable[Path]) -> bool:
    """Whether the report, which is written last, is as new as the results of the classes in `folders`."""
    results = [path for folder in folders for path in _results(folder)]
    report = out / REPORT
    return report.is_file() and report.stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in results)


def _results(folder: Path) -> list[Path]:
    return [folder / METRICS, folder / SECTION]
