"""A served detector under load, over loopback: throughput beside `trd predict`, latency, overload, memory.

python benchmarks/station/load.py RUN PARTS [--rounds 3] [--seconds 60] [--overload 600] [--out FILE.json]

RUN holds one class; PARTS is a folder of its parts, a folder per source. Rounds of what `trd predict` does (scores and
heat-map pictures, in this process) and of the service take turns. Every score is compared with `Detector.predict`'s.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx

from trd.data.listing import camera_near, list_unlabelled
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.predictions import Output, part_outcomes, part_results, write_results

CLIENTS = 16


def served(run: Path, data: Path, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trd", "serve", str(run), "--data", str(data), "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return process, url
        except httpx.TransportError:
            time.sleep(0.1)


def memory_mb(process: subprocess.Popen[bytes]) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Of all threads of a process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Round:
    parts: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return round(self.parts / self.seconds, 2)

    @property
    def cpu_ms(self) -> float:
        """Of a part: other work on the machine does not count."""
        return round(1000 * self.cpu / self.parts, 1)


class Bench:
    """A served detector, the same one in this process, and what was answered so far."""

    def __init__(self, run: Path, parts: Path, count: int) -> None:
        self.detector = Detector.load(run, "cpu")
        clouds = self.detector.recipe.point_cloud_sources
        files = list_unlabelled(parts, self.detector.recipe.sources, clouds)
        camera = camera_near(files, clouds, self.detector.facts.camera)
        self.load = partial(load_sample, clouds=clouds, camera=camera)
        self.expected = {one.id: self.detector.predict(self.load(one)).score for one in files}
        self.names = list(self.expected)
        self.round_of = [files[number % len(files)] for number in range(count)]
        self.forms = {
            one.id: [(source, (path.name, path.read_bytes())) for source, path in one.sources.items()] for one in files
        }
        self.answers: Counter[str] = Counter()
        self.client = httpx.Client(timeout=120)
        self.url = self.class_name = ""

    def send(self, name: str) -> tuple[int, float]:
        begin = time.monotonic()
        url = f"{self.url}/v1/classes/{self.class_name}/inspections"
        answer = self.client.post(url, files=self.forms[name], data={"part": name})
        if answer.status_code == 201:
            (one,) = answer.json()["inspections"]
            self.answers["compared"] += 1
            self.answers["mixed up"] += one["part"] != name
            self.answers["other score"] += one["score"] != self.expected[name]
        return answer.status_code, time.monotonic() - begin

    def throughput(self, rounds: int, process: subprocess.Popen[bytes]) -> tuple[list[Round], list[Round]]:
        """Of the library and of the service, in turns."""
        library, service = [], []
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda one: self.send(one.id), self.round_of[:32]))
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as out:
                    named = [replace(one, id=f"{n}-{one.id}") for n, one in enumerate(self.round_of)]
                    begin, cpu = time.monotonic(), time.process_time()
                    output = Output(Path(out))
                    outcomes = part_outcomes(self.detector, named, self.load)
                    results = part_results(self.detector, outcomes, output)
                    count = write_results(lambda _, results=results: results, output).scored
                    library.append(Round(count, time.monotonic() - begin, time.process_time() - cpu))
                begin, cpu = time.monotonic(), cpu_seconds(process)
                done = list(pool.map(lambda one: self.send(one.id), self.round_of))
                service.append(Round(count, time.monotonic() - begin, cpu_seconds(process) - cpu))
                assert {status for status, _ in done} == {201}
        return library, service

    def stored(self) -> int:
        return int(self.client.get(f"{self.url}/v1/inspections/count").json()["count"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("parts", type=Path)
    parser.add_argument("--count", type=int, default=96, help="parts of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="at 70 %% of the throughput")
    parser.add_argument("--overload", type=float, default=60.0, help="seconds at twice the throughput")
    parser.add_argument("--batch", type=int, default=1, help="of the service")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    bench = Bench(args.run, args.parts, args.count)
    told: dict[str, object] = {"parts_of_a_round": args.count, "batch": args.batch}
    with tempfile.TemporaryDirectory() as folder:
        process, bench.url = served(args.run, Path(folder), "--keep-gb", "2", "--batch", str(args.batch))
        try:
            bench.class_name = bench.client.get(f"{bench.url}/v1/classes").json()["classes"][0]["name"]
            library, service = bench.throughput(args.rounds, process)
            told["predict"] = {"per_second": [r.per_second for r in library], "cpu_ms": [r.cpu_ms for r in library]}
            told["service"] = {"per_second": [r.per_second for r in service], "cpu_ms": [r.cpu_ms for r in service]}
            told["cpu_predict_over_service"] = round(min(r.cpu for r in library) / min(r.cpu for r in service), 3)
            print(told, flush=True)
            rate = 0.7 * statistics.median(r.per_second for r in service)
            status, latencies = at_rate(bench.send, bench.names, rate, args.seconds)
            middle, last = statistics.median(latencies), share(latencies, 0.99)
            told["at_70_percent"] = {
                "per_second": round(rate, 2),
                "status": dict(status),
                "median_ms": round(1000 * middle),
                "p99_ms": round(1000 * last),
                "p99_over_median": round(last / middle, 2),
            }
            print(told["at_70_percent"], flush=True)
            before, warm = bench.stored(), memory_mb(process)
            rate = 2 * statistics.median(r.per_second for r in service)
            status, latencies = at_rate(bench.send, bench.names, rate, args.overload)
            told["overload"] = {
                "seconds": args.overload,
                "per_second": round(rate, 2),
                "status": dict(status),
                "stored": bench.stored() - before,
                "memory_mb_before": round(warm),
                "memory_mb_after": round(memory_mb(process)),
            }
            told["compared"] = dict(bench.answers)
            print(told["overload"], told["compared"])
        finally:
            process.terminate()
            process.wait()
    if args.out:
        args.out.write_text(json.dumps(told, indent=1))


def at_rate(
    send: Callable[[str], tuple[int, float]], names: list[str], rate: float, seconds: float
) -> tuple[Counter[int], list[float]]:
    """Requests begun at even intervals, whether or not those before were answered; latencies of those that were 201."""
    status: Counter[int] = Counter()
    latencies: list[float] = []
    lock = threading.Lock()

    def one(name: str) -> None:
        code, took = send(name)
        with lock:
            status[code] += 1
            if code == 201:
                latencies.append(took)

    with ThreadPoolExecutor(256) as pool:
        begin = time.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
            pool.submit(one, names[number % len(names)])
    return status, latencies


if __name__ == "__main__":
    main()
