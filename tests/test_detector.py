import hashlib
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file

import trd
from trd.compute.precision import resolve_precision
from trd.config import load_recipe
from trd.data.folder import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, RecipeError, TRDError
from trd.stored import FACTS, RECIPE, WEIGHTS, read_detector, read_facts, save_calibration, save_detector
from trd.training.fit import fit_class
from trd.types import ClassFolder, Failure, Sample

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


EARLIER = (  # what version 0.1 could do
    "scoring.fusion=sum",
    "method.statistics.components=0",
    "student.filter=true",
    "frame.size=64",
    "training.epochs=1",
    "training.batch_size=2",
    "training.precision=32",
)


@pytest.fixture(scope="module")
def detector(trained: Path) -> Detector:
    return Detector.load(trained)


@pytest.fixture(scope="module")
def samples(drawn: Path) -> list[Sample]:
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",))
    return [load_sample(s, ("xyz",)) for s in files.test]


def test_a_prediction_says_what_it_promises(detector: Detector, samples: list[Sample]) -> None:
    for sample in samples:
        p = detector.predict(sample)
        assert p.map.shape == (192, 192)
        assert p.map.dtype == np.float32
        assert p.modality_maps.keys() == {"rgb", "normals", "rgb_statistics", "normals_statistics"}
        assert p.share.keys() == p.modality_maps.keys()
        # the maps add up in squares of what is above 0, but for the resizing
        together = np.sqrt(sum(np.square(np.maximum(m, 0)) for m in p.modality_maps.values()))
        together = np.where(together > 0, together, np.max(list(p.modality_maps.values()), axis=0))
        assert (together <= p.map + 1e-4).all()
        assert np.abs(p.map - together).mean() < 0.02 * p.map.max()
        assert sum(p.share.values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in p.share.values())
        assert p.is_anomalous == (p.score > p.threshold)
        assert 0 < p.p_value <= 1
        # the map at the input's size is the network's, resized: its highest place is the peak, but for the resizing
        rows, columns = detector.facts.frame.window_in((192, 192))
        pixels = max((rows.stop - rows.start), (columns.stop - columns.start)) / 64
        highest = np.unravel_index(int(p.map.argmax()), p.map.shape)
        assert np.abs(np.subtract(highest, p.peak)).max() <= pixels + 1
        assert p.map.max() == pytest.approx(p.score, rel=0.02)


def test_score_and_shares_are_those_of_the_highest_place(detector: Detector, samples: list[Sample]) -> None:
    for sample in samples:
        p = detector.predict(sample)
        (scored,) = detector.score([detector.pipeline(sample)])
        above = {name: np.maximum(m, 0) for name, m in scored.branch_maps.items()}
        squares = sum(np.square(m) for m in above.values())
        np.testing.assert_allclose(np.square(np.maximum(scored.fused, 0)), squares, rtol=1e-4, atol=1e-6)
        row, column = np.unravel_index(int(squares.argmax()), squares.shape)
        assert p.score == pytest.approx(float(squares[row, column]) ** 0.5, rel=1e-4)
        for name, m in above.items():
            assert p.share[name] == pytest.approx(float(m[row, column] ** 2 / squares[row, column]), abs=1e-4)


def test_batches_equal_single_predictions(detector: Detector, samples: list[Sample]) -> None:
    together = list(detector.predict_many(samples, batch_size=3))
    for one, sample in zip(together, samples, strict=True):
        alone = detector.predict(sample)
        assert one.id == sample.id
        assert one.score == pytest.approx(alone.score, abs=1e-3)
        np.testing.assert_allclose(one.map, alone.map, atol=1e-2)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.1), ("fp16", 0.01)])
def test_students_in_another_precision(trained: Path, samples: list[Sample], precision: str, tolerance: float) -> None:
    plain, rounded = Detector.load(trained, "cpu"), Detector.load(trained, "cpu", precision=precision)
    for theirs, ours in zip(plain.predict_many(samples), rounded.predict_many(samples), strict=True):
        assert 0 < np.abs(ours.map - theirs.map).max() < tolerance * np.abs(theirs.map).max()


def test_what_overflows_is_no_score(trained: Path, samples: list[Sample]) -> None:
    detector = Detector.load(trained, "cpu", precision="fp16")
    with torch.no_grad():
        for student in detector.engine.module.network.students.values():
            next(student.parameters()).mul_(1e9)  # BatchNorm is folded in
    with pytest.raises(TRDError, match="not finite.*65504"):
        detector.predict(samples[0])
    with pytest.raises(RecipeError, match="expected 32, bf16, fp16 or auto"):
        Detector.load(trained, precision="half")


def test_plain_arrays_will_do(detector: Detector, samples: list[Sample]) -> None:
    p = detector.predict({"rgb": samples[0].arrays["rgb"], "xyz": samples[0].arrays["xyz"]})
    other = detector.predict(samples[0])
    assert p.score == other.score


