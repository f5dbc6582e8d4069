"""The good part in whose frame regions that follow the part are written."""

from __future__ import annotations

from trd.errors import DataError
from trd.types import ClassFiles, SampleFiles

NAMED = 3  # parts in a message


def reference_part(files: ClassFiles, name: str) -> SampleFiles:
    """The good part of this id, or whose id ends so; without a name the first one, held out for calibration or not.

    Raises DataError where there is none, or several.
    """
    good = sorted((*files.train, *files.validation), key=lambda part: part.id)
    if not name:
        return good[0]
    matching = [part for part in good if part.id == name] or [p for p in good if p.id.endswith(f"/{name}")]
    if len(matching) == 1:
        return matching[0]
    listed = matching or good
    more = ", ..." if len(listed) > NAMED else ""
    raise DataError(
        f"{files.root}: frame.reference is '{name}', which is the name of {len(matching)} good parts: name one of "
        f"{', '.join(part.id for part in listed[:NAMED])}{more}"
    )
