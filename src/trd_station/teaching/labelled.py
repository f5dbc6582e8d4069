"""Folders of labelled parts, as `trd train` and `trd learn` read them."""

from __future__ import annotations

import re
from collections.abc import Collection

import imagecodecs
import numpy as np

from trd.data.defective import DEFECT
from trd.data.labels import label_of
from trd.data.masks import MASK_FOLDERS
from trd_station.pictures import mask_of

UNSAFE = re.compile(r"[^\w.-]+")
MASKS = "gt"


def kind_folder(kind: str | None, sources: Collection[str]) -> str:
    """Name of the folder of a kind of defects, which is not taken for good parts, files of a source or masks."""
    name = UNSAFE.sub("_", kind or DEFECT).strip("._") or DEFECT
    other = label_of(name) == "good" or name.lower() in {*sources, *MASK_FOLDERS}
    return f"{name}_part" if other else name


def stem_of(inspection_id: int) -> str:
    return f"{inspection_id:08d}"


def mask_png(data: bytes, shape: tuple[int, int]) -> bytes:
    """A brushed mask as a file of masks. shape: (height, width) of the frame. Raises DataError."""
    return bytes(imagecodecs.png_encode(mask_of(data, shape).astype(np.uint8) * np.uint8(255)))
