"""Every file of a class read once, so that all that cannot be used are known at once and not one after another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from trd.data.clouds import NO_PICTURE, read_cloud
from trd.data.decoding import head
from trd.data.endings import NAMED_FILES
from trd.data.images import read_mask
from trd.data.loading import load_sample, read_colours
from trd.data.views import camera_of_view
from trd.errors import DataError
from trd.types import Camera, SampleFiles, plain_sources, views_of

LFS_START = b"version https://git-lfs."
THREADS = 4  # each may hold a sample of the largest size permitted


def unreadable(
    samples: Iterable[SampleFiles], clouds: Sequence[str], camera: Camera | None = None
) -> list[tuple[Path, str]]:
    """(file, reason) of every file that cannot be used, in the order of the samples; empty where all can.

    The reason names the file and the remedy, as the DataError does that training would raise.
    """

    def faults(sample: SampleFiles) -> list[tuple[Path, str]]:
        return _faults(sample, tuple(clouds), camera)

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return [fault for sample_faults in pool.map(faults, samples) for fault in sample_faults]


def grouped(faults: Iterable[tuple[Path, str]], below: Path) -> list[str]:
    """A line for each kind of fault, with its count and the first files' names below a folder, and one whole reason."""
    kinds: dict[str, list[tuple[Path, str]]] = {}
    for path, reason in faults:
        kinds.setdefault(re.sub(r"\d+", "0", reason.replace(str(path), "")), []).append((path, reason))
    return [_line([path for path, _ in kind], kind[0][1], below) for kind in kinds.values()]


def doubtful_masks(samples: Iterable[SampleFiles]) -> list[str]:
    """A line each for the masks of defective parts that mark nothing, and for those that mark all of the picture.

    Masks that cannot be read are no matter of this (`unreadable`).
    """
    masked = [(sample.id, sample.masks) for sample in samples if sample.masks and not sample.is_good]
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        shares = list(pool.map(_marked_share, (masks for _, masks in masked)))
    lines = []
    for doubtful, text in ((0.0, "no defect is marked"), (1.0, "all of the picture is marked as defect")):
        if parts := [part for (part, _), share in zip(masked, shares, strict=True) if share == doubtful]:
            named = ", ".join(parts[:NAMED_FILES]) + (", ..." if len(parts) > NAMED_FILES else "")
            lines.append(f"{text} in {len(parts)} of {len(masked)} masks: {named}")
    return lines


def _marked_share(masks: Sequence[Path]) -> float | None:
    """Of all views' masks together; None where one cannot be read."""
    try:
        return float(np.mean([read_mask(mask).mean() for mask in masks]))
    except DataError:
        return None


def _line(paths: list[Path], reason: str, below: Path) -> str:
    if len(paths) == 1:
        return reason if str(paths[0]) in reason else f"{paths[0]}: {reason}"
    named = ", ".join(str(path.relative_to(below)) for path in paths[:NAMED_FILES])
    return f"{len(paths)} files ({named}{', ...' if len(paths) > NAMED_FILES else ''}), of the first: {reason}"


def _faults(sample: SampleFiles, clouds: tuple[str, ...], camera: Camera | None) -> list[tuple[Path, str]]:
    try:
        load_sample(sample, clouds, camera)
    except DataError as error:
        paths = [*sample.sources.values(), *sample.masks]
        named = next((path for path in paths if str(path) in str(error)), paths[0])
        # The first fault ends the reading of a sample; the other files are tried one by one.
        faults = _faults_alone(sample, clouds, camera) or [(named, str(error))]
        return [(path, _lfs_pointer(path) or reason) for path, reason in faults]
    return []


def _lfs_pointer(path: Path) -> str | None:
    """What to do about a file that Git LFS has not fetched; None for any other one."""
    if not path.is_file() or not head(path).startswith(LFS_START):
        return None
    return f"{path} is a pointer of Git LFS, the file itself was not fetched: run git lfs pull in the data's checkout"


def _faults_alone(sample: SampleFiles, clouds: tuple[str, ...], camera: Camera | None) -> list[tuple[Path, str]]:
    """Of each file for itself."""
    if views := views_of(sample.sources):
        plain = plain_sources(clouds)
        return [f for v in views for f in _faults_alone(sample.view(v), plain, camera_of_view(camera, v))]
    problems: list[tuple[Path, str]] = []
    shape: tuple[int, int] | None = None
    for source, path in sorted(sample.sources.items(), key=lambda item: item[0] in clouds):
        try:
            array = read_cloud(path, camera, shape) if source in clouds else read_colours(path)
            shape = (array.shape[0], array.shape[1])
        except DataError as error:
            if not (problems and NO_PICTURE in str(error)):  # a picture that cannot be read is no fault of the points
                problems.append((path, str(error)))
    if sample.mask is not None:
        try:
            read_mask(sample.mask)
        except DataError as error:
            problems.append((sample.mask, str(error)))
    return problems
