"""A detector on disk: the same again, damaged, of other versions."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trd.detector import Detector
from trd.errors import CheckpointError, TRDError
from trd.stored import FACTS, RECIPE, WEIGHTS, read_detector, read_facts, save_detector
from trd.training.fit import fit_class
from trd.types import ClassFolder, Sample


def test_saved_and_loaded_is_the_same(detector: Detector, trained: Path, samples: list[Sample], tmp_path: Path) -> None:
    facts, state = read_detector(trained)
    save_detector(tmp_path, facts, state)
    again = Detector.load(tmp_path)
    written = read_detector(tmp_path)[1]
    assert written.keys() == state.keys()
    assert all(np.array_equal(written[name], values) for name, values in state.items())
    # sums may come in another order where weights lie elsewhere in memory
    one, two = detector.predict(samples[0]), again.predict(samples[0])
    assert one.score == pytest.approx(two.score, rel=1e-5)
    np.testing.assert_allclose(one.map, two.map, rtol=1e-4, atol=1e-4)
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


def test_a_detector_whose_calibration_is_of_an_earlier_version(folder: Path) -> None:
    """Its thresholds were too low."""
    facts = json.loads((folder / FACTS).read_text())
    for units in facts["calibration"]["maps"].values():
        del units["shift"], units["scale"]
    (folder / FACTS).write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"detector\.json.*earlier version.*train again"):
        Detector.load(folder)


def test_a_detector_of_before_is_refused_with_the_remedy(folder: Path) -> None:
    """Whatever else it lacks: recipes that name a method, and formats below this one's."""
    text = (folder / RECIPE).read_text()
    facts = json.loads((folder / FACTS).read_text())
    (folder / RECIPE).write_text(text.replace("[evidence.reverse_distillation", "[method"))
    facts["recipe_fingerprint"] = hashlib.sha256((folder / RECIPE).read_bytes()).hexdigest()[:16]
    (folder / FACTS).write_text(json.dumps(facts))
    with pytest.raises(TRDError, match=r"recipe\.toml .*names a method.* train again"):
        Detector.load(folder)
    for version in (1, 2):
        (folder / FACTS).write_text(json.dumps({**facts, "format_version": version}))
        with pytest.raises(CheckpointError, match=r"earlier version \(format .* train again"):
            Detector.load(folder)


def test_files_of_two_trainings_do_not_mix(drawn: Path, quick_run: Path, tmp_path: Path) -> None:
    """Also of one recipe; and the same training has the same id, which is of the content."""
    data = Path(shutil.copytree(drawn / "biscuit", tmp_path / "data/biscuit"))
    recipe = read_facts(quick_run / "biscuit")[0].recipe
    same, folder = tmp_path / "same", tmp_path / "fewer"
    fit_class(ClassFolder("biscuit", data), recipe, same, "cpu")
    assert read_facts(same)[0].id == read_facts(quick_run / "biscuit")[0].id
    for path in (data / "train/good").rglob("005.*"):
        path.unlink()
    fit_class(ClassFolder("biscuit", data), recipe, folder, "cpu")
    shutil.copy(folder / WEIGHTS, same / WEIGHTS)
    with pytest.raises(CheckpointError, match="do not belong together"):
        Detector.load(same)
