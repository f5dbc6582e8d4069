"""What the pipeline makes of a sample: images, what is scored, and notes."""

import json

import numpy as np
import pytest
from PIL import Image
from scans import STRICT, block, flat_sample, in_millimetres, rough_border, scan

from trd.config import load_recipe
from trd.errors import DataError
from trd.preprocess.depth import depth_image
from trd.preprocess.frame import Frame
from trd.preprocess.normals import sobel_normals_image
from trd.preprocess.pipeline import Pipeline
from trd.types import Sample


def test_a_sample_without_a_plane_borrows_the_training_sets(caplog: pytest.LogCaptureFixture) -> None:
    """Its normals stay in the frame of the support, and it is scored on the part; both are said."""
    recipe = load_recipe("lite-residual", STRICT)
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


def test_without_any_plane_all_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    bad = rough_border(scan(block(), tilt=17), "bad")
    pipeline = Pipeline.fit(load_recipe("lite-residual", ["frame.crop=none", "scoring.region=frame"]), [bad, bad])
    assert pipeline.frame.planes == {}
    assert pipeline(bad).notes == ()
    assert not caplog.records


def test_auto_takes_the_part_where_nine_in_ten_show_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trd")
    recipe = load_recipe("lite-residual", ["frame.size=64"])
    assert (recipe.frame.crop, recipe.scoring.region) == ("auto", "auto")
    good, empty = scan(block()), scan(np.zeros((120, 160)), name="empty")
    pipeline = Pipeline.fit(recipe, [good] * 9 + [empty])
    assert pipeline.region == pipeline.frame.region == "part"
    assert pipeline.frame.window == Pipeline.fit(load_recipe("lite-residual", STRICT), [good]).frame.window
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
    assert Pipeline(load_recipe("lite-residual", [f"scoring.region={region}"]), frame).region == region


@pytest.mark.parametrize("setting", ["auto", "0.001"])
def test_clouds_in_millimetres_mean_the_same(setting: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trd")
    sample = scan(block())
    metres = Pipeline.fit(load_recipe("lite-residual", STRICT), [sample])
    recipe = load_recipe("lite-residual", [*STRICT, f"frame.cloud_scale={setting}"])
    scaled = Pipeline.fit(recipe, [in_millimetres(sample)])
    assert (metres.frame.cloud_scale, scaled.frame.cloud_scale) == (1.0, 0.001)
    assert scaled.frame.window == metres.frame.window
    assert scaled.record["cloud_scale"] == 0.001
    assert ("in units of 0.001 metres" in caplog.text) == (setting == "auto")
    expected, found = metres(sample), scaled(in_millimetres(sample))
    np.testing.assert_allclose(found.images["normals"], expected.images["normals"], atol=1e-3)
    np.testing.assert_array_equal(found.region, expected.region)
    assert found.notes == ()


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


def test_16_bit_colour_means_the_same() -> None:
    sample = flat_sample(64, 64)
    deep = Sample("deep", {**sample.arrays, "rgb": sample.arrays["rgb"].astype(np.uint16) * 257})
    pipeline = Pipeline.fit(load_recipe("lite-rgb", ["frame.size=64"]), [sample])
    np.testing.assert_allclose(pipeline(deep).images["rgb"], pipeline(sample).images["rgb"], atol=1e-5)


def test_a_missing_source_is_named() -> None:
    sample = flat_sample(64, 64)
    pipeline = Pipeline.fit(load_recipe("lite-residual", ["frame.size=64"]), [sample])
    with pytest.raises(DataError, match="sample blind has no 'xyz'"):
        pipeline(Sample("blind", {"rgb": sample.arrays["rgb"]}))
