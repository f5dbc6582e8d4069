"""Predictions -> files: scores as CSV and JSON lines, heat-map overlays, raw maps.

`predict` is the whole: `parts` makes what is written of a part, in this process or in workers of a Ray cluster
(`spread`), which load their detectors by `loading`; `writing` puts it in place, `resuming` says what an interrupted
call has done already, `rows` reads and writes score files.
"""

from trd.predictions.loading import Loading
from trd.predictions.parts import Outcome, Output, PartResult, outcomes, part_results, picture
from trd.predictions.predict import predict_parts
from trd.predictions.rows import CSV, JSONL, PARTIAL, error_row, row
from trd.predictions.writing import Written, write_predictions, write_results

__all__ = [
    "CSV",
    "JSONL",
    "PARTIAL",
    "Loading",
    "Outcome",
    "Output",
    "PartResult",
    "Written",
    "error_row",
    "outcomes",
    "part_results",
    "picture",
    "predict_parts",
    "row",
    "write_predictions",
    "write_results",
]
