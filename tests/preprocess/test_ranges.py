"""Notes on samples that look unlike the training set."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from trd.config import load_recipe
from trd.data.demo import draw_demo
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.ranges import MARGINS, NOTED, TrainingRanges
from trd.types import Sample


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, list[Sample]]:
    """A pipeline of drawn parts, and the good test parts."""
    root: Path = tmp_path_factory.mktemp("demo")
    draw_demo(root, per_kind=0)
    recipe = load_recipe("demo")
    files = list_class(root, "biscuit", recipe.sources, recipe.point_cloud_sources)
    pipeline = Pipeline.fit(recipe, (load_sample(sample, recipe.point_cloud_sources) for sample in files.train))
    return pipeline, [load_sample(sample, recipe.point_cloud_sources) for sample in files.test]


def test_good_parts_get_no_note(fitted: tuple[Pipeline, list[Sample]]) -> None:
    pipeline, samples = fitted
    assert len(samples) == 10
    assert [pipeline(sample).notes for sample in samples] == [()] * 10
    assert pipeline.ranges is not None
    assert {name.partition(" ")[0] for name in pipeline.ranges.values} == set(MARGINS)


def closer(sample: Sample) -> Sample:
    """The scene magnified around the frame's middle, as from a third nearer."""
    arrays = {}
    for name, array in sample.arrays.items():
        middle = np.asarray(array)[32:-32, 32:-32]
        arrays[name] = cv2.resize(middle, (192, 192), interpolation=cv2.INTER_NEAREST)
    arrays["xyz"][..., 2] *= 2 / 3
    return Sample("closer", arrays)


def farther(sample: Sample) -> Sample:
    xyz = np.array(sample.arrays["xyz"])
    xyz[..., 2] += 0.1 * (xyz[..., 2] != 0)
    return Sample("farther", {**sample.arrays, "xyz": xyz})


def larger(sample: Sample) -> Sample:
    return Sample("larger", {**sample.arrays, "xyz": sample.arrays["xyz"] * np.float32([1.5, 1.5, 1])})


def gappy(sample: Sample) -> Sample:
    xyz = np.array(sample.arrays["xyz"])
    xyz[:40] = 0
    return Sample("gappy", {**sample.arrays, "xyz": xyz})


def dark(sample: Sample) -> Sample:
    return Sample("dark", {**sample.arrays, "rgb": sample.arrays["rgb"] // 2})


def smaller(sample: Sample) -> Sample:
    return Sample("small", {name: np.ascontiguousarray(array[::2, ::2]) for name, array in sample.arrays.items()})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (closer, r"plane at 0\.27 m, training 0\.40 to 0\.40 m"),
        (closer, r"part of 2\d\d pixels from corner to corner, training 1\d\d to 1\d\d"),
        (farther, r"plane at 0\.50 m, training 0\.40 to 0\.40 m"),
        (larger, r"part of 1\d\d mm from corner to corner, training 1?\d\d to 1\d\d mm"),
        (gappy, r"\d\d% of the points measured, training 9\d% to (9\d|100)%"),
        (dark, r"mean brightness of 'rgb' 0\.\d\d, training 0\.\d\d to 0\.\d\d"),
        (smaller, r"frame of 96 x 96 pixels, training 192 x 192"),
    ],
)
def test_what_is_unlike_the_training_is_noted(fitted: tuple[Pipeline, list[Sample]], change, said: str) -> None:
    pipeline, samples = fitted
    notes = pipeline(change(samples[0])).notes
    assert len([note for note in notes if re.fullmatch(said, note)]) == 1, notes
    assert Pipeline(pipeline.recipe, pipeline.frame)(change(samples[0])).notes == ()  # an earlier version's


def test_only_what_changed_is_noted(fitted: tuple[Pipeline, list[Sample]]) -> None:
    pipeline, samples = fitted
    for change in (farther, larger, gappy, dark, smaller):
        assert len(pipeline(change(samples[0])).notes) == 1, change


def test_they_survive_json(fitted: tuple[Pipeline, list[Sample]]) -> None:
    ranges = fitted[0].ranges
    assert ranges is not None
    assert TrainingRanges.from_json(json.loads(json.dumps(ranges.to_json()))) == ranges


def test_what_only_the_station_watches_is_recorded_and_not_noted(fitted: tuple[Pipeline, list[Sample]]) -> None:
    ranges = fitted[0].ranges
    assert ranges is not None
    low, high = ranges.values["part_x_mm"]
    assert ranges.widened("part_x_mm") == (low - 5, high + 5)
    assert ranges.widened("nothing") is None
    strange = {name: 1e3 for name in ranges.values if name.partition(" ")[0] not in NOTED}
    assert set(strange) == {"contrast rgb", "tilt", "part_x_mm", "part_y_mm"}
    assert ranges.notes(ranges.size, strange) == ()


@pytest.mark.parametrize(
    "damaged", [{}, {"size": [1, 2]}, {"size": 3, "values": {}}, {"size": [1, 2], "values": {"plane": [1]}}]
)
def test_damaged_ones_are_told(damaged: dict) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        TrainingRanges.from_json(damaged)


def test_without_a_cloud_size_and_brightness_remain() -> None:
    recipe = load_recipe("lite-rgb", ["frame.size=64"])
    samples = [Sample(str(value), {"rgb": np.full((64, 96), value, np.uint8)}) for value in (100, 110, 200)]
    pipeline = Pipeline.fit(recipe, samples[:2])
    assert pipeline(samples[1]).notes == ()
    assert pipeline(samples[2]).notes == ("mean brightness of 'rgb' 0.78, training 0.39 to 0.43",)
    deep = Sample("deep", {"rgb": np.full((64, 96), 105 * 257, np.uint16)})
    assert pipeline(deep).notes == ()


def test_a_small_part_is_measured_alike_in_training_and_prediction() -> None:
    """Where the window begins must not decide which of its pixels are looked at."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:203, :203]
    samples = []
    for index in range(4):
        z = 0.4 + rng.normal(0, 2e-5, (203, 203))
        z[90 + index : 119 + index, 91:122] -= 0.02
        xyz = np.stack([(columns - 101) * z / 300, (rows - 101) * z / 300, z], axis=-1).astype(np.float32)
        samples.append(Sample(str(index), {"rgb": np.full((203, 203, 3), 90, np.uint8), "xyz": xyz}, "good"))
    for margin in (0.08, 0.1, 0.13, 0.2):
        pipeline = Pipeline.fit(load_recipe("lite-residual", [f"frame.margin={margin}"]), samples)
        for sample in samples:
            assert pipeline(sample).notes == ()
