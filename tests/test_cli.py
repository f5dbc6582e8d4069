import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from trd.cli import app, main
from trd.detector import Detector
from trd.errors import DataError
from trd.types import Failure

runner = CliRunner()


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["trd", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_recipes_and_info() -> None:
    listed = runner.invoke(app, ["recipes"])
    assert listed.exit_code == 0
    assert "mvtec3d-rgb-normals" in listed.output
    assert "epochs = 200" in runner.invoke(app, ["recipes", "mvtec3d-rgb-normals"]).output
    assert "trd-anomaly" in runner.invoke(app, ["info"]).output


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command's words, groups too."""
    group = typer.main.get_command(app) if group is None else group
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def test_every_command_explains_itself() -> None:
    """Help is taken for markup: a bracket in it must not be."""
    found = list(commands())
    assert {("train",), ("serve",), ("station", "token")} <= set(found)
    for words in found:
        shown = runner.invoke(app, [*words, "--help"], env={"COLUMNS": "200"}, catch_exceptions=False)
        assert shown.exit_code == 0, words
    assert "mqtt(s)://HOST[:PORT][/PREFIX]" in runner.invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).output


def test_info_of_a_detector(trained: Path) -> None:
    output = runner.invoke(app, ["info", str(trained)]).output
    assert "lite-residual" in output
    text = " ".join(output.replace("│", "").split())
    assert "from 4 good parts" in text
    assert "the image threshold is the score of one part, validation/good/00" in text


def test_predict_a_folder(trained: Path, drawn: Path, tmp_path: Path) -> None:
    arguments = [
        "predict",
        str(trained),
        "--input",
        str(drawn / "biscuit/test/chip"),
        "--out",
        str(tmp_path),
        "--raw-maps",
    ]
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [line["id"] for line in lines] == ["000"]
    shares = {f"share_{branch}" for branch in ("rgb", "normals", "rgb_statistics", "normals_statistics")}
    keys = {"id", "score", "threshold", "anomalous", "p_value", "peak_row", "peak_column", "used", "notes"}
    assert set(lines[0]) == keys | shares
    values = tifffile.imread(tmp_path / "maps/000.tiff")
    assert values.shape == (192, 192)
    assert (tmp_path / "overlays/000.png").stat().st_size > 1000


def test_predict_files(trained: Path, drawn: Path, tmp_path: Path) -> None:
    rgb, xyz = drawn / "biscuit/test/good/rgb/000.png", drawn / "biscuit/test/good/xyz/000.tiff"
    arguments = ["predict", str(trained), "--input", str(rgb), "--input", str(xyz), "--out", str(tmp_path)]
    assert runner.invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "overlays/000.png").exists()


def test_earlier_results_do_not_stay_beside_new_ones(trained: Path, drawn: Path, tmp_path: Path) -> None:
    files = [drawn / "biscuit/test/good" / name for name in ("rgb/001.png", "xyz/001.tiff")]
    mine = tmp_path / "overlays/mine.png"
    mine.parent.mkdir()
    mine.touch()
    one = [part for path in files for part in ("--input", str(path))]
    for inputs in (["--input", str(drawn / "biscuit/test/good"), "--raw-maps"], one):
        command = ["predict", str(trained), *inputs, "--out", str(tmp_path)]
        assert runner.invoke(app, command, catch_exceptions=False).exit_code == 0
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert left == ["overlays/001.png", "overlays/mine.png", "scores.csv", "scores.jsonl"]
    broken = tmp_path / "broken.tiff"
    broken.write_bytes(b"II")
    inputs = ["--input", str(files[0]), "--input", str(broken)]
    assert runner.invoke(app, ["predict", str(trained), *inputs, "--out", str(tmp_path)]).exit_code != 0
    assert (tmp_path / "overlays/001.png").exists()  # nothing new, so nothing is lost
    (tmp_path / "scores.jsonl").write_text("[1, 2]\n")
    assert "not ours" in str(runner.invoke(app, [*command]).exception)


