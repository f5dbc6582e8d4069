"""A station that can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


class Served:
    """`trd serve` in a process of its own. run: None for a station that has been given no detector."""

    def __init__(self, run: Path | None, data: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        given = [str(run)] if run else []
        self.command = [sys.executable, "-m", "trd", "serve", *given, "--data", str(data), "--port", str(self.port)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: str = "/readyz") -> float:
        """Seconds until it is ready. ready: what answers then; a station without a class is never ready."""
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command, "--audit", "0.5"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ
        )
        with httpx.Client(base_url=self.url, verify=False) as client:  # one: each reads authorities that nobody needs
            while True:
                assert self.process.poll() is None, self.process.stderr.read().decode()[-2000:]
                with contextlib.suppress(httpx.TransportError):
                    if client.get(ready).status_code == 200:
                        return time.monotonic() - begin
                time.sleep(0.1)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.process.stderr.close()
        return code
