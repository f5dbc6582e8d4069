"""A package decides as the detector that it was exported from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.base import Maps
from trd.engines.graphs import GraphForm
from trd.errors import DataError, RecipeError, TRDError
from trd.export.equivalence import LARGEST_MAP, LARGEST_SCORE
from trd.export.export import Exported, ExportJob, export
from trd.stored import read_detector
from trd.types import Prediction, Sample


def samples(drawn: Path) -> list[Sample]:
    files = list_class(drawn / "biscuit", "", ("rgb", "xyz"), ("xyz",))
    return [load_sample(one, ("xyz",), files.camera) for one in (*files.validation, *files.test)]


def raw(detector: Detector, parts: list[Sample]) -> Maps:
    return detector.raw_maps([detector.pipeline(part) for part in parts])


def test_maps_scores_and_decisions_are_those_of_the_detector(made: Exported, drawn: Path, network_run: Path) -> None:
    before = Detector.load(network_run, "cpu", precision="fp32")
    package = Detector.load(made.package.path)
    for part in samples(drawn):
        old, new = before.predict(part), package.predict(part)
        assert new.used == old.used
        assert abs(new.score - old.score) < LARGEST_SCORE
        assert np.abs(new.map - old.map).max() < LARGEST_MAP
        assert new.is_anomalous == old.is_anomalous
    for split in made.equivalence.splits.values():
        assert split.score < LARGEST_SCORE
        assert not split.flipped
    assert made.equivalence.splits.keys() == {"training", "calibration", "test"}
    assert made.equivalence.metrics == pytest.approx(made.equivalence.before, abs=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_part_has_the_same_maps_in_every_batch(made: Exported, drawn: Path, count: int) -> None:
    package, parts = Detector.load(made.package.path), samples(drawn)
    batch = (parts * 2)[:count]
    together = raw(package, batch)
    for index, part in enumerate(batch):
        alone = raw(package, [part])
        assert all((together[name][index] == alone[name][0]).all() for name in alone)


def test_an_onnx_graph_takes_batches(onnx_package: Path) -> None:
    from trd.engines.onnx import OnnxGraph
    from trd.packages.package import read_package

    package = read_package(onnx_package)
    graph = OnnxGraph(package.contents["graphs/teacher.onnx"], "cpu", 1, "teacher")
    images = np.random.default_rng(0).random((5, 3, 64, 64), np.float32)
    together = graph({"image": images})
    for index in range(5):
        for name, level in graph({"image": images[index : index + 1]}).items():
            np.testing.assert_allclose(together[name][index], level[0], rtol=1e-4, atol=1e-4)


def test_calibration_is_of_the_package_itself(made: Exported, network_run: Path) -> None:
    own, before = made.package.facts.calibration, Detector.load(network_run, "cpu").calibration
    assert own.precision == "fp32"
    assert len(own.good_scores) == len(before.good_scores)
    assert own.image_threshold.requested_rate == before.image_threshold.requested_rate
    assert own.id != before.id


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_int8_networks_are_fitted_and_calibrated_anew(
    runtime: str, network_run: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trd.export.equivalence.LOWER", 0.1)  # two epochs and five test parts: 0.01 is noise here
    job = ExportJob(network_run, tmp_path / "int8.trdm", runtime, "int8")
    made = export(job, Console(quiet=True))
    manifest = made.package.manifest
    networks = ("teacher", "student")  # scalers and distances stay in float32
    assert {graph.precision for graph in manifest.graphs.values() if graph.role in networks} == {"int8"}
    assert {graph.precision for graph in manifest.graphs.values() if graph.role not in networks} == {"fp32"}
    detector = Detector.load(job.out)
    assert detector.engine.precision == detector.calibration.precision == "int8"
    scores = [detector.predict(part).score for part in samples(drawn)]
    assert np.isfinite(scores).all()
    weights = sum(len(made.package.contents[name]) for name in made.package.contents if "student" in name)
    students, prefix = read_detector(network_run)[1], "reverse_distillation.network.students"
    plain = sum(value.nbytes for name, value in students.items() if name.startswith(prefix))
    assert weights < 0.5 * plain


def test_bf16_is_openvinos_only(network_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="ONNX Runtime has no bf16 on CPUs"):
        export(ExportJob(network_run, tmp_path / "x.trdm", "onnx", "bf16"), Console(quiet=True))
    assert not (tmp_path / "x.trdm").exists()


def test_int8_of_a_cross_calibrated_detector_is_refused_before_the_work(
    network_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(network_run / "biscuit", tmp_path / "run"))
    facts = json.loads((run / "detector.json").read_text())
    facts["calibration"]["kind"] = "cross"
    (run / "detector.json").write_text(json.dumps(facts))
    monkeypatch.setattr("trd.export.export.parts_of", lambda *_: pytest.fail("it began"))
    with pytest.raises(RecipeError, match="which a package cannot repeat: give good parts .* with --good"):
        export(ExportJob(run, tmp_path / "x.trdm", precision="int8"), Console(quiet=True))
    assert not (tmp_path / "x.trdm").exists()


def test_parts_that_changed_since_the_training_are_refused(network_run: Path, data: Path, tmp_path: Path) -> None:
    (data / "biscuit/train/good/rgb/000.png").unlink()
    (data / "biscuit/train/good/xyz/000.tiff").unlink()
    with pytest.raises(DataError, match="since the training 1 good part was removed"):
        export(ExportJob(network_run, tmp_path / "x.trdm", data=data / "biscuit"), Console(quiet=True))


def test_a_package_that_decides_otherwise_is_not_written(
    network_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two students is a little off."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    from trd.export import graphs

    plain, altered = graphs.onnx_bytes, list[GraphForm]()

    def perturbed(form: GraphForm) -> bytes:
        if form.role != "student" or altered:
            return plain(form)
        altered.append(form)
        model = onnx.load_from_string(plain(form))
        tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
        weights = numpy_helper.to_array(tensor).copy()
        weights.flat[:8] += 1
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(graphs, "onnx_bytes", perturbed)
    with pytest.raises(TRDError, match="does not decide as the detector does, nothing was written"):
        export(ExportJob(network_run, tmp_path / "x.trdm"), Console(quiet=True))
    assert not list(tmp_path.iterdir())


def test_a_prediction_says_the_same_in_the_same_words(made: Exported, drawn: Path, network_run: Path) -> None:
    part = samples(drawn)[-1]
    old = Detector.load(network_run, "cpu", precision="fp32").predict(part)
    new: Prediction = Detector.load(made.package.path).predict(part)
    assert new.share.keys() == old.share.keys()
    assert new.peak == old.peak
    assert new.notes == old.notes
    assert new.p_value == old.p_value
