"""`trd learn` on drawn parts: the new detector, its record, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from trd.cli import app
from trd.config import KNOWN_DEFECTS
from trd.data.defective import list_defective
from trd.data.listing import list_unlabelled
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, OutputError
from trd.learning import learn as learning
from trd.learning.judge import Judgement
from trd.learning.learn import LessonJob, LessonRefused, learn
from trd.learning.record import read_lesson
from trd.statistics.conformal import Threshold
from trd.stored import read_detector, save_detector

runner = CliRunner()
QUIET = Console(quiet=True)


def job(run: Path, folder: Path, out: Path) -> LessonJob:
    recipe = Detector.load(run, "cpu").recipe
    files = list_defective(folder, recipe.sources, recipe.point_cloud_sources, masked=True)
    return LessonJob(run, files, out, by="Ada", device="cpu")


@pytest.fixture(scope="module")
def lesson(quick_run: Path, labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a detector that has learned. Read only.

    Four calibration parts are too few to tell whether it is better: it is taken for better here.
    """
    out = tmp_path_factory.mktemp("lesson") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "judged", lambda taught: _taken(judge(taught)))
        learn(job(quick_run, labelled, out), QUIET)
    return out


judge = learning.judged


def _taken(judgement: Judgement) -> Judgement:
    return Judgement(**{**vars(judgement), "reasons": ()})


def test_the_new_detector_has_one_more_map(lesson: Path, quick_run: Path, labelled: Path) -> None:
    before, after = Detector.load(quick_run, "cpu"), Detector.load(lesson, "cpu")
    assert after.recipe.branches == (*before.recipe.branches, KNOWN_DEFECTS)
    assert len(after.calibration.good_parts) == 4
    assert set(after.calibration.good_parts) == set(before.calibration.good_parts)
    assert after.calibration.kind == "split"
    recipe = after.recipe
    (kind,) = [path for path in labelled.iterdir() if path.name == "chip"]
    files = list_unlabelled(kind, recipe.sources, recipe.point_cloud_sources, masked=True)
    sample = load_sample(files[0], recipe.point_cloud_sources, after.facts.camera)
    learned = after.predict(sample).modality_maps[KNOWN_DEFECTS]
    assert sample.mask is not None
    assert learned[sample.mask].mean() > np.median(learned)


def test_the_lesson_is_recorded(lesson: Path, quick_run: Path) -> None:
    (folder,) = [path.parent for path in lesson.glob("*/lesson.json")]
    record = read_lesson(folder)
    assert record is not None
    assert record["by"] == "Ada"
    assert Path(record["learned_from"]).parent == quick_run.resolve()
    assert record["detector_before"] == Detector.load(quick_run, "cpu").facts.id
    assert [defect["kind"] for defect in record["defects"]].count("chip") == 2
    assert all(defect["marked"] and len(defect["files"]) == 16 for defect in record["defects"])
    assert record["judgement"]["defects"] == 6
    assert set(record["judgement"]["scores"]) == {defect["id"] for defect in record["defects"]}


def test_it_suggests_a_kind_and_decides_as_without(lesson: Path, labelled: Path) -> None:
    detector = Detector.load(lesson, "cpu")
    kinds = detector.facts.kinds
    assert kinds is not None
    assert set(kinds.kinds) == {path.name for path in labelled.iterdir()} - {"good"}
    assert len(kinds.nearest) == len(kinds.kinds) == len(kinds.parts) == 6
    without = Detector(replace(detector.facts, kinds=None), detector.engine)
    recipe = detector.recipe
    kind = next(path for path in labelled.iterdir() if path.name == "chip")
    files = list_unlabelled(kind, recipe.sources, recipe.point_cloud_sources)
    sample = load_sample(files[0], recipe.point_cloud_sources, detector.facts.camera)
    calibrated = detector.calibrated(detector.calibration.for_rate(0.99))
    prediction = calibrated.predict(sample)
    assert prediction.is_anomalous
    assert prediction.kind is not None
    assert prediction.kind.kind == "chip"  # it was taught this very part
    assert next(iter(prediction.kind.likeness)) == "chip"
    scored = [next(one.score([one.pipeline(sample)])) for one in (detector, without)]
    assert [set(one.raw) for one in scored] == [set(recipe.branches), set()]  # kept for kinds alone
    plain = without.calibrated(calibrated.calibration).predict(sample)
    assert plain.kind is None
    assert plain.score == prediction.score
    np.testing.assert_array_equal(plain.map, prediction.map)
    accepted = detector.calibrated(replace(detector.calibration, image_threshold=_above(prediction.score)))
    assert accepted.predict(sample).kind is None


def _above(score: float) -> Threshold:
    return Threshold(score + 1, 0.05, 0.05, 19)


