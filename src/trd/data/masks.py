"""Where the masks of a kind of parts lie."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from trd.data.images import IMAGE_SUFFIXES
from trd.data.partners import by_stem
from trd.errors import DataError

MASK_FOLDERS = ("gt", "ground_truth", "mask", "masks")
MASK_END = "_mask"


def masks_of(stems: Collection[str], kind: Path) -> dict[str, Path] | None:
    """Stem -> mask for the parts in a folder of one kind, None where no folder of masks is there.

    They lie in KIND/gt, or in ground_truth/KIND beside the kinds or beside the split; called STEM or STEM_mask. A
    folder STEM holds several of one part. Raises DataError for two masks of one name, and for a kind that is not read.
    """
    places = [kind / name for name in MASK_FOLDERS]
    places += [beside / name / kind.name for beside in (kind.parent, kind.parent.parent) for name in MASK_FOLDERS]
    place = next((place for place in places if place.is_dir()), None)
    return None if place is None else masks_in(place, stems)


def masks_in(place: Path, stems: Collection[str]) -> dict[str, Path]:
    """Stem -> mask in a folder, as `masks_of` has them."""
    masks: dict[str, Path] = {}
    several = {path.name: path for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    for name, path in (by_stem(place, IMAGE_SUFFIXES) | several).items():
        stem = name if name in stems else name.removesuffix(MASK_END)
        if stem in masks:
            raise DataError(f"{place}: both {masks[stem].name} and {path.name} are masks of '{stem}'; keep one")
        masks[stem] = path
    return masks
