import numpy as np
import pytest
from PIL import Image

from trd.config import Recipe, load_recipe
from trd.errors import DataError
from trd.methods.trd.training.sampling import EpochShuffle
from trd.methods.trd.training.views import UPRIGHT, View, random_views, seen
from trd.preprocess.depth import depth_image
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
    recipe = load_recipe("lite-rgb-normals")
    noisy = sample.arrays["xyz"] + np.random.default_rng(0).normal(0, 1e-4, (120, 160, 1)).astype(np.float32)
    Pipeline.fit(recipe, [Sample("one", {**sample.arrays, "xyz": noisy}, "good")])
    millimetres = Sample("one", {**sample.arrays, "xyz": noisy * 1000}, "good")
    with pytest.raises(DataError, match="lie 400 away .* divide millimetres by 1000"):
        Pipeline.fit(recipe, [millimetres])
    empty = Sample("one", {**sample.arrays, "xyz": np.zeros_like(sample.arrays["xyz"])}, "good")
    with pytest.raises(DataError, match="frame.crop=none"):
        Pipeline.fit(recipe, [empty])


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
    back = frame.to_source(inside, (150, 200), outside=-1)
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
    sample = flat_sample(64, 64)
    xyz = np.array(sample.arrays["xyz"])
    xyz[..., 2] = 0.4
    with pytest.raises(DataError, match=r"no training sample shows a part.*frame\.crop=none"):
        Pipeline.fit(recipe, [Sample("flat", {**sample.arrays, "xyz": xyz})])


def test_training_frames_of_two_sizes(recipe: Recipe) -> None:
    with pytest.raises(DataError, match="must have one size"):
        Pipeline.fit(recipe, [flat_sample(64, 64), flat_sample(64, 96)])


def test_turning_a_picture_of_vectors_turns_the_vectors() -> None:
    """A field of arrows away from the centre looks the same however it is mirrored and turned."""
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    field = torch.tensor(np.stack([(x + 1) / 2, (y + 1) / 2, np.ones_like(x)]), dtype=torch.float32)
    views = {View(turns, mirrored) for turns in range(4) for mirrored in (False, True)}
    for view in views:
        turned = seen({"normals": field, "rgb": field}, {"normals": "y_down"}, view)
        torch.testing.assert_close(turned["normals"], field)
        assert torch.equal(turned["rgb"], field) == (view == UPRIGHT)
    assert set(random_views(200, True, np.random.default_rng(0))) == views


def test_oblong_pictures_are_only_turned_by_half() -> None:
    views = set(random_views(100, False, np.random.default_rng(0)))
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
