"""Times of lists, filters, counts and what-if over many inspections in SQLite.

python benchmarks/station/history.py [--rows 1000000] [--out FILE.json]: fills a database in a temporary folder with
made-up inspections (two classes), then asks what the page asks, and prints percentiles of the
thread's own time: by the clock, other work on the machine would be measured with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "fakes"))

from inspections import add_many
from sqlalchemy import Connection, select

from trd_station import times
from trd_station.deciding import limits_for, what_if
from trd_station.store import history, shadows, versions
from trd_station.store.database import Database
from trd_station.store.filters import Filters
from trd_station.store.schema import inspection
from trd_station.store.shadows import Shadow

DAY = times.DAY


def cases(now: int) -> dict[str, Filters]:
    return {
        "all": Filters(),
        "one class": Filters((1,)),
        "rejects": Filters(decisions=(2,)),
        "invalid, rare": Filters(decisions=(3,)),
        "review and reject of a day": Filters((1,), (1, 2), since=now - DAY),
        "an hour, half a year ago": Filters((1,), since=now - 180 * DAY, until=now - 180 * DAY + times.HOUR),
        "defects": Filters(verdicts=("defect",)),
        "no verdict": Filters(verdicts=("none",)),
        "waiting for review": Filters(open=True),
        "sampled": Filters((1,), sampled=True),
        "by model": Filters(model=1),
        "one part": Filters(part="part-0123456"),
        "parts that begin with": Filters(part_prefix="part-01234"),
        "parts that begin with, all": Filters(part_prefix="part-"),
        "scores, rare": Filters((1,), score_from=5.5),
        "scores, a tenth": Filters((1,), score_from=2.3),
        "scores of accepted": Filters(decisions=(0,), score_from=1.0, score_to=1.01),
        "from a folder": Filters(origin=1),
        "rejects of a threshold, good": Filters(decisions=(2,), threshold=1, verdicts=("good",)),
    }


def add_shadow(connection: Connection, count: int) -> Shadow:
    """Of the first class, with made-up scores of its last parts."""
    shadow = shadows.begin(connection, 1, 1, 3.0, "test")
    query = select(inspection.c.id, inspection.c.score).where(
        inspection.c.class_id == 1, inspection.c.score.is_not(None)
    )
    for number, score in connection.execute(query.order_by(inspection.c.id.desc()).limit(count)).all():
        shadows.add_score(connection, shadow.id, number, score * (1.1 if number % 3 else 0.9))
    return shadow


def asked_what_if(connection: Connection) -> int:
    """The number of parts with verdicts."""
    recent = versions.recent_parts(connection, 1, 10_000)
    judged = versions.judged(connection, 1, 1)
    limits = limits_for([part.score for part in recent[:200]], 0.05, 0.1)
    what_if(limits, limits_for(limits.good_scores, 0.04, 0.08), recent, judged)
    return len(judged)


def agreement(connection: Connection, shadow: Shadow) -> int:
    """What its panel shows; the number of its parts."""
    counts = shadows.counts(connection, shadow)
    list(shadows.differing(connection, shadow, 100))
    return sum(counts.values())


def timed(repeats: int, work: Callable[[], object]) -> list[float]:
    """Milliseconds of this thread for each call."""
    values = []
    for _ in range(repeats):
        begin = time.thread_time()
        work()
        values.append(1000 * (time.thread_time() - begin))
    return values


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shadow", type=int, default=100_000, help="parts that a shadow has scored")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.db"
        database = Database(f"sqlite:///{path}")
        begin = time.monotonic()
        hours = 24 * 365.0
        database.write(lambda c: add_many(c, "biscuit", args.rows * 3 // 4, 1, hours))
        database.write(lambda c: add_many(c, "gear", args.rows // 4, 2, hours))
        shadow = database.write(lambda c: add_shadow(c, args.shadow))
        print(f"filled in {time.monotonic() - begin:.0f} s, {path.stat().st_size / args.rows:.0f} bytes a row")
        told: dict[str, dict[str, float]] = {}
        everything: list[float] = []
        with database.reading() as connection:
            for name, filters in cases(times.now()).items():
                rows, cursor = history.page(connection, filters, None, 50)
                lists = timed(args.repeats, partial(history.page, connection, filters, None, 50))
                if cursor is not None:
                    lists += timed(args.repeats, partial(history.page, connection, filters, cursor, 50))
                count = history.count(connection, filters)
                counts = timed(args.repeats, partial(history.count, connection, filters))
                told[name] = {
                    "list_p95_ms": round(percentile(lists, 0.95), 1),
                    "count_p95_ms": round(percentile(counts, 0.95), 1),
                    "count": count.count,
                    "exact": count.exact,
                    "rows": len(rows),
                }
                everything += lists + counts
                print(name, told[name])
            others = {
                "what-if over 10,000": timed(args.repeats, partial(asked_what_if, connection)),
                "a shadow's agreement": timed(args.repeats, partial(agreement, connection, shadow)),
            }
            told["rows"] = {"judged": asked_what_if(connection), "of the shadow": agreement(connection, shadow)}
        database.close()
    told |= {name: {"p95_ms": round(percentile(values, 0.95), 1)} for name, values in others.items()}
    told["all of them"] = {
        "median_ms": round(statistics.median(everything), 1),
        "p95_ms": round(percentile(everything, 0.95), 1),
    }
    for name in (*others, "rows", "all of them"):
        print(name, told[name])
    if args.out:
        args.out.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
