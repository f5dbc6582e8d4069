import shutil
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from typer.testing import CliRunner
from writing import write_coloured_pcd

from trd.check.check import LOOK, check_class
from trd.check.outliers import strangeness
from trd.check.page import html_page
from trd.cli import app
from trd.config import Recipe, load_recipe
from trd.data.clouds import read_cloud
from trd.data.demo import draw_demo
from trd.data.images import read_image, read_mask
from trd.types import ClassFolder, PreparedSample

runner = CliRunner()


def test_good_data_is_ready_and_described(drawn: Path, recipe: Recipe) -> None:
    found = check_class(ClassFolder("biscuit", drawn / "biscuit"), recipe)
    assert not found.problems
    assert found.facts["good parts to train on"] == "6"
    assert found.facts["parts to test on"] == "1 chip, 1 dent, 2 good, 1 stain; 3 masks"
    assert found.facts["part found in"] == "6 of 6 training parts"
    assert found.facts["3D in"] == "metres"
    assert "0.40" in found.facts["support plane from the camera"]
    assert any("4 calibration parts can promise" in line for line in found.warnings)
    assert len(found.strangest) == 6
    assert [name for name, _ in found.strangest[0].pictures] == ["rgb", "normals", "where it is strange"]


def test_all_bad_files_are_listed_at_once(data: Path, tmp_path: Path) -> None:
    for name in ("train/good/rgb/001.png", "train/good/xyz/003.tiff", "test/dent/gt/000.png"):
        (data / "biscuit" / name).write_bytes(b"damaged")
    page = tmp_path / "page.html"
    result = runner.invoke(app, ["check", str(data), "--out", str(page), "--set", "frame.size=64"])
    assert result.exit_code == 1
    shown = "".join((result.output + result.stderr).split())
    for name in ("rgb/001.png", "xyz/003.tiff", "gt/000.png"):
        assert name in shown
        assert name in page.read_text()
    assert "biscuit:2problems" in shown


def test_the_layout_and_files_that_are_not_read_are_named(data: Path, tmp_path: Path) -> None:
    page, place = tmp_path / "page.html", data / "biscuit"
    for name in ("r.heic", "s.heic"):
        (place / "train/good/rgb" / name).touch()
    colour = ["--recipe", "patch-statistics", "--set", "frame.size=64", "--out", str(page)]
    result = runner.invoke(app, ["check", str(data), *colour])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    for text in (shown, " ".join(page.read_text().split())):
        assert "a folder per source" in text
        assert "2 .heic files (train/good/rgb/r.heic, train/good/rgb/s.heic) not read: convert them to PNG" in text
    (place / "train/good/xyz/001.tiff").rename(place / "train/good/xyz/001.zdf")
    result = runner.invoke(app, ["check", str(data), "--out", str(page)])
    shown = " ".join((result.output + result.stderr).split())
    assert result.exit_code == 1
    assert "no xyz file" in shown
    assert "1 .zdf file (train/good/xyz/001.zdf) not read" in shown
    assert "layout: a folder per source" in shown


