"""Judged parts as a data folder for `trd train`: good ones to train and test, defects by kind, with masks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trd.data.cameras import camera_values
from trd.errors import DataError
from trd_station.deciding import VERDICTS
from trd_station.station import Station
from trd_station.store import history, verdicts
from trd_station.store.filters import Filters
from trd_station.teaching.labelled import MASKS, kind_folder, mask_png, stem_of

UNMARKED = "unmarked"  # a kind's parts without mask lie apart: masks belong to all parts of a folder or to none
TEST_EVERY = 5  # every fifth good part is for testing


@dataclass(frozen=True)
class Entry:
    """A file of the data folder. place: below it. content: bytes, or the file that they are in."""

    place: str
    content: bytes | Path

    def read(self) -> bytes:
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


def entries(
    station: Station, class_name: str, chosen: tuple[str, ...], since: int | None = None, until: int | None = None
) -> Iterator[Entry]:
    """Files of all judged parts of a class whose inputs are there; chosen: verdicts. Raises DataError for none."""
    unknown = [name for name in chosen if name not in VERDICTS]
    if unknown or not chosen:
        raise DataError(f"unknown verdict '{', '.join(unknown)}'; there are: {', '.join(VERDICTS)}")
    filters = Filters((station.class_id(class_name),), verdicts=chosen, since=since, until=until)
    count, cursor = 0, None
    while True:
        with station.database.reading() as connection:
            rows, cursor = history.page(connection, filters, cursor, 200, newest_first=False)
            masks = {
                verdict["inspection_id"]: verdict["mask"]
                for verdict in verdicts.verdicts_of(connection, [row["id"] for row in rows])
            }
        for row in rows:
            part_files = list(_part(station, row, masks.get(row["id"])))
            count += bool(part_files)
            yield from part_files
        if cursor is None:
            break
    if not count:
        raise DataError(f"no part of '{class_name}' with the verdict {' or '.join(chosen)} has its files here")
    serving = station.shelf.serving(class_name)
    camera = serving.detector.facts.camera if serving else None
    if camera is not None:
        yield Entry("camera.json", json.dumps(camera_values(camera), indent=1).encode())


def _part(station: Station, row: Mapping[str, Any], mask: str | None) -> Iterator[Entry]:
    inputs = station.parts.inputs(row)
    sources = station.serializer.model_of(row["model_id"]).facts["sources"]
    if not all(name in inputs.sources and inputs.sources[name].is_file() for name in sources):
        return
    stem = stem_of(row["id"])
    mask_file = station.files.root / mask if mask else None
    marked = mask_file is not None and mask_file.is_file()
    if row["verdict"] == "good":
        folder = "test/good" if row["id"] % TEST_EVERY == 0 else "train/good"
    else:
        kind = kind_folder(row["verdict_kind"] or row["verdict"], sources)
        folder = f"test/{kind}" if marked else f"test/{kind}_{UNMARKED}"
    for name in sources:
        yield Entry(f"{folder}/{name}/{stem}{inputs.sources[name].suffix}", inputs.sources[name])
    if marked and mask_file is not None and row["verdict"] != "good":
        drawn = mask_png(mask_file.read_bytes(), (row["height"], row["width"]))
        yield Entry(f"{folder}/{MASKS}/{stem}.png", drawn)
