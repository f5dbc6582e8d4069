"""The process of a job: `python -m trd_station.teaching.worker FOLDER`, started by `teaching.queue`.

It computes beside the line, so it has the lowest priority and one thread. What it says of its progress goes to the
station as a line of JSON each, everything else into the log. When the station ends, however it does, so does this.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path

from rich.console import Console

from trd.errors import TRDError
from trd.files import locked, write_json
from trd.progress import listening
from trd_station.teaching.jobs import RESULT, read_job
from trd_station.teaching.process import Channel
from trd_station.teaching.tasks import TASKS

FAILED = 3  # exit code where the error was said
TELL_EVERY = 0.3  # seconds


def main(folder: Path) -> int:
    channel = Channel()
    threading.Thread(target=_end_with_the_station, daemon=True).start()
    console = Console(file=sys.stderr, width=120)
    logging.getLogger("trd").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("trd").setLevel(logging.INFO)
    try:
        job = read_job(folder)
        with locked(folder, "a job", wait=10), listening(Telling(channel)):  # the one before it may still be ending
            result = TASKS[job.kind](job, console)
        write_json(folder / RESULT, result)
        return 0
    except TRDError as error:
        channel.say(error=str(error))
        return FAILED
    except MemoryError:
        channel.say(error="this machine has too little memory for it: take a recipe with a smaller frame.size")
        return FAILED


class Telling:
    """Steps of a stage, and the seconds that are left of it; not more often than anybody reads."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stage, self._begin, self._first, self._told = "", 0.0, 0, 0.0

    def __call__(self, title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if title != self._stage:
            self._stage, self._begin, self._first, self._told = title, now, done, 0.0
        if now - self._told < TELL_EVERY and done < total:
            return
        self._told = now
        steps = done - self._first
        left = (now - self._begin) / steps * (total - done) if steps else None
        with contextlib.suppress(OSError):  # the station has ended
            self._channel.say(stage=title, done=done, total=total, left_s=left)


def _end_with_the_station() -> None:
    """The station holds the other end of the standard input, and never writes."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