def test_saved_and_loaded_is_the_same(detector: Detector, trained: Path, samples: list[Sample], tmp_path: Path) -> None:
    facts, state = read_detector(trained)
    save_detector(tmp_path, facts, state)
    again = Detector.load(tmp_path)
    one, two = detector.predict(samples[0]), again.predict(samples[0])
    assert one.score == two.score
    np.testing.assert_array_equal(one.map, two.map)
    assert again.class_name == "biscuit"


def test_the_same_detector_is_the_same_file(trained: Path, tmp_path: Path) -> None:
    """In processes of their own: within one the library orders its header alike."""
    code = "import sys; from pathlib import Path; from trd.stored import *; "
    code += "save_detector(Path(sys.argv[2]), *read_detector(Path(sys.argv[1])))"
    for name in "abc":
        subprocess.run([sys.executable, "-c", code, str(trained), str(tmp_path / name)], check=True)
    assert len({(tmp_path / name / WEIGHTS).read_bytes() for name in "abc"}) == 1


def test_a_flipped_bit_in_the_weights_is_noticed(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "biscuit", tmp_path / "biscuit"))
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1000] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged"):
        Detector.load(folder)


def test_frames_of_another_size_are_scaled(detector: Detector, samples: list[Sample]) -> None:
    doubled = {n: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1) for n, a in samples[0].arrays.items()}
    p = detector.predict(doubled)
    assert p.map.shape == (384, 384)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a.pop("xyz"), "has no 'xyz'"),
        (lambda a: a.update(xyz=np.zeros_like(a["xyz"])), "no valid depth"),
        (lambda a: a.update(xyz=np.full_like(a["xyz"], np.nan)), "NaN or infinite"),
        (lambda a: a.update(xyz=a["xyz"][:50]), "its partners"),
        (lambda a: a.update(xyz=a["xyz"][..., 2]), r"must be \(H, W, 3\)"),
        (lambda a: a.update(xyz=np.dstack([a["xyz"], a["xyz"][..., :1]])), r"must be \(H, W, 3\), got \(192, 192, 4\)"),
        (lambda a: a.update(xyz=a["xyz"][..., :2]), r"must be \(H, W, 3\)"),
        (lambda a: a.update(xyz=a["xyz"][:0], rgb=a["rgb"][:0]), r"must be \(H, W, 3\), got \(0, 192, 3\)"),
        (lambda a: a.update(xyz=(a["xyz"] * 1000).astype(np.uint16)), "divide them by 1000"),
        (lambda a: a.update(xyz=a["xyz"].tolist()), "must be a numpy array, got list"),
    ],
)
def test_arrays_that_cannot_be_used(detector: Detector, samples: list[Sample], change, complaint: str) -> None:
    arrays = dict(samples[0].arrays)
    change(arrays)
    with pytest.raises(DataError, match=complaint):
        detector.predict(arrays)


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "biscuit", tmp_path / "biscuit"))


def test_truncated_weights(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing or truncated"):
        Detector.load(folder)


def test_weights_of_another_recipe(folder: Path) -> None:
    text = (folder / RECIPE).read_text().replace("slope_gain = 3.0", "slope_gain = 4.0")
    (folder / RECIPE).write_text(text)
    with pytest.raises(CheckpointError, match="do not belong together"):
        Detector.load(folder)


def test_a_newer_format(folder: Path) -> None:
    facts = json.loads((folder / FACTS).read_text())
    facts["format_version"] = 99
    (folder / FACTS).write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"newer version .* upgrade"):
        Detector.load(folder)


def test_damaged_or_missing_facts(folder: Path) -> None:
    (folder / FACTS).write_text("{")
    with pytest.raises(CheckpointError, match=r"detector\.json cannot be read"):
        Detector.load(folder)
    (folder / FACTS).unlink()
    with pytest.raises(CheckpointError, match="holds no finished detector"):
        Detector.load(folder)
    with pytest.raises(CheckpointError, match="does not exist"):
        Detector.load(folder / "nowhere")


def test_a_run_of_several_classes_wants_a_name(trained: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(trained / "biscuit", tmp_path / name)
    with pytest.raises(CheckpointError, match=r"several classes: name one of .*a,b"):
        Detector.load(tmp_path)


def test_public_names() -> None:
    assert {"Detector", "fit", "evaluate", "load_recipe", "Prediction"} <= set(trd.__all__)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("calibration", "image_threshold", "value"), float("nan")),
        (("calibration", "maps", "rgb", "std"), 0),
        (("calibration",), []),
        (("frame", "window"), [0, 0, 0, 10]),
        (("frame", "window"), [0, 0, 500, 500]),
        (("frame", "window"), [0, 0]),
        (("frame", "cloud_scale"), float("nan")),
        (("frame", "size"), "large"),
        (("ranges", "size"), 3),
        (("camera",), {"fx": 1}),
    ],
)
def test_senseless_numbers_in_the_facts(folder: Path, path: tuple[str, ...], value: object) -> None:
    facts = json.loads((folder / FACTS).read_text())
    place = facts
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / FACTS).write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"detector\.json is damaged"):
        Detector.load(folder)


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


