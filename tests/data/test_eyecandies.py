import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from eyecandies import draw_eyecandies
from recipes import TINY

import trd
from trd.config import load_recipe
from trd.data.listing import class_names, layout_of, list_class, list_unlabelled
from trd.data.loading import load_sample
from trd.data.unread import unread_files
from trd.errors import DataError

PAPER = (("image_4", "normals"), ())
CLOUD = (("image_0", "depth"), ("depth",))


@pytest.fixture(scope="module")
def drawn_candies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("eyecandies")
    draw_eyecandies(root)
    return root


@pytest.fixture
def candies(drawn_candies: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn_candies, tmp_path / "eyecandies"))


def test_splits_ids_and_kinds(drawn_candies: Path) -> None:
    assert class_names(drawn_candies) == ("CandyCane", "GummyBear")
    files = list_class(drawn_candies, "GummyBear", *PAPER)
    assert [s.id for s in files.train] == [f"train/good/{n:03d}" for n in range(4)]
    assert [s.id for s in files.validation] == [f"val/good/{n:02d}" for n in range(3)]
    kinds = ["good/00", "bumps/01", "colors/02", "combined/03"]
    assert [s.id for s in files.test] == [f"test_public/{kind}" for kind in kinds]
    assert list_class(drawn_candies / "GummyBear", "", *PAPER).name == "GummyBear"
    sample = load_sample(files.test[1], ())
    assert set(sample.arrays) == {"image_4", "normals"}
    assert sample.mask is not None
    assert sample.mask.any()


def test_what_a_recipe_does_without_is_named_and_no_doubt(drawn_candies: Path) -> None:
    files = list_class(drawn_candies, "GummyBear", *PAPER)
    samples = (*files.train, *files.validation, *files.test)
    layout = layout_of(drawn_candies / "GummyBear")
    assert layout.name == "Eyecandies"
    warnings, aside = unread_files(drawn_candies / "GummyBear", samples, layout.set_aside)
    assert warnings == []
    assert ".png files (test_private/data/" in aside[0]


@pytest.mark.parametrize("light", range(6))
def test_every_light_can_be_chosen(drawn_candies: Path, light: int) -> None:
    files = list_class(drawn_candies, "CandyCane", (f"image_{light}",), ())
    assert files.train[0].sources[f"image_{light}"].name == f"000_image_{light}.png"


def test_depth_is_decoded_with_its_own_range(drawn_candies: Path) -> None:
    files = list_class(drawn_candies, "CandyCane", *CLOUD)
    cloud = load_sample(files.train[0], ("depth",), files.camera).arrays["depth"]
    z = np.asarray(cloud)[..., 2]
    assert z.max() == pytest.approx(1.5, abs=1e-4)  # the belt; the candy is nearer
    assert z.min() == pytest.approx(1.5 - np.sqrt(0.1), abs=1e-2)
    # pinhole: the outermost pixels of the belt lie W / 2 pixels off the axis, with the published angle of view
    assert cloud[0, -1, 0] == pytest.approx(31.5 * 1.5 / (711.11 * 64 / 512), rel=1e-4)
    assert files.camera is not None


def test_unlabelled_split_for_prediction(drawn_candies: Path) -> None:
    (sample,) = list_unlabelled(drawn_candies / "GummyBear/test_private", *PAPER)
    assert sample.defect == "unlabelled"
    assert sample.mask is None


def test_bad_folders_are_named(candies: Path) -> None:
    with pytest.raises(DataError, match=r"Eyecandies has no 'rgb', only image_0, .*eyecandies-rgb-normals"):
        list_class(candies, "GummyBear", ("rgb", "xyz"), ("xyz",))
    (candies / "GummyBear/train/data/002_normals.png").unlink()
    with pytest.raises(DataError, match=r"002_normals.png is missing"):
        list_class(candies, "GummyBear", *PAPER)
    info = candies / "CandyCane/train/data/000_info_depth.yaml"
    info.write_text("normalization: {min: 1}")
    files = list_class(candies, "CandyCane", *CLOUD)
    with pytest.raises(DataError, match=r"000_info_depth.yaml: expected 'normalization'"):
        load_sample(files.train[0], ("depth",), files.camera)
    for path in (candies / "CandyCane/train/data").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="holds no samples"):
        list_class(candies, "CandyCane", *PAPER)


def test_without_masks_the_public_test_is_unlabelled(candies: Path) -> None:
    for path in (candies / "CandyCane/test_public/data").glob("*mask.png"):
        path.unlink()
    assert {s.defect for s in list_class(candies, "CandyCane", *PAPER).test} == {"unlabelled"}


def test_all_eight_modalities_train_evaluate_and_predict(drawn_candies: Path, tmp_path: Path) -> None:
    recipe = load_recipe("eyecandies-all", (*TINY, "training.epochs=1"))
    detectors = trd.fit(drawn_candies, tmp_path / "run", recipe, ["GummyBear"], device="cpu")
    assert sum(form.role == "student" for form in detectors["GummyBear"].engine._forms.values()) == 8
    metrics = trd.evaluate(tmp_path / "run", device="cpu")["GummyBear"]
    assert set(metrics["maps"]) == {"fused", *recipe.modalities}
    assert set(metrics["by_defect"]) == {"bumps", "colors", "combined"}
    files = list_unlabelled(drawn_candies / "GummyBear/test_private", recipe.sources, recipe.point_cloud_sources)
    detector = detectors["GummyBear"]
    prediction = detector.predict(load_sample(files[0], ("depth",), detector.facts.camera))
    assert prediction.map.shape == (64, 64)
    assert sum(prediction.share.values()) == pytest.approx(1)


def test_a_depth_png_without_a_range_is_taken_as_it_is(candies: Path) -> None:
    """Only Eyecandies' pair of files is scaled; a depth image of one's own is taken as it is."""
    from trd.data.clouds import read_cloud
    from trd.types import Camera

    path = candies / "own_depth.png"
    path.write_bytes(imagecodecs.png_encode(np.full((4, 4), 2000, np.uint16)))
    assert read_cloud(path, Camera(10, 10, 2, 2, 0.001))[0, 0, 2] == pytest.approx(2.0)
