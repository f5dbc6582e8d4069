"""The layouts of a user's own folders, and the data sets in 3D that lie as they do."""

from __future__ import annotations

from pathlib import Path

from trd.data.camera_files import CAMERA_FILES
from trd.data.layouts.base import Layout
from trd.data.layouts.folder import holds_files, is_class


def _is_mvtec_3d(folder: Path) -> bool:
    """As `folder` has it, with CLASS/calibration/camera_parameters.json."""
    return (folder / "train" / "good" / "rgb").is_dir() and (folder / CAMERA_FILES[-1]).is_file()


def _holds_files_together(folder: Path) -> bool:
    """Files beside each other in the training split or a folder in it; without one, in the class."""
    train = folder / "train"
    places = [train, *train.iterdir()] if train.is_dir() else [folder]
    return any(holds_files(place) for place in places if place.is_dir())


MVTEC_3D = Layout("MVTec 3D-AD", _is_mvtec_3d)
TOGETHER = Layout("files of a part together", _holds_files_together)
PER_SOURCE = Layout("a folder per source", is_class)
