"""`trd export`, and a package wherever a run folder may stand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trd.cli import app
from trd.packages.package import read_package

runner = CliRunner()


@pytest.fixture
def package(quick_package: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(quick_package, tmp_path / "part.trdm"))


def run(*words: str | Path) -> str:
    result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def inputs(drawn: Path, split: str, folder: Path) -> Path:
    for source in ("rgb", "xyz"):
        shutil.copytree(drawn / "biscuit" / split / source, folder / source)
    return folder


def test_export_writes_a_package_that_says_how_far_it_is_off(quick_run: Path, tmp_path: Path) -> None:
    out, single = tmp_path / "part.trdm", tmp_path / "part.onnx"
    told = run("export", quick_run, "--out", out, "--single", single)
    assert "image_auroc of the test parts" in told
    assert single.stat().st_size > 10_000
    report = read_package(out).equivalence
    assert report["splits"].keys() == {"training", "calibration", "test"}
    assert report["refused"] == []
    test = report["splits"]["test"]
    assert (test["parts"], test["good"]) == (5, 2)
    assert test["false_alarms"] <= min(test["alarms"], 2)
    assert f"false alarms on the 2 good test parts: {test['false_alarms']}," in " ".join(told.split())


def test_predict_gives_the_scores_of_the_run(package: Path, quick_run: Path, drawn: Path, tmp_path: Path) -> None:
    parts = inputs(drawn, "test/good", tmp_path / "new")
    run("predict", package, "--input", parts, "--out", tmp_path / "a")
    run("predict", quick_run, "--input", parts, "--out", tmp_path / "b", "--precision", "fp32")
    scores = [
        [json.loads(line)["score"] for line in (tmp_path / folder / "scores.jsonl").read_text().splitlines()]
        for folder in ("a", "b")
    ]
    assert len(scores[0]) == 2
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_info_and_evaluate(package: Path, drawn: Path) -> None:
    assert "ONNX Runtime" in run("info", package)
    assert "fused" in run("evaluate", package, "--data", drawn)
    result = runner.invoke(app, ["evaluate", str(package)])
    assert "give the class's folder with --data" in str(result.exception)


def test_check_device(package: Path) -> None:
    told = run("check-device", package, "--repeats", "2")
    assert "this machine decides as the exporting one did" in told


def test_calibrate(package: Path, drawn: Path, tmp_path: Path) -> None:
    before = read_package(package).facts.calibration
    run("calibrate", package, "--rate", "0.4")
    assert read_package(package).facts.calibration.image_threshold.requested_rate == 0.4
    run("calibrate", package, "--good", inputs(drawn, "test/good", tmp_path / "new"))
    after = read_package(package)
    assert len(after.facts.calibration.good_scores) == 2
    assert f"calibrations/{before.id}.json" in after.contents
    result = runner.invoke(app, ["calibrate", str(package), "--good", str(drawn / "biscuit/validation/good")])
    assert "were used to train or calibrate the detector" in " ".join(str(result.exception).split())


BARE = """
import sys
for name in ("torch", "lightning", "scipy", "torchvision", "onnx", "sklearn", "matplotlib"):
    sys.modules[name] = None
import trd
from pathlib import Path
from trd.data.listing import list_class
from trd.data.loading import load_sample
detector = trd.Detector.load(sys.argv[1])
files = list_class(Path(sys.argv[2]) / "biscuit", "", ("rgb", "xyz"), ("xyz",))
print(detector.predict(load_sample(files.test[0], ("xyz",), files.camera)).score)
"""


def test_a_package_decides_without_torch(made: object, drawn: Path) -> None:
    path = made.package.path
    done = subprocess.run([sys.executable, "-c", BARE, path, drawn], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > -10


def test_a_single_file_in_int8_is_refused_before_the_work(quick_run: Path, tmp_path: Path) -> None:
    words = ["export", str(quick_run), "--out", str(tmp_path / "x.trdm"), "--precision", "int8", "--single", "x.onnx"]
    result = runner.invoke(app, words)
    assert "--single is in float32, the package in int8" in str(result.exception)
    assert not list(tmp_path.iterdir())
