"""One plain ONNX file computes maps and score as the detector does, from prepared images and a region."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sharing import Shared, made_for

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import RecipeError, TRDError
from trd.export.export import Exported
from trd.export.single import export_single
from trd.preprocess.parts import stacked_images


@pytest.fixture(scope="session")
def done(network_run: Path, shared: Shared[Exported]) -> Exported:
    """An export whose package is for OpenVINO, as by default."""
    return shared("package-openvino", lambda folder: made_for("openvino", network_run, folder))


@pytest.fixture(scope="session")
def single(done: Exported, shared: Shared[Path]) -> Path:
    def make(folder: Path) -> Path:
        export_single(done, folder / "model.onnx")
        return folder / "model.onnx"

    return shared("single", make)


def test_maps_and_scores_are_the_detectors(single: Path, done: Exported, drawn: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(single, providers=["CPUExecutionProvider"])
    detector = Detector.load(done.package.path)
    files = list_class(drawn / "biscuit", "", ("rgb", "xyz"), ("xyz",))
    parts = [detector.pipeline(load_sample(one, ("xyz",), files.camera)) for one in files.test]
    regions = np.stack([part.region for part in parts if part.region is not None]).astype(np.float32)
    inputs = {**stacked_images(parts), "region": regions}
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))
    raw = detector.raw_maps(parts)
    assert found.keys() == {f"{kind}_{name}" for kind in ("raw", "map") for name in raw} | {"fused_map", "score"}
    for index, scored in enumerate(detector.score(parts)):
        assert abs(found["score"][index] - scored.score) < 1e-3
        assert np.abs(found["fused_map"][index] - scored.fused).max() < 2e-3
        for name, values in scored.branch_maps.items():
            assert np.abs(found[f"map_{name}"][index] - values).max() < 5e-3
            units = done.package.facts.calibration.maps[name].std
            assert np.abs(found[f"raw_{name}"][index] - raw[name][index]).max() < 5e-3 * units


def test_weights_that_two_steps_share_are_in_it_once(single: Path, done: Exported) -> None:
    graphs = sum(len(data) for data in done.onnx.values())
    assert len(done.package.manifest.steps) > len(done.onnx)  # the teacher is called for each modality
    assert single.stat().st_size < 1.1 * graphs + 100_000


def test_it_says_all_that_is_needed(single: Path, done: Exported) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(single, providers=["CPUExecutionProvider"])
    told, facts = session.get_modelmeta().custom_metadata_map, done.package.facts
    assert {one.name: one.shape for one in session.get_inputs()} == {
        "rgb": ["batch", 3, 64, 64],
        "normals": ["batch", 3, 64, 64],
        "region": ["batch", 64, 64],
    }
    assert json.loads(told["trd.threshold"]) == facts.calibration.image_threshold.value
    assert json.loads(told["trd.frame"])["size"] == [64, 64]
    assert told["trd.format"] == "trd-single/1"
    assert "lite-residual" in told["trd.recipe"]


def test_only_in_float32_and_with_its_graphs(done: Exported, tmp_path: Path) -> None:
    package = done.package
    int8 = replace(package, manifest=package.manifest.model_copy(update={"precision": "int8"}))
    with pytest.raises(RecipeError, match="--single is in float32"):
        export_single(replace(done, package=int8), tmp_path / "x.onnx")
    with pytest.raises(RecipeError, match="kept no ONNX"):
        export_single(replace(done, onnx={}), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_computes_something_else_is_not_written(done: Exported, tmp_path: Path) -> None:
    facts = done.package.facts
    maps = {n: replace(m, shift=m.shift + 0.1 * m.std) for n, m in facts.calibration.maps.items()}
    other = replace(facts, calibration=replace(facts.calibration, maps=maps))
    with pytest.raises(TRDError, match="the single file does not compute what the package does"):
        export_single(replace(done, package=replace(done.package, facts=other)), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
