"""Part `station`: the whole station is killed while it collects, trains, switches models and is backed up."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from backing_up import Backing
from collecting import Collecting
from leavings import scraps, unreadable
from scenarios import Tally, last_lines
from stations import free_port
from switching import Switching
from workload import Prepared, Workload

from bench import START_LIMIT, Bench
from training import Training

WORKLOADS: dict[str, Callable[[Prepared, Tally], Workload]] = {
    "collecting": Collecting,
    "training": Training,
    "switching": Switching,
    "backup": Backing,
}
IMPORTED = ("trd_station.running", "trd_station.api.app", "trd_station.backup.restore", "trd_station.teaching.teaching",
"trd.detector", "trd.engines.pytorch.engine", "trd.export.export", "onnxruntime", "uvicorn")  # fmt: skip
ENDS_WITHIN = 10.0  # seconds in which a child ends when its station was killed
OPEN = ("log.txt", "station.db", "station.db-wal", "station.db-shm")  # appended to, or SQLite's own


def station(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """After each kill the station is started again on what it left, and asked for all that it had acknowledged."""
    wanted, rows, findings = count or 20, [], []
    for name in IMPORTED:
        importlib.import_module(name)
    prepared = Prepared.made(bench)
    cases = [name for name in WORKLOADS if bench.only in ("", name)]
    end = time.monotonic() + 60 * minutes
    for place, name in enumerate(cases):
        tally, share = Tally(), time.monotonic() + (end - time.monotonic()) / (len(cases) - place)
        starts = _kills(bench, WORKLOADS[name](prepared, tally), tally, wanted, share)
        t = tally.counts
        rows.append([name, t["kills"], t["with its children"], f"{statistics.median(starts):.1f} / {max(starts):.1f}",
                     t["acknowledged"], t["lost"], t["not whole"], t["orphans"], t["left over"],
                     t["did not go on"]])  # fmt: skip
        print(f"{name}: {dict(t)}", flush=True)
        findings += [f"{name}: {line}" for line in tally.findings]
    head = ["while", "kills", "of these with its children", "ready again: median / longest, s", "acknowledged",
            "lost", "files not whole", "orphans", "left over", "did not go on"]  # fmt: skip
    return head, rows, findings


class ForkedStation:
    """`trd serve` in a process that need not import anything. run: None for a station without a detector."""

    def __init__(self, bench: Bench, run: Path | None, data: Path) -> None:
        self._bench, port = bench, free_port()
        self.url = f"http://127.0.0.1:{port}"
        given = [str(run)] if run else []
        self._arguments = ["serve", *given, "--data", str(data), "--port", str(port), "--audit", "0.5"]
        self._pid = 0

    def start(self, ready: str) -> float:
        """Seconds until it is ready. ready: what answers then."""
        begin, log = time.monotonic(), self._bench.folder / "station.txt"
        self._pid = self._bench.forked(self._arguments, log)
        with httpx.Client(base_url=self.url) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if client.get(ready).status_code == 200:
                        return time.monotonic() - begin
                ended, _ = os.waitpid(self._pid, os.WNOHANG)
                assert not ended, last_lines(log.read_text("utf-8", "replace"))
                assert time.monotonic() < begin + START_LIMIT, "it never answers"
                time.sleep(0.05)

    def signal(self, number: int) -> None:
        os.kill(self._pid, number)

    def wait(self) -> None:
        os.waitpid(self._pid, 0)


def _kills(bench: Bench, workload: Workload, tally: Tally, wanted: int, share: float) -> list[float]:
    """Seconds of the starts."""
    shutil.rmtree(bench.out, ignore_errors=True)
    bench.out.mkdir()
    data, starts = bench.out / "station", []
    served = ForkedStation(bench, workload.run, data)
    served.start(workload.ready)
    try:
        workload.prepare(served.url, data)
        while tally.counts["kills"] < wanted and time.monotonic() < share:
            with_children = bench.rng.random() < 0.5
            workload.work(bench.rng)
            children = processes_naming(data)
            served.signal(signal.SIGKILL)
            for child in children if with_children else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            served.wait()
            killed = time.time()
            workload.pause()
            tally.counts["kills"] += 1
            tally.counts["with its children"] += with_children and bool(children)
            if left := _after(ENDS_WITHIN, lambda: processes_naming(data)):
                tally.found("orphans", f"kill {tally.counts['kills']}: {sorted(left)}")
            starts.append(served.start(workload.ready))
            _look(data, tally, killed if workload.settles else 0.0)
            workload.check()
        workload.finish()
        _look(data, tally, time.time())
    finally:
        served.signal(signal.SIGTERM)
        served.wait()
    if left := scraps(data):
        tally.found("left over", f"after the last stop: {left[:3]}")
    return starts


def _look(data: Path, tally: Tally, before: float) -> None:
    """What stands under its final name is whole, and of what was written `before` nothing temporary is left."""
    where = f"kill {tally.counts['kills']}"
    for bad in unreadable(data):
        if Path(bad.partition(":")[0]).name not in OPEN:
            tally.found("not whole", f"{where}: {bad}")
    for path in (*(data / name for name in scraps(data)), *data.rglob("incoming/*")):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                tally.found("left over", f"{where}: {path.relative_to(data)}")
                path.unlink()  # so that it is told once


def processes_naming(data: Path) -> set[int]:
    """Living processes with the station's folder in their command line."""
    numbers = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            lives = path.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if lives and str(data).encode() in path.joinpath("cmdline").read_bytes():
                numbers.add(int(path.name))
    return numbers


def _after(seconds: float, what: Callable[[], set[int]]) -> set[int]:
    """What there is still after so many seconds."""
    end = time.monotonic() + seconds
    while (left := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return left
