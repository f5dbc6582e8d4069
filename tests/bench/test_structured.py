"""Structured parts of `benchmarks/structured`: the same bytes again, a layout that is read, masks, plausible clouds."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import tifffile

from trd.data.listing import list_class

PROGRAMS = Path(__file__).parents[2] / "benchmarks/structured"
if not PROGRAMS.is_dir():
    pytest.skip("not in a checkout", allow_module_level=True)

COUNTS = {"train": 1, "validation": 0, "good": 1, "defect": 1}
SIZE = 80


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROGRAMS))
        yield importlib.import_module("generate")


@pytest.fixture(scope="module")
def root(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("structured")
    for scene in generator.SCENES:
        generator.generate(folder, scene, 1, COUNTS, SIZE)
    return folder


@pytest.mark.parametrize("scene", ["connector", "gland", "heatsink"])
def test_a_drawn_class_is_read_and_plausible(generator: ModuleType, root: Path, scene: str) -> None:
    files = list_class(root, scene, ("rgb", "xyz"), ("xyz",))
    kinds = generator.SCENES[scene].kinds
    assert len(files.train) == 1
    assert sorted(sample.defect for sample in files.test) == sorted([*kinds, "good"])
    for picture in (root / scene).glob("*/*/rgb/*.png"):
        colour = cv2.imread(str(picture))
        cloud = tifffile.imread(picture.parent.parent / "xyz" / f"{picture.stem}.tiff")
        assert colour.shape == cloud.shape == (SIZE, SIZE, 3)
        assert cloud.dtype == np.float32
        missing = cloud[..., 2] == 0
        assert not cloud[missing].any()
        assert 0.2 < missing.mean() < 0.5
        assert 0.55 < np.median(cloud[~missing][:, 2]) < 0.75  # metres
    for mask in (root / scene).glob("test/*/gt/*.png"):
        marked = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 0
        assert marked.any() == (mask.parent.parent.name != "good")
        assert marked.mean() < 0.05


def test_the_same_seed_gives_the_same_bytes(generator: ModuleType, root: Path, tmp_path: Path) -> None:
    few = {"train": 1, "validation": 0, "good": 0, "defect": 0}
    generator.generate(tmp_path / "again", "gland", 1, few, SIZE)
    generator.generate(tmp_path / "other", "gland", 2, few, SIZE)
    for file in ("train/good/rgb/000.png", "train/good/xyz/000.tiff"):
        first = (root / "gland" / file).read_bytes()
        assert (tmp_path / "again/gland" / file).read_bytes() == first
        assert (tmp_path / "other/gland" / file).read_bytes() != first
