"""Models are switched and sent as packages, while parts come in, at the kill."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
from workload import NAME, SERVED, Workload


class Switching(Workload):
    def prepare(self, url: str, data: Path) -> None:
        super().prepare(url, data)
        self.inspections: list[dict[str, Any]] = []
        self.serving: list[int] = []  # by each answer
        shutil.copytree(self.parts.other / NAME, data / "models" / "second")
        self.models = [self.asked("GET", SERVED)["model"]["id"]]
        self.models.append(self.asked("POST", f"{SERVED}/models", json={"name": "second"})["id"])
        self.package = self.parts.package.read_bytes()
        self.scores: dict[tuple[str, int], float] = {}

    def work(self, chance: random.Random) -> None:
        self.asking: list[int] = []  # since this start: what a switch asked for that may have been done or not
        self.begin(self._switch, self._inspect, self._send)
        self.await_more(self.serving, chance.randint(1, 4))
        time.sleep(chance.uniform(0, 1))

    def _switch(self, client: httpx.Client) -> None:
        wanted = self.models[len(self.serving) % 2]
        self.asking.append(wanted)
        answer = client.post(f"/v1/models/{wanted}/switch", json={"reason": "to see"})
        if answer.status_code == 200:
            self.acknowledged(self.serving, answer.json()["id"])

    def _inspect(self, client: httpx.Client) -> None:
        inspection = self.inspected(client, self.parts.good(f"{next(self._numbers) % 6:03d}"))
        if inspection is not None:
            self.acknowledged(self.inspections, inspection)

    def _send(self, client: httpx.Client) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        client.post(f"{SERVED}/models/package", content=self.package, headers=headers)

    def check(self) -> None:
        now = self.asked("GET", SERVED)["model"]["id"]
        if now not in (self.serving[-1], self.asking[-1]):
            self.tally.found("lost", f"model {now} serves; {self.serving[-1]} was told, {self.asking[-1]} asked for")
        self.compare_inspections(self.inspections[-50:])
        for one in self.inspections:
            score = self.scores.setdefault((one["part"], one["model"]), one["score"])
            if score != one["score"]:
                self.tally.found("did not go on", f"{one['part']} by model {one['model']}: {score}, {one['score']}")

    def finish(self) -> None:
        self.compare_inspections(self.inspections)
