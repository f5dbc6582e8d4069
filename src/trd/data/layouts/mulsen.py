"""MulSen-AD as downloaded -> sample lists.

    CLASS/{RGB,Infrared,Pointcloud}/train/STEM.png, .../test/KIND/STEM.png, .../GT/KIND/STEM.png
    CLASS/RGB/GT/KIND/data.csv: part, and whether colour, infrared and points show its defect (0, 1)

The sensors are not registered, so one is read at a time: source "rgb", "infrared", or the one 3D source of a recipe
without pictures, whose meshes (STL) are seen from above. A part that the sensor does not show defective is a good one;
with "rgb_union" or "infrared_union" a part is defective if any sensor shows it. The marked points of meshes are no
masks, and not read. Of the published description, not tried on the download.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trd.data.camera_files import camera_of_class
from trd.data.clouds import POINT_SUFFIXES
from trd.data.decoding import decoded
from trd.data.images import IMAGE_SUFFIXES
from trd.data.labels import label_of
from trd.data.layouts.base import Layout
from trd.data.layouts.samples import class_of, sample
from trd.data.masks import masks_in
from trd.data.partners import by_stem
from trd.errors import DataError
from trd.types import GOOD, ClassFiles, SampleFiles

NAME = "MulSen-AD"
SENSORS = {"rgb": "RGB", "infrared": "Infrared"}
COLUMNS = ("RGB", "Infrared", "Pointcloud")  # of data.csv, behind the part's number
UNION = "_union"


def _list_mulsen(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """Raises DataError for several sensors, an unknown source, and a damaged table of labels."""
    if len(sources) > 1:
        raise DataError(
            f"{folder}: the sensors of {NAME} do not show the same frame, so {' and '.join(sources)} cannot be "
            "compared pixel by pixel; take a recipe of one of them"
        )
    source = sources[0]
    sensor = COLUMNS[-1] if source in clouds else SENSORS.get(source.removesuffix(UNION))
    if sensor is None:
        raise DataError(f"{folder}: {NAME} has no '{source}'; its sources are {', '.join(SENSORS)} and 3D")
    files = folder / sensor
    train = [sample({source: path}, "train", GOOD, None) for path in _files(files / "train", sensor)]
    kinds = sorted(path for path in (files / "test").glob("*/") if path.is_dir())
    test = [part for kind in kinds for part in _test_parts(folder, kind, sensor, source)]
    return class_of(folder, train, (), test, camera_of_class((*train, *test), clouds, folder))


def _files(folder: Path, sensor: str) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is missing; unpack the class again")
    return list(by_stem(folder, POINT_SUFFIXES if sensor == COLUMNS[-1] else IMAGE_SUFFIXES).values())


def _test_parts(folder: Path, kind: Path, sensor: str, source: str) -> list[SampleFiles]:
    files = _files(kind, sensor)
    defect = label_of(kind.name)
    labels = {} if defect == GOOD else _labels(folder / "RGB" / "GT" / kind.name / "data.csv")
    place = folder / sensor / "GT" / kind.name
    has_masks = defect != GOOD and place.is_dir() and sensor != COLUMNS[-1]
    masks = masks_in(place, {path.stem for path in files}) if has_masks else {}
    parts = []
    for path in files:
        shows = labels.get(path.stem, (True, True, True))
        defective = any(shows) if source.endswith(UNION) else shows[COLUMNS.index(sensor)]
        part = sample({source: path}, "test", defect if defective else GOOD, masks.get(path.stem))
        parts.append(replace(part, id=f"test/{kind.name}/{path.stem}"))  # unlike that of a part in `good`
    return parts


def _labels(table: Path) -> dict[str, tuple[bool, ...]]:
    """Part -> whether each sensor shows its defect; empty where there is no table."""
    return decoded(table, lambda: _rows(table)) if table.is_file() else {}


def _rows(table: Path) -> dict[str, tuple[bool, ...]]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row][1:]
    if any(len(row) != len(COLUMNS) + 1 or not {*row[1:]} <= {"0", "1"} for row in rows):
        raise ValueError("expected a part and three labels, 0 or 1, in each row")
    return {Path(row[0]).stem: tuple(label == "1" for label in row[1:]) for row in rows}


MULSEN_AD = Layout(
    NAME,
    lambda folder: (folder / "RGB" / "train").is_dir() and (folder / "Infrared").is_dir(),
    _list_mulsen,
    lambda path: path.parts[0] in COLUMNS,
)
