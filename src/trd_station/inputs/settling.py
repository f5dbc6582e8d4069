"""When a file that another program writes is complete."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

NETWORK, LOCAL = 5.0, 2.0  # seconds that a file rests on a network drive, and elsewhere
MOUNTS = Path("/proc/self/mountinfo")
LOCAL_KINDS = frozenset(
    {
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "reiserfs", "tmpfs", "ramfs"),
        *("overlay", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "hfsplus"),
    }
)
"""Kinds of file systems that lie in this machine; what is not among them is taken for a network drive."""

Facts = tuple[int, int]
"""Bytes, and when it was last changed, in nanoseconds."""


def facts_of(path: Path) -> Facts:
    """Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Look:
    """What a file was, and since when (seconds, monotonic)."""

    facts: Facts
    since: float


class Settling:
    """Which files of a folder have come to rest. seconds: that a file must not have changed; None for the default.

    By default a file in this machine is complete at the second look where the system can tell that no program has it
    open for writing, and rests 2 s where it cannot; on a network drive, of whose programs nothing is known, it rests
    5 s. A file that the system says is being written waits however long it rests.
    """

    def __init__(self, folder: Path, seconds: float | None = None) -> None:
        self._local = on_this_machine(folder)
        self._chosen = seconds
        self.seconds = seconds if seconds is not None else LOCAL if self._local else NETWORK
        self._looks: dict[Path, _Look] = {}
        self._rested: dict[Path, float] = {}

    def look(self, current: dict[Path, Facts]) -> None:
        """Note what the files are now; those that are gone are forgotten."""
        now = time.monotonic()
        before, self._looks = self._looks, {}
        for path, facts in current.items():
            look = before.get(path)
            self._looks[path] = look if look is not None and look.facts == facts else _Look(facts, now)
        self._rested = {path: now - look.since for path, look in self._looks.items()}

    def rest(self, path: Path) -> float:
        """Seconds for which a file had not changed at the last look; 0 at the first one."""
        return self._rested.get(path, 0.0)

    def complete(self, path: Path) -> bool:
        """Whether it may be read."""
        rest = self.rest(path)
        if not rest or (self._chosen is not None and rest < self._chosen):
            return False
        written = being_written(path) if self._local else None
        return not written and (written is False or rest >= self.seconds)


def being_written(path: Path) -> bool | None:
    """Whether a program has the file open for writing; None where the system does not tell.

    Linux grants a lease for reading on a file that nobody writes, to the file's owner; it is given back at once.
    """
    if sys.platform != "linux":
        return None
    import fcntl

    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # who opens it for writing just then waits a moment, and we are told by a signal: one that is ignored
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return None


def on_this_machine(folder: Path) -> bool:
    """False for network drives, and where it is not known."""
    if sys.platform == "win32":
        import ctypes

        fixed, removable = 3, 2
        drive = os.path.splitdrive(folder.resolve())[0]
        return ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") in (fixed, removable)
    kinds: dict[bytes, str] = {}
    with contextlib.suppress(OSError):
        for line in MOUNTS.read_bytes().splitlines():
            where, _, what = line.partition(b" - ")
            place = where.split()[4]
            for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
                place = place.replace(code, character)
            kinds[place] = what.split()[0].decode()  # of two at one place the later one is seen
    resolved = folder.resolve()
    mount = next((os.fsencode(place) for place in (resolved, *resolved.parents) if os.fsencode(place) in kinds), None)
    return mount is not None and kinds[mount] in LOCAL_KINDS
