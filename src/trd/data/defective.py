"""A folder of defective parts, sorted by kind or not, marked or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trd.data.labels import label_of
from trd.data.listing import list_unlabelled
from trd.data.masks import MASK_FOLDERS
from trd.errors import DataError
from trd.types import GOOD, SampleFiles

DEFECT = "defect"  # the kind of parts that nobody sorted


def list_defective(
    folder: Path, sources: Sequence[str], clouds: Sequence[str], masked: bool = False
) -> tuple[SampleFiles, ...]:
    """Parts of a folder, or of the folders in it, one for each kind of defect: a test split, whose good parts are left
    out.

    masked: with the masks that lie beside them, where there are some. Raises DataError where there are no parts.
    """
    try:
        parts = list_unlabelled(folder, sources, clouds, masked)
    except DataError:
        others = [path for path in sorted(folder.glob("*/")) if path.name not in MASK_FOLDERS]
        below = [path for path in others if label_of(path.name) != GOOD]
        kinds = [kind for kind in below if any(kind.glob("*/*")) or any(kind.glob("*.*"))]
        if not kinds or any((folder / source).is_dir() for source in sources):
            raise
    else:
        return tuple(replace(part, defect=DEFECT) for part in parts)
    return tuple(
        replace(part, id=f"{kind.name}/{part.id}", defect=kind.name)
        for kind in kinds
        for part in list_unlabelled(kind, sources, clouds, masked)
    )
