"""metrics.json of several classes -> tables with a mean row: CSV for machines, Markdown for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from trd.files import csv_line

COLUMNS = {
    "image_auroc": "I-AUROC",
    "image_ap": "I-AP",
    "image_f1max": "I-F1max",
    "pixel_auroc": "P-AUROC",
    "pixel_ap": "P-AP",
    "pixel_f1max": "P-F1max",
    "aupro_30": "AUPRO@30",
    "aupro_10": "AUPRO@10",
    "aupro_5": "AUPRO@5",
    "aupro_1": "AUPRO@1",
}

Rows = list[dict[str, str | float]]


def class_rows(metrics: Mapping[str, Mapping[str, Any]]) -> Rows:
    """class -> metrics.json content, as rows (class, map, metrics...), each map closed by a mean row over classes."""
    maps = dict.fromkeys(name for content in metrics.values() for name in content["maps"])
    rows: Rows = []
    for name in maps:
        map_rows: Rows = [
            {"class": cls, "map": name, **{key: number(content["maps"][name].get(key)) for key in COLUMNS}}
            for cls, content in metrics.items()
            if name in content["maps"]
        ]
        rows += map_rows
        if len(map_rows) > 1:
            rows.append({"class": "mean", "map": name, **_mean(map_rows, COLUMNS)})
    return rows


def defect_rows(metrics: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Rows (class, defect, I-AUROC, P-AUROC, AUPRO@30) of the fused map per defect kind."""
    keys = ("image_auroc", "pixel_auroc", "aupro_30")
    return [
        {"class": cls, "defect": kind, **{key: number(values.get(key)) for key in keys}}
        for cls, content in metrics.items()
        for kind, values in content.get("by_defect", {}).items()
    ]


def to_csv(rows: Rows) -> str:
    """The columns are the first row's; NaN becomes an empty cell."""
    lines = ([_blank(row[key]) for key in rows[0]] for row in rows)
    return csv_line(rows[0]) + "".join(csv_line(line) for line in lines)


def to_markdown(rows: Rows, digits: int = 3) -> str:
    if not rows:
        return ""
    head = [COLUMNS.get(key, key) for key in rows[0]]
    return markdown_table(head, ([_cell(value, digits) for value in row.values()] for row in rows))


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as text; a bar in a name does not end its cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _cell(value: str | float, digits: int) -> str:
    if isinstance(value, str):
        return value
    return "-" if isnan(value) else f"{value:.{digits}f}"


def _blank(value: str | float) -> str | float:
    return "" if isinstance(value, float) and isnan(value) else value


def number(value: Any) -> float:
    """A metric as metrics.json has it: null is nan."""
    return float("nan") if value is None else float(value)


def _mean(rows: Rows, keys: Mapping[str, str] | Sequence[str]) -> dict[str, float]:
    columns = {key: np.array([float(row[key]) for row in rows]) for key in keys}
    return {key: float(values.mean()) for key, values in columns.items()}
