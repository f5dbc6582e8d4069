"""A data set of which every part has two views, made of one with one picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

VIEWS = ("top", "back")
NAMED = 'views.names=["top", "back"]'


def in_folders(drawn: Path, folder: Path, cls: str = "biscuit") -> Path:
    """`folder/CLASS/top` as drawn; `folder/CLASS/back` mirrored, and narrower by a few columns of the support."""
    shutil.copytree(drawn / cls, folder / cls / "top")
    for path in sorted((drawn / cls).rglob("*")):
        target = folder / cls / "back" / path.relative_to(drawn / cls)
        if path.suffix == ".png":
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(np.asarray(Image.open(path))[:, ::-1][:, 4:-4])).save(target)
        elif path.suffix == ".tiff":
            target.parent.mkdir(parents=True, exist_ok=True)
            cloud = tifffile.imread(path)[:, ::-1][:, 4:-4] * np.float32([-1, 1, 1])
            tifffile.imwrite(target, cloud, photometric="rgb")
    return folder


def by_name(folders: Path, folder: Path, cls: str = "biscuit") -> Path:
    """The same views as files of one folder: `0001_top.png`, `0001_back.png`."""
    for view in VIEWS:
        for path in sorted((folders / cls / view).rglob("*")):
            if path.is_file() and path.suffix != ".json":
                target = folder / cls / path.relative_to(folders / cls / view)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target.with_name(f"{path.stem}_{view}{path.suffix}"))
    return folder