def test_ctrl_c_while_predicting(trained: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trd.predictions import parts

    drawing = parts.picture
    done: list[str] = []

    def stopped(detector, sample, prediction):
        if done:
            raise KeyboardInterrupt
        done.append(sample.id)
        return drawing(detector, sample, prediction)

    monkeypatch.setattr("trd.predictions.parts.picture", stopped)
    command = ["predict", str(trained), "--input", str(drawn / "biscuit/test/good"), "--out", str(tmp_path)]
    result = runner.invoke(app, command)
    assert result.exit_code == 130
    assert "holds the parts done so far" in " ".join(result.output.split())
    assert "scores.jsonl.part" in "".join(result.output.split())
    assert not (tmp_path / "scores.csv").exists()
    assert len((tmp_path / "scores.jsonl.part").read_text().splitlines()) == 1


def test_files_of_one_name_would_overwrite_each_others_results(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from trd.cli.prediction import _inputs
    from trd.errors import DataError

    colour_only = SimpleNamespace(recipe=SimpleNamespace(inputs=("rgb",), point_cloud_sources=()))
    files = [tmp_path / folder / "0001.png" for folder in ("left", "right")]
    for path in files:
        path.parent.mkdir()
        path.touch()
    assert [sample.id for sample in _inputs(files[:1], colour_only)] == ["0001"]
    with pytest.raises(DataError, match="both called '0001'"):
        _inputs(files, colour_only)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, trd.cli; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    import trd

    assert all(getattr(trd, name) is not None for name in trd.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = trd.fitt


def test_evaluate_again(trained: Path, drawn: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "report.html").unlink()
    result = runner.invoke(app, ["evaluate", str(run), "--data", str(drawn)], catch_exceptions=False)
    assert result.exit_code == 0
    assert (run / "report.html").exists()
    assert "fused" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train", "--data", "{data}", "--classes", "apple", "--out", "{out}"], "holds no class 'apple'"),
        (["train", "--data", "{out}/none", "--out", "{out}"], "does not exist"),
        (["train", "--data", "{data}", "--out", "{out}", "--recipe", "heavy"], "no recipe is called 'heavy'"),
        (["train", "--data", "{data}", "--out", "{out}", "--set", "a.b=1"], "a: unknown key"),
        (["predict", "{out}/none", "--input", "{data}", "--out", "{out}"], "does not exist"),
        (["predict", "{run}", "--input", "{data}/none.png", "--out", "{out}"], "does not exist"),
        (
            ["predict", "{run}", "--input", "{data}/biscuit/test/good/rgb/000.png", "--out", "{out}"],
            "2 files in this order",
        ),
        (["evaluate", "{out}/none"], "is no run folder"),
    ],
)
def test_mistakes_end_in_one_message_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trained: Path, drawn: Path, tmp_path: Path,
    arguments: list[str], complaint: str,
) -> None:  # fmt: skip
    filled = [a.format(data=drawn, out=tmp_path / "out", run=trained) for a in arguments]
    assert run_main(monkeypatch, *filled) == 2
    complaint_shown = " ".join(capsys.readouterr().err.split())
    assert complaint in complaint_shown
    assert "Traceback" not in complaint_shown


