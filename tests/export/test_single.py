"""One plain ONNX file computes maps and score as the detector does, from prepared images and a region."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import RecipeError
from trd.export.single import export_single
from trd.packages.package import read_package
from trd.preprocess.parts import stacked_images

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from sharing import Shared


@pytest.fixture(scope="session")
def single(trained: Path, onnx_package: Path, shared: Shared[Path]) -> Path:
    def make(folder: Path) -> Path:
        export_single(trained, read_package(onnx_package), folder / "model.onnx")
        return folder / "model.onnx"

    return shared("single", make)


def test_maps_and_scores_are_the_detectors(single: Path, onnx_package: Path, drawn: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(single, providers=["CPUExecutionProvider"])
    detector = Detector.load(onnx_package)
    files = list_class(drawn / "biscuit", "", ("rgb", "xyz"), ("xyz",))
    parts = [detector.pipeline(load_sample(one, ("xyz",), files.camera)) for one in files.test]
    regions = np.stack([part.region for part in parts if part.region is not None]).astype(np.float32)
    inputs = {**stacked_images(parts), "region": regions}
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))
    for index, scored in enumerate(detector.score(parts)):
        assert abs(found["score"][index] - scored.score) < 1e-3
        assert np.abs(found["fused_map"][index] - scored.fused).max() < 2e-3
        for name, values in scored.branch_maps.items():
            assert np.abs(found[f"map_{name}"][index] - values).max() < 5e-3


def test_it_says_all_that_is_needed(single: Path, onnx_package: Path) -> None:
    import onnxruntime

    told = onnxruntime.InferenceSession(single, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
    facts = read_package(onnx_package).facts
    assert json.loads(told["trd.threshold"]) == facts.calibration.image_threshold.value
    assert json.loads(told["trd.frame"])["size"] == [64, 64]
    assert told["trd.format"] == "trd-single/1"
    assert "lite-rgb-normals" in told["trd.recipe"]


def test_only_in_float32(onnx_package: Path, trained: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    package = read_package(onnx_package)
    int8 = replace(package, manifest=package.manifest.model_copy(update={"precision": "int8"}))
    with pytest.raises(RecipeError, match="--single is in float32"):
        export_single(trained, int8, tmp_path / "x.onnx")
