"""What sensors write for "not measured", and axes that look the other way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scans import STRICT, block, scan

from trd.config import load_recipe
from trd.errors import DataError
from trd.preprocess.cloud_values import with_clean_clouds
from trd.preprocess.facts import sample_facts
from trd.preprocess.pipeline import Pipeline
from trd.types import Sample


def cleaned(cloud: np.ndarray, *missing: float) -> np.ndarray:
    sample = Sample("part-1", {"xyz": cloud.astype(np.float32)})
    return np.asarray(with_clean_clouds(sample, ("xyz",), missing).arrays["xyz"])


@pytest.fixture
def cloud() -> np.ndarray:
    """A part on a plane at 0.4 m, with gaps."""
    xyz = np.array(scan(block()).arrays["xyz"], np.float32)
    xyz[5:9, 10:60] = 0
    return xyz


def marked(cloud: np.ndarray, value: float, share: float = 0.03, only_z: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The cloud with that value in some places and in place of all zeros, and where."""
    absent = (np.random.default_rng(0).random(cloud.shape[:2]) < share) | (cloud[..., 2] == 0)
    result = cloud.copy()
    result[absent, 2 if only_z else slice(None)] = value
    return result, absent


@pytest.mark.parametrize("only_z", [False, True])
@pytest.mark.parametrize("value", [-9999.0, 65535.0, 65.535, -1.0, -99.9999, 3.0e38])
def test_a_value_far_from_all_others_is_named(cloud: np.ndarray, value: float, only_z: bool) -> None:
    stored, absent = marked(cloud, value, only_z=only_z)
    number = re.escape(str(np.float32(value)))
    named = rf"part-1, z of 'xyz': \d\.\d% of the points have {number}, far from all others \(0\.3"
    with pytest.raises(DataError, match=rf"{named}.*train with --set frame.missing=\[{number}\]"):
        cleaned(stored)
    kept = cleaned(stored, value)
    assert (kept[absent] == 0).all()
    np.testing.assert_array_equal(kept[~absent], cloud[~absent])


def test_several_values_are_missing(cloud: np.ndarray) -> None:
    stored, absent = marked(cloud, -9999)
    stored[50:60, 50:60], absent[50:60, 50:60] = 65535, True
    with pytest.raises(DataError, match="have 65535"):
        cleaned(stored, -9999)
    assert ((cleaned(stored, -9999, 65535)[..., 2] == 0) == absent).all()


def test_height_maps_have_both_signs(cloud: np.ndarray) -> None:
    """Millimetres about a reference; the sensor's value for nothing is found there too."""
    heights = cloud.copy()
    heights[..., 2] = np.where(cloud[..., 2] == 0, 0, 1000 * (0.4 - cloud[..., 2]) - 1)
    assert (heights[..., 2] < 0).any()
    assert (heights[..., 2] > 0).any()
    np.testing.assert_array_equal(cleaned(heights), heights)
    with pytest.raises(DataError, match=r"have -99\.9999"):
        cleaned(marked(heights, -99.9999)[0])


def flat_floor() -> np.ndarray:
    """A drawn plane of one exact distance with a nearly flat part: many equal values that are real."""
    xyz = np.dstack([*np.meshgrid(np.linspace(-0.1, 0.1, 120), np.linspace(-0.1, 0.1, 120)), np.full((120, 120), 0.5)])
    xyz[40:80, 40:80, 2] = 0.45 + np.random.default_rng(0).normal(0, 1e-4, (40, 40))
    return xyz.astype(np.float32)


def whole_numbers() -> np.ndarray:
    """A depth image of few steps, whose extreme values are frequent."""
    xyz = flat_floor()
    xyz[..., 2] = np.round(20 * xyz[..., 2] + np.linspace(0, 3, 120)) / 20
    return xyz


@pytest.mark.parametrize("drawn", [flat_floor, whole_numbers])
def test_equal_values_near_the_others_are_distances(drawn: Any) -> None:
    np.testing.assert_array_equal(cleaned(drawn()), drawn())


def test_nothing_is_left(cloud: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"part-1: all points of 'xyz' are missing \(frame.missing\)"):
        cleaned(np.full_like(cloud, -1), -1)


@pytest.mark.parametrize("signs", [(1, -1, -1), (1, 1, -1), (-1, -1, -1)])
def test_z_that_points_to_the_sensor_is_turned(cloud: np.ndarray, signs: tuple[int, int, int]) -> None:
    """x and y then grow with columns and rows, as a camera shows them."""
    np.testing.assert_array_equal(cleaned(cloud * np.array(signs)), cloud)


def test_a_few_points_behind_the_sensor_are_missing(cloud: np.ndarray) -> None:
    stray = cloud.copy()
    stray[20, 20:30] *= -1
    expected = cloud.copy()
    expected[20, 20:30] = 0
    np.testing.assert_array_equal(cleaned(stray), expected)


def test_a_clean_sample_is_not_copied(cloud: np.ndarray) -> None:
    sample = Sample("part-1", {"xyz": cloud, "rgb": np.zeros((2, 2, 3), np.uint8)})
    assert with_clean_clouds(sample, ("xyz",), ()) is sample
    assert with_clean_clouds(sample, ("xyz",), (-9999.0,)) is sample
    assert with_clean_clouds(replace(sample, id="2"), (), ()).arrays is sample.arrays


def test_training_says_that_axes_were_turned(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trd")
    recipe = load_recipe("lite-residual", STRICT)
    plain = Pipeline.fit(recipe, [scan(block())])
    backwards = scan(block())
    backwards.arrays["xyz"][...] *= np.float32([1, -1, -1])
    assert "turned" not in plain.record
    turned = Pipeline.fit(recipe, [backwards])
    assert "z is negative in the clouds of 1 of 1 training samples" in caplog.text
    assert turned.record["turned"] == 1
    assert turned.frame == plain.frame
    np.testing.assert_array_equal(turned(backwards).images["normals"], plain(scan(block())).images["normals"])


def test_a_part_below_its_plane_is_told_from_none() -> None:
    """Heights that grow towards the sensor, as profilers write them."""
    upwards = scan(block())
    upwards.arrays["xyz"][..., 2] = 0.8 - upwards.arrays["xyz"][..., 2]
    with pytest.raises(DataError, match=r"10 mm lie below it, so z may grow towards the sensor, .* multiply z by -1"):
        Pipeline.fit(load_recipe("lite-residual", STRICT), [upwards])


@pytest.mark.parametrize(
    ("pixel", "distance", "metres"),
    [
        (0.3e-3, 0.4, 1.0),
        (0.3, 400, 0.001),
        (0.125, 12, 0.001),  # 24 mm seen from near by, in millimetres
        (0.02, 3, 1.0),  # 3 m of a room
        (30e-6, 0.005, 1.0),
        (0.05, -1, 0.001),  # a height map of 8 mm in millimetres, about 0
    ],
)
def test_the_unit_is_told_by_distance_width_and_pitch(pixel: float, distance: float, metres: float) -> None:
    rows, columns = np.indices((160, 160), np.float32) * np.float32(pixel)
    xyz = np.dstack([columns, rows, np.float32(distance) + columns / 1000])
    facts = sample_facts(
        load_recipe("lite-residual"), Sample("one", {"rgb": np.zeros((160, 160, 3), np.uint8), "xyz": xyz})
    )
    assert facts.scale == metres
