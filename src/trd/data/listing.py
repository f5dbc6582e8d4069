"""A data folder -> sample lists, whichever of the known layouts it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trd.data import eyecandies, folder
from trd.data.folder import camera_near, class_names
from trd.types import ClassFiles, SampleFiles

__all__ = ["camera_near", "class_names", "list_class", "list_unlabelled"]


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
