"""What a station is doing when it is killed, and what it has acknowledged by then."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from scenarios import Tally

from bench import ROOT, Bench

sys.path.insert(0, str(ROOT / "tests/fakes"))

from stations import Upload, until, upload

NAME = "biscuit"
TAUGHT, SERVED = f"/v1/teaching/{NAME}", f"/v1/classes/{NAME}"
QUICK = ("frame.size=64", "scoring.stand_ins=false")
LAYOUT = "colour and 3D"


@dataclass(frozen=True)
class Prepared:
    """Drawn parts, two detectors of them, and the second one's package."""

    parts: Path
    run: Path
    other: Path
    package: Path

    @classmethod
    def made(cls, bench: Bench) -> Prepared:
        from trd.data.demo import draw_demo

        drawn, package = bench.folder / "drawn", bench.folder / "second.trdm"
        draw_demo(drawn, seed=1, train=6, validation=4, good=2, per_kind=1)
        runs = bench.folder / "run", bench.folder / "other"
        train = ["train", "--data", str(drawn), "--recipe", "patch-statistics", "--set", "scoring.stand_ins=false"]
        for run, size in zip(runs, (64, 96), strict=True):
            _done(bench, [*train, "--set", f"frame.size={size}", "--out", str(run)])
        _done(bench, ["export", str(runs[1]), "--runtime", "onnx", "--out", str(package)])
        return cls(drawn / NAME, *runs, package)

    def good(self, stem: str = "000") -> Upload:
        return upload(self.parts / "train/good", stem)


class Workload(ABC):
    """`prepare` once, `work` up to a kill in the middle of it, `check` after the next start, `finish` at the end.

    ready: what answers when the station has started. settles: then nothing of the work before goes on.
    """

    ready, settles = "/readyz", True

    def __init__(self, prepared: Prepared, tally: Tally) -> None:
        self.parts, self.tally = prepared, tally
        self.run: Path | None = prepared.run
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._pausing = threading.Event()

    def prepare(self, url: str, data: Path) -> None:
        self.url, self.data = url, data

    @abstractmethod
    def work(self, chance: random.Random) -> None: ...

    @abstractmethod
    def check(self) -> None: ...

    @abstractmethod
    def finish(self) -> None: ...

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120)

    def asked(self, method: str, path: str, **given: Any) -> Any:
        with self.client() as client:
            answer = client.request(method, path, **given)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def begin(self, *tasks: Callable[[httpx.Client], None]) -> None:
        """Each again and again in a thread of its own, until the station is killed."""
        self._pausing.clear()

        def again(task: Callable[[httpx.Client], None]) -> None:
            with self.client() as client, contextlib.suppress(httpx.TransportError):
                while not self._pausing.is_set():
                    task(client)

        self._threads = [threading.Thread(target=again, args=(task,)) for task in tasks]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        self._pausing.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self, answers: list[Any], answer: Any) -> None:
        answers.append(answer)
        self.tally.counts["acknowledged"] += 1

    def other_part(self) -> Upload:
        """Never the same: a byte differs behind the picture's end, where no reader looks."""
        (name, (file, rgb)), xyz = self.parts.good()
        return [(name, (file, rgb + b"%d" % next(self._numbers))), xyz]

    def inspected(self, client: httpx.Client, form: Upload) -> dict[str, Any] | None:
        answer = client.post(f"{SERVED}/inspections", files=form)
        return answer.json()["inspections"][0] if answer.status_code == 201 else None

    def compare_inspections(self, inspections: list[dict[str, Any]]) -> None:
        """Those that were answered are there as they were told."""
        with self.client() as client:
            for one in inspections:
                told = client.get(f"/v1/inspections/{one['id']}").json()
                names = ("uid", "part", "score", "decision", "model")
                if any(told.get(name) != one.get(name) for name in names):
                    self.tally.found("lost", f"inspection {one['id']} is {told}")

    def await_more(self, answers: list[Any], more: int = 1) -> None:
        count = len(answers) + more
        until(lambda: len(answers) >= count, 120)


def _done(bench: Bench, arguments: list[str]) -> None:
    ended = bench.start(arguments)
    assert ended.code == 0, ended.text
