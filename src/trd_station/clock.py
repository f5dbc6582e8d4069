"""What a station does now and then, whatever comes in."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger("trd")


@dataclass(frozen=True)
class Periodic:
    """every: seconds."""

    every: float
    do: Callable[[], object]


class Clock:
    """Does each of `tasks` as often as it says, but not more often than every `step` seconds, until `ending` is set.

    What fails is logged, and the others go on.
    """

    def __init__(self, step: float, tasks: tuple[Periodic, ...], ending: threading.Event) -> None:
        self._step, self._tasks, self._ending = step, tasks, ending
        self._thread = threading.Thread(target=self._run, name="station-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Also of one that was never started."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        due = [0.0] * len(self._tasks)
        while not self._ending.wait(self._step):
            for number, task in enumerate(self._tasks):
                now = time.monotonic()
                if now < due[number]:
                    continue
                due[number] = now + task.every
                try:
                    task.do()
                except Exception:
                    log.exception("the station's clock failed")
