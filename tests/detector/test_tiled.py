"""A detector that sees tiles."""

from pathlib import Path

import meandistance
import numpy as np
import pytest
from sharing import run_of

from trd.check.resolution import DefectSize, pixel_pitch, resolution
from trd.config import FrameConfig, Recipe, load_recipe, recipe_from_toml
from trd.detector import Detector
from trd.engines.base import Maps
from trd.engines.tiled import BATCH, TiledEngine
from trd.errors import DataError, RecipeError
from trd.evaluation.evaluate import evaluate_class
from trd.preprocess import tiles
from trd.preprocess.frame import Frame
from trd.preprocess.tiles import Tiles
from trd.types import ClassFolder, Sample


@pytest.fixture(scope="module")
def recipe(mean_distance: None) -> Recipe:
    changes = ("frame.size=128", "frame.tile=64", "frame.crop=part", "scoring.region=part")
    return recipe_from_toml(meandistance.toml("mean"), "a test").changed(*changes)


@pytest.mark.parametrize("stride", [1, 2])
def test_maps_regions_and_masks_of_tiles_lie_over_each_other(
    recipe: Recipe, drawn: Path, samples: list[Sample], stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "MAP_SIDE", 128 // stride)
    monkeypatch.setenv("TRD_CACHE_GB", "0")  # what it holds is of the other stride
    run = run_of(drawn, tmp_path, recipe)  # with its report
    detector = Detector.load(run)
    assert detector.facts.frame.map_size == (128 // stride, 128 // stride)
    assert detector.engine.form.endswith("9 tiles")
    prepared = detector.pipeline(samples[0])
    assert prepared.images["rgb"].shape == (3, 128, 128)
    assert prepared.region is not None
    assert prepared.region.shape == (128 // stride, 128 // stride)
    prediction = detector.predict(samples[0])
    assert prediction.map.shape == samples[0].arrays["rgb"].shape[:2]
    result = evaluate_class(detector, ClassFolder("biscuit", drawn / "biscuit"))
    assert result.masks is not None
    assert result.maps["fused"].shape == result.masks.shape
    assert result.metrics["maps"]["fused"]["pixel_auroc"] > 0.6


class Counting:
    """An engine that gives its images' first channel, and counts what it gets at once."""

    device, precision, form = "cpu", "fp32", "fake"

    def __init__(self) -> None:
        self.counts: list[int] = []

    def raw_maps(self, images) -> Maps:
        (stack,) = images.values()
        self.counts.append(len(stack))
        return {"rgb": stack[:, 0]}


def test_few_tiles_are_computed_at_once() -> None:
    engine = Counting()
    images = np.random.default_rng(0).random((2, 3, 512, 512), np.float32)
    maps = TiledEngine(engine, Tiles((512, 512), (96, 96))).raw_maps({"rgb": images})
    assert max(engine.counts) == BATCH
    np.testing.assert_allclose(maps["rgb"], images[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("frame.size=4096",), "cut it into tiles"),
        (("frame.size=128", "frame.tile=320"), "larger than size"),
        (("frame.tile=32",), "64 pixels at least"),
    ],
)
def test_sizes_that_do_not_go_together(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("lite-rgb-memory-bank", changes)


FRAME = Frame((1200, 1600), (0, 0, 1200, 1600), (256, 320))


@pytest.mark.parametrize(
    ("defect", "size", "warning"),
    [
        ("60px", 320, ""),
        ("30 px", 320, "frame.size=448"),
        ("10px", 320, "--set frame.size=1280 --set frame.tile=320"),
        ("3px", 320, "too small for this sensor"),
        ("2mm", 320, "--set frame.size=1280 --set frame.tile=320"),
    ],
)
def test_tiles_are_proposed_where_the_smallest_defect_needs_them(defect: str, size: int, warning: str) -> None:
    answer = resolution(DefectSize.of(defect), FrameConfig(size=size), FRAME, pitch=0.2)
    assert warning in answer.warning
    assert bool(answer.warning) == bool(warning)
    assert "pixels across for the network" in answer.fact


def test_nothing_is_proposed_that_the_sensor_does_not_show() -> None:
    coarse = Frame((240, 256), (0, 0, 240, 256), (256, 320))
    answer = resolution(DefectSize.of("5px"), FrameConfig(size=320), coarse, None)
    assert "too small for this sensor" in answer.warning


def test_sizes_of_defects_that_cannot_be_told() -> None:
    with pytest.raises(DataError, match="such as 0.5mm or 12px"):
        DefectSize.of("half a millimetre")
    with pytest.raises(DataError, match="needs a point cloud"):
        resolution(DefectSize.of("1mm"), FrameConfig(), FRAME, None)


def test_the_pitch_is_that_of_neighbouring_points(samples: list[Sample]) -> None:
    cloud = np.zeros((4, 5, 3), np.float32)
    cloud[..., 0], cloud[..., 2] = 0.0003 * np.arange(5), 0.5
    cloud[1, 2] = 0
    assert pixel_pitch([cloud]) == pytest.approx(0.3, rel=1e-4)
    assert pixel_pitch([np.zeros_like(cloud)]) is None
