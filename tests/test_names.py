"""Any name of a class or a part works, on a console of any encoding."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trd.cli import app

NAME = "#1 + ü%20& 漆[x]"
TINY = ["--recipe", "patch-statistics", "--set", "frame.size=96", "--set", "scoring.stand_ins=false"]


def trd(*words: object, charset: str = "cp1252") -> str:
    """What a command prints, without its line breaks; it must succeed."""
    arguments = [str(word) for word in words]
    result = CliRunner(charset=charset).invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return "".join(result.output.split())


def test_a_class_and_a_part_of_any_name(drawn: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(drawn / "biscuit", data / NAME)
    for source, suffix in (("rgb", ".png"), ("xyz", ".tiff"), ("gt", ".png")):
        folder = data / NAME / "test/chip" / source
        (folder / f"000{suffix}").rename(folder / f"{NAME}{suffix}")
    escaped = "#1+ü%20&\\u6f06[x]"  # the console has the umlaut, and not the character
    parts = data / NAME / "test/chip"

    assert escaped in trd("check", data, *TINY, "--out", tmp_path / f"{NAME}.html")
    assert escaped in trd("train", "--data", data, "--out", run, *TINY)
    assert escaped in trd("evaluate", run, "--classes", NAME)
    assert NAME.replace("&", "&amp;") in (run / "report.html").read_text("utf-8")
    assert json.loads((run / NAME / "metrics.json").read_text("utf-8"))["maps"]["fused"]["image_auroc"] >= 0
    assert escaped in trd("info", run / NAME)
    trd("calibrate", run / NAME, "--rate", 0.3)
    assert escaped in trd("predict", run / NAME, "--input", parts, "--out", tmp_path / NAME, "--raw-maps")
    row = json.loads((tmp_path / NAME / "scores.jsonl").read_text("ascii"))
    assert row["id"] == NAME
    assert (tmp_path / NAME / f"overlays/{NAME}.png").exists()
    assert (tmp_path / NAME / f"maps/{NAME}.tiff").exists()

    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    package = tmp_path / f"{NAME}.trdm"
    assert escaped in trd("export", run / NAME, "--out", package, "--runtime", "onnx")
    trd("check-device", package, "--repeats", 1)
    assert escaped in trd("info", package)
    trd("evaluate", package, "--data", data / NAME)
    trd("predict", package, "--input", parts, "--out", tmp_path / "again", charset="ascii")
    again = json.loads((tmp_path / "again/scores.jsonl").read_text("ascii"))
    assert again["id"] == NAME
    assert again["score"] == pytest.approx(row["score"], abs=1e-2)
