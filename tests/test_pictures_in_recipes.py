"""A painted region is read with the recipe and goes where the recipe goes."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from trd.config import load_recipe, pictures, recipe_from_toml
from trd.config.pictures import PREFIX, png_of
from trd.data.images import png_mask, read_mask
from trd.errors import DataError, RecipeError

RECIPE = """
name = "mine"
[modalities.rgb]
representation = "image"
[evidence.patch_statistics]
[frame]
ignore_picture = "masks/label.png"
[[frame.regions]]
name = "thread"
picture = "masks/thread.png"
limit = 2
[classes.gear.frame]
inspect_picture = "masks/gear.png"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "masks").mkdir()
    for number, name in enumerate(("label", "thread", "gear")):
        mask = np.zeros((20, 30), np.uint8)
        mask[number : number + 5, 4:9] = 255
        (tmp_path / f"masks/{name}.png").write_bytes(imagecodecs.png_encode(mask))
    (tmp_path / "mine.toml").write_text(RECIPE)
    return tmp_path


def area(text: str) -> np.ndarray:
    return png_mask(png_of(text), "the picture")


def test_names_are_relative_to_the_recipe_and_the_content_goes_with_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    recipe = load_recipe(place / "mine.toml")
    stored = recipe.to_toml()
    for path in (place / "masks").iterdir():
        path.unlink()
    again = recipe_from_toml(stored, "recipe.toml")
    assert again == recipe
    assert area(again.frame.ignore_picture)[:5, 4:9].all()
    assert area(again.frame.regions[0].picture).sum() == 25
    assert again.frame.inspect_picture == ""
    assert area(again.for_class("gear").frame.inspect_picture)[2:7, 4:9].all()
    assert again.for_class("gear").frame.regions == recipe.frame.regions


def test_on_the_command_line_they_are_relative_to_the_current_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "masks")
    recipe = load_recipe("lite-rgb", ["frame.inspect_picture=gear.png"])
    assert area(recipe.frame.inspect_picture)[2:7, 4:9].all()
    assert recipe.changed("frame.ignore_picture=label.png").frame.ignore_picture.startswith(PREFIX)
    assert recipe.identity() != load_recipe("lite-rgb").identity()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, r"frame\.inspect_picture: cannot read the picture .*none\.png"),
        ("photo.jpg", b"\xff\xd8\xff", "is no PNG: save it with two colours"),
        (
            "large.png",
            b"\x89PNG\r\n\x1a\n" + bytes(pictures.MOST),
            "has more than 200000 bytes: save it",
        ),
    ],
)
def test_what_is_no_small_png_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe("lite-rgb", [f"frame.inspect_picture={tmp_path / name}"])


def test_so_many_that_the_recipe_could_not_be_read_again_are_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_OF_ALL", 300)
    with pytest.raises(RecipeError, match="its pictures have .* characters, at most 300 are taken"):
        load_recipe(place / "mine.toml")


def test_a_stored_recipe_reads_no_file(place: Path) -> None:
    """One in a package comes from elsewhere."""
    text = (
        load_recipe("lite-rgb").to_toml().replace('ignore_picture = ""', f'ignore_picture = "{place}/masks/label.png"')
    )
    with pytest.raises(RecipeError, match=r"frame\.ignore_picture: expected the name of a PNG file"):
        recipe_from_toml(text, "recipe.toml")
    for content, message in ((PREFIX + "x", "damaged"), (PREFIX + "AAAA", "no PNG")):
        with pytest.raises(RecipeError, match=f"ignore_picture: the picture is {message}"):
            recipe_from_toml(text.replace(f"{place}/masks/label.png", content), "recipe.toml")


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_the_content_is_a_mask_as_a_file_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8) * 200
    (tmp_path / "mask.png").write_bytes(imagecodecs.png_encode(image))
    expected = read_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(png_mask((tmp_path / "mask.png").read_bytes(), "it"), expected)
    assert 0 < expected.mean() < 1


def test_a_smoothed_rim_is_painted_and_a_photograph_is_refused() -> None:
    painted = np.zeros((40, 50, 3), np.uint8)
    painted[10:30, 10:40] = (250, 30, 30)
    painted[9, 10:40] = (90, 10, 10)
    assert png_mask(imagecodecs.png_encode(painted), "it").sum() == 21 * 30
    photograph = np.random.default_rng(0).integers(0, 200, (40, 50, 3)).astype(np.uint8)
    with pytest.raises(DataError, match="it looks like a photograph: save what is painted alone"):
        png_mask(imagecodecs.png_encode(photograph), "it")


def test_a_damaged_or_huge_picture_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (place / "masks/label.png").read_bytes()
    with pytest.raises(DataError, match="it is damaged: it ends too early; save the picture anew"):
        png_mask(data[:-6], "it")
    monkeypatch.setenv("TRD_MAX_PIXELS", "100")
    with pytest.raises(DataError, match="it declares 20 x 30 pixels, more than the limit"):
        png_mask(data, "it")
