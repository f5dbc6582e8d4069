import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import trd
from trd.config import Recipe
from trd.errors import CheckpointError, DataError, OutputError, TRDError
from trd.files import locked
from trd.runs import Run
from trd.training.prepare import list_parts
from trd.types import ClassFolder

KEYS = {"image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max",
        "aupro_30", "aupro_10", "aupro_5", "aupro_1"}  # fmt: skip


def test_metrics_tables_and_report(trained: Path) -> None:
    metrics = json.loads((trained / "biscuit/metrics.json").read_text())
    assert set(metrics) == {"format", "maps", "by_defect", "sampled_aupro"}
    assert set(metrics["maps"]) == {"fused", "rgb", "normals", "rgb_statistics", "normals_statistics"}
    assert all(set(values) == KEYS for values in metrics["maps"].values())
    assert set(metrics["by_defect"]) == {"chip", "dent", "stain"}
    assert all(set(m) == {"image_auroc", "pixel_auroc", "aupro_30"} for m in metrics["by_defect"].values())
    with (trained / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["image_auroc"]) == metrics["maps"]["fused"]["image_auroc"]
    assert "| biscuit | fused |" in (trained / "metrics.md").read_text()
    report = (trained / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") > 10
    assert "http" not in report.replace("http-equiv", "")  # self-contained
    record = json.loads((trained / "run.json").read_text())
    assert record["recipe"]["name"] == "lite-residual"
    assert record["progress"]["biscuit"]["training"]["state"] == "done"
    assert record["progress"]["biscuit"]["training"]["peak_memory_mb"] > 100


def test_a_failed_class_does_not_stop_the_others(data: Path, tmp_path: Path, quick: Recipe) -> None:
    shutil.copytree(data / "biscuit", data / "apple")
    next((data / "apple/train/good/xyz").glob("000.*")).unlink()
    out = tmp_path / "run"
    with pytest.raises(TRDError, match=r"1 of 2 classes failed:\n  apple: training: "):
        trd.fit(data, out, quick, device="cpu")
    assert (out / "biscuit/detector.json").exists()
    # mended and started again: the finished class is skipped
    shutil.rmtree(data / "apple")
    shutil.copytree(data / "biscuit", data / "apple")
    before = (out / "biscuit/weights.safetensors").stat().st_mtime_ns
    assert set(trd.fit(data, out, quick, device="cpu")) == {"apple", "biscuit"}
    assert (out / "biscuit/weights.safetensors").stat().st_mtime_ns == before
    metrics = trd.evaluate(out)
    assert set(metrics) == {"apple", "biscuit"}
    assert "| mean | fused |" in (out / "metrics.md").read_text()


@pytest.mark.parametrize(("count", "said"), [(19, True), (20, False)])
def test_few_training_parts_are_said(drawn: Path, recipe: Recipe, tmp_path: Path, count: int, said: bool) -> None:
    place = Path(shutil.copytree(drawn / "biscuit", tmp_path / "biscuit"))
    for source, suffix in (("rgb", "png"), ("xyz", "tiff")):
        folder = place / "train/good" / source
        for index in range(len(list(folder.iterdir())), count):
            shutil.copy(folder / f"000.{suffix}", folder / f"{index:03d}.{suffix}")
    said_in = io.StringIO()
    list_parts(ClassFolder("biscuit", place), recipe, Console(file=said_in, width=1000))
    told = said_in.getvalue()
    assert (f"biscuit: {count} good parts to train on are few" in told) == said


def test_no_validation_split_is_held_out_and_reported(data: Path, tmp_path: Path, quick: Recipe) -> None:
    shutil.rmtree(data / "biscuit/validation")
    trd.fit(data, tmp_path / "run", quick, device="cpu")
    record = json.loads((tmp_path / "run/biscuit/training.json").read_text())
    assert len(record["held_out_of_training"]) == record["validation_samples"] == 2  # a third, of the 19 for 5 %
    assert record["training_samples"] == 4


def test_another_recipe_in_the_same_folder_is_refused(
    trained: Path, drawn: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    other = recipe.model_copy(update={"name": "other"})
    with pytest.raises(CheckpointError, match="holds a run of another recipe"):
        trd.fit(drawn, out, other)


def test_empty_test_split(data: Path, trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(data / "biscuit/test")
    run = Run.reopen(out, data, None)
    run.evaluate("cpu", run.classes)
    with pytest.raises(TRDError, match="test is empty or missing"):
        run.raise_failures()


def test_unlabelled_test_split_is_not_evaluated(data: Path, trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    for kind in list((data / "biscuit/test").iterdir()):
        if kind.name != "good":
            shutil.rmtree(kind)
    for folder in list((data / "biscuit/test/good").iterdir()):
        folder.rename(data / "biscuit/test" / folder.name)
    (data / "biscuit/test/good").rmdir()
    run = Run.reopen(out, data, None)
    run.evaluate("cpu", run.classes)
    with pytest.raises(TRDError, match="unlabelled samples"):
        run.raise_failures()


def test_no_masks_gives_image_metrics_only(data: Path, trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    for masks in list((data / "biscuit/test").rglob("gt")):
        shutil.rmtree(masks)
    metrics = trd.evaluate(out, data)["biscuit"]
    assert set(metrics["maps"]["fused"]) == {"image_auroc", "image_ap", "image_f1max"}
    assert (out / "report.html").exists()


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no run folder"):
        trd.evaluate(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        trd.fit(tmp_path / "nowhere", tmp_path / "out")


def test_a_class_folder_itself_gets_its_classs_numbers(data: Path, tmp_path: Path, quick: Recipe) -> None:
    """`--data ROOT/cookie` must train with the same per-class overrides as `--data ROOT --classes cookie`."""
    own = quick.model_copy(update={"classes": {"biscuit": {"modalities": {"normals": {"sigma": 4.0}}}}})
    detectors = trd.fit(data / "biscuit", tmp_path / "run", own, classes=["biscuit"], device="cpu")
    (detector,) = detectors.values()
    assert detector.class_name == "biscuit"
    assert detector.recipe.modalities["normals"].sigma == 4.0


def test_other_data_in_the_same_folder_is_refused(trained: Path, data: Path, recipe: Recipe, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="holds a run on other data"):
        trd.fit(data, out, recipe)


def test_an_unexpected_fault_costs_one_class_only(
    data: Path, tmp_path: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trd.runs.run

    shutil.copytree(data / "biscuit", data / "apple")
    real = trd.runs.run.fit_class

    def fault(place, *rest):
        if place.name == "apple":
            raise ZeroDivisionError("a bug")
        return real(place, *rest)

    monkeypatch.setattr(trd.runs.run, "fit_class", fault)
    with pytest.raises(TRDError, match="unexpected ZeroDivisionError: a bug"):
        trd.fit(data, tmp_path / "run", quick, device="cpu")
    assert (tmp_path / "run/biscuit/detector.json").exists()
    assert "ZeroDivisionError" in (tmp_path / "run/run.json").read_text()


def test_good_parts_only_in_the_test_split(data: Path, trained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    for kind in ("chip", "dent", "stain"):
        shutil.rmtree(data / "biscuit/test" / kind)
    metrics = trd.evaluate(out, data)["biscuit"]
    assert metrics["by_defect"] == {}
    assert json.loads((out / "biscuit/metrics.json").read_text())["maps"]["fused"]["image_auroc"] is None
    assert (out / "report.html").exists()


def test_a_complete_run_started_again_does_nothing(
    trained: Path, drawn: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    monkeypatch.setattr("trd.runs.run.evaluate_class", lambda *_: pytest.fail("evaluated again"))
    monkeypatch.setattr("trd.runs.run.fit_class", lambda *_: pytest.fail("trained again"))
    metrics = Run.open(drawn, out, recipe, ["biscuit"]).train_and_evaluate("cpu")
    assert metrics["biscuit"] == json.loads((trained / "biscuit/metrics.json").read_text())
    before, after = (json.loads((folder / "run.json").read_text()) for folder in (trained, out))
    assert after["started"] == before["started"]
    assert len(after["continued"]) == 1
    (out / "report.html").unlink()
    monkeypatch.undo()
    Run.open(drawn, out, recipe, ["biscuit"]).train_and_evaluate("cpu")
    assert (out / "report.html").exists()


def test_maps_that_do_not_fit_into_memory(
    trained: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    mapped = []
    real = np.memmap
    monkeypatch.setattr("trd.evaluation.evaluate.MEMORY", 0)
    monkeypatch.setattr(np, "memmap", lambda *rest, **options: mapped.append(1) or real(*rest, **options))
    metrics = trd.evaluate(out, drawn)
    assert len(mapped) == 5  # fused, and two of each modality
    assert metrics["biscuit"] == json.loads((trained / "biscuit/metrics.json").read_text())


def test_a_report_that_a_kill_left_behind_its_results(
    drawn: Path, tmp_path: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a class's results and the tables: an earlier report there does not make the run complete."""
    data, out = Path(shutil.copytree(drawn, tmp_path / "data")), tmp_path / "run"
    Run.open(data, out, quick, ["biscuit"]).train_and_evaluate("cpu")
    shutil.copytree(data / "biscuit", data / "scone")
    monkeypatch.setattr(Run, "write_results", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Run.open(data, out, quick, None).train_and_evaluate("cpu")
    monkeypatch.undo()
    assert "scone" not in (out / "metrics.md").read_text()
    monkeypatch.setattr("trd.runs.run.evaluate_class", lambda *_: pytest.fail("evaluated again"))
    Run.open(data, out, quick, None).train_and_evaluate("cpu")
    assert "| scone | fused |" in (out / "metrics.md").read_text()
    assert "scone" in (out / "report.html").read_text()


def test_a_run_that_is_worked_in_is_not_noted_in(
    trained: Path, drawn: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    monkeypatch.setattr("trd.runs.run.OPENING", 0.1)
    before = (out / "run.json").read_bytes()
    with locked(out, "a run"), pytest.raises(OutputError, match="is in use"):
        Run.open(drawn, out, recipe, None)
    assert (out / "run.json").read_bytes() == before


def test_checkpoints_that_a_kill_left_beside_a_finished_detector(
    trained: Path, drawn: Path, tmp_path: Path, recipe: Recipe
) -> None:
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    (out / "biscuit/checkpoints").mkdir()
    (out / "biscuit/checkpoints/last.safetensors").write_bytes(b"half deleted")
    trd.fit(drawn, out, recipe, device="cpu")
    assert not (out / "biscuit/checkpoints").exists()
