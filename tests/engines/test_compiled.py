"""torch.compile computes the same; slow, because compiling takes minutes, and it needs a C++ compiler on CPUs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from trd.config import load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.training.fit import fit_class
from trd.types import ClassFolder

TINY = [
    "frame.size=64",
    "training.epochs=1",
    "training.batch_size=2",
    "precision=fp32",
    "training.compile=true",
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on CPUs")
def test_compiled_training_and_inference(drawn: Path, tmp_path: Path) -> None:
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), load_recipe("lite-residual", TINY), tmp_path, "cpu")
    plain, fast = Detector.load(tmp_path, "cpu"), Detector.load(tmp_path, "cpu", compiled=True)
    files = list_class(drawn, "biscuit", plain.recipe.sources, plain.recipe.point_cloud_sources)
    samples = [load_sample(sample, plain.recipe.point_cloud_sources) for sample in files.test]
    for ours, theirs in zip(fast.predict_many(samples), plain.predict_many(samples), strict=True):
        np.testing.assert_allclose(ours.map, theirs.map, atol=1e-3 * np.abs(theirs.map).max())
