"""Where defects count, and where the limit is another one: polygons and pictures in pixels of the training frames."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from scans import STRICT, block, scan

import trd
from trd.config import FrameConfig, Recipe, RegionConfig, load_recipe
from trd.config.pictures import PREFIX
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.errors import DataError, RecipeError
from trd.preprocess.cache import PreparedCache
from trd.preprocess.frame import Frame
from trd.preprocess.image import resize_mask
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.regions import Regions, limit_map
from trd.training.reference_part import reference_part
from trd.types import ClassFiles, Sample, SampleFiles

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


def png(mask: np.ndarray) -> str:
    """As a recipe holds it."""
    return PREFIX + base64.b64encode(imagecodecs.png_encode(mask.astype(np.uint8) * 255)).decode()


def rings() -> np.ndarray:
    """(120, 160) a ring, a speck, and a line that is a pixel wide."""
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (60, 50), 30, 1, cv2.FILLED)
    cv2.circle(mask, (60, 50), 14, 0, cv2.FILLED)
    cv2.circle(mask, (60, 50), 5, 1, cv2.FILLED)
    mask[100, 20:150] = mask[3, 157] = 1
    return mask.astype(bool)


def config(**values: object) -> FrameConfig:
    return load_recipe("lite-residual").frame.model_copy(update=values)


def region(name: str = "a", **values: object) -> RegionConfig:
    return RegionConfig.model_validate({"name": name, **values})


def test_a_picture_is_exact_with_its_holes() -> None:
    found = Regions(config(inspect_picture=png(rings())), WHOLE).places(None)
    np.testing.assert_array_equal(found.area, rings())
    found = Regions(config(ignore_picture=png(rings()), ignore=(tuple(map(tuple, box(0, 90, 159, 119))),)), WHOLE)
    expected = ~rings()
    expected[90:] = False
    np.testing.assert_array_equal(found.places(None).area, expected)


def test_a_picture_follows_the_window_and_its_size() -> None:
    frame = Frame(sensor=(120, 160), window=(10, 20, 90, 120), size=(192, 256))
    found = Regions(config(inspect_picture=png(rings())), frame).places(None).area
    expected = resize_mask(rings()[10:100, 20:140], (192, 256))
    assert (found & expected).sum() / (found | expected).sum() > 0.95
    assert not (found & ~(cv2.dilate(expected.astype(np.uint8), np.ones((3, 3))) > 0)).any()


def test_a_picture_of_another_size_or_without_anything_is_refused() -> None:
    with pytest.raises(DataError, match=r"inspect_picture has 80 x 60 pixels, the training frames have 160 x 120"):
        Regions(config(inspect_picture=png(np.ones((60, 80)))), WHOLE)
    with pytest.raises(DataError, match="the picture of the region 'a' is empty"):
        Regions(config(regions=(region(picture=png(np.zeros((120, 160)))),)), WHOLE)
    damaged = PREFIX + base64.b64encode(base64.b64decode(png(rings()).removeprefix(PREFIX))[:-20]).decode()
    with pytest.raises(DataError, match=r"frame\.ignore_picture is damaged"):
        Regions(config(ignore_picture=damaged), WHOLE)


def test_the_last_region_counts_where_several_overlap() -> None:
    several = config(
        regions=(
            region("wide", polygons=[box(10, 10, 100, 100)], limit=2),
            region("inside", polygons=[box(30, 30, 60, 60)], limit=0.5),
            region("clamp", polygons=[box(120, 10, 140, 40)], limit="ignore"),
        )
    )
    found = Regions(several, WHOLE).places(None)
    assert [int(found.named[row, column]) for row, column in ((20, 20), (45, 45), (20, 130), (110, 5))] == [1, 2, 3, 0]
    assert not found.area[20, 130]
    assert found.area.sum() == 120 * 160 - 21 * 31
    limits = limit_map(several, found.named)
    assert [limits[row, column] for row, column in ((20, 20), (45, 45), (20, 130), (110, 5))] == [2, 0.5, 1, 1]
    assert limit_map(config(regions=(region(polygons=[box(1, 1, 9, 9)]),)), found.named) is None
    only = Regions(config(regions=(region(polygons=[box(30, 30, 60, 60)], limit="inspect"),)), WHOLE).places(None)
    assert only.area.sum() == 31 * 31


def test_a_region_outside_of_the_window_is_refused() -> None:
    frame = replace(WHOLE, window=(0, 0, 60, 60), size=(64, 64))
    outside = region("label", polygons=[box(100, 100, 110, 110)], limit=2)
    with pytest.raises(DataError, match="the region 'label' of frame.regions lies outside of the window, rows 0 to 60"):
        Regions(config(regions=(outside,)), frame)


def angle(degrees: float = 0, shift: tuple[float, float] = (0, 0), name: str = "one") -> Sample:
    """A part that is like the letter L."""
    field = np.zeros((160, 160))
    field[40:80, 60:75] = field[65:80, 60:95] = 0.01
    turn = cv2.getRotationMatrix2D((79.5, 79.5), -degrees, 1)
    turn[:, 2] += shift
    return scan(cv2.warpAffine(field, turn, (160, 160)), name=name)


FOLLOWING = '{name="corner",polygons=[[[60,40],[75,40],[75,50],[60,50]]],limit=2,follows="part"}'
CLAMP = '{name="clamp",polygons=[[[85,65],[95,65],[95,80],[85,80]]],limit="ignore",follows="part"}'


def following(*more: str) -> Pipeline:
    recipe = load_recipe(
        "lite-residual", ["frame.size=160", f"frame.regions=[{FOLLOWING},{CLAMP}]", "frame.crop=none", *more]
    )
    return Pipeline.fit(recipe, [angle(), angle(5)])


def test_regions_follow_the_part() -> None:
    pipeline = following("scoring.region=frame")
    assert pipeline.record["reference"] == "one"
    before = pipeline(angle())
    for degrees, shift in ((90, (0.0, 0.0)), (-140, (20, -10)), (25, (-15, 8))):
        after = pipeline(angle(degrees, shift, "other"))
        assert not any("pose" in note for note in after.notes)
        turn = cv2.getRotationMatrix2D((79.5, 79.5), -degrees, 1)
        turn[:, 2] += shift
        for number in (1, 2):
            expected = cv2.warpAffine((before.named == number).astype(np.float32), turn, (160, 160)) > 0.5
            found = after.named == number
            assert (found & expected).sum() / (found | expected).sum() > 0.75  # of regions of 10 x 15 pixels
            assert found.sum() == pytest.approx(expected.sum(), rel=0.15)
        assert not after.region[after.named == 2].any()
        assert after.region[after.named != 2].all()


def test_they_follow_a_part_that_is_scored_alone_and_survive_storage() -> None:
    pipeline = following("scoring.region=part")
    frame = Frame.from_json(json.loads(json.dumps(pipeline.frame.to_json())))
    again = Pipeline(pipeline.recipe, frame, pipeline.ranges)
    first, second = pipeline(angle(70)), again(angle(70))
    np.testing.assert_array_equal(first.named, second.named)
    np.testing.assert_array_equal(first.region, second.region)
    assert not first.region[first.named == 2].any()
    assert first.region.sum() < 0.5 * first.region.size


def test_without_a_pose_they_do_not_count_and_a_note_says_so() -> None:
    pipeline = following("scoring.region=frame")
    empty = pipeline(scan(np.zeros((160, 160)), name="empty"))
    assert "the part's pose is unknown: regions that follow it do not count" in empty.notes
    assert not empty.named.any()
    assert empty.region is None
    square = np.zeros((160, 160))
    square[60:100, 60:100] = 0.01
    other = pipeline(scan(square, name="square"))
    assert any("the part's pose is uncertain" in note for note in other.notes)
    assert other.named.any()


def test_a_reference_without_a_part_is_refused() -> None:
    recipe = load_recipe("lite-residual", ["frame.size=160", f"frame.regions=[{FOLLOWING}]"])
    with pytest.raises(DataError, match=r"no part on a support is seen in empty, .*name another part"):
        Pipeline.fit(recipe, [scan(np.zeros((160, 160)), name="empty"), *[angle()] * 12])


def test_what_follows_the_part_needs_a_cloud() -> None:
    with pytest.raises(RecipeError, match=r"follows the part, .*name the cloud in frame.part.source"):
        load_recipe("lite-rgb", [f"frame.regions=[{FOLLOWING}]"])
    recipe = load_recipe("lite-rgb", [f"frame.regions=[{FOLLOWING}]", "frame.part.source=xyz", "frame.size=160"])
    assert recipe.sources == ("rgb", "xyz")
    assert recipe.without("xyz") is None
    assert (Pipeline.fit(recipe, [angle()])(angle(40)).named == 1).any()


def test_the_reference_part_is_named() -> None:
    good = [SampleFiles(f"train/good/{n:03d}", "train", "good", {}) for n in (2, 1, 11)]
    files = ClassFiles("gear", Path("gear"), tuple(good[:2]), (good[2],), ())
    assert reference_part(files, "").id == "train/good/001"
    assert reference_part(files, "011").id == reference_part(files, "train/good/011").id == "train/good/011"
    with pytest.raises(DataError, match="frame.reference is '1', which is the name of 0 good parts: name one"):
        reference_part(files, "1")


def test_prepared_parts_are_kept_with_their_regions(tmp_path: Path) -> None:
    part = following("scoring.region=part")(angle(30))
    cache = PreparedCache(tmp_path, 2**30)
    cache.get("key", lambda: part)
    again = PreparedCache(tmp_path, 2**30).get("key", lambda: pytest.fail("it is there"))
    np.testing.assert_array_equal(again.named, part.named)
    np.testing.assert_array_equal(again.region, part.region)
    assert again.named.dtype == np.uint8
