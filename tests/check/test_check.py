import shutil
from pathlib import Path

import imagecodecs
import numpy as np
from typer.testing import CliRunner

from trd.check.check import check_class
from trd.check.outliers import strangeness
from trd.cli import app
from trd.config import Recipe
from trd.types import ClassFolder, PreparedSample

runner = CliRunner()


def test_good_data_is_ready_and_described(drawn: Path, recipe: Recipe) -> None:
    found = check_class(ClassFolder("biscuit", drawn / "biscuit"), recipe)
    assert not found.problems
    assert found.facts["good parts to train on"] == "6"
    assert found.facts["parts to test on"] == "1 chip, 1 dent, 2 good, 1 stain; 3 masks"
    assert found.facts["part found in"] == "6 of 6 training parts"
    assert found.facts["3D in"] == "metres"
    assert "0.40" in found.facts["support plane from the camera"]
    assert any("4 calibration parts can promise" in line for line in found.warnings)
    assert len(found.strangest) == 5
    assert [name for name, _ in found.strangest[0].pictures] == ["rgb", "normals"]


def test_all_bad_files_are_listed_at_once(data: Path, tmp_path: Path) -> None:
    for name in ("train/good/rgb/001.png", "train/good/xyz/003.tiff", "test/dent/gt/000.png"):
        (data / "biscuit" / name).write_bytes(b"damaged")
    page = tmp_path / "page.html"
    result = runner.invoke(app, ["check", str(data), "--out", str(page), "--set", "frame.size=64"])
    assert result.exit_code == 1
    shown = "".join((result.output + result.stderr).split())
    for name in ("rgb/001.png", "xyz/003.tiff", "gt/000.png"):
        assert name in shown
        assert name in page.read_text()
    assert "biscuit:3problems" in shown


def test_a_page_per_run_and_exit_code_0(drawn: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = runner.invoke(app, ["check", str(drawn), "--out", str(page), "--set", "frame.size=64"])
    assert result.exit_code == 0, result.output
    assert page.read_text().count("data:image/jpeg;base64,") == 2 * (5 + 3)
    assert "http" not in page.read_text()


def test_what_training_would_refuse_is_a_problem(data: Path, recipe: Recipe) -> None:
    place = ClassFolder("biscuit", data / "biscuit")
    path = data / "biscuit/train/good/rgb/002.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((96, 96, 3), np.uint8)))
    (problem,) = check_class(place, recipe).problems
    assert "xyz/002.tiff" in problem
    assert "192 x 192" in problem
    path.unlink()
    (problem,) = check_class(place, recipe).problems
    assert "'002' has a xyz file but no rgb file" in problem
    shutil.rmtree(data / "biscuit/train")
    (problem,) = check_class(place, recipe).problems
    assert "train" in problem


def test_a_part_unlike_the_others_comes_first() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for index in range(12):
        image = np.clip(0.5 + 0.02 * rng.normal(size=(3, 96, 96)), 0, 1).astype(np.float32)
        if index == 7:
            image[:, 40:56, 40:56] = np.array([1, 0, 0], np.float32)[:, None, None]
        parts.append(PreparedSample(str(index), "good", {"rgb": image}, None, None, (96, 96)))
    scores = strangeness(parts)
    assert scores.argmax() == 7
    assert scores[7] > 5
    assert np.median(scores) == 0
    assert (strangeness(parts[:2]) == 0).all()
