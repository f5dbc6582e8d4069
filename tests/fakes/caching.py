"""Prepared samples to keep in a cache on disk, and what its folder holds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from rich.console import Console

from trd.config import Recipe
from trd.preprocess.cache import PreparedCache
from trd.training.prepare import PreparedClass, list_parts, prepare_class
from trd.types import ClassFolder, PreparedSample

BYTES = 2 * 3 * 64 * 64 * 4 + 2 * 64 * 64  # of the arrays of `some_sample`


def some_sample(number: int = 0) -> PreparedSample:
    rng = np.random.default_rng(number)
    normals, rgb = (rng.random((3, 64, 64), np.float32) for _ in range(2))
    rgb[0, 0, :3] = np.float32([-0.0, 1e-42, np.nan])
    flags = rng.random((2, 64, 64)) < 0.5
    return PreparedSample(
        f"train/good/{number}", "good", {"rgb": rgb, "normals": normals}, flags[0], flags[1], (50, 60)
    )


def assert_same(found: PreparedSample, expected: PreparedSample) -> None:
    assert (found.id, found.defect, found.shape) == (expected.id, expected.defect, expected.shape)
    assert isinstance(found.shape, tuple)
    assert list(found.images) == list(expected.images)
    pairs = [(found.images[name], image) for name, image in expected.images.items()]
    for array, wanted in [*pairs, (found.region, expected.region), (found.mask, expected.mask)]:
        if wanted is None:
            assert array is None
        else:
            assert array is not None
            assert (array.dtype, array.shape, array.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


def never() -> PreparedSample:
    raise AssertionError("prepared although it is in the cache")


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def fill(cache: PreparedCache, numbers: range, begin: float = 1e9) -> None:
    """Samples under their number, each a second younger than the one before it: file times may be coarse."""
    for number in numbers:
        cache.get(str(number), lambda n=number: some_sample(n))
        path = cache.folder / f"{number}.safetensors"
        if path.exists():
            os.utime(path, (begin + number, begin + number))


def prepare_biscuits(root: Path, recipe: Recipe) -> PreparedClass:
    files, record = list_parts(ClassFolder("biscuit", root / "biscuit"), recipe, Console(quiet=True))
    return prepare_class(files, recipe, record)
