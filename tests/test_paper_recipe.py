"""The paper's recipe at its full size takes two steps and evaluates; slow, because a step takes seconds per image."""

import json
from pathlib import Path

import pytest

from trd.config import load_recipe
from trd.runs import Run


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_steps_and_an_evaluation_at_paper_size(drawn: Path, tmp_path: Path) -> None:
    overrides = ["teacher.weights=random", "training.epochs=1", "training.batch_size=3"]
    run = Run.open(drawn, tmp_path, load_recipe("mvtec3d-rgb-normals", overrides), ["biscuit"])
    run.train_and_evaluate("cpu")
    run.raise_failures()
    metrics = json.loads((tmp_path / "biscuit/metrics.json").read_text())
    assert set(metrics["maps"]) == {"fused", "rgb", "normals"}
