import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trd.cli import app
from trd.data.listing import list_unlabelled
from trd.data.loading import load_sample
from trd.decision.calibrate import calibrate as calibrate_on
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, RecipeError

runner = CliRunner()


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_another_rate_takes_the_stored_scores_alone(run: Path) -> None:
    """Neither torch nor weights."""
    (run / "biscuit/weights.safetensors").unlink()
    before = json.loads((run / "biscuit/detector.json").read_text())["calibration"]
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['trd', 'calibrate', sys.argv[1], '--rate', '0.4'];"
        "from trd.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "false-alarm rate 40.0% guaranteed" in done.stdout
    after = json.loads((run / "biscuit/detector.json").read_text())["calibration"]
    assert after["image_threshold"]["value"] == before["good_scores"][2]  # ceil(5 * 0.6) = 3rd of 4
    assert after["good_scores"] == before["good_scores"]
    (kept,) = (run / "biscuit/calibrations").iterdir()
    assert json.loads(kept.read_text()) == before


def test_new_good_parts_move_the_threshold(run: Path, drawn: Path) -> None:
    good = drawn / "biscuit/test/good"
    command = ["calibrate", str(run), "--good", str(good), "--rate", "0.3", "--device", "cpu"]
    result = runner.invoke(app, [*command, "--defective", str(drawn / "biscuit/test")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    detector = Detector.load(run, "cpu")
    recipe = detector.recipe
    files = list_unlabelled(good, recipe.sources, recipe.point_cloud_sources)
    parts = [detector.pipeline(load_sample(file, recipe.point_cloud_sources)) for file in files]
    expected = calibrate_on(detector.raw_maps(parts), [part.region for part in parts], recipe.scoring)
    np.testing.assert_allclose(detector.calibration.good_scores, expected.good_scores, rtol=1e-4)
    assert detector.calibration.image_threshold.count == 2
    assert "of 3 found" in result.output
    assert "95 % interval" in result.output


def test_an_earlier_calibration_comes_back(run: Path) -> None:
    facts = run / "biscuit/detector.json"
    before = json.loads(facts.read_text())["calibration"]
    assert runner.invoke(app, ["calibrate", str(run), "--rate", "0.4"]).exit_code == 0
    (kept,) = (run / "biscuit/calibrations").iterdir()
    told = " ".join(runner.invoke(app, ["info", str(run)]).output.split())
    assert kept.stem in told
    error = runner.invoke(app, ["calibrate", str(run), "--restore", "0123"]).exception
    assert isinstance(error, CheckpointError)
    assert kept.stem in str(error)
    result = runner.invoke(app, ["calibrate", str(run), "--restore", kept.stem], catch_exceptions=False)
    assert "false-alarm rate" in result.output
    assert json.loads(facts.read_text())["calibration"] == before
    error = runner.invoke(app, ["calibrate", str(run), "--restore", kept.stem, "--good", str(run)]).exception
    assert "leave --good out" in str(error)


def test_another_precision_is_noted(run: Path, drawn: Path, tmp_path: Path) -> None:
    command = ["predict", str(run), "--input", str(drawn / "biscuit/test/good"), "--device", "cpu", "--no-overlays"]
    plain = runner.invoke(app, [*command, "--out", str(tmp_path / "same")], catch_exceptions=False)
    assert plain.exit_code == 0, plain.output
    assert "calibrated in" not in (tmp_path / "same/scores.csv").read_text()
    other = runner.invoke(app, [*command, "--out", str(tmp_path / "other"), "--precision", "bf16"])
    assert other.exit_code == 0, other.output
    rows = [json.loads(line) for line in (tmp_path / "other/scores.jsonl").read_text().splitlines()]
    assert all("computed in precision bf16, calibrated in fp32" in row["notes"] for row in rows)


def test_parts_that_it_was_trained_on_are_refused(run: Path, drawn: Path) -> None:
    for split in ("train", "validation"):
        command = ["calibrate", str(run), "--good", str(drawn / f"biscuit/{split}/good")]
        error = runner.invoke(app, command).exception
        assert isinstance(error, CheckpointError)
        assert "give parts that it has not seen" in str(error)


def test_a_detector_trained_meanwhile_is_not_overwritten(run: Path) -> None:
    from trd.files import locked
    from trd.stored import read_facts, save_calibration

    facts, _ = read_facts(run / "biscuit")
    content = json.loads((run / "biscuit/detector.json").read_text())
    (run / "biscuit/detector.json").write_text(json.dumps(content | {"id": "0123456789abcdef"}))
    with pytest.raises(CheckpointError, match="holds another detector by now"):
        save_calibration(run / "biscuit", facts)
    with locked(run, "a run"):
        error = runner.invoke(app, ["calibrate", str(run), "--rate", "0.4"]).exception
    assert "in use" in str(error)


@pytest.mark.parametrize(
    ("options", "kind", "complaint"),
    [
        ([], RecipeError, "nothing to do"),
        (["--rate", "5"], RecipeError, "between 0 and 1"),
        (["--good", "{out}/none"], DataError, "does not exist"),
        (["--defective", "{out}"], DataError, "no folder for"),
    ],
)
def test_mistakes(run: Path, tmp_path: Path, options: list[str], kind: type[Exception], complaint: str) -> None:
    filled = [option.format(out=tmp_path) for option in options]
    error = runner.invoke(app, ["calibrate", str(run), *filled]).exception
    assert isinstance(error, kind)
    assert complaint in str(error)
