"""`trd learn --good` on drawn parts under another lamp: what enters, what does not, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from trd.cli import app
from trd.config import KNOWN_DEFECTS, load_recipe
from trd.data.defective import list_defective
from trd.data.demo import draw_demo
from trd.data.listing import list_unlabelled
from trd.detector import Detector
from trd.errors import CheckpointError, DataError
from trd.export.parts import parts_of
from trd.learning import good_parts
from trd.learning import learn as learning
from trd.learning.good_parts import GoodPartsRefused
from trd.learning.labels import DoubtfulLabels
from trd.learning.learn import Learned, LessonJob, learn
from trd.learning.learner import growing_recipe
from trd.learning.record import read_lesson
from trd.training.prepare import FURTHER, RECORD

runner = CliRunner()
QUIET = Console(quiet=True)
LAMP = np.array([1.0, 0.85, 0.7])


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good parts and defects of three kinds under another lamp, laid out like a test split. Read only."""
    folder = draw_demo(tmp_path_factory.mktemp("batch"), seed=12, train=1, validation=1, good=6, per_kind=2)
    for path in (folder / "test").glob("*/rgb/*"):
        lit = np.asarray(Image.open(path).convert("RGB")) * LAMP
        Image.fromarray(lit.astype(np.uint8)).save(path)
    return folder / "test"


def job(run: Path, out: Path, good: Path, must_find: Path | None = None, sure: bool = False) -> LessonJob:
    recipe = Detector.load(run, "cpu").recipe
    sources, clouds = recipe.sources, recipe.point_cloud_sources
    defects = list_defective(must_find, sources, clouds, masked=True) if must_find else ()
    good_files = list_unlabelled(good, sources, clouds)
    return LessonJob(run, (), out, by="Ada", device="cpu", good=good_files, must_find=defects, sure=sure)


