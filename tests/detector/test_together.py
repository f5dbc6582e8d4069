"""Several evidence in one recipe: one teacher, all their branches, and a training that goes on after a kill."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trd.config import Recipe
from trd.detector import Detector
from trd.evidence.memory_bank import evidence as memory_bank
from trd.evidence.reverse_distillation.training.module import TrainingModule
from trd.stored import read_detector
from trd.training.fit import fit_class
from trd.types import ClassFolder, Sample

BRANCHES = ("rgb", "normals", "rgb_statistics", "normals_statistics", "rgb_bank", "normals_bank")


@pytest.fixture
def three(recipe: Recipe) -> Recipe:
    return recipe.changed("evidence.memory_bank=true", "training.epochs=3")


def test_an_interrupted_training_of_three_goes_on(
    three: Recipe, drawn: Path, tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ClassFolder("biscuit", drawn / "biscuit")
    fit_class(place, three, tmp_path / "whole", "cpu")
    banks, step, steps = [], TrainingModule.training_step, []
    fit_banks = memory_bank.fit_banks
    monkeypatch.setattr(memory_bank, "fit_banks", lambda *given: banks.append(1) or fit_banks(*given))

    def counted(self, batch, index):
        steps.append(self.current_epoch)
        if (self.current_epoch, index, len(banks)) == (1, 1, 1):
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", counted)
    with pytest.raises(KeyboardInterrupt):
        fit_class(place, three, tmp_path / "broken", "cpu")
    assert steps == [0, 0, 0, 1, 1]
    steps.clear()
    torch.manual_seed(999)  # whatever happened in between must not matter
    fit_class(place, three, tmp_path / "broken", "cpu")
    assert len(banks) == 2  # fitted anew
    assert steps == [1, 1, 1, 2, 2, 2]  # after the epoch that was complete
    (facts, whole), (_, broken) = (read_detector(tmp_path / name) for name in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert all(np.array_equal(whole[name], values) for name, values in broken.items())
    assert {name.partition(".")[0] for name in whole} == {"teacher", *three.evidence}

    detector = Detector.load(tmp_path / "whole", "cpu")
    assert facts.recipe.branches == BRANCHES
    assert tuple(detector.calibration.maps) == BRANCHES
    images: list[int] = []
    detector.engine.modules["teacher"].register_forward_pre_hook(lambda _, given: images.append(len(given[0])))
    prediction = detector.predict(samples[0])
    assert sum(images) == 2  # once for each modality
    assert tuple(prediction.modality_maps) == BRANCHES
    assert tuple(prediction.share) == BRANCHES
    assert sum(prediction.share.values()) == pytest.approx(1)
