"""Eyecandies as downloaded -> sample lists.

    CLASS/{train,val,test_public,test_private}/data/ID_ITEM.png, 17 files per sample:
    image_0 .. image_5 (lights: all spots, bottom, right, top, left, global), depth (16 bit, with ID_info_depth.yaml),
    normals, mask and its parts {bumps,dents,colors,normals}_mask, ID_metadata.yaml, ID_pose.txt

The items are the sources of a recipe: "image_4", "normals", "depth". IDs have three digits in train, two elsewhere.
test_public is the test split; test_private has no labels and can only be predicted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trd.data.clouds import depth_size
from trd.data.images import read_mask
from trd.data.layouts.base import Layout
from trd.errors import DataError
from trd.types import GOOD, UNLABELLED, Camera, ClassFiles, SampleFiles

ITEMS = (*(f"image_{light}" for light in range(6)), "depth", "normals")
DEFECTS = ("bumps", "dents", "colors", "normals")
SEVERAL = "combined"
FOCAL, WIDTH = 711.11, 512  # pixels, at the published size
SPLITS = {"train": GOOD, "val": GOOD, "test_public": None, "test_private": UNLABELLED}


def _is_eyecandies(folder: Path) -> bool:
    return (folder / "train" / "data").is_dir() or (folder / "test_private" / "data").is_dir()


def _list_eyecandies(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """All samples of one class. Raises DataError for an unknown source, a missing partner file or an empty split."""
    train = list_split(folder / "train", sources)
    if not train:
        raise DataError(f"{folder}/train/data holds no samples (ID_image_0.png and so on); unpack the class again")
    return ClassFiles(
        name=folder.resolve().name,
        root=folder,
        train=train,
        validation=list_split(folder / "val", sources),
        test=list_split(folder / "test_public", sources),
        camera=_camera(train[0].sources[clouds[0]]) if clouds else None,
    )


def list_split(folder: Path, sources: Sequence[str]) -> tuple[SampleFiles, ...]:
    """Samples of one split folder (the one that holds `data`); empty where there is none."""
    data = folder / "data"
    unknown = [source for source in sources if source not in ITEMS]
    if unknown:
        raise DataError(
            f"{data}: Eyecandies has no '{unknown[0]}', only {', '.join(ITEMS)}; use a recipe of theirs, such as "
            "eyecandies-rgb-normals"
        )
    if not data.is_dir():
        return ()
    samples = []
    for number in sorted({path.name.partition("_")[0] for path in data.glob("*_*.png")}):
        files = {source: data / f"{number}_{source}.png" for source in sources}
        for path in files.values():
            if not path.is_file():
                raise DataError(f"{path} is missing, other files of {number} are there; unpack {folder.name} again")
        defect = SPLITS.get(folder.name, UNLABELLED) or _defect(data, number)
        mask = data / f"{number}_mask.png"
        samples.append(
            SampleFiles(
                id=f"{folder.name}/{defect}/{number}",
                split=folder.name,
                defect=defect,
                sources=files,
                mask=mask if defect not in (GOOD, UNLABELLED) else None,
            )
        )
    return tuple(samples)


def _defect(data: Path, number: str) -> str:
    """The kind whose mask is not empty, "combined" where several are; "unlabelled" without the masks."""
    whole = data / f"{number}_mask.png"
    if not whole.is_file():
        return UNLABELLED
    if not read_mask(whole).any():
        return GOOD
    parts = {kind: data / f"{number}_{kind}_mask.png" for kind in DEFECTS}
    kinds = [kind for kind, path in parts.items() if path.is_file() and read_mask(path).any()]
    return kinds[0] if len(kinds) == 1 else SEVERAL


def _camera(depth: Path) -> Camera:
    """The published pinhole, principal point in the middle; in proportion for resized copies of the data set."""
    size = depth_size(depth)
    assert size is not None  # a PNG
    height, width = size
    focal = FOCAL * width / WIDTH
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2, size=size)


EYECANDIES = Layout("Eyecandies", _is_eyecandies, _list_eyecandies, lambda path: path.parts[1:2] == ("data",))