def test_a_page_per_run_and_exit_code_0(drawn: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = runner.invoke(app, ["check", str(drawn), "--out", str(page), "--set", "frame.size=64"])
    assert result.exit_code == 0, result.output
    assert page.read_text().count("data:image/jpeg;base64,") == 3 * (6 + 3)
    assert "http" not in page.read_text()


def test_what_training_would_refuse_is_a_problem(data: Path, recipe: Recipe) -> None:
    place = ClassFolder("biscuit", data / "biscuit")
    path = data / "biscuit/train/good/rgb/002.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((96, 96, 3), np.uint8)))
    (problem,) = check_class(place, recipe).problems
    assert "xyz/002.tiff" in problem
    assert "192 x 192" in problem
    path.unlink()
    (problem,) = check_class(place, recipe).problems
    assert "'002' has a xyz file but no rgb file" in problem
    shutil.rmtree(data / "biscuit/train")
    (problem,) = check_class(place, recipe).problems
    assert "train" in problem


def flat_parts(count: int) -> list[PreparedSample]:
    """Noisy grey squares, colour only."""
    rng = np.random.default_rng(0)
    images = [np.clip(0.5 + 0.02 * rng.normal(size=(3, 96, 96)), 0, 1).astype(np.float32) for _ in range(count)]
    return [
        PreparedSample(str(index), "good", {"rgb": image}, None, None, (96, 96)) for index, image in enumerate(images)
    ]


def test_a_part_unlike_the_others_comes_first_and_the_map_shows_where() -> None:
    parts = flat_parts(12)
    parts[7].images["rgb"][:, 40:56, 64:80] += np.array([0.1, 0, -0.1], np.float32)[:, None, None]
    found = strangeness(parts, load_recipe("lite-rgb"))
    assert found.scores.argmax() == 7
    assert found.scores[7] > LOOK
    assert np.median(np.delete(found.scores, 7)) < 1
    row, column = np.unravel_index(found.maps[7].argmax(), found.maps[7].shape)
    assert 40 <= 4 * row < 56
    assert 64 <= 4 * column < 80
    again = strangeness(parts, load_recipe("lite-rgb"))
    assert (again.scores == found.scores).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_parts_are_ranked_without_complaint(count: int) -> None:
    found = strangeness(flat_parts(count), load_recipe("lite-rgb"))
    assert found.scores.shape == (count,)
    assert all(values.shape == (24, 24) for values in found.maps)
    assert np.isfinite(found.scores).all()
    if count < 3:
        assert (found.scores == 0).all()


def test_parts_without_any_difference_are_not_strange() -> None:
    one = flat_parts(1)[0]
    found = strangeness([replace(one, id=str(index)) for index in range(6)], load_recipe("lite-rgb"))
    assert (found.scores < LOOK).all()


def test_what_is_not_scored_makes_nothing_strange() -> None:
    region = np.zeros((96, 96), bool)
    region[:48] = True
    parts = [replace(part, region=region) for part in flat_parts(12)]
    parts[3].images["rgb"][:, 72:] = 0
    parts[5].images["rgb"][:, 16:32, 40:56] *= 0.8
    found = strangeness(parts, load_recipe("lite-rgb"))
    assert found.scores.argmax() == 5
    assert found.scores[3] < LOOK


def test_planted_defects_of_colour_and_of_shape_come_first(tmp_path: Path) -> None:
    """Of drawn parts two are taken from the defective ones: one tinted, one dented."""
    draw_demo(tmp_path, seed=3, train=14, validation=4, good=1, per_kind=1)
    place = tmp_path / "biscuit"
    for kind, stem in (("stain", "004"), ("dent", "011")):
        for source, ending in (("rgb", "png"), ("xyz", "tiff")):
            (broken,) = sorted((place / "test" / kind / source).iterdir())
            shutil.copyfile(broken, place / "train/good" / source / f"{stem}.{ending}")
    found = check_class(ClassFolder("biscuit", place), load_recipe("lite-residual", ["frame.size=128"]))
    assert {part.id for part in found.strangest[:2]} == {"train/good/004", "train/good/011"}


def test_parts_held_out_for_calibration_are_ranked_too(data: Path, recipe: Recipe) -> None:
    """A bad one among them raises the threshold."""
    shutil.rmtree(data / "biscuit/validation")
    found = check_class(ClassFolder("biscuit", data / "biscuit"), recipe)
    assert found.facts["held out for calibration"] == "2 of the parts to train on"
    assert {part.id for part in (*found.strangest, *found.ordinary)} == {f"train/good/{i:03d}" for i in range(6)}


def test_masks_that_mark_nothing_or_everything_are_named(data: Path, recipe: Recipe) -> None:
    for kind, value in (("chip", 0), ("dent", 255)):
        mask = data / "biscuit/test" / kind / "gt/000.png"
        height, width = read_mask(mask).shape
        mask.write_bytes(imagecodecs.png_encode(np.full((height, width), value, np.uint8)))
    warnings = check_class(ClassFolder("biscuit", data / "biscuit"), recipe).warnings
    assert "no defect is marked in 1 of 3 masks: test/chip/000" in warnings
    assert "all of the picture is marked as defect in 1 of 3 masks: test/dent/000" in warnings


def copied(place: Path, source: str, target: str) -> None:
    """A part of another split, or of the same one, once more."""
    for name in ("rgb/{}.png", "xyz/{}.tiff"):
        split, stem = source.rsplit("/", 1)
        other, new = target.rsplit("/", 1)
        shutil.copyfile(place / split / name.format(stem), place / other / name.format(new))


def test_copies_between_splits(data: Path, recipe: Recipe) -> None:
    place = ClassFolder("biscuit", data / "biscuit")
    copied(place.path, "train/good/001", "train/good/900")
    copied(place.path, "train/good/002", "test/good/901")
    found = check_class(place, recipe)
    assert not found.problems
    assert any("train/good/900 is train/good/001" in line for line in found.warnings)
    assert any("test/good/901 is train/good/002" in line for line in found.warnings)
    copied(place.path, "train/good/003", "validation/good/902")
    (problem,) = check_class(place, recipe).problems
    assert "validation/good/902 is train/good/003" in problem
    assert "delete the copies" in problem


def test_copies_of_the_same_pixels_in_another_file_are_copies(data: Path, recipe: Recipe) -> None:
    place = data / "biscuit"
    copied(place, "train/good/003", "validation/good/902")
    picture = place / "validation/good/rgb/902.png"
    picture.write_bytes(imagecodecs.png_encode(imagecodecs.png_decode(picture.read_bytes()), level=0))
    assert picture.read_bytes() != (place / "train/good/rgb/003.png").read_bytes()
    (problem,) = check_class(ClassFolder("biscuit", place), recipe).problems
    assert "validation/good/902 is train/good/003" in problem


def test_cross_calibration_refuses_parts_that_stand_twice(data: Path, recipe: Recipe) -> None:
    place = ClassFolder("biscuit", data / "biscuit")
    copied(place.path, "train/good/001", "train/good/900")
    cross = recipe.changed("scoring.calibration=cross", "scoring.folds=2")
    (problem,) = check_class(place, cross).problems
    assert "train/good/900 is train/good/001" in problem


def test_coloured_points_alone_are_picture_and_cloud(data: Path, recipe: Recipe) -> None:
    """All that reads pictures, the warning of an unused range among it, takes them from the PCD."""
    for cloud in sorted((data / "biscuit").rglob("*.tiff")):
        picture = cloud.parents[1] / "rgb" / f"{cloud.stem}.png"
        write_coloured_pcd(cloud.with_suffix(".pcd"), read_cloud(cloud), read_image(picture), "three")
        cloud.unlink()
        picture.unlink()
    for folder in list((data / "biscuit").rglob("rgb")):
        folder.rmdir()
    found = check_class(ClassFolder("biscuit", data / "biscuit"), recipe)
    assert not found.problems
    assert found.facts["part found in"] == "6 of 6 training parts"
    assert [name for name, _ in found.strangest[0].pictures] == ["rgb", "normals", "where it is strange"]


def test_regions_are_drawn_and_measured(drawn: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    regions = '{name="Öse <1>",polygons=[[[60,60],[130,60],[130,130],[60,130]]],limit=2,follows="part"}'
    more = '{name="label",polygons=[[[70,70],[90,70],[90,80],[70,80]]],limit="ignore"}'
    half = "frame.ignore=[[[0,0],[95,0],[95,191],[0,191]]]"
    changes = ["frame.size=96", "frame.crop=none", f"frame.regions=[{regions},{more}]", half]
    found = check_class(ClassFolder("biscuit", drawn / "biscuit"), load_recipe("lite-residual", changes))
    assert not found.problems
    assert [name for name, _ in found.regions] == [f"train/good/00{number}" for number in range(3)]
    assert found.region_facts == {
        "1 frame.ignore": "50.0% of the window",
        "2 region Öse <1>": "14.1% of the window, limit x 2, follows the part",
        "3 region label": "0.7% of the window, ignore",
    }
    page.write_text(html_page("check", [found]), "utf-8")
    assert "2 region Öse &lt;1&gt;" in page.read_text("utf-8")
    assert page.read_text("utf-8").count("data:image/jpeg;base64,") == 3 * (6 + 3) + 3


def test_a_region_that_is_nowhere_is_a_problem(drawn: Path) -> None:
    outside = 'frame.regions=[{name="label",polygons=[[[900,900],[950,900],[950,950]]],limit=2}]'
    found = check_class(ClassFolder("biscuit", drawn / "biscuit"), load_recipe("lite-residual", [outside]))
    assert "the region 'label' of frame.regions lies outside of the window" in found.problems[0]
