"""VisA as downloaded -> sample lists.

    CLASS/Data/Images/{Normal,Anomaly}/STEM.JPG, CLASS/Data/Masks/Anomaly/STEM.png
    split_csv/1cls.csv beside the classes: object, split, label, image, mask; paths from the folder of the classes

Of the published description, not tried on the download. Masks hold numbers of defect kinds.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from trd.data.decoding import decoded
from trd.data.labels import label_of
from trd.data.layouts.base import Layout
from trd.data.layouts.samples import class_of, listed_path, one_picture_source, sample
from trd.errors import DataError
from trd.types import ClassFiles, SampleFiles

NAME = "VisA"
SPLITS = ("train", "test")
COLUMNS = ("object", "split", "label", "image", "mask")


def _list_visa(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """Raises DataError for a recipe of more than colour, a missing or damaged table, and for missing files."""
    source = one_picture_source(folder, NAME, sources, clouds)
    table = folder.resolve().parent / "split_csv" / "1cls.csv"
    if not table.is_file():
        raise DataError(f"{table} is missing, which says which pictures of VisA are to train on; unpack it again")
    rows = [row for row in decoded(table, lambda: _rows(table)) if row["object"] == folder.resolve().name]
    splits: dict[str, list[SampleFiles]] = {split: [] for split in SPLITS}
    for row in rows:
        if row["split"] not in splits:
            raise DataError(f"{table}: the split of {row['image']} is '{row['split']}', not {' or '.join(SPLITS)}")
        image, mask = (
            listed_path(folder, "/".join(Path(row[key]).parts[1:]), table) if row[key] else None
            for key in ("image", "mask")
        )
        if image is None:
            raise DataError(f"{table}: a row of {row['object']} names no image; unpack it again")
        splits[row["split"]].append(sample({source: image}, row["split"], label_of(row["label"]), mask))
    return class_of(folder, splits["train"], (), splits["test"])


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and any(row.get(column) is None for row in rows for column in COLUMNS):
        raise ValueError(f"not every row has {', '.join(COLUMNS)}")
    return rows


VISA = Layout(NAME, lambda folder: (folder / "Data" / "Images" / "Normal").is_dir(), _list_visa)
