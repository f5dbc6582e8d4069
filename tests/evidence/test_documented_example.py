"""The method that docs/architecture.md shows, without torch, trains, calibrates and predicts as it says."""

import sys
from pathlib import Path

import pytest

from trd import registry
from trd.config import Recipe, load_recipe
from trd.detector import Detector
from trd.runs import fit

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
IMPORTS = """
from typing import Annotated, Literal
import numpy as np
from pydantic import Field
from trd.config import MethodConfig
from trd.errors import RecipeError
from trd.preprocess.parts import stacked_images
"""
RECIPE = """
name = "pixels"
[modalities.rgb]
representation = "image"
[modalities.normals]
representation = "surface_normals"
[frame]
size = 64
[method]
name = "pixels"
least = 0.05
"""


@pytest.fixture
def pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of the page's method, which is registered for this test."""
    example = PAGE.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "documented_pixels.py").write_text(IMPORTS + example, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "documented_pixels", raising=False)
    monkeypatch.setitem(registry.METHODS, "pixels", "documented_pixels")
    (tmp_path / "pixels.toml").write_text(RECIPE, "utf-8")
    return load_recipe(tmp_path / "pixels.toml")


def test_the_documented_method_works_from_training_to_prediction(drawn: Path, pixels: Recipe, tmp_path: Path) -> None:
    (trained,) = fit(drawn, tmp_path / "run", pixels, device="cpu").values()
    detector = Detector.load(tmp_path / "run", "cpu")
    assert detector.recipe.method.model_dump() == {"name": "pixels", "least": 0.05}
    assert set(detector.calibration.maps) == {"rgb", "normals"}
    assert detector.calibration == trained.calibration
    assert detector.engine.form == "numpy"
