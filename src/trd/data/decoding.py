"""What the readers of images, clouds and cameras share: every way a file can fail becomes a DataError that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from trd.data.limits import TEXT_BYTES
from trd.errors import DamagedFileError, DataError

Read = TypeVar("Read")


def decoded(path: Path, decode: Callable[[], Read], how: str = "") -> Read:
    """What `decode` returns. DataError: there is no such file. DamagedFileError: decoding fails in any way."""
    try:
        if not path.is_file():
            raise DataError(f"{path} {'is not a regular file' if path.exists() else 'does not exist'}")
        return decode()
    except DataError:
        raise
    except Exception as error:  # each codec raises types of its own on damaged input
        how = f" {how}" if how else ""
        reason = str(error).strip() or type(error).__name__
        raise DamagedFileError(
            f"{path} cannot be read{how}: {reason[:300]}; the file is damaged or of another format"
        ) from error


def opened(path: Path) -> BinaryIO:
    """Open for reading; DataError where that fails."""
    return decoded(path, lambda: path.open("rb"))


def head(path: Path, size: int = 64) -> bytes:
    """The first `size` bytes; OSError where it cannot be read."""
    with path.open("rb") as file:
        return file.read(size)


def small_text(path: Path) -> str:
    """A small text file. ValueError where it is a large one."""
    if path.stat().st_size > TEXT_BYTES:
        raise ValueError(f"it holds {path.stat().st_size} bytes where some hundred are expected")
    return path.read_text("utf-8-sig")  # editors of Windows write a byte order mark


def shown(value: Any) -> str:
    """A value in a message, cut off where it is long."""
    return repr(value)[:60]
