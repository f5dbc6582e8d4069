import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from trd.cli import app
from trd.config import load_recipe
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, RecipeError
from trd.evidence.reverse_distillation.network.reference_weights import (
    load_reference_student,
    read_reference_checkpoint,
    write_reference_checkpoint,
)
from trd.runs import import_reference
from trd.stored import WEIGHTS
from trd.training.imported import import_class
from trd.types import ClassFolder

SMALL = ["teacher.weights=random", "frame.size=64"]


@pytest.fixture(scope="module")
def checkpoint(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the reference trains on colour and normals of MVTec 3D-AD: the second student is called depth all the same."""
    path = tmp_path_factory.mktemp("reference") / "biscuit.pth"
    torch.save({"student_rgb": weights, "student_depth": {**weights, "decoder.w_a": torch.tensor([1.0, 3.0])}}, path)
    return path


@pytest.mark.slow
def test_imported_weights_evaluate_and_predict(
    checkpoint: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    runner = CliRunner()
    overrides = [part for override in SMALL for part in ("--set", override)]
    command = ["import-reference", str(checkpoint), "--data", str(drawn), "--recipe", "mvtec3d-rgb-normals"]
    result = runner.invoke(app, [*command, "--out", str(out), "--device", "cpu", *overrides])
    assert result.exit_code == 0, result.output
    weight = load_file(out / "biscuit" / WEIGHTS)[
        "reverse_distillation.network.students.normals.decoder.mixes.0.weight"
    ]
    assert torch.equal(weight, torch.tensor([1.0, 3.0]))
    record = json.loads((out / "biscuit/training.json").read_text())
    assert record["imported"]["file"] == str(checkpoint)
    detector = Detector.load(out, "cpu")
    assert len(detector.calibration.good_scores) == 4
    # loaded once for all that follows: reading and folding the paper's network takes longer than the rest
    monkeypatch.setattr(Detector, "load", lambda *_, **__: detector)
    result = runner.invoke(app, ["evaluate", str(out), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert json.loads((out / "biscuit/metrics.json").read_text())["maps"].keys() >= {"fused", "rgb", "normals"}
    good = drawn / "biscuit/test/good"
    arguments = ["predict", str(out), "--input", str(good), "--out", str(tmp_path / "p"), "--device", "cpu"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "p/scores.csv").read_text().count("\n") == 3


def test_a_trained_class_is_not_overwritten(trained: Path, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a trained or imported detector"):
        import_class(
            tmp_path / "reference.pth",  # not read
            ClassFolder("biscuit", drawn / "biscuit"),
            load_recipe("mvtec3d-rgb-normals", SMALL),
            trained / "biscuit",
            "cpu",
        )


def test_written_and_read_back(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "both.pth"
    student = load_reference_student(weights)
    students = {"rgb": student, "normals": student}
    write_reference_checkpoint(path, students)
    back = read_reference_checkpoint(path, ("rgb", "normals"))
    for name, student in students.items():
        for key, tensor in student.state_dict().items():
            assert torch.equal(back[name].state_dict()[key], tensor)
    with pytest.raises(CheckpointError, match=r"both.pth holds no 'student_depth' for the modality 'depth'"):
        read_reference_checkpoint(path, ("rgb", "depth"))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none.pth does not exist"):
        read_reference_checkpoint(tmp_path / "none.pth", ("rgb", "depth"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(CheckpointError, match=r"text.pth cannot be read"):
        read_reference_checkpoint(tmp_path / "text.pth", ("rgb", "depth"))
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match=r"list.pth holds no 'student_rgb'.*no dict"):
        read_reference_checkpoint(tmp_path / "list.pth", ("rgb", "depth"))
    torch.save({"student_rgb": {}, "student_depth": {}}, tmp_path / "empty.pth")
    with pytest.raises(CheckpointError, match=r"empty.pth, 'student_rgb': .* is missing"):
        read_reference_checkpoint(tmp_path / "empty.pth", ("rgb", "depth"))


def test_recipes_and_classes_that_do_not_fit(drawn: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "reference.pth"  # not read
    with pytest.raises(RecipeError, match="does not have the paper's two students"):
        import_reference(checkpoint, drawn, tmp_path / "a", load_recipe("lite-residual"), device="cpu")
    for name in ("one", "two"):
        (tmp_path / "data" / name / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="holds 2 classes, the checkpoint is of one"):
        import_reference(checkpoint, tmp_path / "data", tmp_path / "b", load_recipe("mvtec3d-rgb-normals", SMALL))
