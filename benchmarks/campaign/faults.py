"""Faults at a file operation of this process: it is killed there, or the disk is full."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


class Killed(BaseException):
    """Never seen: the process is gone."""


@dataclass
class Fault:
    """At file operation number `at` (from 1) below `roots`: "kill" the process, or "full": no space on the disk.

    sticky: the disk stays full. Writing is cut in the middle: half of the bytes are there. `at` 0 counts only.
    """

    roots: tuple[str, ...]
    kind: str = "count"
    at: int = 0
    sticky: bool = False
    seen: int = 0
    place: str = ""
    pid: int = 0
    inside: bool = False

    def arm(self) -> None:
        self.pid = os.getpid()
        sys.addaudithook(self._audit)
        self._patch()

    def _counts(self, path: Any) -> bool:
        if self.inside or self.pid != os.getpid():
            return False
        try:
            text = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return text.startswith(self.roots) and not text.endswith(".lock")

    def hit(self, what: str, path: Any, half: Callable[[], object] | None = None) -> None:
        """One more operation; `half` does it in part, before the fault."""
        if not self._counts(path):
            return
        frees = what in ("os.remove", "os.rmdir", "os.utime")
        if self.kind == "full" and frees:
            return
        self.seen += 1
        if not self.at or self.seen < self.at or (self.seen > self.at and not self.sticky):
            return
        if self.kind == "full" and what in ("os.rename", "half") and self.seen > self.at:
            return
        self.inside = True
        try:
            self.place = self.place or f"{what} {os.fsdecode(path)}"
            if half is not None:
                half()
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
                raise Killed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))
        finally:
            self.inside = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            wanted = os.O_CREAT if self.kind == "full" else os.O_WRONLY | os.O_RDWR | os.O_CREAT
            if isinstance(flags, int) and flags & wanted and not isinstance(path, int):
                self.hit("open", path)
        elif event == "os.mkdir" and os.path.isdir(arguments[0]):
            return  # `exist_ok`: the system says so before it looks for space
        elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.utime"):
            self.hit(event, arguments[1] if event == "os.rename" else arguments[0])

    def _patch(self) -> None:
        fault, real_open, real_fsync = self, io.open, os.fsync

        def opened(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            stream = real_open(file, mode, *rest, **options)
            if set(mode) & set("wax") and not isinstance(file, int) and fault._counts(file):
                return _Stream(stream, file, fault)
            return stream

        def fsync(handle: Any) -> None:
            number = handle if isinstance(handle, int) else handle.fileno()
            fault.hit("fsync", os.readlink(f"/proc/self/fd/{number}"))
            real_fsync(number)

        io.open = builtins.open = opened
        os.fsync = fsync
        import safetensors.numpy
        import safetensors.torch

        for module in (safetensors.numpy, safetensors.torch):
            self._patch_saving(module)

    def _patch_saving(self, module: Any) -> None:
        from safetensors import SafetensorError

        real, fault = module.serialize_file, self

        def saved(tensors: Any, filename: Any, metadata: Any = None) -> None:
            def half() -> None:
                real(tensors, filename, metadata)
                os.truncate(filename, os.path.getsize(filename) // 2)

            try:
                fault.hit("save", filename, half)
            except OSError as error:  # what the library makes of it
                raise SafetensorError(f"Error while serializing: I/O error: {error.strerror} (os error 28)") from error
            real(tensors, filename, metadata)

        module.serialize_file = saved


class _Stream:
    """A file open for writing whose writes count."""

    def __init__(self, stream: Any, path: Any, fault: Fault) -> None:
        self._stream, self._path, self._fault = stream, path, fault

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._stream.write(data[: len(data) // 2])
            self._stream.flush()

        self._fault.hit("write", self._path, half)
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._stream.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)
