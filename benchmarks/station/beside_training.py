"""Inspections while a class is trained: latency against an idle station, and twice the capacity until the job ends.

python benchmarks/station/beside_training.py RUN PARTS [--rounds 4] [--seconds 25] [--out FILE.json]

RUN holds one class of colour, or of colour and 3D; PARTS is a folder of its parts, a folder per source, which are also
taught as another class. Rounds at 70 % of the measured capacity, alone and beside a training network, take turns; then
a job that ends is begun, and twice the capacity is sent until it has, at least until the queue is full.

The exit status is 1 where the 99th percentile beside the training is more than three times that alone, an answer is
neither 201 nor 429, a part is lost, a score is another one than `Detector.predict`'s, or the job fails.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from load import CLIENTS, Bench, at_rate, served, share

BAR = 3.0  # 99th percentile beside a training / alone
TAUGHT = "/v1/teaching/beside"
WAITING = 64  # parts, by default
ENDED = ("done", "failed", "cancelled")
START_LIMIT, JOB_LIMIT = 300, 900  # seconds until a job computes, and until it has ended


class Teaching:
    """A class with the bench's parts, and jobs for it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        clouds = bench.detector.recipe.point_cloud_sources
        layout = "colour and 3D" if clouds else "colour"
        self._asked("POST", "/v1/teaching", json={"name": "beside", "layout": layout})
        for form in bench.forms.values():
            self._asked("POST", f"{TAUGHT}/parts", files=form)

    def _asked(self, method: str, path: str, **given: Any) -> Any:
        answer = self._bench.client.request(method, f"{self._bench.url}{path}", **given)
        answer.raise_for_status()
        return answer.json()

    def begin(self, recipe: str, settings: list[str]) -> int:
        """A job, when its process computes."""
        job = {"kind": "train", "step": "network", "recipe": recipe, "settings": settings}
        number = int(self._asked("POST", f"{TAUGHT}/jobs", json=job)["id"])
        self._until(number, START_LIMIT, lambda told: told["stage"] is not None or told["state"] in ENDED)
        return number

    def cancel(self, number: int) -> None:
        self._asked("POST", f"/v1/jobs/{number}/cancel")

    def state(self, number: int) -> str:
        return str(self._asked("GET", f"/v1/jobs/{number}")["state"])

    def ended(self, number: int) -> dict[str, Any]:
        return self._until(number, JOB_LIMIT, lambda told: told["state"] in ENDED)

    def _until(self, number: int, seconds: float, reached: Any) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not reached(told := self._asked("GET", f"/v1/jobs/{number}")):
            assert time.monotonic() < end, f"job {number} is {told['state']} for more than {seconds} s: {told['log']}"
            time.sleep(0.2)
        return dict(told)


def capacity(bench: Bench, seconds: float) -> float:
    """Parts a second that 16 clients get decided."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(bench.send, bench.names))  # warm
        begin, count = time.monotonic(), 0
        while time.monotonic() < begin + seconds:
            answers = list(pool.map(bench.send, [bench.names[n % len(bench.names)] for n in range(2 * CLIENTS)]))
            assert {status for status, _ in answers} == {201}
            count += len(answers)
        return count / (time.monotonic() - begin)


def beside(bench: Bench, teaching: Teaching, args: argparse.Namespace, rate: float) -> dict[str, Any]:
    """Latencies alone and beside a training, in turns."""
    alone: list[float] = []
    trained: list[float] = []
    status: Counter[int] = Counter()
    rounds = []
    for _ in range(args.rounds):
        codes, latencies = at_rate(bench.send, bench.names, rate, args.seconds)
        status += codes
        alone += latencies
        number = teaching.begin(args.recipe, [*args.set, f"training.epochs={args.epochs}"])
        codes, during = at_rate(bench.send, bench.names, rate, args.seconds)
        assert teaching.state(number) == "running", "the job ended before the round did: give more --epochs"
        teaching.cancel(number)
        teaching.ended(number)
        status += codes
        trained += during
        rounds.append([round(1000 * share(values, 0.99)) for values in (latencies, during)])
        print("99th percentile alone, beside a training, ms:", *rounds[-1], flush=True)
    tails = [share(values, 0.99) for values in (alone, trained)]
    return {
        "per_second": round(rate, 2),
        "parts": [len(alone), len(trained)],
        "status": dict(status),
        "median_ms": [round(1000 * statistics.median(values)) for values in (alone, trained)],
        "p99_ms": [round(1000 * tail) for tail in tails],
        "rounds_p99_ms": rounds,
        "ratio": round(tails[1] / tails[0], 2),
    }


def overload(bench: Bench, teaching: Teaching, args: argparse.Namespace, rate: float) -> dict[str, Any]:
    """Twice the capacity for as long as a job trains."""
    before, begin = bench.stored(), time.monotonic()
    number = teaching.begin(args.recipe, [*args.set, f"training.epochs={args.short}"])
    status: Counter[int] = Counter()
    while teaching.state(number) not in ENDED and time.monotonic() < begin + JOB_LIMIT:
        codes, _ = at_rate(bench.send, bench.names, rate, 10 + 2 * WAITING / rate)  # long enough to fill the queue
        status += codes
    job = teaching.ended(number)
    return {
        "per_second": round(rate, 2),
        "seconds": round(time.monotonic() - begin),
        "status": dict(status),
        "lost": status[201] - (bench.stored() - before),
        "job": job["state"],
        "error": job["error"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("parts", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=25.0, help="of a round, alone and beside a training")
    parser.add_argument("--recipe", default="lite-residual", help="that is trained")
    parser.add_argument("--set", action="append", default=[], help="as of `trd train`")
    parser.add_argument("--epochs", type=int, default=5000, help="of trainings that are cancelled after a round")
    parser.add_argument("--short", type=int, default=2, help="epochs of the training that ends")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    bench = Bench(args.run, args.parts, 0)
    with tempfile.TemporaryDirectory() as folder:
        process, bench.url = served(args.run, Path(folder), "--keep-gb", "2")
        try:
            bench.class_name = bench.client.get(f"{bench.url}/v1/classes").json()["classes"][0]["name"]
            teaching = Teaching(bench)
            full = capacity(bench, min(15.0, args.seconds))
            told: dict[str, Any] = {"capacity": round(full, 2)}
            told["beside_training"] = beside(bench, teaching, args, 0.7 * full)
            print(told, flush=True)
            told["twice_the_capacity"] = overload(bench, teaching, args, 2 * full)
            told["compared"] = dict(bench.answers)
            print(told["twice_the_capacity"], told["compared"])
        finally:
            process.terminate()
            process.wait()
    if args.out:
        args.out.write_text(json.dumps(told, indent=1))
    at_70, twice = told["beside_training"], told["twice_the_capacity"]
    print(f"99th percentile beside a training / alone: {at_70['ratio']} (bar {BAR:g})")
    sound = set(at_70["status"]) == {201} and set(twice["status"]) <= {201, 429} and twice["lost"] == 0
    same = not bench.answers["other score"] and not bench.answers["mixed up"]
    raise SystemExit(not (sound and same and twice["job"] == "done" and at_70["ratio"] <= BAR))


if __name__ == "__main__":
    main()
