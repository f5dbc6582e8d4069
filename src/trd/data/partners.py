"""Files of one stem belong to one part: found by stem, and compared between sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from trd.data.endings import by_ending, counted, is_unread, remedy
from trd.data.images import UNREAD_SUFFIXES
from trd.data.names import part_name
from trd.errors import DataError

NAMED_PARTS = 5  # that one message names


def by_stem(folder: Path, suffixes: Sequence[str], unread: Sequence[str] = UNREAD_SUFFIXES) -> dict[str, Path]:
    """Stem -> file of one of `suffixes`, sorted.

    Raises DataError for two files of one name, and for pictures of a kind that is not read (`unread`).
    """
    visible = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    refused = next(iter(by_ending(path for path in visible if path.suffix.lower() in unread).values()), None)
    if refused is not None:
        ending = refused[0].suffix
        named = str(refused[0]) if len(refused) == 1 else f"{folder}: {counted(refused)}"
        raise DataError(
            f"{named}: {ending} files are not read here, and a part must not be left out unseen; convert them to "
            f"one of {', '.join(suffixes)}, or move them away"
        )
    files: dict[str, Path] = {}
    for path in visible:
        if path.suffix.lower() not in suffixes:
            continue
        if (name := part_name(path)) in files:
            raise DataError(f"{folder}: both {files[name].name} and {path.name} are called '{name}'; keep one")
        files[name] = path
    return files


def same_stems(name: str, files: Mapping[str, Path], other: str, others: Mapping[str, Path], folder: Path) -> None:
    """Raises DataError where a part of `folder` has a file of one source (`name`, `other`) and none of the other."""
    for missing, present, lacking in (
        (files.keys() - others.keys(), name, other),
        (others.keys() - files.keys(), other, name),
    ):
        if missing:
            named = ", ".join(f"'{stem}'" for stem in sorted(missing)[:NAMED_PARTS])
            more = f" and {len(missing) - NAMED_PARTS} more" if len(missing) > NAMED_PARTS else ""
            verb = "has" if len(missing) == 1 else "have"
            raise DataError(
                f"{folder}: {named}{more} {verb} a {present} file but no {lacking} file; files of one "
                f"sample carry the same name up to the ending: {_unread_partners(folder, missing)}add the partner or "
                "remove the file"
            )


def _unread_partners(folder: Path, stems: Collection[str]) -> str:
    """What lies there under the missing names and is not read; "" for nothing."""
    near = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_file()]
    groups = by_ending(path for path in near if part_name(path) in stems and is_unread(path))
    return "".join(f"{counted(paths)} not read, {remedy(ending)}; or " for ending, paths in groups.items())
