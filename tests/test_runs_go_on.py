"""What was finished is kept, what has changed is noticed, and two do not work in one folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import trd
import trd.runs.run
from trd import processes
from trd.config import Recipe
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, OutputError, TRDError
from trd.runs import Run


def add_part(data: Path, name: str = "900") -> None:
    """A further training part: another one's picture, a little darker."""
    for source in ("rgb", "xyz"):
        (first,) = (data / f"biscuit/validation/good/{source}").glob("000.*")
        added = data / f"biscuit/train/good/{source}/{name}{first.suffix}"
        shutil.copy(first, added)
        if source == "rgb":
            picture = cv2.imread(str(added))
            cv2.imwrite(str(added), picture - picture // 16)


def test_more_good_parts_are_noticed(data: Path, tmp_path: Path, quick: Recipe) -> None:
    out = tmp_path / "run"
    trd.fit(data, out, quick, device="cpu")
    before = (out / "biscuit/weights.safetensors").read_bytes()
    add_part(data)
    added = r"1 good part was added \(train/good/900\): train anew .* with `trd train --retrain`"
    with pytest.raises(TRDError, match=added):
        trd.fit(data, out, quick, device="cpu")
    assert (out / "biscuit/weights.safetensors").read_bytes() == before
    detector = trd.fit(data, out, quick, device="cpu", retrain=True)["biscuit"]
    assert (out / "biscuit/weights.safetensors").read_bytes() != before
    record = json.loads((out / "biscuit/training.json").read_text())
    assert record["training_samples"] == 7
    assert record["detector"] == detector.facts.id
    trd.fit(data, out, quick, device="cpu")  # complete again


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_changed_part_is_noticed(data: Path, tmp_path: Path, quick: Recipe, split: str) -> None:
    out = tmp_path / "run"
    trd.fit(data, out, quick, device="cpu")
    (path,) = (data / f"biscuit/{split}/good/rgb").glob("001.png")
    shutil.copy(path.with_name("002.png"), path)
    with pytest.raises(TRDError, match=rf"1 good part was changed \({split}/good/001\)"):
        trd.fit(data, out, quick, device="cpu")
    (data / f"biscuit/{split}/good/rgb/003.png").unlink()
    (data / f"biscuit/{split}/good/xyz/003.tiff").unlink()
    with pytest.raises(TRDError, match=rf"1 good part was removed \({split}/good/003\), 1 good part was changed"):
        trd.fit(data, out, quick, device="cpu")


def test_an_interrupted_retraining_goes_on(
    data: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old detector stays until the new one is complete, and is not taken for it."""
    out = tmp_path / "run"
    trd.fit(data, out, recipe, device="cpu")
    old = Detector.load(out, "cpu").facts.id
    add_part(data)
    with monkeypatch.context() as patch:
        patch.setattr("trd.training.fit.save_detector", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trd.fit(data, out, recipe, device="cpu", retrain=True)
    assert Detector.load(out, "cpu").facts.id == old
    with monkeypatch.context() as patch:  # the same command goes on, and does not begin once more
        step = "trd.evidence.reverse_distillation.training.module.TrainingModule.training_step"
        patch.setattr(step, lambda *_: pytest.fail("trained from the beginning"))
        new = trd.fit(data, out, recipe, device="cpu", retrain=True)["biscuit"].facts.id
    assert new != old
    assert Detector.load(out, "cpu").facts.id == new
    assert "retraining" not in json.loads((out / "run.json").read_text())


def test_a_retraining_goes_on_with_the_class_that_is_next(
    data: Path, tmp_path: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data / "biscuit", data / "apple")
    out = tmp_path / "run"
    trd.fit(data, out, quick, device="cpu")
    real, begun = trd.runs.run.fit_class, []

    def stopped(place, *rest):
        begun.append(place.name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(place, *rest)

    monkeypatch.setattr("trd.runs.run.fit_class", stopped)
    with pytest.raises(KeyboardInterrupt):
        trd.fit(data, out, quick, device="cpu", retrain=True)
    trd.fit(data, out, quick, device="cpu", retrain=True)
    assert begun == ["apple", "biscuit", "biscuit"]
    trd.fit(data, out, quick, device="cpu", retrain=True)  # asked for once more
    assert begun[3:] == ["apple", "biscuit"]


def test_another_class_than_the_interrupted_one_can_be_retrained(
    data: Path, tmp_path: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data / "biscuit", data / "apple")
    out, begun = tmp_path / "run", []
    trd.fit(data, out, quick, device="cpu")
    real = trd.runs.run.fit_class

    def stopped(place, *rest):
        begun.append(place.name)
        if begun == ["apple"]:
            raise KeyboardInterrupt
        return real(place, *rest)

    monkeypatch.setattr("trd.runs.run.fit_class", stopped)
    with pytest.raises(KeyboardInterrupt):
        trd.fit(data, out, quick, ["apple"], device="cpu", retrain=True)
    trd.fit(data, out, quick, ["biscuit"], device="cpu", retrain=True)
    assert begun == ["apple", "biscuit"]
    assert json.loads((out / "run.json").read_text())["retraining"] == {"apple": True}


def test_a_partial_or_failed_evaluation_keeps_the_other_classes(data: Path, tmp_path: Path, quick: Recipe) -> None:
    shutil.copytree(data / "biscuit", data / "apple")
    out = tmp_path / "run"
    run = Run.open(data, out, quick, None)
    run.train_and_evaluate("cpu")
    run.raise_failures()
    csv, report = (out / "metrics.csv").read_text(), (out / "report.html").read_text()
    assert report.count("<h2>apple</h2>") == report.count("<h2>biscuit</h2>") == 1
    assert set(trd.evaluate(out, classes=["apple"])) == {"apple"}
    assert (out / "metrics.csv").read_text() == csv
    assert (out / "report.html").read_text().count("<h2>biscuit</h2>") == 1
    shutil.rmtree(data / "apple/test")
    with pytest.raises(TRDError, match=r"1 of 2 classes failed:\n  apple: evaluation: .*test is empty"):
        trd.evaluate(out)
    assert (out / "metrics.csv").read_text() == csv
    report = (out / "report.html").read_text()
    assert "apple failed" in report
    assert report.count("<h2>apple</h2>") == 1
    with pytest.raises(DataError, match="does not exist"):
        trd.evaluate(out, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no class 'pear'; there are: apple, biscuit"):
        trd.evaluate(out, classes=["pear"])
    assert (out / "metrics.csv").read_text() == csv


def test_an_evaluation_whose_note_was_lost_is_noted(trained: Path, drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    """Killed between a class's results and the record."""
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    record = json.loads((out / "run.json").read_text())
    del record["progress"]["biscuit"]["evaluation"]
    (out / "run.json").write_text(json.dumps(record))
    Run.open(drawn, out, recipe, ["biscuit"]).train_and_evaluate("cpu")
    assert json.loads((out / "run.json").read_text())["progress"]["biscuit"]["evaluation"]["state"] == "done"


def test_one_class_can_be_evaluated_on_data_of_any_name(trained: Path, data: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    (data / "biscuit").rename(tmp_path / "second-batch")
    metrics = trd.evaluate(out, tmp_path / "second-batch")
    assert metrics["biscuit"] == json.loads((trained / "biscuit/metrics.json").read_text())


def test_a_misspelt_class_is_not_trained(data: Path, tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(DataError, match="holds no class 'bisquit'; there are: biscuit"):
        trd.fit(data / "biscuit", tmp_path / "run", recipe, classes=["bisquit"])


def test_two_trainings_in_one_folder(data: Path, tmp_path: Path) -> None:
    from trd.files import locked

    out = tmp_path / "run"
    out.mkdir()
    command = [sys.executable, "-m", "trd", "train", "--data", str(data), "--out", str(out), "--device", "cpu"]
    with locked(out, "a run"):
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert f"in use: a run by process {os.getpid()}" in " ".join(second.stderr.split())


def test_a_run_in_use_is_not_evaluated(trained: Path, drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    from trd.files import locked

    out = Path(shutil.copytree(trained, tmp_path / "run"))
    with locked(out, "a run"):
        with pytest.raises(OutputError, match="in use"):
            trd.evaluate(out, drawn)
        with pytest.raises(OutputError, match="in use"):
            Run.open(drawn, out, recipe, None).train_and_evaluate("cpu")


@pytest.mark.parametrize(("platform", "factor"), [("linux", 2**10), ("darwin", 2**20)])
def test_peak_memory_in_each_systems_unit(monkeypatch: pytest.MonkeyPatch, platform: str, factor: int) -> None:
    import resource
    from types import SimpleNamespace

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=300 * factor))
    assert processes.peak_memory_mb() == 300


def test_without_the_resource_module_training_runs(
    data: Path, tmp_path: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has none."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert processes.peak_memory_mb() is None
    run = Run.open(data, tmp_path / "run", quick, None)
    run.train_and_evaluate("cpu")
    run.raise_failures()
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["progress"]["biscuit"]["training"]["peak_memory_mb"] is None


def test_a_resume_holds_the_state_once(
    drawn: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Lightning reads the checkpoint's tensors; how far it got is in the file's header."""
    from trd.evidence.reverse_distillation.training import checkpoint, trainer

    step, four = trainer.TrainingModule.training_step, recipe.changed("training.epochs=4")

    def interrupt(self, batch, index):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.TrainingModule, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trd.fit(drawn, tmp_path, four, device="cpu")
    reads, real = [], checkpoint.read_state
    monkeypatch.setattr(checkpoint, "read_state", lambda path: reads.append(path) or real(path))
    monkeypatch.setattr(trainer, "read_state", lambda path: pytest.fail("read a second time"))
    trd.fit(drawn, tmp_path, four, device="cpu")
    assert len(reads) == 1


CROSS = ("scoring.calibration=cross", "scoring.folds=2", "scoring.false_alarm_rate=0.1")


def test_cross_conformal_calibration(data: Path, tmp_path: Path, recipe: Recipe) -> None:
    """All ten good parts count, each scored without having been seen."""
    detector = trd.fit(data, tmp_path / "a", recipe.changed(*CROSS), device="cpu")["biscuit"]
    calibration = detector.calibration
    assert (calibration.kind, len(calibration.good_scores)) == ("cross", 10)
    assert calibration.image_threshold.guaranteed_rate == pytest.approx(1 / 11)
    record = json.loads((tmp_path / "a/biscuit/training.json").read_text())
    assert record["held_out_of_training"] == []
    assert not (tmp_path / "a/biscuit/checkpoints").exists()
    with pytest.raises(TRDError, match="with 6 folds needs 12 good parts, there are 10"):
        trd.fit(data, tmp_path / "c", recipe.changed(*CROSS, "scoring.folds=6"), device="cpu")


def test_an_interrupted_cross_calibration_goes_on_with_the_next_fold(data: Path, tmp_path: Path, quick: Recipe) -> None:
    from trd.training import cross as module

    cross = quick.changed(*CROSS)
    detector = trd.fit(data, tmp_path / "a", cross, device="cpu")["biscuit"]
    done, real = [], module._fold_maps

    def second_fails(*rest):
        done.append(rest[-1])
        if len(done) == 2:
            raise KeyboardInterrupt
        return real(*rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_fold_maps", second_fails)
        with pytest.raises(KeyboardInterrupt):
            trd.fit(data, tmp_path / "b", cross, device="cpu")
        again = trd.fit(data, tmp_path / "b", cross, device="cpu")["biscuit"]
    assert done == [f"biscuit: fold {number} of 2" for number in (1, 2, 2)]
    # equal weights; but PyTorch may sum a convolution in another order in the next call: seen in one run of many
    np.testing.assert_allclose(again.calibration.good_scores, detector.calibration.good_scores, rtol=1e-5)
    assert again.facts.id == detector.facts.id


def test_a_run_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(CheckpointError, match="damaged"):
        Run.reopen(tmp_path, None, None)


def test_the_parts_of_a_training_are_found_from_another_folder(
    data: Path, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are given as a relative path; for the export they are looked for again."""
    from trd.export.parts import parts_of

    monkeypatch.chdir(data.parent)
    detector = trd.fit(Path(data.name), "run", quick, device="cpu")["biscuit"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert len(parts_of(detector, data.parent / "run/biscuit", None).training) == 6
    with pytest.raises(DataError, match=rf"{elsewhere}/moved, on which .* does not exist"):
        parts_of(detector, data.parent / "run/biscuit", Path("moved"))
