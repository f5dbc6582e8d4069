"""Which files are read, by their endings, and what to do about the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trd.data.clouds import CLOUD_SUFFIXES
from trd.data.images import IMAGE_SUFFIXES

DOCUMENTS = frozenset(
    {
        *("", ".txt", ".md", ".rst", ".pdf", ".html", ".json", ".yaml", ".yml", ".toml", ".ini", ".xml", ".csv"),
        *(".xlsx", ".db", ".url", ".log", ".py"),
    }
)
"""Endings of what describes a data set and is no part, unless a recipe's source lies in such files."""
READ_SUFFIXES = frozenset((*IMAGE_SUFFIXES, *CLOUD_SUFFIXES)) - DOCUMENTS
NAMED_FILES = 3  # that one message names

_CONVERT = "convert them to PNG"
_ORGANISED = "export them as organised PLY or PCD"
_REMEDIES = {
    ".jif": "they are JPEG: rename them to .jpg",
    **dict.fromkeys((".heic", ".heif", ".avif", ".tga", ".dng", ".cr2", ".nef", ".arw", ".raw", ".psd"), _CONVERT),
    **dict.fromkeys((".webp", ".gif", ".jp2", ".exr", ".pgm", ".ppm", ".hdr", ".svg"), _CONVERT),
    **dict.fromkeys((".zdf", ".off", ".asc", ".pts", ".las", ".laz", ".e57"), _ORGANISED),
    **dict.fromkeys((".npz", ".mat", ".h5", ".hdf5"), "save each array as NPY"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".rar", ".7z", ".xz"), "unpack them"),
}


def remedy(ending: str) -> str:
    """What to do about files of an ending that is not read, as half a sentence."""
    return _REMEDIES.get(ending, "convert pictures to PNG and 3D to TIFF, NPY, PLY or PCD, or move them away")


def by_ending(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Ending in lower case -> files, in order of the endings."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.suffix.lower(), []).append(path)
    return dict(sorted(groups.items()))


def is_unread(path: Path) -> bool:
    """Whether no reader takes files of this ending, and it is nothing that only describes a data set."""
    return path.suffix.lower() not in READ_SUFFIXES | DOCUMENTS and not path.name.startswith(".")


def counted(paths: list[Path], below: Path | None = None) -> str:
    """`3 .zdf files (a.zdf, b.zdf, c.zdf)`, by their names or their paths below a folder; all of one ending."""
    shown = [str(path.relative_to(below)) if below else path.name for path in paths[:NAMED_FILES]]
    more = ", ..." if len(paths) > NAMED_FILES else ""
    files = "file" if len(paths) == 1 else "files"
    return f"{len(paths)} {paths[0].suffix.lower() or 'nameless'} {files} ({', '.join(shown)}{more})"


def unread_lines(paths: Iterable[Path], below: Path | None = None) -> list[str]:
    """A line for each ending that is not read, with its count, the first names and what to do."""
    groups = by_ending(path for path in paths if is_unread(path) and path.is_file())
    return [f"{counted(group, below)} not read: {remedy(ending)}" for ending, group in groups.items()]
