import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from recipes import TINY
from rich.console import Console
from safetensors import SafetensorError
from safetensors.torch import load_file

from trd.config import Recipe, load_recipe
from trd.errors import CheckpointError, OutputError, RecipeError, TRDError
from trd.evidence.reverse_distillation.training import trainer as fit_module
from trd.evidence.reverse_distillation.training.checkpoint import SafetensorsIO, read_state
from trd.evidence.reverse_distillation.training.module import rate_factor
from trd.evidence.reverse_distillation.training.trainer import CHECKPOINT
from trd.preprocess.parts import stacked_images
from trd.stored import WEIGHTS
from trd.training.fit import fit_class
from trd.types import ClassFolder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / WEIGHTS)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture
def four_epochs(recipe: Recipe) -> Recipe:
    return recipe.changed("training.epochs=4")


def test_interrupted_and_resumed_equals_uninterrupted(
    drawn: Path, tmp_path: Path, four_epochs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, also when the interruption comes in the middle of an epoch after the last checkpoint."""
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), four_epochs, tmp_path / "whole", "cpu")
    step = fit_module.TrainingModule.training_step

    def interrupt(self, batch, index):
        if self.current_epoch == 2 and index == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module.TrainingModule, "training_step", interrupt)
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            fit_class(ClassFolder("biscuit", drawn / "biscuit"), four_epochs, tmp_path / "broken", "cpu")
    assert signal.getsignal(signal.SIGINT) is handler  # a notebook can be interrupted again
    assert read_state(tmp_path / "broken" / CHECKPOINT)["epoch"] == 1
    assert not (tmp_path / "broken" / WEIGHTS).exists()
    torch.manual_seed(999)  # whatever happened in between must not matter
    console = Console(record=True, file=io.StringIO())
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), four_epochs, tmp_path / "broken", "cpu", console)
    assert "goes on after epoch 2 of 4" in console.export_text()
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    logs = sorted(p.name for p in (tmp_path / "broken/logs").glob("metrics*.csv"))
    assert logs == ["metrics-to-epoch-2.csv", "metrics.csv"]  # nothing of the log is lost
    assert not (tmp_path / "broken/checkpoints").exists()  # of no use any more


def test_stopped_between_the_last_epoch_and_the_detector(
    drawn: Path, trained: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained again, and no half detector is taken for a whole one."""
    place = ClassFolder("biscuit", drawn / "biscuit")
    with monkeypatch.context() as patch:
        patch.setattr("trd.training.fit.save_detector", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fit_class(place, recipe, tmp_path / "broken", "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(fit_module.TrainingModule, "training_step", lambda *_: pytest.fail("trained again"))
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path / "broken", "cpu")
    assert same(weights(trained / "biscuit"), weights(tmp_path / "broken"))


def test_ctrl_c_on_the_command_line_leaves_a_resumable_run(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        # a shell's background jobs, and so what they start, ignore Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from trd.cli import main; main()",
        "train",
        "--data",
        str(drawn),
        "--out",
        str(out),
        "--recipe",
        "lite-residual",
    ]
    for value in (*TINY, "training.epochs=500"):
        command += ["--set", value]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    checkpoint = out / "biscuit" / CHECKPOINT
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "goes on from the last checkpoint" in complaint
    assert int(read_state(checkpoint)["epoch"]) >= 0
    assert (out / "run.json").exists()
    assert not list(out.rglob(".*"))  # no half-written files


def test_a_full_disk_keeps_the_last_checkpoint(
    drawn: Path, tmp_path: Path, four_epochs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trd.evidence.reverse_distillation.training.checkpoint as checkpoint_module

    real, calls = checkpoint_module.save_file, []

    def full(tensors, path, metadata):
        calls.append(path)
        if len(calls) > 2:
            Path(path).write_bytes(b"half")
            raise SafetensorError("I/O error: No space left on device (os error 28)")  # what the library raises
        real(tensors, path, metadata)

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(OutputError, match=r"last\.safetensors: .*No space left on device"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), four_epochs, tmp_path, "cpu")
    assert read_state(tmp_path / CHECKPOINT)["epoch"] == 1


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(
    drawn: Path, trained: Path, tmp_path: Path, recipe: Recipe
) -> None:
    """Also when a whole run trained them, perhaps in another process."""
    for name, seed in (("same", recipe.seed), ("other", recipe.seed + 1)):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe.with_seed(seed), tmp_path / name, "cpu")
    assert same(weights(tmp_path / "same"), weights(trained / "biscuit"))
    assert not same(weights(tmp_path / "other"), weights(trained / "biscuit"))


def test_training_learns(drawn: Path, tmp_path: Path) -> None:
    import csv

    recipe = load_recipe(
        "lite-residual",
        [
            *TINY,
            "training.epochs=16",
            "student.filter=true",
        ],
    )
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")
    with (tmp_path / "logs/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    terms = [f"loss/{m}/{t}" for m in ("rgb", "normals") for t in ("filtered", "amplified", "plain", "fused")]
    assert set(terms) <= set(rows[0])
    for term in terms:
        assert float(rows[-1][term]) < 0.9 * float(rows[0][term])
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))


