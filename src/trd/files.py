"""Files are written whole or not at all: into a temporary neighbour first, then moved into place."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import math
import os
import re
import secrets
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from trd.errors import OutputError

LOCK = ".lock"
SCRAP = re.compile(r"\..*\.trd-[0-9a-f]{8}(\.[^.]*)?", re.DOTALL)  # what `_temporary` calls its files
ABANDONED = 3600.0  # seconds after which a temporary file is taken for a killed process's, where nothing else tells
LOCKED_BYTE = 1 << 20  # Windows lets nobody read what is locked, so it is a byte far behind the owner's name
POLL = 0.05  # seconds
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # file systems that cannot lock
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_whole(path: Path, write: Callable[[Path], object], durable: bool = True) -> None:
    """Call `write` with a temporary path beside `path`, then move the result into place in one step.

    On failure nothing is left behind and an existing file stays as it was; a process that is killed leaves the
    temporary file, which `locked` deletes the next time. The file has the permissions that the
    user's umask gives new files. durable: when this returns, the file survives a loss of power; waiting for the disk
    takes milliseconds, which many small files that can be made again are not worth. Raises OutputError (disk full, no
    permission) naming the file.
    """
    try:
        _make_folder(path.parent, durable)
        temporary, mode = _temporary(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        write(temporary)
        if stat.S_IMODE(temporary.stat().st_mode) != mode:  # a library has put a file of its own there
            temporary.chmod(mode)
        if durable:
            to_disk(temporary)
        os.replace(temporary, path)
        if durable:
            folder_to_disk(path.parent)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {path}: {reason}; free some space and start again") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """UTF-8; what it does not have (file names may hold any byte) becomes an escape such as \\udcff."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"), durable)


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    write_whole(path, lambda temporary: temporary.write_bytes(data), durable)


def write_json(path: Path, values: Any) -> None:
    """Indented JSON; a NaN (a metric without both kinds of samples) becomes null."""
    write_text(path, json.dumps(_finite(values), indent=1, allow_nan=False) + "\n")


def csv_line(cells: Iterable[object]) -> str:
    """One row of CSV with its line end. Text that a spreadsheet would take for a formula gets a ' in front."""
    text = io.StringIO()
    shown = [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in cells]
    csv.writer(text, lineterminator="\r\n").writerow(shown)  # quotes what holds a character of the line end
    return text.getvalue()[:-2] + "\n"


def to_disk(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    with path.open("rb+") as file:  # Windows refuses to do so for a file open for reading
        os.fsync(file.fileno())


def folder_to_disk(folder: Path) -> None:
    """Wait until the folder's list of names is on the disk, where the system can: Windows and some networks cannot."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written but not listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(folder: Path, what: str, inside: Iterable[str] = (), wait: float = 0.0) -> Iterator[None]:
    """Keep other processes out of `folder` (made where missing) that ask for the same; `what` is the work, "training".

    The system lets go of the lock when the process dies, however it does. File systems without locks keep nobody out.
    Temporary files that killed processes left there are deleted, and those in its folders `inside` that nobody has
    locked. Raises OutputError when another one works there, `wait` seconds later.
    """
    path, end = folder / LOCK, time.monotonic() + wait
    while True:
        try:
            _make_folder(folder, durable=False)
            handle, alone = _open_lock(path)
            break
        except BlockingIOError as error:
            if time.monotonic() < end:
                time.sleep(POLL)
                continue
            raise OutputError(
                f"{folder} is in use: {_owner(path)}; two at once would mix their files. Wait for it, stop it, or "
                "choose another folder"
            ) from error
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):  # a full disk: then the message cannot say who it is
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            os.ftruncate(handle, 0)
            os.write(handle, f"{what} by process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())
        delete_scraps(folder, 0.0 if alone else ABANDONED)
        for below in (folder / name for name in inside):
            if below.is_dir():
                with contextlib.suppress(OutputError), locked(below, what):
                    pass
        yield
    finally:
        with contextlib.suppress(OSError):  # first, while nobody else can hold it; Windows keeps open files
            path.unlink()
        os.close(handle)


def delete_scraps(folder: Path, age: float = ABANDONED) -> None:
    """Delete temporary files in `folder` that nobody has written to for `age` seconds; what cannot be stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if SCRAP.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat().st_mtime >= age:
                        os.unlink(entry.path)


def _open_lock(path: Path) -> tuple[int, bool]:
    """The open file at `path`, and whether it could be locked. Raises BlockingIOError when another process has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            alone = _lock(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle, alone
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # deleted by its owner between our opening and locking it: the next one there has another


def _lock(handle: int) -> bool:
    """False where the file system cannot."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(errno.EAGAIN, "locked") from error
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
    return True


def _owner(path: Path) -> str:
    try:
        return path.read_text("utf-8").partition("\n")[0] or "another process works there"
    except (OSError, UnicodeDecodeError):
        return "another process works there"


def _make_folder(folder: Path, durable: bool) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing if durable else ():
        folder_to_disk(place.parent)


def _temporary(path: Path) -> tuple[Path, int]:
    """A new empty file beside `path`, and its permissions: `mkstemp` would take the group's and others' away."""
    while True:
        temporary = path.with_name(f".{path.name[:48]}.trd-{secrets.token_hex(4)}{path.suffix}")
        with contextlib.suppress(FileExistsError):
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                return temporary, stat.S_IMODE(os.fstat(handle).st_mode)
            finally:
                os.close(handle)


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {str(key): _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and math.isnan(values) else values
