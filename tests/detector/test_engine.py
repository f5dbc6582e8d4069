"""Precisions, threads that share a detector, and what goes wrong while it computes."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from trd.config import load_recipe
from trd.detector import Detector
from trd.engines.pytorch.precision import resolve_precision
from trd.errors import RecipeError, TRDError
from trd.training.fit import fit_class
from trd.types import ClassFolder, Sample


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.1), ("fp16", 0.01)])
def test_students_in_another_precision(trained: Path, samples: list[Sample], precision: str, tolerance: float) -> None:
    plain, rounded = Detector.load(trained, "cpu"), Detector.load(trained, "cpu", precision=precision)
    for theirs, ours in zip(plain.predict_many(samples), rounded.predict_many(samples), strict=True):
        assert 0 < np.abs(ours.map - theirs.map).max() < tolerance * np.abs(theirs.map).max()


def test_what_overflows_is_no_score(trained: Path, samples: list[Sample]) -> None:
    detector = Detector.load(trained, "cpu", precision="fp16")
    with torch.no_grad():
        next(detector.engine.modules["reverse_distillation_student_0"].parameters()).mul_(1e9)  # BatchNorm is folded in
    with pytest.raises(TRDError, match="not finite.*65504"):
        detector.predict(samples[0])
    with pytest.raises(RecipeError, match="expected fp32, bf16, fp16 or auto"):
        Detector.load(trained, precision="half")


def test_several_threads_share_a_detector(trained: Path, samples: list[Sample]) -> None:
    """Each gets what one alone would, whatever the others ask for; batches of different sizes at once."""
    detector = Detector.load(trained, "cpu")
    expected = {sample.id: detector.predict(sample).score for sample in samples}
    asked = [samples[start : start + size] for start in range(3) for size in (1, 2, 3)] * 4

    def scores(some: list[Sample]) -> list[tuple[str, float]]:
        return [(p.id, p.score) for p in detector.predict_many(some, batch_size=2)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(scores, asked))
    for some, result in zip(asked, results, strict=True):
        assert [name for name, _ in result] == [sample.id for sample in some]
        for name, score in result:
            assert score == pytest.approx(expected[name], abs=1e-3)


def test_the_engine_computes_for_one_at_a_time(detector: Detector, samples: list[Sample]) -> None:
    """Also for detectors that share it."""

    class Alone:
        device, precision, form = "cpu", "fp32", "test"

        def __init__(self) -> None:
            self.inside = 0
            self.most = 0

        def raw_maps(self, images):
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.01)
            self.inside -= 1
            return {name: stack.mean(axis=1) for name, stack in images.items()}

    engine = Alone()
    one = Detector(detector.facts, engine)
    other = one.calibrated(detector.calibration.for_rate(0.5))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda d: list(d.predict_many(samples[:2])), [one, other] * 6))
    assert engine.most == 1


def test_a_detector_keeps_the_precision_that_it_was_calibrated_in(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose "auto" means another one; what is asked for by name still counts."""
    place, sizes = ClassFolder("biscuit", drawn / "biscuit"), ["frame.size=64", "training.epochs=1"]
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    recipe = load_recipe("lite-residual", sizes)
    assert fit_class(place, recipe, tmp_path, "cpu").engine.precision == "bf16"
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert Detector.load(tmp_path, "cpu").engine.precision == "bf16"
    assert Detector.load(tmp_path, "cpu", precision="auto").engine.precision == "fp32"
    assert Detector.load(tmp_path, "cpu", precision="fp32").engine.precision == "fp32"


@pytest.mark.parametrize(
    ("units", "precision"),
    [
        ({}, "fp32"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True}, "bf16"),
        ({"avx2": True}, "fp32"),
    ],
)
def test_auto_goes_by_what_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, units: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: units)
    assert resolve_precision("auto", "cpu") == precision
    assert resolve_precision("fp32", "cpu") == "fp32"


def test_a_full_gpu_is_one_message(detector: Detector, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore lines")

    monkeypatch.setattr(detector.engine.modules["teacher"], "forward", full)
    with pytest.raises(TRDError, match=r"memory is full \(CUDA out of memory. Tried to allocate 2 GiB\): close what"):
        list(detector.score([detector.pipeline(samples[0])]))
