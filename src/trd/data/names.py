"""What a part is called by its files."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def part_name(path: Path) -> str:
    """A file's name up to the ending, composed as Windows and Linux write it, so that the name from a Mac, which
    decomposes "ä", meets its partner's; bytes that are no UTF-8 as `\\xe4`, so that it can be stored and printed."""
    return unicodedata.normalize("NFC", os.fsencode(path.stem).decode("utf-8", "backslashreplace"))
