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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "fakes"))

from inspections import add_many

from trd_station import times
from trd_station.deciding import limits_for, what_if
from trd_station.store import history, versions
from trd_station.store.database import Database
from trd_station.store.filters import Filters

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


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
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
        print(f"filled in {time.monotonic() - begin:.0f} s, {path.stat().st_size / args.rows:.0f} bytes a row")
        told: dict[str, dict[str, float]] = {}
        everything: list[float] = []
        with database.reading() as connection:
            for name, filters in cases(times.now()).items():
                lists, counts = [], []
                for _ in range(args.repeats):
                    begin = time.thread_time()
                    rows, cursor = history.page(connection, filters, None, 50)
                    lists.append(1000 * (time.thread_time() - begin))
                    if cursor is not None:
                        begin = time.thread_time()
                        history.page(connection, filters, cursor, 50)
                        lists.append(1000 * (time.thread_time() - begin))
                    begin = time.thread_time()
                    count = history.count(connection, filters)
                    counts.append(1000 * (time.thread_time() - begin))
                told[name] = {
                    "list_p95_ms": round(percentile(lists, 0.95), 1),
                    "count_p95_ms": round(percentile(counts, 0.95), 1),
                    "count": count.count,
                    "exact": count.exact,
                    "rows": len(rows),
                }
                everything += lists + counts
                print(name, told[name])
            what = []
            for _ in range(args.repeats):
                begin = time.thread_time()
                scores = versions.recent_scores(connection, 1, 10_000)
                judged = versions.judged(connection, 1, 1)
                limits = limits_for(scores[:200].tolist(), 0.05, 0.1)
                what_if(limits, limits_for(limits.good_scores, 0.04, 0.08), scores, judged)
                what.append(1000 * (time.thread_time() - begin))
        database.close()
    told["what-if over 10,000"] = {"p95_ms": round(percentile(what, 0.95), 1), "judged": len(judged)}
    told["all of them"] = {
        "median_ms": round(statistics.median(everything), 1),
        "p95_ms": round(percentile(everything, 0.95), 1),
    }
    print(told["what-if over 10,000"], told["all of them"])
    if args.out:
        args.out.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
