"""A method is one module and one registry line: this toy goes through everything that a run does."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
from trd.registry import METHODS

import trd
from trd.config import MethodConfig, Recipe, load_recipe
from trd.errors import CheckpointError, RecipeError, TRDError
from trd.runs import Run


class DarkConfig(MethodConfig):
    name: Literal["darkness"] = "darkness"
    gain: float = 1.0


class DarkEngine:
    """How much darker than the mean good part is each pixel?"""

    device, precision, form = "cpu", "fp32", "numpy"

    def __init__(self, state, gain):
        self.state, self.gain = state, gain

    def raw_maps(self, images):
        return {name: self.gain * (self.state[name] - stack.mean(axis=1)) for name, stack in images.items()}


class Darkness:
    config = DarkConfig

    def without_effect(self, recipe):
        return ()

    def branches(self, recipe):
        return tuple(recipe.modalities)

    def check(self, recipe):
        if recipe.method.gain == 0:
            raise ValueError("method.gain is 0: every map would be empty")

    def fit(self, job):
        return {
            name: np.mean([p.images[name].mean(axis=0) for p in job.training], axis=0) for name in job.recipe.modalities
        }

    def engine(self, recipe, state, placement):
        return DarkEngine(state, recipe.method.gain)

    def variants(self, recipe):
        raise RecipeError("nothing to take away")


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("darkness_method")
    module.METHOD = Darkness()
    monkeypatch.setitem(sys.modules, "darkness_method", module)
    monkeypatch.setitem(METHODS, "darkness", "darkness_method")


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "dark.toml"
    path.write_text(
        'name = "dark"\n[modalities.rgb]\nrepresentation = "image"\nsource = "rgb"\n[modalities.depth]\n'
        'representation = "depth_image"\nsource = "xyz"\n[frame]\nsize = 64\n[method]\nname = "darkness"\n'
    )
    return path


@pytest.mark.usefixtures("_registered")
def test_a_toy_trains_evaluates_reports_and_predicts(toml: Path, drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe(toml, ["method.gain=2"])
    run = Run.open(drawn, tmp_path / "run", recipe, None)
    metrics = run.train_and_evaluate("cpu")["biscuit"]
    run.raise_failures()
    assert set(metrics["maps"]) == {"fused", "rgb", "depth"}
    assert "gain = 2.0" in (tmp_path / "run/biscuit/recipe.toml").read_text()
    detector = trd.Detector.load(tmp_path / "run")
    rgb = np.full((192, 192, 3), 90, np.uint8)
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    plain = detector.predict({"rgb": rgb, "xyz": xyz})
    rgb[80:100, 80:100] = 0
    spotted = detector.predict({"rgb": rgb, "xyz": xyz})
    assert spotted.score > plain.score
    assert spotted.map[90, 90] > spotted.map[10, 10]
    cross = load_recipe(toml, ["scoring.calibration=cross", "scoring.folds=3"])
    detectors = trd.fit(drawn, tmp_path / "cross", cross)
    assert detectors["biscuit"].calibration.kind == "cross"
    assert len(detectors["biscuit"].calibration.good_scores) == 10  # 6 training and 4 validation parts


@pytest.mark.usefixtures("_registered")
def test_its_section_is_validated_by_itself(toml: Path) -> None:
    with pytest.raises(RecipeError, match=r"method\.gain: Input should be a valid number"):
        load_recipe(toml, ["method.gain=loud"])
    with pytest.raises(RecipeError, match=r"method\.training: unknown key"):
        load_recipe(toml, ["training.epochs=3"])
    with pytest.raises(RecipeError, match="every map would be empty"):
        load_recipe(toml, ["method.gain=0"])
    with pytest.raises(RecipeError, match=r"no method is called 'brightness'; there are: .*darkness.*, trd"):
        load_recipe(toml, ["method.name=brightness"])
    assert load_recipe(toml).identity()["method"] == {"name": "darkness"}


@pytest.mark.usefixtures("_registered")
def test_overriding_a_modality_keeps_the_method(toml: Path) -> None:
    """It made the recipe one of `trd`, on the command line and for a class."""
    assert load_recipe(toml, ["modalities.rgb.full_scale=4095"]).method.name == "darkness"
    toml.write_text(toml.read_text() + "[classes.biscuit.modalities.rgb]\nfull_scale = 4095\n")
    of_class = load_recipe(toml).for_class("biscuit")
    assert (of_class.method.name, of_class.modalities["rgb"].full_scale) == ("darkness", 4095)


@pytest.mark.usefixtures("_registered")
def test_a_detector_of_a_method_that_is_not_there(
    toml: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trd.fit(drawn, tmp_path / "run", load_recipe(toml))
    monkeypatch.delitem(METHODS, "darkness")
    with pytest.raises(TRDError, match="no method is called 'darkness'"):
        trd.Detector.load(tmp_path / "run")


def test_files_of_two_trainings_do_not_mix(drawn: Path, tmp_path: Path, quick: Recipe) -> None:
    """Also of one recipe, whose fingerprint was all that was compared."""
    import shutil

    for name in ("one", "two"):
        trd.fit(drawn, tmp_path / name, quick, device="cpu")
    ids = {json.loads((tmp_path / name / "biscuit/detector.json").read_text())["id"] for name in ("one", "two")}
    assert len(ids) == 1  # of the content: the same training has the same
    shutil.copytree(drawn / "biscuit", tmp_path / "data/biscuit")
    for path in (tmp_path / "data/biscuit/train/good").rglob("005.*"):
        path.unlink()
    trd.fit(tmp_path / "data", tmp_path / "three", quick, device="cpu")
    shutil.copy(tmp_path / "three/biscuit/weights.safetensors", tmp_path / "one/biscuit/weights.safetensors")
    with pytest.raises(CheckpointError, match="do not belong together"):
        trd.Detector.load(tmp_path / "one")
