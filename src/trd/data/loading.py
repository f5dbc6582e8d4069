"""Sample files -> decoded, checked samples; and the split that stands in for a missing validation set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.data.clouds import read_cloud
from trd.data.decoding import decoded
from trd.data.images import read_image, read_mask
from trd.data.points import read_pcd_colours
from trd.data.views import camera_of_view, joined_views
from trd.errors import DataError
from trd.types import Camera, ClassFiles, Sample, SampleFiles, plain_sources, views_of

COLOURED_SUFFIXES = (".pcd",)  # clouds that may give the picture too

UNMEASURED_SPLITS = ("train", "validation", "val")  # nothing is compared with the ground truth of their parts


def load_sample(files: SampleFiles, clouds: tuple[str, ...], camera: Camera | None = None) -> Sample:
    """Decode one sample; every source must show the same frame.

    clouds: names of the sources that are clouds. Good test parts get an empty mask, those to train and calibrate on
    none. Raises DataError naming the file: unreadable, clouds of another size than the image, masks of another size.
    """
    views = views_of(files.sources)
    if views:
        samples = {v: load_sample(files.view(v), plain_sources(clouds), camera_of_view(camera, v)) for v in views}
        return joined_views(files.id, samples, files.defect)
    arrays: dict[str, NDArray[np.generic]] = {}
    shape: tuple[int, int] | None = None
    for source, path in sorted(files.sources.items(), key=lambda item: item[0] in clouds):
        arrays[source] = read_cloud(path, camera, shape) if source in clouds else read_colours(path)
        size = (arrays[source].shape[0], arrays[source].shape[1])
        if shape is not None and size != shape:
            raise DataError(
                f"{path} is {size[0]} x {size[1]} pixels, its partners are {shape[0]} x {shape[1]} (height x width): "
                "sources must be registered to the same pixel grid; resample one of them"
            )
        shape = size
    mask = None
    if files.mask is not None:
        stored = read_mask(files.mask)
        if stored.shape != shape:
            raise DataError(
                f"{files.mask}: the mask is {stored.shape}, its image {shape} (height, width); export it anew"
            )
        mask = stored
    elif files.is_good and files.split not in UNMEASURED_SPLITS and shape is not None:
        mask = np.zeros(shape, bool)
    return Sample(files.id, arrays, files.defect, mask)


def read_colours(path: Path) -> NDArray[np.generic]:
    """The picture of a file: itself one, or an organised cloud with colours. Raises DataError."""
    if path.suffix.lower() in COLOURED_SUFFIXES:
        return decoded(path, lambda: read_pcd_colours(path), "as the picture beside the points")
    return read_image(path)


def with_validation(files: ClassFiles, count: int, seed: int) -> ClassFiles:
    """`files` with `count` training parts, drawn by the seed, moved behind the validation split.

    One stays, and one is moved where there is no validation split; fewer than two training samples raise DataError.
    """
    if len(files.train) + len(files.validation) < 2 or len(files.train) < 2:
        raise DataError(
            f"{files.root}: {len(files.train)} training sample(s); at least 2 are needed (50 or more for a usable "
            "detector), because batch statistics and the calibration cannot come from one"
        )
    count = min(count, len(files.train) - 1)
    if not count:
        return files
    held = set(np.random.default_rng(seed).choice(len(files.train), count, replace=False).tolist())
    return replace(
        files,
        train=tuple(s for i, s in enumerate(files.train) if i not in held),
        validation=(*files.validation, *(s for i, s in enumerate(files.train) if i in held)),
    )
