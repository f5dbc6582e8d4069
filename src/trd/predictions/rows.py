"""Rows of score files: what is in them, reading them back, and the CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trd.errors import OutputError, TRDError
from trd.files import csv_line, to_disk, write_whole
from trd.types import Prediction

JSONL, CSV, PARTIAL = "scores.jsonl", "scores.csv", "scores.jsonl.part"


def row(prediction: Prediction) -> dict[str, object]:
    """The scalar part of a prediction, as it stands in the score files."""
    return {
        "id": prediction.id,
        "score": round(prediction.score, 5),
        "threshold": round(prediction.threshold, 5),
        "anomalous": prediction.is_anomalous,
        "p_value": round(prediction.p_value, 5),
        "peak_row": prediction.peak[0],
        "peak_column": prediction.peak[1],
        **{f"share_{name}": round(share, 4) for name, share in prediction.share.items()},
        "used": "+".join(prediction.used),
        "notes": "; ".join(prediction.notes),
    }


def error_row(sample_id: str, error: TRDError, branches: Iterable[str]) -> dict[str, object]:
    """The same columns as `row` for a part without a prediction, all empty but for its id, and why in `error`."""
    names = ("score", "threshold", "anomalous", "p_value", "peak_row", "peak_column")
    shares = (f"share_{name}" for name in branches)
    return {"id": sample_id, **dict.fromkeys((*names, *shares, "used", "notes")), "error": str(error)}


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a score file; a last line that a kill or a full disk cut off is dropped. Raises ValueError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                values = json.loads(line)
                if not isinstance(values, dict) or "id" not in values:
                    raise ValueError(f"a line without id: {line[:40]!r}")
                yield values


def earlier_ids(out: Path) -> set[str]:
    """The parts in an earlier call's scores.jsonl, and in what an interrupted one left. Raises OutputError."""
    ids: set[str] = set()
    for scores in (out / JSONL, out / PARTIAL):
        if scores.exists():
            try:
                ids |= {str(values["id"]) for values in read_rows(scores)}
            except (OSError, ValueError) as error:
                raise OutputError(f"{scores} is not ours ({error!r}): choose another --out, or delete it") from error
    return ids


def write_csv(out: Path) -> None:
    """The partial file -> scores.csv; as long as that is there, the result is not complete."""
    partial_file = out / PARTIAL

    def to_csv(path: Path) -> None:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            for number, line in enumerate(read_rows(partial_file)):
                if not number:
                    file.write(csv_line(line))
                file.write(csv_line(line.values()))

    to_disk(partial_file)
    write_whole(out / CSV, to_csv)
