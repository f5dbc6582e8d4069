"""Where defects count: polygons in pixels of the training frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scans import STRICT, block, scan

import trd
from trd.config import Recipe, load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.errors import DataError, RecipeError
from trd.preprocess.frame import Frame
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.regions import Regions

WHOLE = Frame(sensor=(120, 160), window=(0, 0, 120, 160), size=(120, 160))


def area(frame: Frame = WHOLE, **polygons: object) -> np.ndarray:
    values = {name: tuple(tuple(map(tuple, polygon)) for polygon in shapes) for name, shapes in polygons.items()}
    result = Regions(load_recipe("lite-rgb").frame.model_copy(update=values), frame).places(None).area
    assert result is not None
    return result


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """Of pixels, the last ones included."""
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_polygons_name_pixels_of_the_training_frames() -> None:
    expected = np.zeros((120, 160), bool)
    expected[20:41, 10:31] = expected[60:71, 100:151] = True
    np.testing.assert_array_equal(area(inspect=[box(10, 20, 30, 40), box(100, 60, 150, 70)]), expected)
    np.testing.assert_array_equal(area(ignore=[box(10, 20, 30, 40), box(100, 60, 150, 70)]), ~expected)
    hole = expected.copy()
    hole[25:36, 15:21] = False
    inspect = [box(10, 20, 30, 40), box(100, 60, 150, 70)]
    np.testing.assert_array_equal(area(inspect=inspect, ignore=[box(15, 25, 20, 35)]), hole)


def test_they_follow_the_window_and_its_size() -> None:
    frame = Frame(sensor=(120, 160), window=(20, 40, 80, 80), size=(160, 160))
    result = area(frame, inspect=[box(60, 40, 79, 59)])
    rows, columns = np.nonzero(result)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((40, 79, 40, 79), abs=1)


def test_nothing_left_is_refused() -> None:
    frame = replace(WHOLE, window=(0, 0, 60, 60), size=(64, 64))
    with pytest.raises(DataError, match=r"leave nothing to inspect in the window, rows 0 to 60 and columns 0 to 60"):
        area(frame, inspect=[box(100, 100, 110, 110)])
    with pytest.raises(DataError, match="leave nothing to inspect"):
        area(ignore=[box(-10, -10, 200, 200)])


def test_senseless_polygons_are_refused() -> None:
    for text in ("[[[1, 2], [3, 4]]]", "[[[1, 2], [3, 4], [5]]]", "[[1, 2], [3, 4], [5, 6]]", "part.png"):
        with pytest.raises(RecipeError, match=r"frame\.inspect"):
            load_recipe("lite-rgb", [f"frame.inspect={text}"])


def test_together_with_the_part() -> None:
    part = Pipeline.fit(load_recipe("lite-residual", STRICT), [scan(block())])(scan(block()))
    recipe = load_recipe("lite-residual", [*STRICT, "frame.inspect=[[[0, 0], [85, 0], [85, 119], [0, 119]]]"])
    pipeline = Pipeline.fit(recipe, [scan(block())])
    left_half = pipeline(scan(block()))
    assert part.region is not None
    assert left_half.region is not None
    assert 0.4 < left_half.region.sum() / part.region.sum() < 0.6
    assert not (left_half.region & ~part.region).any()
    elsewhere = pipeline(scan(block(left=100), name="elsewhere"))
    assert any("the part lies outside of frame.inspect" in note for note in elsewhere.notes)


def test_a_defect_in_an_ignored_place_does_not_count(drawn: Path, tmp_path: Path, quick: Recipe) -> None:
    plain = trd.fit(drawn, tmp_path / "plain", quick, device="cpu")["biscuit"]
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",))
    good = dict(load_sample(next(part for part in files.test if part.is_good), ("xyz",)).arrays)
    spotted = {name: array.copy() for name, array in good.items()}
    spotted["rgb"][80:100, 70:90] = (20, 200, 20)
    found = plain.predict(spotted)
    assert found.score > 2 * plain.predict(good).score
    row, column = found.peak
    assert 75 <= row <= 105
    assert 65 <= column <= 95
    recipe = quick.changed("frame.ignore=[[[60, 70], [100, 70], [100, 110], [60, 110]]]")
    ignoring = trd.fit(drawn, tmp_path / "ignoring", recipe, device="cpu")["biscuit"]
    assert ignoring.predict(spotted).score < 0.6 * found.score
    reloaded = trd.Detector.load(tmp_path / "ignoring", "cpu")
    assert reloaded.predict(spotted).score == ignoring.predict(spotted).score
