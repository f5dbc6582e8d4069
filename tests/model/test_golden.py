"""The paper-size student equals the reference implementation, number by number (tests/golden)."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trd.errors import CheckpointError
from trd.model.reference import load_reference_student, reference_state_dict
from trd.model.student import Student
from trd.scoring.anomaly_map import anomaly_map, smooth
from trd.training.loss import branch_loss

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import fill

SEED = 7
GOLDEN = np.load(fill.HERE / "student_visible.npz")
OWN, OTHER = fill.pyramid(SEED, 1), fill.pyramid(SEED, 2)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return fill.weights(SEED)


@pytest.fixture(scope="module")
def student(weights: dict[str, torch.Tensor]) -> Student:
    return load_reference_student(weights)


def close(value: torch.Tensor, key: str, tolerance: float = 1e-4) -> None:
    expected = GOLDEN[key]
    np.testing.assert_allclose(fill.summary(value), expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_forward_and_map(student: Student) -> None:
    with torch.no_grad():
        output = student.eval()(OWN, OTHER)
    parts = {
        "filter": output.filtered,
        "amplifier": output.amplified,
        "decoder_plain": output.plain,
        "decoder_fused": output.fused,
    }
    for part, levels in parts.items():
        for index, level in enumerate(levels):
            close(level, f"eval/{part}/{index}")
    values = anomaly_map(output.fused, OWN, (128, 128))
    close(values[0], "eval/anomaly_map")
    close(torch.from_numpy(smooth(values.numpy())[0]), "eval/anomaly_map_smooth")


def test_losses_in_train_mode(weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        losses = branch_loss(load_reference_student(weights).train()(OWN, OTHER), OWN)
    expected = GOLDEN["train/loss_parts_filter_amplifier_plain_fused"]
    np.testing.assert_allclose([float(term) for term in losses.values()], expected, rtol=1e-4)
    np.testing.assert_allclose(float(sum(losses.values())), GOLDEN["train/loss"], rtol=1e-4)


def test_weights_survive_both_translations(student: Student, weights: dict[str, torch.Tensor]) -> None:
    written = reference_state_dict(student)
    assert written.keys() == weights.keys()
    assert all(torch.equal(written[name], weights[name]) for name in weights if not name.endswith("tracked"))


def test_foreign_state_dicts_are_refused_by_tensor(weights: dict[str, torch.Tensor]) -> None:
    name = "decoder.layer2.0.upsample.0.weight"
    with pytest.raises(CheckpointError, match=f"'{name}' is missing"):
        load_reference_student({k: v for k, v in weights.items() if k != name})
    with pytest.raises(CheckpointError, match="unknown tensor 'extra'"):
        load_reference_student({**weights, "extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=rf"'{name}' has shape \(2,\), expected \(1024, 512, 2, 2\)"):
        load_reference_student({**weights, name: torch.zeros(2)})