def test_one_bad_sample_of_a_list_fails_alone(detector: Detector, samples: list[Sample]) -> None:
    blind = Sample("blind", {**samples[1].arrays, "xyz": np.zeros_like(samples[1].arrays["xyz"])})
    unread = Failure("unread", DataError("a.png cannot be read"))
    outcomes = list(detector.predict_many([samples[0], blind, unread, samples[1]], batch_size=4))
    assert [outcome.id for outcome in outcomes] == [samples[0].id, "blind", "unread", samples[1].id]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, True, False]
    assert "no valid depth" in str(outcomes[1].error)
    assert outcomes[3].score == pytest.approx(detector.predict(samples[1]).score, abs=1e-3)
    assert list(detector.predict_many([])) == []


def test_the_engine_computes_for_one_at_a_time(detector: Detector, samples: list[Sample]) -> None:
    """Also for detectors that share it."""

    class Alone:
        device, precision, form = "cpu", "32", "test"

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
    recipe = load_recipe("lite-rgb-normals", sizes)
    assert fit_class(place, recipe, tmp_path, "cpu").engine.precision == "bf16"
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert Detector.load(tmp_path, "cpu").engine.precision == "bf16"
    assert Detector.load(tmp_path, "cpu", precision="auto").engine.precision == "32"
    assert Detector.load(tmp_path, "cpu", precision="32").engine.precision == "32"


@pytest.mark.parametrize(
    ("units", "precision"),
    [
        ({}, "32-true"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"avx2": True}, "32-true"),
    ],
)
def test_auto_goes_by_what_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, units: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: units)
    assert resolve_precision("auto", "cpu") == precision
    assert resolve_precision("32", "cpu") == "32-true"


def test_a_full_gpu_is_one_message(detector: Detector, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore lines")

    monkeypatch.setattr(detector.engine.module, "forward", full)
    with pytest.raises(TRDError, match=r"memory is full \(CUDA out of memory. Tried to allocate 2 GiB\): close what"):
        list(detector.score([detector.pipeline(samples[0])]))


def test_notes_reach_the_prediction(detector: Detector, samples: list[Sample]) -> None:
    assert detector.predict(samples[0]).notes == ()
    doubled = {n: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1) for n, a in samples[0].arrays.items()}
    assert any("frame of 384 x 384 pixels" in note for note in detector.predict(doubled).notes)


def test_a_detector_of_version_0_1(drawn: Path, tmp_path: Path, samples: list[Sample]) -> None:
    """Without id, region, ranges, fusion and a deviation of the fused map; its recipe in the earlier layout."""
    place, folder = ClassFolder("biscuit", drawn / "biscuit"), tmp_path / "biscuit"
    fit_class(place, load_recipe("lite-rgb-normals", EARLIER), folder, "cpu")
    expected = Detector.load(folder, "cpu").predict(samples[0])
    facts = json.loads((folder / FACTS).read_text())
    fused = facts["calibration"].pop("fused")
    for key in ("kind", "precision", "fusion", "levels"):
        facts["calibration"].pop(key)
    frame = facts["frame"]
    facts["frame"] = {"source": frame["sensor"], "window": frame["window"], "size": frame["size"]}
    recipe = tomllib.loads((folder / RECIPE).read_text())
    method, scoring = recipe.pop("method"), recipe["scoring"]
    method.pop("statistics")
    for key in ("calibration", "folds", "fusion"):
        scoring.pop(key)
    method["training"] |= {"seed": recipe.pop("seed"), "holdout": scoring.pop("holdout")}
    method["training"].pop("loggers")
    scoring |= {"distance": method["distance"], "pool": method["pool"], "region": "part"}
    recipe |= {name: method[name] for name in ("teacher", "student", "training")}
    recipe["frame"] = {"size": 64, "crop": "part", "margin": recipe["frame"]["margin"], "part_source": ""}
    (folder / RECIPE).write_text(tomli_w.dumps(recipe))
    fingerprint = hashlib.sha256((folder / RECIPE).read_bytes()).hexdigest()[:16]
    old_facts = {"format_version": 1, "recipe_fingerprint": fingerprint, "class_name": "biscuit", "camera": None}
    (folder / FACTS).write_text(json.dumps(old_facts | {k: facts[k] for k in ("frame", "calibration")}))
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors, folder / WEIGHTS, {"format": "trd-detector", "version": "1", "recipe": fingerprint})

    before = Detector.load(folder, "cpu").predict(samples[0])
    assert (before.score - fused["mean"]) / fused["std"] == pytest.approx(expected.score, rel=1e-4)
    save_calibration(folder, read_facts(folder)[0])
    assert Detector.load(folder, "cpu").predict(samples[0]).score == before.score
    save_file(
        {**tensors, "scorer.more": tensors["network.scalers.rgb.mean_0"].clone()}, folder / WEIGHTS, {"recipe": "other"}
    )
    with pytest.raises(CheckpointError, match="do not belong together"):
        Detector.load(folder, "cpu")
