"""Many inspections for a station's database, made up."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from trd_station import times
from trd_station.deciding import Limits
from trd_station.store import history, versions
from trd_station.store.filters import Filters
from trd_station.store.schema import DECISIONS, inspection
from trd_station.store.versions import ModelVersion, ThresholdVersion

FACTS: dict[str, Any] = {
    "floors": {"fused": 0.0, "rgb": 0.0},
    "clouds": [],
    "sources": ["rgb"],
    "modalities": {"rgb": "rgb"},
    "frame": {"sensor": [64, 64], "window": [0, 0, 64, 64], "size": [64, 64]},
}
MEASURES = {"brightness rgb": 0.41234, "contrast rgb": 0.1034, "measured": 0.9712, "plane": 0.40012, "tilt": 0.00201}
TIMINGS = {"wait_ms": 1.2, "decode_ms": 20.1, "prepare_ms": 30.4, "model_ms": 55.1, "total_ms": 110.3}


def add_class(connection: Connection, name: str) -> tuple[int, int, int]:
    """Identifiers of a class, a model and its threshold."""
    number = versions.class_id(connection, name)
    version = ModelVersion(number, "m", "/m", "0" * 16, "1" * 16, FACTS, "serving", "test")
    model = versions.save_model(connection, version)
    limits = Limits(2.0, 3.0, tuple(np.linspace(0, 3.5, 40).tolist()))
    threshold = versions.add_threshold(connection, ThresholdVersion(number, model, limits, "training", "test", "first"))
    return number, model, threshold.id


def add_many(
    connection: Connection, name: str, count: int, seed: int = 0, hours: float = 100.0, chunk: int = 20_000
) -> None:
    """`count` inspections of a class, evenly over the last hours: 6 % flagged, 1 % sampled, some judged."""
    class_id, model, threshold = add_class(connection, name)
    rng = np.random.default_rng(seed)
    begin, step = times.now() - round(hours * times.HOUR), hours * times.HOUR / count
    for first in range(0, count, chunk):
        size = min(chunk, count - first)
        scores = rng.gamma(4.0, 0.35, size)
        decisions = (scores > 2.0).astype(int) + (scores > 3.0)
        invalid, sampled = rng.random(size) < 0.002, rng.random(size) < 0.01
        judged = rng.random(size) < 0.5
        rows = []
        for i in range(size):
            decision = DECISIONS.index("invalid") if invalid[i] else int(decisions[i])
            scored = not invalid[i]
            queue = None
            if scored and (decision == 1 or sampled[i]):
                queue = "review" if decision == 1 else "audit"
            verdict = None
            if queue and judged[i]:
                verdict = "defect" if scores[i] > 2.6 else "good"
            rows.append(
                {
                    "uid": f"{first + i:016x}",
                    "class_id": class_id,
                    "part": f"part-{first + i:07d}",
                    "at": begin + round((first + i) * step),
                    "origin": 0 if i % 50 else 1,
                    "decision": decision,
                    "reason": "cannot be read" if invalid[i] else None,
                    "score": float(scores[i]) if scored else None,
                    "p_value": 0.5 if scored else None,
                    "peak_row": 100,
                    "peak_column": 120,
                    "region": None,
                    "kind_suggestion": None,
                    "pixel_threshold": 2.1,
                    "share": {"rgb": 0.7123, "normals": 0.2877},
                    "notes": None,
                    "measures": MEASURES,
                    "timings": TIMINGS,
                    "files": {"day": "20261125", "maps": ["0" * 16, ".npy", 1_000_000]},
                    "height": 64,
                    "width": 64,
                    "model_id": model,
                    "threshold_id": threshold,
                    "sampled": bool(sampled[i]),
                    "queue": queue,
                    "verdict": verdict,
                    "verdict_kind": "chip" if verdict == "defect" else None,
                    "bytes": 1_000_000,
                    "pruned": False,
                }
            )
        connection.execute(insert(inspection), rows)
        _count(connection, rows)


def _count(connection: Connection, rows: list[dict[str, Any]]) -> None:
    counts: dict[tuple[int, int, int], int] = {}
    for row in rows:
        key = row["class_id"], row["at"] // times.HOUR, row["decision"]
        counts[key] = counts.get(key, 0) + 1
    for (class_id, hour, decision), number in counts.items():
        history.count_up(connection, class_id, hour, decision, number)


FILTERS = [
    Filters(),
    Filters(decisions=(2,)),
    Filters((2,), decisions=(1, 2)),
    Filters(verdicts=("good", "defect")),
    Filters(verdicts=("none",), queues=("review",)),
    Filters(open=True),
    Filters((1,), sampled=True),
    Filters(sampled=False, decisions=(3,)),
    Filters(part="part-0000123"),
    Filters(part_prefix="part-00009"),  # behind 9 comes a colon, which languages sort before it
    Filters(part_prefix="part-"),
    Filters(origin=1),
    Filters(origin=0, decisions=(0,)),
    Filters(model=2, score_from=2.0),
    Filters(score_from=1.0, score_to=1.1),
    Filters(score_from=0.0, queues=("audit", "review")),
    Filters((1,), score_to=0.3, threshold=1),
]


def holds(row, filters: Filters) -> bool:
    return all(
        (
            not filters.classes or row["class_id"] in filters.classes,
            not filters.decisions or row["decision"] in filters.decisions,
            not filters.verdicts or (row["verdict"] or "none") in filters.verdicts,
            not filters.queues or row["queue"] in filters.queues,
            not filters.open or (row["queue"] is not None and row["verdict"] is None),
            filters.sampled is None or row["sampled"] == filters.sampled,
            filters.part is None or row["part"] == filters.part,
            filters.part_prefix is None or row["part"].startswith(filters.part_prefix),
            filters.model is None or row["model_id"] == filters.model,
            filters.threshold is None or row["threshold_id"] == filters.threshold,
            filters.origin is None or row["origin"] == filters.origin,
            filters.since is None or row["at"] >= filters.since,
            filters.until is None or row["at"] < filters.until,
            filters.score_from is None or (row["score"] is not None and row["score"] >= filters.score_from),
            filters.score_to is None or (row["score"] is not None and row["score"] <= filters.score_to),
        )
    )
