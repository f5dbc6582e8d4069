"""Good parts are uploaded and taken from the history, and parts are inspected and judged, at the kill."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import httpx
from workload import LAYOUT, NAME, TAUGHT, Workload


class Collecting(Workload):
    def prepare(self, url: str, data: Path) -> None:
        super().prepare(url, data)
        self.kept: list[str] = []
        self.inspections: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []
        self.asked("POST", "/v1/teaching", json={"name": NAME, "layout": LAYOUT})

    def work(self, chance: random.Random) -> None:
        self.begin(self._upload, self._inspect)
        self.await_more(self.kept)
        time.sleep(chance.uniform(0, 2))

    def _upload(self, client: httpx.Client) -> None:
        self._keep(client.post(f"{TAUGHT}/parts", files=self.other_part()))

    def _keep(self, answer: httpx.Response) -> None:
        for part in answer.json()["parts"] if answer.status_code == 201 else ():
            if part["state"] == "kept":
                self.acknowledged(self.kept, part["name"])

    def _inspect(self, client: httpx.Client) -> None:
        inspection = self.inspected(client, self.other_part())
        if inspection is None:
            return
        self.acknowledged(self.inspections, inspection)
        path = f"/v1/inspections/{inspection['id']}/verdicts"
        given = client.post(path, json={"verdict": "good"})
        if given.status_code == 201:
            self.acknowledged(self.verdicts, given.json())
        self._keep(client.post(f"{TAUGHT}/parts/from-history", json={"inspections": [inspection["id"]]}))

    def check(self) -> None:
        told = {part["name"]: part["files"] for part in self.asked("GET", f"{TAUGHT}/parts")["parts"]}
        train = Path(self.asked("GET", TAUGHT)["folder"], "train")
        for name in self.kept:
            if name not in told or not all((train / source / file).is_file() for source, file in told[name].items()):
                self.tally.found("lost", f"the good part {name}")
        stems = [{path.stem for path in (train / source).glob("*")} for source in ("rgb", "xyz")]
        if torn := stems[0] ^ stems[1]:
            self.tally.found("not whole", f"good parts that lack a file: {sorted(torn)[:3]}")
        self.compare_inspections(self.inspections[-50:])
        with self.client() as client:
            for one in self.verdicts[-50:]:
                if one not in client.get(f"/v1/inspections/{one['inspection']}/verdicts").json()["verdicts"]:
                    self.tally.found("lost", f"the verdict {one}")

    def finish(self) -> None:
        self.compare_inspections(self.inspections)
