"""Processes beside the station: lowest priority, one thread, and an end with the station, however that ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOWEST = 19
AUTOGROUP = Path("/proc/self/autogroup")
AGAIN, TRIES = 0.11, 20  # seconds until a refused change of it is tried again


def started(module: str, argument: str, log: IO[bytes]) -> subprocess.Popen[str]:
    """`python -m MODULE ARGUMENT`; what it says comes as lines of JSON, all else goes to `log`. It ends when its
    standard input is closed, which the system does where the station is killed."""
    options: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for the station, which ends it
    if sys.platform == "win32":
        options = {"creationflags": subprocess.IDLE_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        [sys.executable, "-m", module, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
        env=os.environ | ONE_THREAD,
        **options,
    )


class Channel:
    """In such a process: where it says something to the station. What libraries print goes to the log from here on."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _to_lowest_priority()

    def say(self, **values: object) -> None:
        """Raises OSError where nobody listens any more."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()


def _to_lowest_priority() -> None:
    """Of this process, and of its session: Linux may share processors between sessions first (autogroup), where a
    process's own priority counts only beside others of its session."""
    if hasattr(os, "nice"):
        os.nice(LOWEST)
        _session_to_lowest_priority()


def _session_to_lowest_priority() -> None:
    for _ in range(TRIES):
        try:
            AUTOGROUP.write_text(str(LOWEST))
        except BlockingIOError:  # Linux takes one in 100 ms of all processes together, and several may begin at once
            time.sleep(AGAIN)
        except OSError:  # no Linux, one that does not group sessions, or a container that lets nobody
            return
        else:
            return
