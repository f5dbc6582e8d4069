"""Starts commands in a folder of their own, with or without a fault, and watches them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from faults import Fault

ROOT = Path(__file__).resolve().parents[2]
TINY = ("frame.size=64", "training.epochs=3", "training.batch_size=2", "precision=fp32",
        "training.checkpoint_every=1")  # fmt: skip
START_LIMIT = 240  # seconds that one start may take


@dataclass
class Ended:
    """code: the exit code, or minus the signal. place: of the operation at which the fault was."""

    code: int
    text: str
    seconds: float
    operations: int = 0
    place: str = ""


@dataclass
class Bench:
    """Folders and environment of one campaign; starts commands."""

    folder: Path
    rng: random.Random
    only: str = ""
    starts: int = 0

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {"TRD_CACHE_DIR": str(self.cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "1000"}

    def start(self, arguments: list[str], fault: Fault | None = None, after: float | None = None) -> Ended:
        """Run `trd ARGUMENTS` to its end; after: seconds until it is killed."""
        self.starts += 1
        log, facts = self.folder / "log.txt", self.folder / "fault.json"
        facts.unlink(missing_ok=True)
        begin = time.monotonic()
        if fault is None and self.rng.random() < 0.1:
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "trd", *arguments], stdout=file, stderr=file, start_new_session=True,
                    env=os.environ | self.environment(),
                )  # fmt: skip
            pid, after = process.pid, None if after is None else after + 4 * self.rng.random()
        else:
            pid = self.forked(arguments, log, fault, facts)
        code = _waited(pid, after)
        seconds = time.monotonic() - begin
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        known = json.loads(facts.read_text()) if facts.exists() else {}
        return Ended(code, text, seconds, known.get("operations", 0), known.get("place", ""))

    def forked(self, arguments: list[str], log: Path, fault: Fault | None = None, facts: Path | None = None) -> int:
        """The process of `trd ARGUMENTS`, which goes on."""
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            _child(arguments, self.environment(), fault, log, facts)
        return pid


def _child(
    arguments: list[str], environment: dict[str, str], fault: Fault | None, log: Path, facts: Path | None
) -> None:  # never returns
    code = 1
    try:
        os.setpgid(0, 0)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.environ.update(environment)
        sys.argv = ["trd", *arguments]
        from trd.cli import main

        if fault is not None:
            fault.arm()
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        if fault is not None and facts is not None:
            fault.inside = True
            facts.write_text(json.dumps({"operations": fault.seen, "place": fault.place}))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(pid: int, after: float | None) -> int:
    """The exit code, or minus the signal; killed with its group `after` seconds, or when it takes too long (-99)."""
    begin = time.monotonic()
    late = False
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return -99 if late else os.waitstatus_to_exitcode(status)
        passed = time.monotonic() - begin
        late = passed > START_LIMIT
        if late or (after is not None and passed > after):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            after = None if after is not None else after
        time.sleep(0.002)


def process_status(key: str, pid: int | str = "self") -> int:
    """KiB of /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0
