"""Where the files of several views lie, and what is refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from several_views import VIEWS, by_name

from trd.config import Recipe, load_recipe
from trd.data.listing import list_class, list_unlabelled
from trd.data.loading import load_sample
from trd.data.views import arrays_of_sample, camera_of_view, joined_cameras, sample_of_arrays
from trd.errors import DataError, RecipeError
from trd.preprocess.frame import Frame
from trd.preprocess.view_frames import ViewFrames
from trd.types import Camera, Sample

INPUTS, CLOUDS = ("top/rgb", "top/xyz", "back/rgb", "back/xyz"), ("xyz",)


def test_folders_of_views_and_names_that_end_in_views_are_the_same_parts(views_data: Path, tmp_path: Path) -> None:
    folders = list_class(views_data, "biscuit", INPUTS, CLOUDS)
    names = list_class(by_name(views_data, tmp_path), "biscuit", INPUTS, CLOUDS)
    for split in ("train", "validation", "test"):
        first, second = getattr(folders, split), getattr(names, split)
        assert [part.id for part in first] == [part.id for part in second]
        assert [part.defect for part in first] == [part.defect for part in second]
        for one, other in zip(first, second, strict=True):
            assert tuple(one.sources) == INPUTS
            left, right = load_sample(one, CLOUDS), load_sample(other, CLOUDS)
            for source, array in left.arrays.items():
                np.testing.assert_array_equal(array, right.arrays[source])
            np.testing.assert_array_equal(left.mask, right.mask)


def test_views_lie_one_above_the_other_and_come_back(views_data: Path) -> None:
    part = next(p for p in list_class(views_data, "biscuit", INPUTS, CLOUDS).test if not p.is_good)
    whole = load_sample(part, CLOUDS)
    top, back = (load_sample(part.view(view), CLOUDS) for view in VIEWS)
    heights = [view.arrays["rgb"].shape[0] for view in (top, back)]
    assert whole.arrays["rgb"].shape[:2] == (sum(heights), top.arrays["rgb"].shape[1])
    for view, alone in zip(VIEWS, (top, back), strict=True):
        again = whole.view(view)
        np.testing.assert_array_equal(again.arrays["xyz"], alone.arrays["xyz"])
        np.testing.assert_array_equal(again.mask, alone.mask)
    assert sample_of_arrays("one", arrays_of_sample(whole)).views == whole.views


def test_a_part_without_one_of_its_views_is_named(views_data: Path, tmp_path: Path) -> None:
    data = by_name(views_data, tmp_path)
    victim = next((data / "biscuit" / "train").rglob("*_back.png"))
    part = victim.stem.removesuffix("_back")
    for path in (data / "biscuit" / "train").rglob(f"{part}_back.*"):
        path.unlink()
    with pytest.raises(DataError, match=f"the view 'back' of train/good/{part} is missing"):
        list_class(data, "biscuit", INPUTS, CLOUDS)


def test_a_name_that_ends_in_no_view_is_named(views_data: Path, tmp_path: Path) -> None:
    data = by_name(views_data, tmp_path)
    for path in (data / "biscuit" / "train").rglob("*_back.*"):
        path.rename(path.with_name(path.name.replace("_back", "_below")))
    with pytest.raises(DataError, match=r"_below.* ends in none of the views top, back"):
        list_class(data, "biscuit", INPUTS, CLOUDS)


def test_the_longer_of_two_views_that_end_alike_is_meant(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for stem in ("1_left", "1_top_left"):
            path = tmp_path / "part" / split / "good" / "rgb" / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    for views in (("left", "top_left"), ("top_left", "left")):
        (part,) = list_class(tmp_path, "part", [f"{view}/rgb" for view in views], ()).train
        assert {source: path.stem for source, path in part.sources.items()} == {f"{v}/rgb": f"1_{v}" for v in views}


def test_folders_of_some_views_are_not_enough(views_data: Path) -> None:
    with pytest.raises(DataError, match="no folder for the view 'side'"):
        list_class(views_data, "biscuit", (*INPUTS, "side/rgb", "side/xyz"), CLOUDS)


def test_parts_to_predict_on(views_data: Path) -> None:
    folder = views_data / "biscuit"
    parts = list_unlabelled(by_kind(folder), ("top/rgb", "back/rgb"), ())
    assert [tuple(part.sources) for part in parts] == [("top/rgb", "back/rgb")] * len(parts)


def by_kind(folder: Path) -> Path:
    """A folder with one folder for each view, as a line may write them."""
    place = folder.parent / "predict"
    for view in VIEWS:
        (place / view).mkdir(parents=True, exist_ok=True)
        if not (place / view / "rgb").exists():
            (place / view / "rgb").symlink_to(folder / view / "test" / "good" / "rgb")
    return place


def test_every_view_may_have_a_camera_of_its_own() -> None:
    top, back = Camera(500, 500, 32, 32), Camera(600, 600, 32, 32)
    both = joined_cameras({"top": top, "back": back})
    assert camera_of_view(both, "back") == back
    assert both is not None
    again = Camera(**json.loads(json.dumps(asdict(both))))
    assert again == both
    assert camera_of_view(again, "top") == top
    assert joined_cameras({"top": top, "back": top}) == top
    assert joined_cameras({"top": None, "back": None}) is None


def test_views_of_other_numbers_are_refused() -> None:
    arrays = {"top/rgb": np.zeros((8, 8, 3), np.uint8), "back/rgb": np.zeros((8, 8, 3), np.uint16)}
    with pytest.raises(DataError, match="one view is uint16"):
        sample_of_arrays("one", arrays)
    with pytest.raises(DataError, match="has no 'top/xyz'"):
        sample_of_arrays("one", {"top/rgb": arrays["top/rgb"], "back/xyz": np.zeros((8, 8, 3), np.float32)})


@pytest.mark.parametrize("cloud", [np.zeros((6, 9, 3), np.float32), np.zeros(8, np.float32), [[[0.0]]]])
def test_arrays_of_a_view_that_do_not_lie_over_each_other_are_refused(cloud: Any) -> None:
    view = {"rgb": np.zeros((8, 8, 3), np.uint8), "xyz": cloud}
    with pytest.raises(DataError, match="sample one: the arrays of a view have one height and width, got 'top/rgb'"):
        sample_of_arrays("one", {f"{name}/{source}": array for name in VIEWS for source, array in view.items()})


def test_a_source_without_views_has_no_separator() -> None:
    with pytest.raises(RecipeError, match="the source 'top/rgb' has a '/' in its name"):
        load_recipe("lite-rgb", ["modalities.rgb.source=top/rgb"])


def test_what_lies_over_a_view_stays_over_it_at_the_maps_size() -> None:
    """Views of two sizes, one of them with a window of its own."""
    frames = ViewFrames(
        {"top": Frame((40, 60), (8, 20, 16, 32), (32, 32)), "back": Frame((64, 32), (0, 0, 64, 32), (32, 32))}
    )
    maps = cv2.GaussianBlur(np.random.default_rng(0).random(frames.map_size, np.float32), (0, 0), 4)
    maps[:32] += 1
    full = frames.to_sensor(maps, frames.sensor, -1.0)
    back = frames.from_sensor(full)
    assert back.shape == maps.shape
    assert np.abs(back - maps).max() < 0.05
    np.testing.assert_array_equal(frames.from_sensor(full > 0.9), maps > 0.9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('views.names=["top"]', "there are two at least"),
        ('views.names=["top", "top"]', "different names"),
        ('views.names=["a/b", "c"]', "view's name"),
        ("frame.crop=[0, 0, 32, 32]", "of one picture"),
        ("frame.inspect=[[[0, 0], [8, 0], [8, 8]]]", "of one picture"),
        ("scoring.stand_ins=true", "do not go together"),
    ],
)
def test_recipes_that_do_not_go_with_views(views_recipe: Recipe, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        views_recipe.changed(change)


def test_recipes_without_views_are_as_they_were() -> None:
    recipe = load_recipe("patch-statistics")
    assert recipe.inputs == recipe.sources
    assert "views" not in recipe.identity()
    assert isinstance(Sample("one", {}).views, tuple)
