"""An archive is downloaded and another one written by the command, while parts come in, at the kill."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
from collecting import Collecting
from leavings import SCRAP
from workload import TAUGHT


class Backing(Collecting):
    def prepare(self, url: str, data: Path) -> None:
        super().prepare(url, data)
        self.archives = data.parent / "archives"
        self.archives.mkdir()
        self.known: dict[Path, set[str]] = {}  # archive -> good parts that had been acknowledged before
        self.command: subprocess.Popen[bytes] | None = None

    def work(self, chance: random.Random) -> None:
        self.begin(self._upload, self._inspect, self._download)
        self.await_more(self.kept)
        if chance.random() < 0.5:
            self.command = self._written()
            time.sleep(chance.uniform(0, 8))  # it imports for the first of these
        else:
            time.sleep(chance.uniform(0, 2))

    def _next(self) -> Path:
        path = self.archives / f"{next(self._numbers)}.zip"
        self.known[path] = set(self.kept)
        return path

    def _download(self, client: httpx.Client) -> None:
        path = self._next()
        with client.stream("GET", "/v1/backup.zip") as answer, path.open("wb") as file:
            if answer.status_code == 200:
                for block in answer.iter_bytes():
                    file.write(block)
                self.acknowledged([], path)

    def _written(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "trd", "station", "backup", str(self.data), "--out", str(self._next())]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)

    def pause(self) -> None:
        super().pause()
        if self.command is not None:
            self.command.kill()
            self.command.wait()
            self.command = None

    def check(self) -> None:
        """Every archive is whole with all parts that had been acknowledged, or refused."""
        super().check()
        if (self.data / "backing-up").exists():
            self.tally.found("left over", "the folder backing-up")
        for path in sorted(self.archives.iterdir()):
            if not SCRAP.match(path.name):
                self._read(path)
            path.unlink()

    def _read(self, path: Path) -> None:
        from trd.errors import DataError
        from trd_station.backup.restore import restore

        place = self.archives.with_name("restored")
        try:
            restore(path, place)
        except DataError:
            self.tally.counts["refused"] += 1
            return
        finally:
            names = {source: {one.stem for one in (place / TRAIN / source).glob("*")} for source in ("rgb", "xyz")}
            shutil.rmtree(place, ignore_errors=True)
        self.tally.counts["restored"] += 1
        if names["rgb"] != names["xyz"] or not self.known[path] <= names["rgb"]:
            self.tally.found("lost", f"{path.name} lacks {sorted(self.known[path] - names['rgb'])[:3]}")


TRAIN = TAUGHT.replace("/v1/teaching", "teach") + "/parts/train"
