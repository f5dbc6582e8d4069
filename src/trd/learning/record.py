"""lesson.json in a detector's folder: from what, from whom and when it was learned, and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LESSON = "lesson.json"
FEWEST = 5  # defects of a lesson: of fewer, an interval says nothing
FEWEST_GOOD = 5  # good parts of a lesson, for the same reason


def read_lesson(folder: Path) -> dict[str, Any] | None:
    """What lesson.json of a detector's folder says; None where there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads((folder / LESSON).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content
