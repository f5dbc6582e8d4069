"""What a layout is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trd.data.layouts.folder import list_folder
from trd.types import ClassFiles


def _nothing(path: Path) -> bool:
    return False


@dataclass(frozen=True)
class Layout:
    """One manner in which the files of a class lie on disk.

    name: as users read it. recognises: whether a folder is a class of this layout. list_class: (class folder, sources,
    which of them are 3D) -> all samples; raises DataError. set_aside: whether a file, by its path below the class
    folder, belongs to the layout though a recipe may do without it. view_of: stem of a picture -> name of its part and
    of the view, where the layout names views itself.
    """

    name: str
    recognises: Callable[[Path], bool]
    list_class: Callable[[Path, Sequence[str], Sequence[str]], ClassFiles] = list_folder
    set_aside: Callable[[Path], bool] = _nothing
    view_of: Callable[[str], tuple[str, str] | None] | None = None