@pytest.fixture(scope="module")
def learned(quick_run: Path, batch: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """Read only. Asked in two folds, which take less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(good_parts, "FOLDS", 2)
        return learn(job(quick_run, tmp_path_factory.mktemp("good") / "run", batch / "good"), QUIET)


def test_parts_like_them_are_no_alarms_any_more(learned: Learned) -> None:
    assert learned.judgement is None
    judgement = learned.good
    assert judgement is not None
    assert (judgement.good, judgement.calibration, judgement.defects) == (6, 4, 0)
    assert judgement.before.alarms == 6
    assert judgement.after.alarms == len(judgement.above) <= 2
    assert judgement.fall.low > 1


def test_they_calibrate_nothing(learned: Learned, quick_run: Path) -> None:
    """The calibration parts are scored anew, and are the same ones."""
    before, after = Detector.load(quick_run, "cpu").calibration, Detector.load(learned.folder, "cpu").calibration
    assert set(after.good_parts) == set(before.good_parts)
    assert after.good_scores != before.good_scores
    assert after.image_threshold.guaranteed_rate == before.image_threshold.guaranteed_rate


def test_the_record_says_where_each_went(learned: Learned, quick_run: Path) -> None:
    record = read_lesson(learned.folder)
    assert record is not None
    assert record["defects"] == []
    assert record["detector_before"] == Detector.load(quick_run, "cpu").facts.id
    assert {part["id"] for part in record["good"]} == {f"{number:03d}" for number in range(6)}
    for part in record["good"]:
        assert len(part["files"]) == 16
        assert part["entered"] == ["patch_statistics"]
        assert part["calibrates"] is False
    assert record["added"] == {}  # statistics are as many as before
    assert record["good_judgement"]["before"] == {"alarms": 6, "detected": 0, "auroc": None}
    told = runner.invoke(app, ["info", str(learned.folder)], catch_exceptions=False)
    assert "6 further good parts" in " ".join(told.output.split())


def test_taught_parts_calibrate_nothing_later_either(learned: Learned, batch: Path) -> None:
    command = ["calibrate", str(learned.folder), "--good", str(batch / "good"), "--device", "cpu"]
    result = runner.invoke(app, command)
    assert isinstance(result.exception, CheckpointError)
    assert "were used to train or calibrate" in str(result.exception)


def test_it_is_found_again_what_it_was_trained_on(learned: Learned) -> None:
    """Exports and comparisons ask for the training parts; the taught ones are not among them."""
    record = json.loads((learned.folder / RECORD).read_text())
    assert len(record[FURTHER]) == 6
    assert set(record[FURTHER]) <= set(record["parts"])
    parts = parts_of(Detector.load(learned.folder, "cpu"), learned.folder, None)
    assert (len(parts.training), len(parts.calibration)) == (6, 4)


def test_parts_that_it_knows_well_bring_nothing(
    quick_run: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(good_parts, "FOLDS", 2)
    ordinary = draw_demo(tmp_path / "more", seed=5, train=5, validation=1, good=1, per_kind=1) / "train/good"
    with pytest.raises(GoodPartsRefused, match="do not score lower by it") as refused:
        learn(job(quick_run, tmp_path / "run", ordinary, drawn / "biscuit/test"), QUIET)
    judgement = refused.value.judgement
    assert judgement.defects == 3
    assert judgement.before.auroc is not None
    assert not (tmp_path / "run").exists()


def test_a_defect_among_them_is_asked_about(quick_run: Path, batch: Path, tmp_path: Path) -> None:
    """Three of a kind are taught, the fourth is called good."""
    mixed = Path(shutil.copytree(batch / "good", tmp_path / "mixed"))
    for source in ("rgb", "xyz"):
        for path in (batch / "chip" / source).glob("000.*"):
            shutil.copy(path, mixed / source / f"wrong{path.suffix}")
    others = Path(shutil.copytree(batch, tmp_path / "defects"))
    for path in others.glob("chip/*/000*"):
        path.unlink()
    with pytest.raises(DoubtfulLabels, match="look like the labelled defects") as doubt:
        learn(job(quick_run, tmp_path / "run", mixed, others), QUIET)
    assert "wrong" in doubt.value.names
    assert len(doubt.value.names) <= 2  # of seven; four calibration parts leave the limit low
    assert not (tmp_path / "run").exists()


def test_both_together(quick_run: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defects' lesson is of the detector that has taken in the good parts. Whether few parts show that both are
    better is not asked here."""
    monkeypatch.setattr(good_parts, "FOLDS", 2)
    monkeypatch.setattr(good_parts, "_reasons", lambda *figures: ())
    judge = learning.judged
    monkeypatch.setattr(learning, "judged", lambda lesson: replace(judge(lesson), reasons=()))
    given = job(quick_run, tmp_path / "run", batch / "good", batch, sure=True)
    both = learn(replace(given, defects=given.must_find, must_find=()), QUIET)
    assert both.judgement is not None
    assert both.good is not None
    assert both.good.defects == both.judgement.defects == 6
    record = read_lesson(both.folder)
    assert record is not None
    assert all(part["likeness"]["limit"] > 0 for part in record["good"])
    assert len(record["defects"]) == 6
    assert Detector.load(both.folder, "cpu").recipe.branches[-1] == KNOWN_DEFECTS


def test_a_recipe_whose_evidence_is_trained_takes_in_nothing() -> None:
    assert list(growing_recipe(load_recipe("lite-bank-statistics")).evidence) == ["memory_bank", "patch_statistics"]
    with pytest.raises(CheckpointError, match=r"none of its evidence \(crossmodal_mapping\)"):
        growing_recipe(load_recipe("lite-crossmodal-mapping"))


def test_what_cannot_be_taken_in_is_refused(learned: Learned, quick_run: Path, batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(CheckpointError, match="has had a lesson"):
        learn(job(learned.folder, out, batch / "good"), QUIET)
    with pytest.raises(DataError, match="2 good parts are too few"):
        learn(job(quick_run, out, batch / "chip"), QUIET)
    with pytest.raises(DataError, match="nothing to learn"):
        learn(LessonJob(quick_run, (), out), QUIET)
    given = job(quick_run, out, batch / "good", batch)
    with pytest.raises(DataError, match="give --good too"):
        learn(LessonJob(quick_run, (), out, must_find=given.must_find), QUIET)
    with pytest.raises(DataError, match="which must be found, is among the good parts too"):
        learn(LessonJob(quick_run, (), out, good=given.good, must_find=given.good[:1]), QUIET)
    with pytest.raises(DataError, match=r"is given as good, and .* as a defect: which is it\?"):
        learn(LessonJob(quick_run, given.must_find, out, good=(*given.good, given.must_find[0])), QUIET)
    assert not out.exists()