def test_standardised_features_have_mean_0_and_deviation_1(drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    detector = fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")

    from trd.data.listing import list_class
    from trd.data.loading import load_sample

    files = list_class(drawn, "biscuit", recipe.sources, recipe.point_cloud_sources)
    values = detector.engine.values(stacked_images([detector.pipeline(load_sample(s, ("xyz",))) for s in files.train]))
    scaled = [value for name, value in values.items() if name.startswith("reverse_distillation.scaled.")]
    assert len(scaled) == 3 * len(recipe.modalities)
    for level in scaled:
        torch.testing.assert_close(level.mean((0, 2, 3)), torch.zeros(level.shape[1]), atol=1e-3, rtol=0)
        torch.testing.assert_close(level.std((0, 2, 3)), torch.ones(level.shape[1]), atol=2e-2, rtol=0)


def test_the_callers_choice_of_algorithms_comes_back(drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_schedules() -> None:
    paper, ours = load_recipe("mvtec3d-rgb-depth"), load_recipe("lite-rgb")
    assert [rate_factor(paper, epoch) for epoch in (0, 1, 10)] == pytest.approx([1, 0.95, 0.95**10])
    assert rate_factor(ours, 0) == 1
    assert rate_factor(ours, ours.evidence["reverse_distillation"].training.epochs // 2) == pytest.approx(0.5)


def test_checkpoints_hold_any_tree_without_pickle(tmp_path: Path) -> None:
    tree = {"state": {0: {"step": torch.tensor(3.0)}, "w": [torch.arange(3), (1, None)]}, "lr": 0.1, "done": True}
    SafetensorsIO().save_checkpoint(tree, tmp_path / "c.safetensors")
    back = read_state(tmp_path / "c.safetensors")
    assert back["state"][0]["step"] == 3
    assert torch.equal(back["state"]["w"][0], torch.arange(3))
    assert back["state"]["w"][1] == (1, None)
    assert (back["lr"], back["done"]) == (0.1, True)
    with pytest.raises(TypeError, match="cannot be stored"):
        SafetensorsIO().save_checkpoint({"x": object()}, tmp_path / "d.safetensors")
    whole = (tmp_path / "c.safetensors").read_bytes()
    (tmp_path / "c.safetensors").write_bytes(whole[:-5])
    with pytest.raises(CheckpointError, match="is damaged: .* delete it to start"):
        read_state(tmp_path / "c.safetensors")


def test_a_checkpoint_of_other_parts_or_another_recipe_is_refused(
    drawn: Path, data: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ClassFolder("biscuit", drawn / "biscuit")
    monkeypatch.setattr("trd.training.fit.save_detector", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fit_class(place, recipe, tmp_path, "cpu")
    with pytest.raises(CheckpointError, match="is of another recipe"):
        fit_class(place, recipe.changed("training.learning_rate=0.1"), tmp_path, "cpu")
    shutil.rmtree(data / "biscuit/train/good/rgb")
    shutil.copytree(drawn / "biscuit/validation/good/rgb", data / "biscuit/train/good/rgb")
    shutil.rmtree(data / "biscuit/train/good/xyz")
    shutil.copytree(drawn / "biscuit/validation/good/xyz", data / "biscuit/train/good/xyz")
    changed = r"2 good parts were removed \(train/good/004, train/good/005\), 4 good parts were changed"
    with pytest.raises(CheckpointError, match=changed):
        fit_class(ClassFolder("biscuit", data / "biscuit"), recipe, tmp_path, "cpu")


def test_diverging_training_ends_in_an_error(drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    wild = recipe.changed("training.learning_rate=1e30")  # the second epoch's loss is not finite, by itself
    with pytest.raises(TRDError, match=r"training diverged in epoch \d"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), wild, tmp_path, "cpu")
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("device", ["gpu", "cuda:7", "meta"])
def test_devices_that_are_not_there(drawn: Path, tmp_path: Path, recipe: Recipe, device: str) -> None:
    with pytest.raises(RecipeError, match=f"--device {device}"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, device)


def test_a_second_resume_from_one_checkpoint_keeps_the_log_before_it(tmp_path: Path) -> None:
    from trd.evidence.reverse_distillation.training.trainer import _keep_log

    for log in ("epochs 0 to 3", "a step of epoch 3"):
        (tmp_path / "metrics.csv").write_text(log)
        _keep_log(tmp_path, 3)
    assert (tmp_path / "metrics-to-epoch-3.csv").read_text() == "epochs 0 to 3"


def test_a_full_disk_in_tensorboards_thread_is_told_once(
    drawn: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread raises for itself and again where the next value is logged."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe.changed("training.epochs=50"), tmp_path, "cpu")
    assert not printed
