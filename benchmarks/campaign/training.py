"""A first detector or a network is trained at the kill."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from scenarios import Tally
from workload import LAYOUT, NAME, QUICK, TAUGHT, Prepared, Workload

from bench import TINY

ENDED = ("done", "failed", "cancelled")
JOBS: tuple[dict[str, Any], ...] = (
    {"kind": "train", "recipe": "patch-statistics", "settings": QUICK},
    {"kind": "train", "step": "network", "recipe": "lite-residual", "settings": (*TINY, "student.blocks=[1, 1, 1]")},
)


class Training(Workload):
    ready = "/healthz"

    settles = False

    def __init__(self, prepared: Prepared, tally: Tally) -> None:
        super().__init__(prepared, tally)
        self.run = None

    def prepare(self, url: str, data: Path) -> None:
        super().prepare(url, data)
        self.jobs: list[int] = []
        self.asked("POST", "/v1/teaching", json={"name": NAME, "layout": LAYOUT})
        for number in range(6):
            self.asked("POST", f"{TAUGHT}/parts", files=self.parts.good(f"{number:03d}"))
        begin = time.monotonic()
        for job in JOBS:  # these are not interrupted: the others must become the same
            self._ask(job)
            self._wait()
        self.seconds = (time.monotonic() - begin) / len(JOBS)

    def _ask(self, job: dict[str, Any]) -> None:
        told = self.asked("POST", f"{TAUGHT}/jobs", json=job)
        self.acknowledged(self.jobs, told["id"])

    def work(self, chance: random.Random) -> None:
        if not self._unfinished():
            self._ask(JOBS[len(self.jobs) % len(JOBS)])
        time.sleep(chance.uniform(0, 1.2 * self.seconds))

    def _unfinished(self) -> list[int]:
        return [job["id"] for job in self.asked("GET", f"{TAUGHT}/jobs")["jobs"] if job["state"] not in ENDED]

    def check(self) -> None:
        told = {job["id"]: job for job in self.asked("GET", f"{TAUGHT}/jobs")["jobs"]}
        for number in self.jobs:
            if number not in told:
                self.tally.found("lost", f"the job {number}")
            elif told[number]["state"] not in ("waiting", "running", "done"):
                self.tally.found("did not go on", f"the job {number} {told[number]['state']}: {told[number]['error']}")
        for job in told.values():
            if job["model"] and not (self.data / "models" / job["model"] / "recipe.toml").is_file():
                self.tally.found("lost", f"the model {job['model']}")

    def finish(self) -> None:
        self._wait()
        self.check()
        contents: dict[str, dict[bytes, str]] = defaultdict(dict)
        for folder in sorted((self.data / "models").iterdir()):
            weights = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.safetensors")))
            contents[folder.name.rpartition("-")[0]][weights] = folder.name
        for recipe, kinds in contents.items():
            if len(kinds) > 1:
                self.tally.found("did not go on", f"{recipe} became another one: {sorted(kinds.values())}")
        if len(list((self.data / "models").iterdir())) != len(self.jobs):
            self.tally.found("lost", f"of {len(self.jobs)} jobs there are {len(contents)} models")

    def _wait(self) -> None:
        end = time.monotonic() + 300
        while self._unfinished():
            assert time.monotonic() < end, "the jobs do not end"
            time.sleep(0.2)
