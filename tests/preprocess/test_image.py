"""Which value of a picture means white."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from trd.config import load_recipe
from trd.data.listing import list_class
from trd.data.loading import with_validation
from trd.errors import RecipeError
from trd.preprocess.frame import Frame
from trd.preprocess.image import suspicious_full_scale, warn_of_unused_range
from trd.preprocess.pipeline import Pipeline
from trd.training.prepare import prepare_class
from trd.types import Sample

FRAME = Frame((64, 64), (0, 0, 64, 64), (64, 64))


def prepared(image: np.ndarray, *overrides: str) -> np.ndarray:
    recipe = load_recipe("lite-rgb", ["frame.size=64", *overrides])
    return Pipeline(recipe, FRAME)(Sample("one", {"rgb": image})).images["rgb"]


def test_12_bit_values_in_16_bit_pictures() -> None:
    twelve = np.random.default_rng(0).integers(0, 4096, (64, 64, 3)).astype(np.uint16)
    stated = prepared(twelve, "modalities.rgb.full_scale=4095")
    np.testing.assert_allclose(stated, twelve.transpose(2, 0, 1) / 4095, rtol=1e-6)
    assert prepared(twelve).max() < 0.07  # no picture decides for itself
    floats = (twelve / 4095).astype(np.float32)  # in [0, 1] already
    np.testing.assert_allclose(prepared(floats, "modalities.rgb.full_scale=4095"), stated, rtol=1e-6)
    assert prepared(np.full((64, 64), 5000, np.uint16), "modalities.rgb.full_scale=4095").max() == 1


@pytest.mark.parametrize("value", ["0", "65536", "bright", "1.5"])
def test_a_full_scale_that_cannot_be(value: str) -> None:
    with pytest.raises(RecipeError, match="full_scale"):
        load_recipe("lite-rgb", [f"modalities.rgb.full_scale={value}"])


def test_old_recipes_keep_their_identity() -> None:
    assert "full_scale" not in str(load_recipe("lite-rgb").identity())


@pytest.mark.parametrize(
    ("maximum", "full_scale"),
    [(0, None), (255, 255), (256, 1023), (4000, 4095), (4096, 16383), (16383, 16383), (16384, None), (65535, None)],
)
def test_suspicious_full_scale(maximum: int, full_scale: int | None) -> None:
    assert suspicious_full_scale(maximum) == full_scale


def pictures(folder: Path, *images: np.ndarray) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(imagecodecs.png_encode(image))
    return paths


def test_one_warning_for_all_pictures_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dark, darker, bright = (np.full((4, 4), value, np.uint16) for value in (4000, 200, 60000))
    warn_of_unused_range("rgb", pictures(tmp_path, darker, dark, darker))
    assert [record.name for record in caplog.records] == ["trd"]
    assert "--set modalities.rgb.full_scale=4095" in caplog.text
    caplog.clear()
    warn_of_unused_range("rgb", pictures(tmp_path, darker, dark, bright))
    warn_of_unused_range("rgb", pictures(tmp_path, darker.astype(np.uint8)))
    warn_of_unused_range("rgb", pictures(tmp_path, np.zeros((4, 4), np.uint16)))
    assert not caplog.records


def test_training_warns_of_dark_pictures(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (data / "biscuit/train/good/rgb").iterdir():
        path.write_bytes(imagecodecs.png_encode(imagecodecs.png_decode(path.read_bytes()).astype(np.uint16) * 16))
    for overrides, warnings in ((), 1), (("modalities.rgb.full_scale=4095",), 0):
        caplog.clear()
        recipe = load_recipe("lite-rgb", ["frame.size=64", *overrides])
        prepare_class(with_validation(list_class(data, "biscuit", ("rgb",), ()), 1, 0), recipe, {"seconds": {}})
        assert len(caplog.records) == warnings
