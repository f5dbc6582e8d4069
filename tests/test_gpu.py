"""What a GPU computes against what the CPU does; skipped where there is none. All else is tested on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trd.config import Recipe, load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.evaluation.curves import evaluate_maps
from trd.evidence.reverse_distillation.restored import build_network
from trd.evidence.reverse_distillation.training.features import teacher_features
from trd.evidence.reverse_distillation.training.views import View
from trd.stored import WEIGHTS
from trd.teachers.frozen import FrozenTeacher, TeacherGraph
from trd.training.fit import fit_class
from trd.types import ClassFolder, Sample

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
TINY = ["frame.size=64", "training.epochs=2", "training.batch_size=2"]


@pytest.fixture
def samples(trained: Path, drawn: Path) -> list[Sample]:
    recipe = Detector.load(trained, "cpu").recipe
    files = list_class(drawn, "biscuit", recipe.sources, recipe.point_cloud_sources)
    return [load_sample(sample, recipe.point_cloud_sources) for sample in files.test]


def largest_difference(ours: Detector, theirs: Detector, samples: list[Sample]) -> float:
    """Of the maps, relative to the largest value."""
    pairs = list(zip(ours.predict_many(samples), theirs.predict_many(samples), strict=True))
    return max(float(np.abs(a.map - b.map).max() / np.abs(b.map).max()) for a, b in pairs)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_detector_scores_as_on_the_cpu(trained: Path, samples: list[Sample], precision: str) -> None:
    """float32 convolutions are TF32 on GPUs (PyTorch's default): ten bits of mantissa."""
    on_cpu, on_gpu = Detector.load(trained, "cpu"), Detector.load(trained, DEVICE, precision=precision)
    assert largest_difference(on_gpu, on_cpu, samples) < {"fp32": 0.02, "bf16": 0.1, "fp16": 0.03}[precision]


def test_compiled_prediction_with_cuda_graphs(trained: Path, samples: list[Sample]) -> None:
    plain, fast = Detector.load(trained, DEVICE), Detector.load(trained, DEVICE, compiled=True)
    for chosen in (samples, samples[:1], samples):  # another batch size has another graph; maps must survive the next
        assert largest_difference(fast, plain, chosen) < 0.02


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_repeats_to_the_bit_and_its_detector_works_on_the_cpu(
    drawn: Path, tmp_path: Path, samples: list[Sample], precision: str
) -> None:
    recipe = load_recipe("lite-residual", [*TINY, f"precision={precision}"])
    for run in ("first", "second"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path / run, DEVICE)
    first, second = (load_file(tmp_path / run / WEIGHTS) for run in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    scores = [p.score for p in Detector.load(tmp_path / "first", "cpu").predict_many(samples)]
    assert np.isfinite(scores).all()


def test_training_compiled(drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe("lite-residual", [*TINY, "training.compile=true"])
    detector = fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, DEVICE)
    assert detector.engine.device.startswith(DEVICE)


def test_features_are_kept_on_the_gpu(trained: Path, samples: list[Sample], recipe: Recipe) -> None:
    detector = Detector.load(trained, DEVICE)
    prepared = [detector.pipeline(sample) for sample in samples[:2]]
    teacher = FrozenTeacher(TeacherGraph(recipe.teacher), torch.device(DEVICE))
    network = build_network(recipe, teacher.channels, teacher.linear_outputs).to(DEVICE)
    features = teacher_features(teacher, network, recipe, len(prepared))
    before = torch.cuda.memory_allocated()
    pyramids = features(prepared, [View(0, False), View(1, True)])
    assert {level.device.type for pyramid in pyramids.values() for level in pyramid} == {DEVICE}
    assert torch.cuda.memory_allocated() - before >= features.size > 0


def test_metrics_are_the_same() -> None:
    rng = np.random.default_rng(0)
    maps, masks = rng.normal(size=(6, 64, 64)).astype(np.float32).round(2), np.zeros((6, 64, 64), bool)
    masks[:3, 10:20, 10:30] = True
    assert evaluate_maps(maps, masks, device=DEVICE) == evaluate_maps(maps, masks)
    maps[5, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        evaluate_maps(maps, masks, device=DEVICE)
