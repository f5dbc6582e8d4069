import json
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from trd.config import Recipe, load_recipe
from trd.errors import DataError
from trd.methods.trd.training.sampling import EpochShuffle
from trd.methods.trd.training.views import UPRIGHT, View, all_views, random_views, seen
from trd.preprocess.depth import depth_image
from trd.preprocess.foreground import border_plane
from trd.preprocess.frame import Frame
from trd.preprocess.image import resize_mask
from trd.preprocess.normals import sobel_normals_image
from trd.preprocess.parts import PreparedParts
from trd.preprocess.pipeline import Pipeline
from trd.types import Sample

torch = pytest.importorskip("torch")


def flat_sample(height: int, width: int) -> Sample:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
    rows, columns = np.indices((height, width)) - np.array([height, width]).reshape(2, 1, 1) / 2
    z = np.full((height, width), 0.4)
    z[height // 3 : height // 2, width // 3 : 2 * width // 3] -= 0.02
    xyz = np.stack([columns * z / 300, rows * z / 300, z], axis=-1).astype(np.float32)
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2, width // 3 : width // 2] = True
    return Sample("one", {"rgb": rgb, "xyz": xyz}, "dent", mask)


def test_no_part_found_names_the_likely_reason() -> None:
    sample = flat_sample(120, 160)
    recipe = load_recipe("lite-rgb-normals", ["frame.crop=part", "frame.cloud_scale=1.0"])
    noisy = sample.arrays["xyz"] + np.random.default_rng(0).normal(0, 1e-4, (120, 160, 1)).astype(np.float32)
    Pipeline.fit(recipe, [Sample("one", {**sample.arrays, "xyz": noisy}, "good")])
    millimetres = Sample("one", {**sample.arrays, "xyz": noisy * 1000}, "good")
    with pytest.raises(DataError, match="lie 400 away .* divide millimetres by 1000"):
        Pipeline.fit(recipe, [millimetres])
    empty = Sample("one", {**sample.arrays, "xyz": np.zeros_like(sample.arrays["xyz"])}, "good")
    with pytest.raises(DataError, match="frame.crop=none"):
        Pipeline.fit(recipe, [empty])


def scan(height: np.ndarray, tilt: float = 0.0, distance: float = 0.4, name: str = "one") -> Sample:
    """A camera's view of a height field over a table tilted by `tilt` degrees, with a grey image and fine noise."""
    rows, columns = np.indices(height.shape) - np.array(height.shape).reshape(2, 1, 1) / 2
    z = distance - height + np.random.default_rng(0).normal(0, 5e-5, height.shape)
    flat = np.stack([columns * distance / 300, rows * distance / 300, z - distance], axis=-1)
    turn = np.radians(tilt)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    xyz = (flat @ rotation.T + [0, 0, distance]).astype(np.float32)
    return Sample(name, {"rgb": np.full((*height.shape, 3), 128, np.uint8), "xyz": xyz}, "good")


def block(height: float = 0.01, top: int = 50, left: int = 60) -> np.ndarray:
    field = np.zeros((120, 160))
    field[top : top + 30, left : left + 50] = height
    return field


def sprinkled(sample: Sample) -> Sample:
    """The same with a few points measured."""
    xyz = np.array(sample.arrays["xyz"])
    xyz[np.random.default_rng(0).random(xyz.shape[:2]) > 0.005] = 0
    return Sample(sample.id, {**sample.arrays, "xyz": xyz}, "good")


STRICT = ["frame.crop=part", "scoring.region=part", "frame.size=64"]


def rough_border(sample: Sample, name: str) -> Sample:
    """The same part among things: no plane along the border."""
    xyz = np.array(sample.arrays["xyz"])
    xyz[:20:2, :, 2] -= 0.1
    xyz[100::2, :, 2] -= 0.05
    xyz[:, :20, 2] -= 0.07
    xyz[:, 140:, 2] += 0.08
    return Sample(name, {**sample.arrays, "xyz": xyz}, "good")


def test_a_sample_without_a_plane_borrows_the_training_sets(caplog: pytest.LogCaptureFixture) -> None:
    """Its normals stay in the frame of the support, and it is scored on the part; both are said."""
    recipe = load_recipe("lite-rgb-normals", STRICT)
    good = scan(block(), tilt=17)
    bad = rough_border(good, "bad")
    pipeline = Pipeline.fit(recipe, [good, *[scan(block(), tilt=17 + t) for t in (-0.5, 0.5)], bad])
    (warning,) = caplog.records
    assert "1 of 4 training samples (bad)" in warning.getMessage()
    assert pipeline.record["without_plane"] == ["bad"]
    whole, borrowed = pipeline(good), pipeline(bad)
    assert whole.notes == ()
    assert "no support plane found in 'xyz'" in borrowed.notes[0]
    centre = np.s_[:, 20:44, 20:44]  # the block's top
    np.testing.assert_allclose(borrowed.images["normals"][centre], whole.images["normals"][centre], atol=0.03)
    assert whole.region is not None
    assert borrowed.region is not None
    assert (borrowed.region & whole.region).sum() > 0.97 * whole.region.sum()
    assert borrowed.region.mean() < 0.95
    again = Pipeline(recipe, Frame.from_json(json.loads(json.dumps(pipeline.frame.to_json()))))(bad)
    np.testing.assert_array_equal(again.images["normals"], borrowed.images["normals"])


def test_the_typical_plane_is_robust() -> None:
    recipe = load_recipe("lite-rgb-normals", STRICT)
    samples = [scan(block(), tilt=t, name=str(t)) for t in (4.9, 5.0, 5.1, 40.0)]
    a, b, c, d = Pipeline.fit(recipe, samples).frame.planes["xyz"]
    assert np.degrees(np.arccos(-c)) == pytest.approx(5.05, abs=0.2)
    assert np.hypot(np.hypot(a, b), c) == pytest.approx(1)
    assert -d / c == pytest.approx(0.4, abs=1e-3)


def test_without_any_plane_all_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    bad = rough_border(scan(block(), tilt=17), "bad")
    pipeline = Pipeline.fit(load_recipe("lite-rgb-normals", ["frame.crop=none", "scoring.region=frame"]), [bad, bad])
    assert pipeline.frame.planes == {}
    assert pipeline(bad).notes == ()
    assert not caplog.records


def with_strays(sample: Sample, count: int = 40) -> Sample:
    xyz, rng = np.array(sample.arrays["xyz"]), np.random.default_rng(0)
    xyz[:15], xyz[-15:], xyz[:, :15], xyz[:, -15:] = 0, 0, 0, 0
    for row, column in zip(rng.integers(0, 120, count), rng.choice([2, 8, 150, 157], count), strict=True):
        xyz[row, column] = rng.normal([0, 0, 0.7], 0.1)
    return Sample(sample.id, {**sample.arrays, "xyz": xyz}, sample.defect)


@pytest.mark.parametrize("strays", [0, 40])
def test_the_border_is_that_of_what_was_measured(strays: int) -> None:
    recipe = load_recipe("lite-rgb-normals", STRICT)
    whole = scan(block(), tilt=3)
    rimless = with_strays(whole, strays)
    frame = Pipeline.fit(recipe, [rimless]).frame
    assert np.abs(np.subtract(frame.window, Pipeline.fit(recipe, [whole]).frame.window)).max() <= 2
    found, expected = border_plane(rimless.arrays["xyz"]), border_plane(whole.arrays["xyz"])
    assert found is not None
    assert expected is not None
    assert np.degrees(np.arccos(min(1.0, float(found[:3] @ expected[:3])))) < 0.1


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
        Pipeline.fit(load_recipe("lite-rgb-normals", STRICT), [sample, sample])


def test_the_remedies_help() -> None:
    flat = load_recipe("lite-rgb-normals", [*STRICT, "frame.part.clearance=0.0007"])
    assert Pipeline.fit(flat, [scan(block(0.002))]).frame.window[2:] != (120, 160)
    steep = load_recipe("lite-rgb-normals", [*STRICT, "frame.part.facing=0.1"])
    assert Pipeline.fit(steep, [scan(block(), 80)]).frame.window[2:] != (120, 160)
    field = block() + np.random.default_rng(0).normal(0, 0.004, (120, 160)) * (block() == 0)
    uneven = [*STRICT, "frame.part.clearance=0.008", "frame.part.roughness=0.01", "frame.part.border=0.1"]
    assert Pipeline.fit(load_recipe("lite-rgb-normals", uneven), [scan(field)]).frame.planes


def test_auto_takes_the_part_where_nine_in_ten_show_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trd")
    recipe = load_recipe("lite-rgb-normals", ["frame.size=64"])
    assert (recipe.frame.crop, recipe.scoring.region) == ("auto", "auto")
    good, empty = scan(block()), scan(np.zeros((120, 160)), name="empty")
    pipeline = Pipeline.fit(recipe, [good] * 9 + [empty])
    assert pipeline.region == pipeline.frame.region == "part"
    assert pipeline.frame.window == Pipeline.fit(load_recipe("lite-rgb-normals", STRICT), [good]).frame.window
    assert pipeline.record | {"crop": "part", "region": "part", "parts_found": 9} == pipeline.record
    assert pipeline(good).region is not None
    assert pipeline(empty).notes == ("no part found: the whole window is scored",)
    assert "found in 9 of 10 training samples: frame.crop is 'part'" in caplog.text
    caplog.clear()
    pipeline = Pipeline.fit(recipe, [good] * 8 + [empty] * 2)
    assert pipeline.region == "frame"
    assert pipeline.frame.window == (0, 0, 120, 160)
    assert pipeline(good).region is None
    assert pipeline(empty).notes == ()
    assert "scoring.region 'frame'; in empty" in caplog.text
    kept = Pipeline(recipe, Frame.from_json(pipeline.frame.to_json()))
    assert kept.region == "frame"


def test_auto_means_the_whole_frame_without_clouds() -> None:
    recipe = load_recipe("lite-rgb", ["frame.size=64", "frame.crop=auto", "scoring.region=auto"])
    pipeline = Pipeline.fit(recipe, [flat_sample(64, 64)])
    assert pipeline.region == "frame"
    assert pipeline.frame.window == (0, 0, 64, 64)
    assert pipeline(flat_sample(64, 64)).region is None


@pytest.mark.parametrize("region", ["part", "frame"])
def test_frames_of_earlier_versions_leave_the_region_to_the_recipe(region: str) -> None:
    frame = Frame.from_json({"source": [120, 160], "window": [40, 50, 50, 70], "size": [64, 64]})
    assert (frame.cloud_scale, frame.planes) == (1.0, {})
    assert Pipeline(load_recipe("lite-rgb-normals", [f"scoring.region={region}"]), frame).region == region


def in_millimetres(sample: Sample) -> Sample:
    return Sample(sample.id, {**sample.arrays, "xyz": sample.arrays["xyz"] * np.float32(1000)}, sample.defect)


@pytest.mark.parametrize("setting", ["auto", "0.001"])
def test_clouds_in_millimetres_mean_the_same(setting: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trd")
    sample = scan(block())
    metres = Pipeline.fit(load_recipe("lite-rgb-normals", STRICT), [sample])
    recipe = load_recipe("lite-rgb-normals", [*STRICT, f"frame.cloud_scale={setting}"])
    scaled = Pipeline.fit(recipe, [in_millimetres(sample)])
    assert (metres.frame.cloud_scale, scaled.frame.cloud_scale) == (1.0, 0.001)
    assert scaled.frame.window == metres.frame.window
    assert scaled.record["cloud_scale"] == 0.001
    assert ("in units of 0.001 metres" in caplog.text) == (setting == "auto")
    expected, found = metres(sample), scaled(in_millimetres(sample))
    np.testing.assert_allclose(found.images["normals"], expected.images["normals"], atol=1e-3)
    np.testing.assert_array_equal(found.region, expected.region)
    assert found.notes == ()


def test_clouds_of_two_units_are_refused() -> None:
    sample = scan(block())
    other = Sample("other", in_millimetres(sample).arrays, "good")
    with pytest.raises(DataError, match=r"other looks like millimetres, one like metres.*frame\.cloud_scale"):
        Pipeline.fit(load_recipe("lite-rgb-normals"), [sample, sample, other])


@pytest.mark.parametrize(
    ("name", "representation"), [("mvtec3d-rgb-depth", depth_image), ("mvtec3d-rgb-normals", None)]
)
def test_paper_recipes_prepare_as_published(name: str, representation: object) -> None:
    """Also for a frame that is not square: stretched to 256 x 256, RGB by PIL's antialiased bilinear resize."""
    sample = flat_sample(150, 200)
    prepared = Pipeline.fit(load_recipe(name), [sample])(sample)
    expected = np.asarray(
        Image.fromarray(sample.arrays["rgb"]).resize((256, 256), Image.Resampling.BILINEAR)
    ) / np.float32(255)
    np.testing.assert_allclose(prepared.images["rgb"], expected.transpose(2, 0, 1), atol=1e-6)
    if representation is not None:
        np.testing.assert_array_equal(prepared.images["depth"], np.repeat(depth_image(sample.arrays["xyz"], 256), 3, 0))
    else:
        np.testing.assert_array_equal(prepared.images["normals"], sobel_normals_image(sample.arrays["xyz"], 256, 5))
    assert prepared.region is None
    assert prepared.mask is not None
    assert prepared.mask.shape == (256, 256)


def test_the_window_holds_the_part_and_maps_find_their_way_back() -> None:
    sample = flat_sample(150, 200)
    recipe = load_recipe("lite-rgb-normals", ["frame.size=128", "frame.aspect=keep"])
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
    recipe = load_recipe("lite-rgb-normals", ["frame.crop=[10, 20, 100, 120]"])
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


def test_16_bit_colour_means_the_same() -> None:
    sample = flat_sample(64, 64)
    deep = Sample("deep", {**sample.arrays, "rgb": sample.arrays["rgb"].astype(np.uint16) * 257})
    pipeline = Pipeline.fit(load_recipe("lite-rgb", ["frame.size=64"]), [sample])
    np.testing.assert_allclose(pipeline(deep).images["rgb"], pipeline(sample).images["rgb"], atol=1e-5)


def test_a_missing_source_is_named() -> None:
    sample = flat_sample(64, 64)
    pipeline = Pipeline.fit(load_recipe("lite-rgb-normals", ["frame.size=64"]), [sample])
    with pytest.raises(DataError, match="sample blind has no 'xyz'"):
        pipeline(Sample("blind", {"rgb": sample.arrays["rgb"]}))


def test_no_part_in_any_training_sample(recipe: Recipe) -> None:
    recipe = recipe.model_copy(update={"frame": recipe.frame.model_copy(update={"crop": "part"})})
    sample = flat_sample(64, 64)
    xyz = np.array(sample.arrays["xyz"])
    xyz[..., 2] = 0.4
    with pytest.raises(DataError, match=r"no training sample shows a part.*frame\.crop=none"):
        Pipeline.fit(recipe, [Sample("flat", {**sample.arrays, "xyz": xyz})])


@pytest.mark.parametrize("name", ["lite-rgb-normals", "lite-rgb", "mvtec3d-rgb-depth"])
@pytest.mark.parametrize("crop", ["none", "auto", "part"])
def test_training_frames_of_two_sizes(name: str, crop: str) -> None:
    if (name, crop) == ("lite-rgb", "part"):
        return
    other = replace(flat_sample(64, 96), id="other")
    with pytest.raises(DataError, match="other is 64 x 96 pixels, one is 64 x 64 .* must have one size"):
        Pipeline.fit(load_recipe(name, [f"frame.crop={crop}"]), [flat_sample(64, 64), flat_sample(64, 64), other])


def test_turning_a_picture_of_vectors_turns_the_vectors() -> None:
    """A field of arrows away from the centre looks the same however it is mirrored and turned."""
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    field = torch.tensor(np.stack([(x + 1) / 2, (y + 1) / 2, np.ones_like(x)]), dtype=torch.float32)
    views = {View(turns, mirrored) for turns in range(4) for mirrored in (False, True)}
    for view in views:
        turned = seen({"normals": field, "rgb": field}, {"normals": "y_down"}, view)
        torch.testing.assert_close(turned["normals"], field)
        assert torch.equal(turned["rgb"], field) == (view == UPRIGHT)
    assert set(all_views("flips", square=True)) == views


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize(("augment", "count"), [("none", 1), ("turns", 4), ("flips", 8)])
def test_every_view_of_an_augmentation_is_drawn_and_no_other(
    augment: Literal["none", "turns", "flips"], count: int, square: bool
) -> None:
    views = all_views(augment, square)
    assert len(set(views)) == len(views) == (count if square else max(1, count // 2))
    assert set(random_views(augment, 200, square, np.random.default_rng(0))) == set(views)
    assert any(view.mirrored for view in views) == (augment == "flips")


def test_ready_made_normals_turn_too_also_with_y_up() -> None:
    """Eyecandies stores y upwards: arrows away from the centre point up in the upper half."""
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    field = torch.tensor(np.stack([(x + 1) / 2, (1 - y) / 2, np.ones_like(x)]), dtype=torch.float32)
    recipe = load_recipe("eyecandies-rgb-normals")
    assert recipe.vector_maps == {"normals": "y_up"}
    for view in {View(turns, mirrored) for turns in range(4) for mirrored in (False, True)}:
        turned = seen({"normals": field, "rgb": field}, recipe.vector_maps, view)
        torch.testing.assert_close(turned["normals"], field)
    assert load_recipe("lite-rgb-normals").vector_maps == {"normals": "y_down"}
    assert load_recipe("lite-rgb").vector_maps == {}


def test_oblong_pictures_are_only_turned_by_half() -> None:
    views = set(random_views("flips", 100, False, np.random.default_rng(0)))
    assert views == {View(turns, mirrored) for turns in (0, 2) for mirrored in (False, True)}
    image = torch.rand(3, 20, 30)
    assert all(seen({"rgb": image}, [], view)["rgb"].shape == image.shape for view in views)


def test_epoch_order_depends_on_seed_and_epoch_alone() -> None:
    sampler = EpochShuffle(20, seed=3)
    sampler.set_epoch(7)
    seventh = list(sampler)
    assert sorted(seventh) == list(range(20))
    assert list(sampler) == seventh
    sampler.set_epoch(8)
    assert list(sampler) != seventh


def test_the_cache_is_bounded() -> None:
    sample = flat_sample(64, 64)
    pipeline = Pipeline.fit(load_recipe("lite-rgb", ["frame.size=64"]), [sample])
    calls: list[int] = []

    def prepare(index: int):
        calls.append(index)
        return pipeline(sample)

    size = pipeline(sample).images["rgb"].nbytes
    dataset = PreparedParts(3, prepare, limit=2 * size)
    for _ in range(2):
        for index in range(3):
            dataset[index]
    assert calls == [0, 1, 2, 2]


def test_gaps_in_the_part_are_scored_and_a_part_elsewhere_is_not_waved_through() -> None:
    sample = flat_sample(150, 200)
    pipeline = Pipeline.fit(load_recipe("lite-rgb-normals", ["frame.size=128"]), [sample])
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


def test_empty_pixels_of_a_vector_map_stay_empty() -> None:
    image = torch.rand(3, 16, 16)
    image[:, :4, :] = 0
    turned = seen({"normals": image}, {"normals": "y_down"}, View(3, True))["normals"]
    assert (turned == 0).all(dim=0).sum() == 4 * 16
