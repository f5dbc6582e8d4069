"""The window that is fitted on the training samples, and what is said where none can be."""

from dataclasses import replace

import numpy as np
import pytest
from scans import STRICT, block, flat_sample, in_millimetres, rough_border, scan

from trd.config import Recipe, load_recipe
from trd.errors import DataError
from trd.preprocess.frame import Frame
from trd.preprocess.image import resize_mask
from trd.preprocess.pipeline import Pipeline
from trd.types import Sample


def test_no_part_found_names_the_likely_reason() -> None:
    sample = flat_sample(120, 160)
    recipe = load_recipe("lite-residual", ["frame.crop=part", "frame.cloud_scale=1.0"])
    noisy = sample.arrays["xyz"] + np.random.default_rng(0).normal(0, 1e-4, (120, 160, 1)).astype(np.float32)
    Pipeline.fit(recipe, [Sample("one", {**sample.arrays, "xyz": noisy}, "good")])
    millimetres = Sample("one", {**sample.arrays, "xyz": noisy * 1000}, "good")
    with pytest.raises(DataError, match="lie 400 away .* divide millimetres by 1000"):
        Pipeline.fit(recipe, [millimetres])
    empty = Sample("one", {**sample.arrays, "xyz": np.zeros_like(sample.arrays["xyz"])}, "good")
    with pytest.raises(DataError, match="frame.crop=none"):
        Pipeline.fit(recipe, [empty])


def sprinkled(sample: Sample) -> Sample:
    """The same with a few points measured."""
    xyz = np.array(sample.arrays["xyz"])
    xyz[np.random.default_rng(0).random(xyz.shape[:2]) > 0.005] = 0
    return Sample(sample.id, {**sample.arrays, "xyz": xyz}, "good")


