"""Parts -> files: scores as CSV and JSON lines, heat-map overlays, raw maps.

`predict` is the whole; `parts` makes what is written of a part, here or in Ray workers (`ray_workers`); `writing` puts
it in place, and knows what an interrupted call has done already.
"""

from trd.predictions.parts import DetectorReference, Outcome, Output, PartResult, part_outcomes, part_results, picture
from trd.predictions.predict import predict_parts
from trd.predictions.writing import CSV, JSONL, PARTIAL, Written, call_key, write_results

__all__ = [
    "CSV",
    "JSONL",
    "PARTIAL",
    "DetectorReference",
    "Outcome",
    "Output",
    "PartResult",
    "Written",
    "call_key",
    "part_outcomes",
    "part_results",
    "picture",
    "predict_parts",
    "write_results",
]
