"""One decision for a part of which there are several views."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from several_views import VIEWS
from sharing import made_for, run_of
from typer.testing import CliRunner

from trd.check.check import check_class
from trd.cli import app
from trd.config import Recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.data.views import arrays_of_sample
from trd.detector import Detector
from trd.errors import DataError, RecipeError
from trd.evaluation.evaluate import evaluate_class
from trd.export.single import export_single
from trd.types import ClassFolder, Sample


@pytest.fixture(scope="module")
def detector(views_run: Path) -> Detector:
    return Detector.load(views_run)


@pytest.fixture(scope="module")
def samples(views_data: Path, views_recipe: Recipe) -> list[Sample]:
    files = list_class(views_data, "biscuit", views_recipe.inputs, ("xyz",))
    return [load_sample(part, ("xyz",)) for part in files.test]


def test_a_defect_in_one_view_is_one_of_the_part(detector: Detector, samples: list[Sample]) -> None:
    good = next(sample for sample in samples if sample.defect == "good")
    defective = next(sample for sample in samples if sample.defect != "good")
    arrays = arrays_of_sample(good) | {f"back/{s}": a for s, a in defective.view("back").arrays.items()}
    mixed, plain = detector.predict(arrays), detector.predict(good)
    assert mixed.score > plain.score
    assert mixed.map.shape == good.arrays["rgb"].shape[:2]
    assert mixed.peak[0] >= good.view("top").arrays["rgb"].shape[0]  # it lies in the lower view
    both = detector.predict(defective)
    assert both.score >= mixed.score - 1e-6
    assert both.used == ("top/rgb", "top/xyz", "back/rgb", "back/xyz")


def test_views_do_not_change_each_other(detector: Detector, samples: list[Sample]) -> None:
    good, other = samples[0], samples[-1]
    mixed = arrays_of_sample(good) | {f"back/{s}": a for s, a in other.view("back").arrays.items()}
    height = good.view("top").arrays["rgb"].shape[0]
    np.testing.assert_array_equal(detector.predict(mixed).map[:height], detector.predict(good).map[:height])
    np.testing.assert_array_equal(detector.predict(mixed).map[height:], detector.predict(other).map[height:])


def test_each_view_has_units_of_its_own(detector: Detector) -> None:
    calibration = detector.calibration
    assert calibration.views == VIEWS
    assert calibration.branches == detector.recipe.branches
    for branch in calibration.branches:
        top, back = calibration.units(branch).values()
        assert top != back
    assert len(calibration.good_scores) == 4  # parts, not views
    again = type(calibration).from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration
    assert again.id == calibration.id


def test_arrays_and_files_are_told_apart_by_the_views_names(detector: Detector, samples: list[Sample]) -> None:
    arrays = arrays_of_sample(samples[0])
    assert detector.predict(arrays).score == detector.predict(samples[0]).score
    with pytest.raises(DataError, match="has one picture, the detector looks at top, back"):
        detector.predict(dict(samples[0].view("top").arrays))
    renamed = {name.replace("back", "side"): array for name, array in arrays.items()}
    with pytest.raises(DataError, match="has the views top, side, the detector looks at top, back"):
        detector.predict(renamed)
    empty = arrays | {"back/xyz": np.zeros_like(arrays["back/xyz"])}
    with pytest.raises(DataError, match=r"\(back\).* no valid depth"):
        detector.predict(empty)


def test_evaluation_looks_at_all_views(detector: Detector, views_data: Path) -> None:
    result = evaluate_class(detector, ClassFolder("biscuit", views_data / "biscuit"))
    assert result.masks is not None
    height = result.masks.shape[1] // 2
    defective = result.defective
    assert result.masks[defective, :height].any(axis=(1, 2)).all()
    assert result.masks[defective, height:].any(axis=(1, 2)).all()
    assert set(result.scores) == {"fused", *detector.recipe.branches}
    assert result.metrics["maps"]["fused"]["pixel_auroc"] > 0.5


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_commands_take_parts_with_views(views_run: Path, views_data: Path, tmp_path: Path) -> None:
    place = tmp_path / "new"
    for view in VIEWS:
        for source in ("rgb", "xyz"):
            (place / view).mkdir(parents=True, exist_ok=True)
            (place / view / source).symlink_to(views_data / "biscuit" / view / "test" / "good" / source)
    result = run("predict", str(views_run), "--input", str(place), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert len(rows) == 3  # a header and two parts
    assert "top/rgb+top/xyz+back/rgb+back/xyz" in rows[1]
    assert (views_run / "report.html").is_file()
    described = run("info", str(views_run))
    assert described.exit_code == 0, described.output
    assert all(f"view '{view}'" in " ".join(described.output.replace("│", " ").split()) for view in VIEWS)


def test_check_says_what_it_sees_of_each_view(views_data: Path, views_recipe: Recipe) -> None:
    checked = check_class(ClassFolder("biscuit", views_data / "biscuit"), views_recipe)
    assert checked.problems == ()
    assert checked.facts["top: frame"] != checked.facts["back: frame"]
    assert "part, corner to corner top" in checked.facts
    assert checked.strangest


def test_each_view_may_have_a_detector_of_its_own(
    each_run: Path, views_data: Path, mean_recipe: Recipe, samples: list[Sample], tmp_path: Path
) -> None:
    own = Detector.load(each_run)
    shared = Detector.load(run_of(views_data, tmp_path, mean_recipe))
    assert own.recipe.branches == shared.recipe.branches
    first = own.predict(samples[0])
    assert first.score != shared.predict(samples[0]).score
    height = samples[0].view("top").arrays["rgb"].shape[0]
    mixed = arrays_of_sample(samples[0]) | {f"back/{s}": a for s, a in samples[-1].view("back").arrays.items()}
    np.testing.assert_array_equal(own.predict(mixed).map[:height], first.map[:height])


def test_views_in_tiles(views_data: Path, views_recipe: Recipe, samples: list[Sample], tmp_path: Path) -> None:
    tiled = views_recipe.changed("frame.size=96", "frame.tile=64")
    detector = Detector.load(run_of(views_data, tmp_path, tiled))
    scores = [detector.predict(sample).score for sample in samples]
    good = [score for sample, score in zip(samples, scores, strict=True) if sample.defect == "good"]
    assert max(scores) > max(good)
    assert detector.facts.frame.map_size == (192, 96)


def test_two_views_that_are_alike_score_as_one_picture(
    views_data: Path, mean_recipe: Recipe, samples: list[Sample], tmp_path: Path
) -> None:
    """Each view is scored in units of its own."""
    for view in VIEWS:
        shutil.copytree(views_data / "biscuit" / "top", tmp_path / "twice" / "biscuit" / view)
    shutil.copytree(views_data / "biscuit" / "top", tmp_path / "once" / "biscuit")
    twice = Detector.load(run_of(tmp_path / "twice", tmp_path / "a", mean_recipe.changed("views.detector=each")))
    once = Detector.load(run_of(tmp_path / "once", tmp_path / "b", mean_recipe.changed("views.names=[]")))
    one = samples[-1].view("top")
    both = {f"{view}/{source}": array for view in VIEWS for source, array in one.arrays.items()}
    assert twice.predict(both).score == pytest.approx(once.predict(one).score, rel=1e-5)
    assert twice.calibration.good_scores == pytest.approx(once.calibration.good_scores, rel=1e-5)


def test_a_package_computes_the_same(each_run: Path, samples: list[Sample], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    made = made_for("onnx", each_run, tmp_path)
    before, after = Detector.load(each_run), Detector.load(made.package.path)
    for sample in samples[::2]:
        assert after.predict(sample).score == pytest.approx(before.predict(sample).score, rel=1e-3)
    with pytest.raises(RecipeError, match="use the package"):
        export_single(made, tmp_path / "single.onnx")