def test_the_typical_plane_is_robust() -> None:
    recipe = load_recipe("lite-residual", STRICT)
    samples = [scan(block(), tilt=t, name=str(t)) for t in (4.9, 5.0, 5.1, 40.0)]
    a, b, c, d = Pipeline.fit(recipe, samples).frame.planes["xyz"]
    assert np.degrees(np.arccos(-c)) == pytest.approx(5.05, abs=0.2)
    assert np.hypot(np.hypot(a, b), c) == pytest.approx(1)
    assert -d / c == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (scan(block(0.002)), r"2700 border points \(100% .* height above it is 2 mm.*clearance, say to 0\.0007"),
        (scan(np.zeros((120, 160))), r"above it is 0\.\d+ mm.*are measured, or set frame\.crop=none"),
        (rough_border(scan(block()), "bad"), r"in bad, .*, where 1\.5 mm are allowed.*frame\.part\.roughness"),
        (sprinkled(scan(block())), r"\d border points \(0% .* too few for a plane.*frame\.crop=none"),
        (scan(block(), 80), r"which is seen at 80 degrees.*frame\.part\.facing"),
    ],
)  # fmt: skip
def test_what_was_seen_instead_of_the_part_is_told(sample: Sample, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Pipeline.fit(load_recipe("lite-residual", STRICT), [sample, sample])


def test_the_remedies_help() -> None:
    flat = load_recipe("lite-residual", [*STRICT, "frame.part.clearance=0.0007"])
    assert Pipeline.fit(flat, [scan(block(0.002))]).frame.window[2:] != (120, 160)
    steep = load_recipe("lite-residual", [*STRICT, "frame.part.facing=0.1"])
    assert Pipeline.fit(steep, [scan(block(), 80)]).frame.window[2:] != (120, 160)
    field = block() + np.random.default_rng(0).normal(0, 0.004, (120, 160)) * (block() == 0)
    uneven = [*STRICT, "frame.part.clearance=0.008", "frame.part.roughness=0.01", "frame.part.border=0.1"]
    assert Pipeline.fit(load_recipe("lite-residual", uneven), [scan(field)]).frame.planes


def test_clouds_of_two_units_are_refused() -> None:
    sample = scan(block())
    other = Sample("other", in_millimetres(sample).arrays, "good")
    with pytest.raises(DataError, match=r"other looks like millimetres, one like metres.*frame\.cloud_scale"):
        Pipeline.fit(load_recipe("lite-residual"), [sample, sample, other])


def test_the_window_holds_the_part_and_maps_find_their_way_back() -> None:
    sample = flat_sample(150, 200)
    recipe = load_recipe("lite-residual", ["frame.size=128", "frame.aspect=keep"])
    pipeline = Pipeline.fit(recipe, [sample, sample])
    frame = pipeline.frame
    rows, columns = frame.window_in((150, 200))
    assert rows.start < 50
    assert rows.stop > 75
    assert columns.start < 66
    assert columns.stop > 133
    prepared = pipeline(sample)
    assert prepared.images["rgb"].shape == (3, *frame.size)
    assert prepared.mask is not None
    assert prepared.mask.shape == frame.canvas
    inside = np.zeros(frame.size, np.float32)
    assert prepared.region is not None
    inside[prepared.region] = 1
    back = frame.to_sensor(inside, (150, 200), outside=-1)
    assert back.shape == (150, 200)
    assert back[0, 0] == -1
    assert back[60, 100] == 1
    on_canvas = frame.to_canvas(inside[None], outside=-1)[0]
    assert on_canvas.shape == frame.canvas
    assert (on_canvas[prepared.mask] == 1).mean() > 0.98


def test_a_small_part_in_a_large_frame_has_a_bounded_canvas() -> None:
    frame = Frame((3648, 5472), (1000, 3000, 300, 400), (192, 256))
    assert frame.canvas == (683, 1024)
    maps = np.zeros((2, 192, 256), np.float32)
    maps[:, 96:, 128:] = 1  # the lower right quarter of the window
    on_canvas = frame.to_canvas(maps, outside=-1)
    assert on_canvas.shape == (2, 683, 1024)
    truth = np.zeros((3648, 5472), bool)
    truth[1150:1300, 3200:3400] = True
    mask = resize_mask(truth, frame.canvas)
    assert (on_canvas[:, mask] > 0.5).mean() > 0.95
    assert (on_canvas[:, ~mask] <= 0.5).mean() > 0.999
    exact = Frame((600, 800), (100, 100, 300, 400), (192, 256))  # below the limit nothing is resized
    assert exact.canvas == (384, 512)
    np.testing.assert_array_equal(exact.to_canvas(maps, -1)[:, 64:256, 64:320], maps)


def test_aspect_is_kept_to_a_multiple_of_the_stride() -> None:
    sample = flat_sample(400, 300)
    frame = Pipeline.fit(load_recipe("lite-rgb"), [sample]).frame
    assert frame.size == (384, 288)
    assert frame.canvas == (384, 288)


def test_a_window_of_ones_own_is_all_that_is_seen() -> None:
    sample = flat_sample(400, 300)
    own = ["frame.crop=[30, 40, 225, 320]", "frame.size=320"]
    pipeline = Pipeline.fit(load_recipe("lite-rgb", own), [sample])
    frame = pipeline.frame
    assert frame.window == (40, 30, 320, 225)
    assert frame.size == (320, 224)
    outside = sample.arrays["rgb"].copy()
    outside[:40] = outside[360:] = outside[:, :30] = outside[:, 255:] = 0
    changed = replace(sample, arrays={**sample.arrays, "rgb": outside})
    np.testing.assert_array_equal(pipeline(sample).images["rgb"], pipeline(changed).images["rgb"])
    twice = Sample("twice", {"rgb": np.repeat(np.repeat(sample.arrays["rgb"], 2, axis=0), 2, axis=1)}, "good")
    assert frame.window_in((800, 600)) == (slice(80, 720), slice(60, 510))
    assert pipeline(twice).images["rgb"].shape == (3, 320, 224)
    with pytest.raises(DataError, match=r"frame.crop = \[30, 40, 271, 320\].* reaches out of .* 300 x 400 pixels"):
        Pipeline.fit(load_recipe("lite-rgb", ["frame.crop=[30, 40, 271, 320]"]), [sample])


def test_a_window_of_ones_own_comes_before_where_the_part_is() -> None:
    sample = flat_sample(150, 200)
    recipe = load_recipe("lite-residual", ["frame.crop=[10, 20, 100, 120]"])
    pipeline = Pipeline.fit(recipe, [sample, sample])
    assert pipeline.frame.window == (20, 10, 120, 100)
    assert pipeline.record["crop"] == (10, 20, 100, 120)
    assert pipeline.region == "part"
    left = recipe.without("xyz")
    assert left is not None
    assert left.frame.crop == (10, 20, 100, 120)


def test_frames_survive_json() -> None:
    frame = Frame((150, 200), (3, 4, 100, 120), (96, 128))
    assert Frame.from_json(frame.to_json()) == frame


def test_no_part_in_any_training_sample(recipe: Recipe) -> None:
    recipe = recipe.model_copy(update={"frame": recipe.frame.model_copy(update={"crop": "part"})})
    sample = flat_sample(64, 64)
    xyz = np.array(sample.arrays["xyz"])
    xyz[..., 2] = 0.4
    with pytest.raises(DataError, match=r"no training sample shows a part.*frame\.crop=none"):
        Pipeline.fit(recipe, [Sample("flat", {**sample.arrays, "xyz": xyz})])


@pytest.mark.parametrize("name", ["lite-residual", "lite-rgb", "mvtec3d-rgb-depth"])
@pytest.mark.parametrize("crop", ["none", "auto", "part"])
def test_training_frames_of_two_sizes(name: str, crop: str) -> None:
    if (name, crop) == ("lite-rgb", "part"):
        return
    other = replace(flat_sample(64, 96), id="other")
    with pytest.raises(DataError, match="other is 64 x 96 pixels, one is 64 x 64 .* must have one size"):
        Pipeline.fit(load_recipe(name, [f"frame.crop={crop}"]), [flat_sample(64, 64), flat_sample(64, 64), other])
