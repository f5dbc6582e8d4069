"""A data folder -> sample lists, whichever of the known layouts it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trd.data import eyecandies, folder
from trd.data.camera_files import camera_near
from trd.data.folder import class_names
from trd.errors import DataError
from trd.types import ClassFiles, ClassFolder, SampleFiles

__all__ = ["camera_near", "class_folders", "class_names", "list_class", "list_unlabelled"]


def class_folders(root: Path, names: Sequence[str] | None = None, any_name: bool = False) -> tuple[ClassFolder, ...]:
    """The classes that a data folder holds, or those of `names`; where it is itself one class, that one.

    any_name: a single name is taken as that of a folder that is itself one class, whatever the folder is called: a
    detector of "bracket" can be evaluated on data anywhere. Raises DataError for a class that is not there.
    """
    classes = class_names(root)
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

    name: "" where `root` is itself one class. Raises DataError: see `folder` and `eyecandies`.
    """
    place = root / name if name else root
    if eyecandies.is_eyecandies(place):
        return eyecandies.list_eyecandies(place, sources, clouds)
    return folder.list_class(root, name, sources, clouds)


def list_unlabelled(place: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    """Samples of a folder to predict on."""
    if (place / "data").is_dir() and any((place / "data").glob("*_image_0.png")):
        return eyecandies.list_split(place, sources)
    return folder.list_unlabelled(place, sources, clouds)