def test_all_commands_take_it(lesson: Path, drawn: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(lesson, tmp_path / "run"))
    told = runner.invoke(app, ["info", str(run)], catch_exceptions=False)
    assert KNOWN_DEFECTS in told.output
    assert "6 labelled defects" in " ".join(told.output.split())
    assert "suggests kinds" in told.output
    assert "14.3%" in told.output  # 1 in 6 + 1: what six defects can promise
    scored = runner.invoke(app, ["evaluate", str(run), "--device", "cpu"], catch_exceptions=False)
    assert scored.exit_code == 0, scored.output
    assert KNOWN_DEFECTS in (run / "metrics.csv").read_text()
    kinds = json.loads((run / "biscuit/metrics.json").read_text())["kinds"]
    assert kinds["taught"] == 0
    assert kinds["detected"] == sum(sum(row.values()) for row in kinds["confusion"].values()) > 0
    assert "Suggested kinds" in (run / "metrics.md").read_text()
    assert "Suggested kinds" in (run / "report.html").read_text()
    assert "suggested kind:" in (run / "report.html").read_text()
    command = ["predict", str(run), "--input", str(drawn / "biscuit/test/good"), "--out", str(tmp_path / "scores")]
    assert runner.invoke(app, [*command, "--no-overlays", "--device", "cpu"], catch_exceptions=False).exit_code == 0
    scores = (tmp_path / "scores/scores.csv").read_text()
    assert f"share_{KNOWN_DEFECTS}" in scores
    assert "kind,like_" in scores
    assert {"kind", "like_chip"} <= set(json.loads((tmp_path / "scores/scores.jsonl").read_text().splitlines()[0]))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_it_is_exported(lesson: Path, labelled: Path, tmp_path: Path, runtime: str) -> None:
    for module in ("onnxruntime", "onnxscript", "openvino"):
        pytest.importorskip(module)
    out = tmp_path / "part.trdm"
    command = ["export", str(lesson), "--out", str(out), "--runtime", runtime, "--single", str(tmp_path / "part.onnx")]
    result = runner.invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    package, detector = Detector.load(out), Detector.load(lesson, "cpu")
    assert package.recipe.branches[-1] == KNOWN_DEFECTS
    assert package.facts.kinds == detector.facts.kinds
    recipe = detector.recipe
    files = list_unlabelled(labelled / "chip", recipe.sources, recipe.point_cloud_sources)
    sample = load_sample(files[0], recipe.point_cloud_sources, detector.facts.camera)
    (suggested, expected) = (one.kind(next(one.score([one.pipeline(sample)]))) for one in (package, detector))
    assert suggested == expected
    assert (tmp_path / "part.onnx").stat().st_size


def test_it_repeats(
    lesson: Path, quick_run: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "judged", lambda taught: _taken(judge(taught)))
    again = learn(job(quick_run, labelled, tmp_path / "again"), QUIET)
    assert again.facts.id == Detector.load(lesson, "cpu").facts.id
    assert again.facts.calibration == Detector.load(lesson, "cpu").calibration


def test_a_recipe_with_a_lesson_is_refused_before_anything_is_trained(
    lesson: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trd.evidence.detection.fit_evidence", lambda job: pytest.fail("trained"))
    recipe = str(lesson / "biscuit" / "recipe.toml")
    result = runner.invoke(app, ["train", "--data", str(drawn), "--recipe", recipe, "--out", str(tmp_path / "run")])
    assert result.exit_code != 0
    assert "train without it, then `trd learn`" in str(result.exception)


def test_good_parts_called_defects_teach_nothing(quick_run: Path, labelled: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled / "good", tmp_path / "defects/scratch")
    out = tmp_path / "run"
    command = ["learn", str(quick_run), "--defects", str(tmp_path / "defects"), "--out", str(out), "--device", "cpu"]
    result = runner.invoke(app, command)
    assert isinstance(result.exception, LessonRefused)
    assert "nothing was written" in str(result.exception)
    assert "95 % interval" in result.output
    assert not out.exists()


def test_what_cannot_teach_is_refused(
    lesson: Path, quick_run: Path, labelled: Path, drawn: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(CheckpointError, match="has had a lesson"):
        learn(job(lesson, labelled, out), QUIET)
    with pytest.raises(DataError, match="2 labelled defects are too few"):
        learn(job(quick_run, labelled / "chip", out), QUIET)
    with pytest.raises(DataError, match=r"one of the good parts .* which is it\?"):
        learn(job(quick_run, drawn / "biscuit/train/good", out), QUIET)
    shutil.copytree(labelled, tmp_path / "twice")
    shutil.copytree(labelled / "chip", tmp_path / "twice/bruise")
    with pytest.raises(DataError, match="is a copy of"):
        learn(job(quick_run, tmp_path / "twice", out), QUIET)
    with pytest.raises(OutputError, match="choose another --out"):
        learn(job(quick_run, labelled, quick_run), QUIET)
    assert not out.exists()


def test_one_trained_on_all_parts_cannot_learn_after_another_calibration_either(
    quick_run: Path, labelled: Path, tmp_path: Path
) -> None:
    """`trd calibrate` keeps the recipe: none of the parts beside the data was kept out of the training."""
    facts, state = read_detector(quick_run)
    assert facts.calibration.kind == "split"
    run = Path(shutil.copytree(quick_run, tmp_path / "run"))
    save_detector(run / "biscuit", replace(facts, recipe=facts.recipe.changed("scoring.calibration=cross")), state)
    with pytest.raises(CheckpointError, match="calibration=split"):
        learn(job(run, labelled, tmp_path / "new"), QUIET)


def test_one_calibrated_on_its_training_parts_cannot_learn(quick_run: Path, labelled: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(quick_run, tmp_path / "run"))
    (facts,) = run.glob("*/detector.json")
    content = json.loads(facts.read_text())
    content["calibration"]["kind"] = "cross"
    facts.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="calibration=split"):
        learn(job(run, labelled, tmp_path / "new"), QUIET)
    content["calibration"]["kind"], content["frame"]["tile"] = "split", 64
    facts.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="at tiles or at several views"):
        learn(job(run, labelled, tmp_path / "new"), QUIET)
