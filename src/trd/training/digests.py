"""What parts' files hold, as digests, so that a change of one is noticed."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from trd.errors import DataError
from trd.preprocess.threads import in_threads
from trd.types import SampleFiles

NAMED = 3  # parts in a message


def part_digests(parts: Sequence[SampleFiles]) -> dict[str, str]:
    """Sample id -> digest of its files' contents. Raises DataError where a file cannot be read."""
    return dict(zip([part.id for part in parts], in_threads(_digest, parts, group=64), strict=True))


def _digest(part: SampleFiles) -> str:
    return hashlib.sha256("".join(_file_digest(path) for path in part.sources.values()).encode()).hexdigest()[:16]


def _file_digest(path: Path) -> str:
    try:
        facts = path.stat()
        return _content_digest(path, facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


@functools.lru_cache(maxsize=100_000)
def _content_digest(path: Path, size: int, changed: int) -> str:
    """Read once in a process, unless the file has changed meanwhile."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def changed_parts(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What is different, in words: "2 parts were added (train/good/060, ...)"; empty where nothing is."""
    differences = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in after.keys() & before.keys() if after[name] != before[name]),
    }
    return ", ".join(
        f"{len(names)} good part{'s were' if len(names) > 1 else ' was'} {change} ({', '.join(names[:NAMED])}"
        f"{', ...' if len(names) > NAMED else ''})"
        for change, names in differences.items()
        if names
    )
