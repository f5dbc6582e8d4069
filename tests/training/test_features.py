from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trd.config import load_recipe
from trd.detector import WEIGHTS
from trd.errors import RecipeError
from trd.model.network import TunedReverseDistillation, build_network
from trd.preprocess.dataset import PreparedDataset
from trd.training import fit as fit_module
from trd.training.features import kept_features
from trd.training.fit import fit_class
from trd.types import PreparedSample

PLAIN = [
    "frame.size=64",
    "training.epochs=2",
    "training.batch_size=2",
    "training.precision=32",
    "training.augment=none",
]


def random_parts(count: int) -> PreparedDataset:
    def part(index: int) -> PreparedSample:
        image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(index)).numpy()
        return PreparedSample(f"part-{index}", "good", {"rgb": image}, None, None, (64, 64))

    return PreparedDataset(count, part)


def test_kept_features_are_the_teachers() -> None:
    network = build_network(load_recipe("lite-rgb")).train()
    parts = random_parts(10)
    features = kept_features(network, parts, 2**30, torch.device("cpu"))
    assert features is not None
    assert features.size == 10 * 4 * sum(c * (64 // s) ** 2 for c, s in ((24, 4), (40, 8), (112, 16)))
    chosen = [parts[index] for index in (7, 0, 9)]
    images = {"rgb": torch.stack([torch.from_numpy(sample.images["rgb"]) for sample in chosen])}
    kept = network.scaled(features.batch(chosen))
    for ours, theirs in zip(kept["rgb"], network.teacher_pyramids(images)["rgb"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_features_that_do_not_fit_are_not_kept() -> None:
    network = build_network(load_recipe("lite-rgb"))
    one = kept_features(network, random_parts(1), 2**30, torch.device("cpu"))
    assert one is not None
    for limit, fits in ((10 * one.size, True), (10 * one.size - 1, False)):
        kept = kept_features(network, random_parts(10), limit, torch.device("cpu"))
        assert (kept is not None) == fits


def test_training_is_the_same_with_and_without(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_class(
        drawn, "biscuit", load_recipe("lite-rgb-normals", [*PLAIN, "training.feature_memory=0"]), tmp_path / "anew"
    )
    calls = []
    teacher = TunedReverseDistillation.raw_teacher_pyramids
    with monkeypatch.context() as patch:
        count = lambda self, images: calls.append(self.training) or teacher(self, images)  # noqa: E731
        patch.setattr(TunedReverseDistillation, "raw_teacher_pyramids", count)
        fit_class(drawn, "biscuit", load_recipe("lite-rgb-normals", PLAIN), tmp_path / "kept")
    # 6 parts: one batch of 8 for the scalers, one for the features, none in 2 epochs of 3 steps; calibration is in eval
    assert sum(calls) == 2
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("anew", "kept"))
    for name, tensor in one.items():
        if tensor.is_floating_point() and name.startswith("network.students"):
            difference = float((tensor - two[name]).norm() / (tensor.norm() + 1e-6))
            assert difference < 0.02, name


def test_augmentation_switches_it_off(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "kept_features", lambda *_: pytest.fail("features of turned parts were kept"))
    fit_class(drawn, "biscuit", load_recipe("lite-rgb-normals", [*PLAIN, "training.augment=flips"]), tmp_path)


def test_accumulated_batches_share_a_step(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, steps = [], []
    step = fit_module.TrainingModule.training_step

    def noted(self, batch, index):
        sizes.append(len(batch.samples))
        steps.append(self.global_step)
        return step(self, batch, index)

    monkeypatch.setattr(fit_module.TrainingModule, "training_step", noted)
    recipe = load_recipe("lite-rgb-normals", [*PLAIN, "training.batch_size=4", "training.accumulate=2"])
    fit_class(drawn, "biscuit", recipe, tmp_path)
    assert sizes == [2] * 6
    assert steps == [0, 0, 1, 2, 2, 3]  # 6 parts: a batch of 4, then one of 2
    with pytest.raises(RecipeError, match="multiple of training.accumulate"):
        load_recipe("lite-rgb-normals", ["training.accumulate=3"])
