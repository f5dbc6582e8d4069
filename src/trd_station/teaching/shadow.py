"""A model beside the one that serves: it scores the same parts, in a process of its own, and decides nothing."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trd.errors import DataError
from trd_station.teaching.process import started
from trd_station.teaching.trial import JudgedPart

WAITING = 32  # parts; where more come than it can score, some are left out
MODULE = "trd_station.teaching.shadow_worker"


class ShadowProcess:
    """scored: called with an inspection's id and its score. ended: with a reason, where the process ended by itself.

    Raises DataError where the model cannot be loaded.
    """

    def __init__(
        self, model: Path, log: Path, scored: Callable[[int, float], None], ended: Callable[[str], None]
    ) -> None:
        self._scored, self._ended = scored, ended
        self._parts: queue.Queue[JudgedPart | None] = queue.Queue(WAITING)
        self._stopping = False
        self.skipped = 0  # since this process began
        with log.open("wb") as file:
            self._process: subprocess.Popen[str] = started(MODULE, str(model), file)
        first = self._heard() or {"error": f"its process ended; {log} has more"}
        if "error" in first:
            self._process.kill()
            self._process.communicate()
            raise DataError(f"the model cannot be loaded: {first['error']}")
        self.reject_above = float(str(first["reject_above"]))
        self._thread = threading.Thread(target=self._run, name="station-shadow", daemon=True)
        self._thread.start()

    def _heard(self) -> dict[str, object] | None:
        line = self._process.stdout.readline() if self._process.stdout else ""
        values: dict[str, object] | None = json.loads(line) if line else None
        return values

    def offer(self, part: JudgedPart) -> None:
        try:
            self._parts.put_nowait(part)
        except queue.Full:
            self.skipped += 1

    def stop(self) -> None:
        self._stopping = True
        self._process.kill()
        with contextlib.suppress(queue.Full):
            self._parts.put_nowait(None)
        self._thread.join()

    def _run(self) -> None:
        with self._process as process:
            while not self._stopping and (part := self._parts.get()) is not None:
                with contextlib.suppress(OSError):
                    assert process.stdin is not None
                    process.stdin.write(json.dumps(asdict(part)) + "\n")
                    process.stdin.flush()
                answer = self._heard()
                if answer is None:
                    break
                if answer["score"] is None:
                    self.skipped += 1
                else:
                    self._scored(part.id, float(str(answer["score"])))
            process.kill()
        if not self._stopping:
            self._ended(f"its process ended with code {process.returncode}")