def test_a_failed_class_gives_a_failing_exit_code(
    monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next((data / "biscuit/train/good/rgb").glob("003.*")).write_bytes(b"damaged")
    code = run_main(monkeypatch, "train", "--data", str(data), "--out", str(tmp_path / "out"), "--set", "frame.size=64")
    assert code == 2
    assert "003.png cannot be read" in " ".join(capsys.readouterr().err.split())


def test_predictions_before_a_damaged_part_are_kept(trained: Path, data: Path, tmp_path: Path) -> None:
    (data / "biscuit/test/good/rgb/001.png").write_bytes(b"damaged")
    arguments = ["predict", str(trained), "--input", str(data / "biscuit/test/good"), "--out", str(tmp_path / "out")]
    result = runner.invoke(app, arguments)
    assert "001.png cannot be read" in str(result.exception)
    with (tmp_path / "out/scores.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["000"]


def test_depth_images_of_a_users_own(drawn: Path, tmp_path: Path) -> None:
    """Depth PNGs with camera.json, no validation and no test split; new parts need no camera file of their own."""
    for place, source in (("project/parts/train", "train/good"), ("elsewhere/new", "test/chip")):
        for path in (drawn / "biscuit" / source / "rgb").iterdir():
            z = tifffile.imread(drawn / "biscuit" / source / "xyz" / f"{path.stem}.tiff")[..., 2]
            for folder in ("rgb", "depth"):
                (tmp_path / place / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / place / "rgb" / path.name)
            depth = imagecodecs.png_encode((z * 1e5).round().astype(np.uint16))
            (tmp_path / place / "depth" / path.name).write_bytes(depth)
    camera = {"fx": 620, "fy": 620, "cx": 95.5, "cy": 95.5, "depth_scale": 1e-5}
    (tmp_path / "project/parts/camera.json").write_text(json.dumps(camera))
    out = tmp_path / "run"
    arguments = ["train", "--data", str(tmp_path / "project/parts"), "--out", str(out), "--set", "frame.size=64"]
    trained = runner.invoke(app, [*arguments, "--set", "training.epochs=1"], catch_exceptions=False)
    assert "no labelled test split" in " ".join(trained.output.split())
    arguments = ["predict", str(out), "--input", str(tmp_path / "elsewhere/new"), "--out", str(tmp_path / "results")]
    assert runner.invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "results/scores.csv").exists()


def test_parts_that_cannot_be_used_get_a_row_with_their_error(
    trained: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, out = data / "biscuit/test/good", tmp_path / "out[red]"
    shutil.rmtree(parts / "gt")
    for name in ("=2", "[red]", "a\nb\rc", "z"):
        shutil.copy(parts / "rgb/000.png", parts / f"rgb/{name}.png")
        shutil.copy(parts / "xyz/000.tiff", parts / f"xyz/{name}.tiff")
    (parts / "rgb/001.png").write_bytes(b"damaged")
    asked = Detector.predict_many

    def refusing(self, samples, batch_size=8):  # as for a map that is not finite
        for prediction in asked(self, samples, batch_size):
            error = DataError("sample [red]: not finite")
            yield Failure("[red]", error) if prediction.id == "[red]" else prediction

    monkeypatch.setattr(Detector, "predict_many", refusing)
    command = ["predict", str(trained), "--input", str(parts), "--out", str(out), "--keep-going"]
    result = runner.invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 1
    shown = "".join(result.output.split())
    assert "4parts," in shown
    assert "2morecouldnotbereadorused:thecolumn'error'of" in shown
    assert "out[red]/scores.csv" in shown
    lines = {line["id"]: line for line in map(json.loads, (out / "scores.jsonl").read_text().splitlines())}
    assert list(lines) == ["000", "001", "=2", "[red]", "a\nb\rc", "z"]
    assert "001.png cannot be read" in lines["001"]["error"]
    assert lines["[red]"]["error"] == "sample [red]: not finite"
    assert lines["001"]["score"] is None
    assert lines["z"]["error"] is None
    assert len({tuple(line) for line in lines.values()}) == 1
    with (out / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["000", "001", "'=2", "[red]", "a\nb\rc", "z"]
    assert [bool(row["score"]) for row in rows] == [True, False, True, False, True, True]
    assert not (out / "scores.jsonl.part").exists()


STOPPED = """
import os, signal, sys
import trd.predictions.parts as predictions
from trd.cli import main
drawing, done = predictions.picture, []

def stopped(detector, sample, prediction):
    if len(done) == 1:
        os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
    done.append(sample.id)
    return drawing(detector, sample, prediction)

predictions.picture = stopped
sys.argv = ["trd", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("signal", "code"), [("SIGKILL", -9), ("SIGTERM", 143)])
def test_a_kill_leaves_the_earlier_scores_and_those_done_so_far(
    quick_run: Path, drawn: Path, tmp_path: Path, signal: str, code: int
) -> None:
    earlier = '{"id": "old", "score": 1.0}\n'
    (tmp_path / "scores.jsonl").write_text(earlier)
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays/old.png").touch()
    inputs = ["--input", str(drawn / "biscuit/test/good"), "--out", str(tmp_path)]
    environment = os.environ | {"SIGNAL": signal}
    command = [sys.executable, "-c", STOPPED, "predict", str(quick_run), *inputs]
    result = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert result.returncode == code
    assert (tmp_path / "scores.jsonl").read_text() == earlier
    partial = (tmp_path / "scores.jsonl.part").read_text()
    assert [json.loads(line)["id"] for line in partial.splitlines()] == ["000"]
    assert partial.endswith("\n")
    assert (tmp_path / "overlays/old.png").exists()
    if signal == "SIGTERM":
        assert "scores.jsonl.part" in "".join(result.stderr.split())
    with (tmp_path / "scores.jsonl.part").open("a") as file:
        file.write('{"id": "cut o')  # dropped when read again
    complete = ["predict", str(quick_run), *inputs, "--no-overlays"]
    assert runner.invoke(app, complete, catch_exceptions=False).exit_code == 0
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert left == ["scores.csv", "scores.jsonl"]
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_a_file_name_that_is_not_text(trained: Path, drawn: Path, tmp_path: Path) -> None:
    for folder, suffix in (("rgb", ".png"), ("xyz", ".tiff")):
        (tmp_path / folder).mkdir()
        name = os.fsdecode(b"caf\xe9" + suffix.encode())
        shutil.copy(drawn / f"biscuit/test/good/{folder}/000{suffix}", tmp_path / folder / name)
    out = tmp_path / "out"
    command = ["predict", str(trained), "--input", str(tmp_path), "--out", str(out)]
    assert runner.invoke(app, command, catch_exceptions=False).exit_code == 0
    assert json.loads((out / "scores.jsonl").read_text())["id"] == r"caf\xe9"
    assert "\ncaf\\xe9," in (out / "scores.csv").read_text()
