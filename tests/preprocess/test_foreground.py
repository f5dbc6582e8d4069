"""The plane along the border, and the part that stands on it."""

import numpy as np
import pytest
from scans import STRICT, block, flat_sample, scan

from trd.config import load_recipe
from trd.preprocess.foreground import border_plane
from trd.preprocess.pipeline import Pipeline
from trd.types import Sample


def with_strays(sample: Sample, count: int = 40) -> Sample:
    xyz, rng = np.array(sample.arrays["xyz"]), np.random.default_rng(0)
    xyz[:15], xyz[-15:], xyz[:, :15], xyz[:, -15:] = 0, 0, 0, 0
    for row, column in zip(rng.integers(0, 120, count), rng.choice([2, 8, 150, 157], count), strict=True):
        xyz[row, column] = rng.normal([0, 0, 0.7], 0.1)
    return Sample(sample.id, {**sample.arrays, "xyz": xyz}, sample.defect)


@pytest.mark.parametrize("strays", [0, 40])
def test_the_border_is_that_of_what_was_measured(strays: int) -> None:
    recipe = load_recipe("lite-residual", STRICT)
    whole = scan(block(), tilt=3)
    rimless = with_strays(whole, strays)
    frame = Pipeline.fit(recipe, [rimless]).frame
    assert np.abs(np.subtract(frame.window, Pipeline.fit(recipe, [whole]).frame.window)).max() <= 2
    found, expected = border_plane(rimless.arrays["xyz"]), border_plane(whole.arrays["xyz"])
    assert found is not None
    assert expected is not None
    assert np.degrees(np.arccos(min(1.0, float(found[:3] @ expected[:3])))) < 0.1


def test_gaps_in_the_part_are_scored_and_a_part_elsewhere_is_not_waved_through() -> None:
    sample = flat_sample(150, 200)
    pipeline = Pipeline.fit(load_recipe("lite-residual", ["frame.size=128"]), [sample])
    whole = pipeline(sample).region
    xyz = np.array(sample.arrays["xyz"])
    xyz[55:68, 90:110] = 0  # not measured
    xyz[55:68, 70:85, 2] = 0.4  # broken out down to the table
    holed = pipeline(Sample("holed", {**sample.arrays, "xyz": xyz})).region
    assert whole is not None
    assert holed is not None
    assert (holed & whole).sum() > 0.97 * whole.sum()
    away = {name: np.roll(array, 70, axis=0) for name, array in sample.arrays.items()}
    moved = pipeline(Sample("away", away)).region
    assert moved is None or moved.any()
