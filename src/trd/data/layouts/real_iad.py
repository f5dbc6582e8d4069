"""Real-IAD and Real-IAD D3 as downloaded -> sample lists.

    realiad_1024/CLASS/OK/S0001/STEM.jpg, realiad_1024/CLASS/NG/KIND/S0001/STEM.jpg and STEM.png, its mask
    realiad_jsons/realiad_jsons/CLASS.json: {"meta": {"normal_class": "OK", "prefix": "CLASS/"}, "train": [...],
    "test": [...]} of {"image_path", "mask_path", "category", "anomaly_class"}, paths from the class folder

Every picture is a part. With views C1 to C5 in the recipe, which stand in the pictures' names as "_C1_", five of them
are one. D3 (realiad_d3_raw, realiad_d3_jsons) adds a validation list, `ps_path` (photometric stereo, source "ps") and
`xyz_path`. Its test split's XYZ TIFFs hold X and Y of one value, which gives defective parts away: geometry is taken
from the PCD, by `pcd_path` or beside the TIFF. Of the published descriptions, not tried on the download; how D3 calls
its PCD is a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trd.data.decoding import decoded
from trd.data.endings import READ_SUFFIXES
from trd.data.layouts.base import Layout
from trd.data.layouts.samples import class_of, one_picture_source, sample
from trd.errors import DataError
from trd.types import GOOD, ClassFiles, SampleFiles

NAME, NAME_D3 = "Real-IAD", "Real-IAD D3"
LIST_FOLDERS = (".", "realiad_jsons", "realiad_jsons/realiad_jsons")
LIST_FOLDERS_D3 = ("realiad_d3_jsons", "jsons/realiad_d3_jsons")
VALIDATION = ("validation", "val")
PICTURE_KEYS = {"rgb": "image_path", "ps": "ps_path"}


def _lists(folder: Path, places: Sequence[str]) -> Path | None:
    """CLASS.json in one of the places, beside the classes or one level up."""
    folder = folder.resolve()
    candidates = [up / place / f"{folder.name}.json" for up in list(folder.parents)[:2] for place in places]
    return next((path for path in candidates if path.is_file()), None)


def _is_real_iad(folder: Path) -> bool:
    return any(path.is_dir() for path in (folder / "OK").glob("S*"))


def _is_real_iad_d3(folder: Path) -> bool:
    return _lists(folder, LIST_FOLDERS_D3) is not None


def _list_real_iad(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    source = one_picture_source(folder, NAME, sources, clouds)
    return _listed(folder, _lists(folder, LIST_FOLDERS), {source: "image_path"}, ())


def _list_real_iad_d3(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    unknown = [source for source in sources if source not in clouds and source not in PICTURE_KEYS]
    if unknown:
        raise DataError(f"{folder}: {NAME_D3} has no '{unknown[0]}', only {', '.join(PICTURE_KEYS)} and 3D")
    keys = {source: PICTURE_KEYS.get(source, "xyz_path") for source in sources}
    return _listed(folder, _lists(folder, LIST_FOLDERS_D3), keys, clouds)


def _listed(folder: Path, lists: Path | None, keys: Mapping[str, str], clouds: Sequence[str]) -> ClassFiles:
    """Raises DataError for a missing or damaged list, an entry without a path, and for missing files."""
    name = folder.resolve().name
    if lists is None:
        raise DataError(
            f"{folder}: {name}.json is missing, which says what to train on; unpack realiad_jsons beside "
            f"{folder.resolve().parent}"
        )
    content: dict[str, Any] = decoded(lists, lambda: _content(lists), "as the lists of a class")
    good = content.get("meta", {}).get("normal_class", "OK")

    def parts(split: str) -> list[SampleFiles]:
        return [_part(folder, lists, entry, split, good, keys, clouds) for entry in content.get(split, ())]

    validation = next((split for split in VALIDATION if split in content), VALIDATION[0])
    validated = [part for part in parts(validation) if part.is_good]  # thresholds come from good parts
    return class_of(folder, parts("train"), validated, parts("test"))


def _part(
    folder: Path, lists: Path, entry: Mapping[str, Any], split: str, good: str, keys: Mapping[str, str],
    clouds: Sequence[str],
) -> SampleFiles:  # fmt: skip
    files = {}
    for source, key in keys.items():
        path = entry.get(key)
        if not path:
            raise DataError(f"{lists}: {entry.get('image_path')} has no '{key}', which is the source '{source}'")
        files[source] = _points(folder, entry, folder / path) if source in clouds else folder / path
    defect = GOOD if entry["anomaly_class"] == good else entry["anomaly_class"]
    mask = folder / entry["mask_path"] if entry.get("mask_path") else None
    return sample(files, split, defect, mask, Path(entry["image_path"]).stem)


def _points(folder: Path, entry: Mapping[str, Any], tiff: Path) -> Path:
    pcd = folder / entry["pcd_path"] if entry.get("pcd_path") else tiff.with_suffix(".pcd")
    if not pcd.is_file():
        raise DataError(
            f"{tiff}: the XYZ TIFFs of {NAME_D3} are not read: those of its test split hold X and Y of one value, "
            f"which gives defective parts away. Take the PCD files of the data set: {pcd} is missing"
        )
    return pcd


def _content(lists: Path) -> dict[str, Any]:
    content = json.loads(lists.read_text("utf-8"))
    entries = [entry for split in ("train", *VALIDATION, "test") for entry in content.get(split, ())]
    if any(not isinstance(entry.get(key), str) for entry in entries for key in ("image_path", "anomaly_class")):
        raise ValueError("an entry has no image_path or no anomaly_class")
    if any(not isinstance(value, str | None) for entry in entries for key, value in entry.items() if "path" in key):
        raise ValueError("a path is no text")
    if not isinstance(content.get("meta", {}), dict):
        raise ValueError("'meta' is no object")
    return dict(content)


def _is_readable(path: Path) -> bool:
    """The other pictures and clouds of a part, which the lists name under other keys."""
    return path.suffix.lower() in READ_SUFFIXES


def _view_of(stem: str) -> tuple[str, str] | None:
    """Of "audiojack_0001_OK_C1_20231021"."""
    match = re.fullmatch(r"(.+)_(C\d)_.*", stem)
    return (match[1], match[2]) if match else None


REAL_IAD = Layout(NAME, _is_real_iad, _list_real_iad, view_of=_view_of)
REAL_IAD_D3 = Layout(NAME_D3, _is_real_iad_d3, _list_real_iad_d3, _is_readable)
