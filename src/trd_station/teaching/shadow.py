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
    """Loads the model from the beginning on, and scores from `start` on; parts that come before wait, too."""

    def __init__(self, model: Path, log: Path) -> None:
        self._parts: queue.Queue[JudgedPart | None] = queue.Queue(WAITING)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.skipped = 0  # since this process began
        with log.open("wb") as file:
            self._process: subprocess.Popen[str] = started(MODULE, str(model), file)
        self._log, self._is_loaded = log, False

    def loaded(self) -> float:
        """The model's own limit, when it is loaded. Raises DataError where it cannot be."""
        first = self._heard() or {"error": f"its process ended; {self._log} has more"}
        if "error" in first:
            self._let_go()
            raise DataError(f"the model cannot be loaded: {first['error']}")
        self._is_loaded = True
        return float(str(first["reject_above"]))

    def start(self, scored: Callable[[int, float], None], ended: Callable[[str], None]) -> None:
        """scored: called with an inspection's id and its score. ended: with a reason, where the process ended by
        itself or the model cannot be loaded."""
        self._thread = threading.Thread(target=self._run, args=(scored, ended), name="station-shadow", daemon=True)
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
        if self._thread is None:
            self._let_go()
        else:
            self._thread.join()

    def _let_go(self) -> None:
        self._process.kill()
        with contextlib.suppress(OSError), self._process:  # closing sends once more what could not be sent
            pass

    def _run(self, scored: Callable[[int, float], None], ended: Callable[[str], None]) -> None:
        try:
            if not self._is_loaded:
                self.loaded()
        except DataError as error:
            if not self._stopping:
                ended(str(error))
            return
        while not self._stopping and (part := self._parts.get()) is not None:
            with contextlib.suppress(OSError):
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(asdict(part)) + "\n")
                self._process.stdin.flush()
            answer = self._heard()
            if answer is None:
                break
            if answer["score"] is None:
                self.skipped += 1
            else:
                scored(part.id, float(str(answer["score"])))
        self._let_go()
        if not self._stopping:
            ended(f"its process ended with code {self._process.returncode}")
