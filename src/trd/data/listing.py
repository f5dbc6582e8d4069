"""A data folder -> sample lists, whichever of the known layouts it has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trd.data.camera_files import camera_near
from trd.data.layouts import eyecandies, folder
from trd.data.layouts.base import Layout
from trd.data.layouts.mulsen import MULSEN_AD
from trd.data.layouts.own import MVTEC_3D, PER_SOURCE, TOGETHER
from trd.data.layouts.pictures import BTAD, MVTEC_AD, MVTEC_AD_2, MVTEC_LOCO
from trd.data.layouts.real_iad import REAL_IAD, REAL_IAD_D3
from trd.data.layouts.visa import VISA
from trd.data.unread import unread_below, unread_beside
from trd.data.views import list_class_of_views, list_parts_of_views
from trd.errors import DataError
from trd.types import ClassFiles, ClassFolder, SampleFiles, views_of

__all__ = ["camera_near", "class_folders", "class_names", "layout_of", "list_class", "list_unlabelled"]

DATA_SETS = (eyecandies.EYECANDIES, VISA, REAL_IAD_D3, REAL_IAD, MULSEN_AD, MVTEC_AD_2, MVTEC_LOCO, MVTEC_AD, BTAD)
"""What is asked first, in this order: LOCO is MVTec AD with more."""
LAYOUTS = (*DATA_SETS, MVTEC_3D, TOGETHER, PER_SOURCE)

_log = logging.getLogger(__name__)


def layout_of(place: Path) -> Layout:
    """The layout of a class folder; a folder per source where none is recognised."""
    return next((layout for layout in LAYOUTS if layout.recognises(place)), PER_SOURCE)


def class_names(root: Path, views: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the classes below `root`, sorted; ("",) where `root` is itself one class.

    views: of a recipe, which may lie in folders of the class. Raises DataError when there is nothing to read.
    """
    if not root.is_dir():
        raise DataError(f"the data folder {root} does not exist")
    if _is_class(root, views):
        return ("",)
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and _is_class(path, views))
    if not names and folder.holds_files(root):
        return ("",)
    if not names:
        unread = "".join(f"; {line}" for line in unread_below(root))
        raise DataError(
            f"{root} holds no class: looked for {root}/CLASS/train and {root}/train; see the layout in the README, "
            f"'Your own parts'{unread}"
        )
    return tuple(names)


def _is_class(place: Path, views: Sequence[str]) -> bool:
    if views and all((place / view).is_dir() and _is_class(place / view, ()) for view in views):
        return True
    return folder.is_class(place) or any(layout.recognises(place) for layout in DATA_SETS)


def class_folders(
    root: Path, names: Sequence[str] | None = None, any_name: bool = False, views: Sequence[str] = ()
) -> tuple[ClassFolder, ...]:
    """The classes that a data folder holds, or those of `names`; where it is itself one class, that one.

    views: of a recipe, which may lie in folders of the class.

    any_name: a single name is taken as that of a folder that is itself one class, whatever the folder is called: a
    detector of "bracket" can be evaluated on data anywhere. Raises DataError for a class that is not there.
    """
    classes = class_names(root, views)
    alone = classes == ("",)
    if alone and (not names or (len(names) == 1 and (any_name or names[0] == root.resolve().name))):
        return (ClassFolder(names[0] if names else root.resolve().name, root),)
    unknown = [name for name in names or () if name not in classes]
    if unknown:
        available = root.resolve().name if alone else ", ".join(classes)
        raise DataError(f"{root} holds no class '{unknown[0]}'; there are: {available}")
    return tuple(ClassFolder(name, root / name) for name in names or classes)


def list_class(root: Path, name: str, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """All samples of one class, each with a file for every one of `sources`; `clouds` says which of them are 3D.

    sources: `Recipe.inputs`. name: "" where `root` is itself one class. Raises DataError for a missing class folder,
    and as its layout does.
    """
    place = root / name if name else root
    if not place.is_dir():
        listed_classes = ", ".join(class_names(root)) if root.is_dir() else "none: the data folder does not exist"
        raise DataError(f"class folder {place} is missing; classes there: {listed_classes}")
    if views_of(sources):
        files = list_class_of_views(place, sources, clouds, layout_of(place).view_of, _list_one_layout)
    else:
        files = _list_one_layout(place, sources, clouds)
    return replace(files, name=name) if name else files


def _list_one_layout(place: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    return layout_of(place).list_class(place, sources, clouds)


def list_unlabelled(
    place: Path, sources: Sequence[str], clouds: Sequence[str], masked: bool = False
) -> tuple[SampleFiles, ...]:
    """Samples of a folder to predict on; the log names files beside them that are not read.

    masked: with the masks that lie beside them, where there are some.
    """
    if views_of(sources):
        return list_parts_of_views(place, sources, clouds, partial(list_unlabelled, masked=masked))
    if (place / "data").is_dir() and any((place / "data").glob("*_image_0.png")):
        return eyecandies.list_split(place, sources)
    samples = folder.list_unlabelled(place, sources, clouds, masked)
    for line in unread_beside(samples):
        _log.warning("%s: %s", place, line)
    return samples
