"""Names of folders -> labels of parts."""

from __future__ import annotations

from trd.types import GOOD

GOOD_NAMES = (GOOD, "ok", "normal")


def label_of(folder: str) -> str:
    """GOOD for a folder of good parts, whatever it is called and in whichever case; else its name, a defect kind."""
    return GOOD if folder.lower() in GOOD_NAMES else folder
