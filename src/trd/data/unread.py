"""Files of a class that no reader takes: none is left out unseen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from trd.data.endings import DOCUMENTS, READ_SUFFIXES, by_ending, counted, remedy, unread_lines
from trd.data.images import mask_files
from trd.data.layouts.folder import CLOUD_FOLDERS
from trd.data.masks import MASK_END
from trd.types import VIEW_SEPARATOR, SampleFiles

MISPLACED = "of no part that is read: see where the layout wants them, or move them away"


def unread_files(
    folder: Path, samples: Iterable[SampleFiles], set_aside: Callable[[Path], bool]
) -> tuple[list[str], list[str]]:
    """(what to warn of, what a recipe may do without) among the files below a class folder that no sample has.

    A line per ending with its count and the first names; what to warn of also says what to do. set_aside: whether a
    file, by its path below the folder, belongs to the class's layout. Hidden files, and documents that describe a data
    set, are not named.
    """
    samples = list(samples)
    taken = {path for sample in samples for path in sample.sources.values()}
    taken |= {file for sample in samples for mask in sample.masks for file in mask_files(mask)}
    partners = _partners(samples)
    doubtful: list[Path] = []
    aside: list[Path] = []
    for path in _files(folder):
        ending = path.suffix.lower()
        if path in taken or ending in DOCUMENTS:
            continue
        stem = path.stem.removesuffix(MASK_END)
        partner = ending in READ_SUFFIXES and {(path.parent, stem), (path.parent.parent, stem)} & partners
        (aside if partner or set_aside(path.relative_to(folder)) else doubtful).append(path)
    warnings = [
        f"{counted(paths, folder)} not read: {MISPLACED if ending in READ_SUFFIXES else remedy(ending)}"
        for ending, paths in by_ending(doubtful).items()
    ]
    return warnings, [counted(paths, folder) for paths in by_ending(aside).values()]


def unread_beside(samples: Iterable[SampleFiles]) -> list[str]:
    """A line for each ending that is not read, of the files in the folders of the samples."""
    folders = sorted({path.parent for sample in samples for path in sample.sources.values()})
    return unread_lines(path for folder in folders for path in sorted(folder.iterdir()))


def unread_below(folder: Path) -> list[str]:
    """The same of all files below a folder, whose parts cannot be listed."""
    return unread_lines(_files(folder), folder)


def _files(folder: Path) -> Iterable[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _partners(samples: list[SampleFiles]) -> set[tuple[Path, str]]:
    """(folder, stem) of the files of other sources of a part: beside its file, or in a folder beside its source's."""
    files = [
        (source.rpartition(VIEW_SEPARATOR)[2], path) for sample in samples for source, path in sample.sources.items()
    ]
    beside = {(path.parent, path.stem) for _, path in files}
    apart = [path for source, path in files if path.parent.name in (source, *CLOUD_FOLDERS)]
    return beside | {(path.parent.parent, path.stem) for path in apart}
