"""What lies in a station's archive, by name.

manifest.json   what it is, written last
station.db      the rows of one moment, as SQLite; models' paths are those of the archive
files/DAY/NAME  what was sent, maps and masks, under the names that they have in the station
models/NAME     detectors and packages, those too that lie outside the station's folder
teach/CLASS     the good parts of classes that are taught, and their jobs, as far as they are
links.json      files below `teach` that are the same as another one there
tokens.json, settings.json, outputs/NAME.json
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from trd_station.backup.models import FOLDER
from trd_station.backup.taught import TEACH

FORMAT = 2  # 1: without what is taught
MANIFEST, DATABASE, LINKS = "manifest.json", "station.db", "links.json"
SETTINGS = ("tokens.json", "settings.json")
OUTPUTS = "outputs"
ROOT = (MANIFEST, DATABASE, LINKS, *SETTINGS)
NAMES = re.compile(rf"files/[0-9]{{8}}/[^/\\]+|{FOLDER}/[^\\]+|{TEACH}/[^\\]+|{OUTPUTS}/[^/\\]+\.json")


def is_of_a_station(name: str) -> bool:
    """Whether a member of this name lies where a station's files do."""
    if name in ROOT:
        return True
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return NAMES.fullmatch(name) is not None and not {"", ".", ".."} & set(name.split("/"))


@dataclass(frozen=True)
class Member:
    """A file and its name in the archive. row: of the inspection whose file it is, 0 for others. optional: left out
    where it has gone meanwhile."""

    path: Path
    name: str
    row: int = 0
    optional: bool = False
