"""What the readers of data sets with a table of contents share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trd.errors import DataError
from trd.types import GOOD, Camera, ClassFiles, SampleFiles


def one_picture_source(folder: Path, layout: str, sources: Sequence[str], clouds: Sequence[str]) -> str:
    """The recipe's only source. Raises DataError for a recipe of several, or of 3D: the data set holds one picture."""
    if len(sources) != 1 or clouds:
        raise DataError(
            f"{folder}: {layout} holds one picture of each part, the recipe takes {' and '.join(sources)}; take one "
            "of a single picture, such as --recipe lite-rgb-memory-bank"
        )
    return sources[0]


def sample(files: Mapping[str, Path], split: str, defect: str, mask: Path | None, part: str = "") -> SampleFiles:
    """One part, called by the stem of its first file, or by `part`. Raises DataError where a file is missing."""
    for path in (*files.values(), *([mask] if mask is not None else [])):
        if not _is_file(path):
            raise DataError(f"{path} is missing, though the data set names it; unpack its class again")
    name = part or next(iter(files.values())).stem
    return SampleFiles(f"{split}/{defect}/{name}", split, defect, dict(files), mask if defect != GOOD else None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False


def listed_path(folder: Path, name: str, lists: Path) -> Path:
    """The file that `lists` names, by its path from `folder`. Raises DataError for one that lies elsewhere."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DataError(f"{lists}: '{name[:200]}' names no file in {folder}; take the lists of the data set")
    return folder / path


def class_of(
    folder: Path,
    train: Sequence[SampleFiles],
    validation: Sequence[SampleFiles],
    test: Sequence[SampleFiles],
    camera: Camera | None = None,
) -> ClassFiles:
    """A class that is called by its folder.

    Raises DataError for one without training parts, for defective ones among them, and for two parts of one name.
    """
    if not train:
        raise DataError(f"{folder}: the data set names no part to train on; unpack the class and its lists again")
    for part in (*train, *validation):
        if not part.is_good:
            raise DataError(f"{folder}: {part.id} is to train on, but not good; take the lists of good training parts")
    ids: set[str] = set()
    for part in (*train, *validation, *test):
        if part.id in ids:
            raise DataError(f"{folder}: two parts are called {part.id}; the lists of the data set name one twice")
        ids.add(part.id)
    return ClassFiles(folder.resolve().name, folder, tuple(train), tuple(validation), tuple(test), camera)
