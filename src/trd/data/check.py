"""Every file of a class read once, so that all that cannot be used are known at once and not one after another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trd.data.clouds import NO_PICTURE, read_cloud
from trd.data.images import read_mask
from trd.data.loading import load_sample, read_colours
from trd.errors import DataError
from trd.types import Camera, SampleFiles

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


def _faults(sample: SampleFiles, clouds: tuple[str, ...], camera: Camera | None) -> list[tuple[Path, str]]:
    try:
        load_sample(sample, clouds, camera)
    except DataError as error:
        paths = [*sample.sources.values(), *([sample.mask] if sample.mask is not None else [])]
        named = next((path for path in paths if str(path) in str(error)), paths[0])
        # The first fault ends the reading of a sample; the other files are tried one by one.
        return _faults_alone(sample, clouds, camera) or [(named, str(error))]
    return []


def _faults_alone(sample: SampleFiles, clouds: tuple[str, ...], camera: Camera | None) -> list[tuple[Path, str]]:
    """Of each file for itself."""
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
