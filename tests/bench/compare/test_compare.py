import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from meandistance import MeanDistance, toml
from typer.testing import CliRunner

from trd.cli import app
from trd.config import Recipe, load_recipe
from trd.data.demo import draw_demo
from trd.errors import CheckpointError, DataError, OutputError, RecipeError, TRDError
from trd.files import locked
from trd_bench.compare.compare import compare

FILES = ("compare.html", "compare.md", "compare.csv", "compare.json")


pytestmark = pytest.mark.usefixtures("mean_distance")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that cannot learn the class "scone"."""
    fit = MeanDistance.fit

    def refusing(self, job, teacher):
        if job.recipe.name == "broken" and job.title == "scone":
            raise TRDError("scone is not to be learned")
        return fit(self, job, teacher)

    monkeypatch.setattr(MeanDistance, "fit", refusing)
    return _file(tmp_path, "broken", toml("broken"))


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "compare.csv").open() as file:
        return list(csv.DictReader(file))


def test_tables_and_page(drawn: Path, tmp_path: Path, recipes: list[Recipe]) -> None:
    out = tmp_path / "out"
    comparison, failures = compare(drawn, out, recipes, device="cpu")
    assert not failures
    assert not comparison.synthetic
    rows = rows_of(out)
    assert [(row["class"], row["recipe"]) for row in rows] == [("biscuit", "both"), ("biscuit", "colour")]
    for row in rows:
        metrics = json.loads((out / f"runs/{row['recipe']}/seed-42/biscuit/metrics.json").read_text())
        for key in ("image_auroc", "pixel_auroc", "aupro_30", "aupro_1"):
            assert float(row[key]) == pytest.approx(metrics["maps"]["fused"][key], abs=1e-6)
            assert float(row[f"{key}_low"]) <= float(row[key]) <= float(row[f"{key}_high"])
        assert float(row["ms_per_part"]) > 0
        assert float(row["megabytes"]) > 0
        assert row["test_defects"] == "labelled"
    assert sorted(row["verdict"] for row in rows).count("best") == 1
    best = next(row for row in rows if row["verdict"] == "best")
    assert float(best["image_auroc"]) == max(float(row["image_auroc"]) for row in rows)
    assert best["image_auroc_difference"] == ""
    page = (out / "compare.html").read_text()
    assert "http" not in page.replace("http-equiv", "")  # self-contained
    assert page.count("data:image/png;base64,") == 2  # curves and intervals of the one class
    values = json.loads((out / "compare.json").read_text())
    assert values["synthetic"] is None
    assert {row["recipe"] for row in values["rows"]} == {"both", "colour"}
    assert values["classes"][0]["parts"] == {"good": 2, "chip": 1, "dent": 1, "stain": 1}
    text = (out / "compare.md").read_text()
    assert "| both |" in text
    assert "Clopper-Pearson" in text  # no column is unexplained
    assert "Test parts: 2 good, 3 defective (1 chip, 1 dent, 1 stain)." in text


def test_a_class_of_any_name(drawn: Path, tmp_path: Path, recipes: list[Recipe]) -> None:
    name = "#1 + ü%20& 漆[x]|<b>"
    shutil.copytree(drawn / "biscuit", tmp_path / "data" / name)
    out = tmp_path / "out"
    _, failures = compare(tmp_path / "data", out, recipes[:1], device="cpu")
    assert not failures
    (row,) = rows_of(out)
    assert row["class"] == name
    page = (out / "compare.html").read_text("utf-8")
    assert "#1 + ü%20&amp; 漆[x]|&lt;b&gt;" in page
    assert "|<b>" not in page


def test_what_is_done_is_not_done_again(
    drawn: Path, tmp_path: Path, recipes: list[Recipe], request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    compare(drawn, out, recipes, (1, 2), device="cpu")
    before = rows_of(out)
    request.getfixturevalue("_no_work")
    compare(drawn, out, recipes, (1, 2), device="cpu")
    timed = ("ms_per_part", "ms_per_part_p10", "ms_per_part_p90")
    assert [{k: v for k, v in r.items() if k not in timed} for r in rows_of(out)] == [
        {k: v for k, v in r.items() if k not in timed} for r in before
    ]
    assert before[0]["seeds"] == "1 2"


def test_an_interrupted_comparison_goes_on(
    drawn: Path, tmp_path: Path, recipes: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trd_bench.compare import measure

    out, trained, real = tmp_path / "out", [], measure.fit_class

    def stops(place, recipe, *rest):
        if recipe.name == "colour" and "both" in trained and "colour" not in trained:
            trained.append("colour")
            raise KeyboardInterrupt
        trained.append(recipe.name)
        return real(place, recipe, *rest)

    monkeypatch.setattr(measure, "fit_class", stops)
    with pytest.raises(KeyboardInterrupt):
        compare(drawn, out, recipes, device="cpu")
    assert not (out / "compare.html").exists()
    trained[:] = ["colour"]
    compare(drawn, out, recipes, device="cpu")
    assert trained == ["colour", "colour"]  # the first recipe was complete
    assert all((out / name).is_file() for name in FILES)


def test_changed_test_parts_and_calibrations_are_measured_again(
    data: Path, tmp_path: Path, recipes: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trd_bench.compare import measure

    out, measured, real = tmp_path / "out", [], measure.evaluate_files

    def counted(detector, *rest):
        measured.append(detector.recipe.name)
        return real(detector, *rest)

    monkeypatch.setattr(measure, "evaluate_files", counted)
    compare(data, out, recipes, device="cpu")
    assert measured == ["both", "colour"]
    shutil.copy(data / "biscuit/test/good/xyz/000.tiff", data / "biscuit/test/chip/xyz/000.tiff")
    compare(data, out, recipes, device="cpu")
    assert measured == ["both", "colour", "both"]  # the other does not see the cloud
    CliRunner().invoke(app, ["calibrate", str(out / "runs/colour/seed-42"), "--rate", "0.4"], catch_exceptions=False)
    compare(data, out, recipes, device="cpu")
    assert measured == ["both", "colour", "both", "colour"]
    (out / "runs/both/seed-42/biscuit/compare.npz").write_bytes(b"PK damaged")
    compare(data, out, recipes, device="cpu")
    assert measured[4:] == ["both"]


def test_one_failure_costs_one_class_of_one_recipe(
    data: Path, tmp_path: Path, recipes: list[Recipe], broken: Path
) -> None:
    shutil.copytree(data / "biscuit", data / "scone")
    out = tmp_path / "out"
    comparison, failures = compare(data, out, [*recipes, load_recipe(broken)], device="cpu")
    assert failures == ["broken, seed 42: scone: training: scone is not to be learned"]
    assert {row.recipe for row in comparison.mean} == {"both", "colour", "broken"}
    assert comparison.mean_of == ("biscuit",)
    assert "Failed: broken, seed 42: scone" in (out / "compare.md").read_text()
    assert "Not in the mean, because not every recipe has results: scone." in (out / "compare.html").read_text()
    assert [row.recipe for row in comparison.classes[1].rows] == ["both", "colour"]
    assert {row["class"] for row in rows_of(out)} == {"mean", "biscuit", "scone"}


def test_all_fail(data: Path, tmp_path: Path, broken: Path) -> None:
    (data / "biscuit").rename(data / "scone")
    with pytest.raises(TRDError, match="nothing could be compared:\n  broken, seed 42: scone: training"):
        compare(data, tmp_path / "out", [load_recipe(broken)], device="cpu")


def test_classes_without_labels_are_left_out_where_others_have_them(
    data: Path, tmp_path: Path, recipes: list[Recipe]
) -> None:
    shutil.copytree(data / "biscuit", data / "scone")
    shutil.rmtree(data / "scone/test")
    comparison, _ = compare(data, tmp_path / "out", recipes, device="cpu")
    assert [table.name for table in comparison.classes] == ["biscuit"]
    assert comparison.notes == ("scone is left out: there is no test split.",)
    assert not (tmp_path / "out/synthetic").exists()


def test_two_at_once_and_foreign_folders(drawn: Path, tmp_path: Path, recipes: list[Recipe]) -> None:
    out = tmp_path / "out"
    with locked(out, "a comparison"), pytest.raises(OutputError, match="is in use"):
        compare(drawn, out, recipes, device="cpu")
    compare(drawn, out, recipes[:1], device="cpu")
    with pytest.raises(CheckpointError, match="holds a run of another recipe"):
        compare(drawn, out, [recipes[0].changed("least=0.1")], device="cpu")
    with pytest.raises(RecipeError, match="two recipes are called 'both'"):
        compare(drawn, out, [recipes[0], recipes[0]], device="cpu")
    with pytest.raises(RecipeError, match="cannot be that of a folder"):
        compare(drawn, out, [recipes[0].changed("name='a/b'")], device="cpu")
    with pytest.raises(DataError, match="holds no class 'scone'"):
        compare(drawn, out, recipes, classes=["scone"], device="cpu")


def test_the_command(drawn: Path, tmp_path: Path, written: list[Path]) -> None:
    wanted, out = ",".join(map(str, written)), tmp_path / "out"
    command = ["compare", str(drawn), "--out", str(out), "--recipes", wanted, "--device", "cpu"]
    own = ["--set", "frame.size=96", "--set", f"{written[0]}:least=0.3"]
    result = CliRunner().invoke(app, [*command, *own, "--seeds", "7"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Highest image AUROC" in result.output
    values = [(out / f"runs/{name}/seed-7/biscuit/recipe.toml").read_text() for name in ("both", "colour")]
    assert ["least = 0.3" in text for text in values] == [True, False]
    assert all("size = 96" in text for text in values)
    for arguments, message in (
        (["--set", "other:least=0.3"], "'other' is not among the recipes"),
        (["--set", "evidence.mean_distance.loud=3"], "for one recipe only: --set RECIPE:key=value"),
        (["--seeds", "one"], "expected whole numbers"),
    ):
        refused = CliRunner().invoke(app, [*command, *arguments])
        assert message in str(refused.exception)
    nothing = CliRunner().invoke(app, ["compare", str(drawn), "--out", str(out), "--recipes", ","])
    assert "name at least one" in str(nothing.exception)


def test_a_failure_is_told_at_the_end(data: Path, tmp_path: Path, written: list[Path], broken: Path) -> None:
    (data / "biscuit").rename(data / "scone")
    command = ["compare", str(data / "scone"), "--out", str(tmp_path / "out"), "--recipes", f"{written[1]},{broken}"]
    result = CliRunner().invoke(app, command)
    assert "1 failed, the rest was compared" in str(result.exception)
    assert (tmp_path / "out/compare.html").is_file()


def test_disagreements_are_shown(tmp_path: Path, recipes: list[Recipe]) -> None:
    """A recipe that sees the cloud and one that does not: of several dents some are placed differently."""
    draw_demo(tmp_path / "data", seed=5, train=10, validation=6, good=6, per_kind=3)
    out = tmp_path / "out"
    comparison, _ = compare(tmp_path / "data", out, recipes, device="cpu")
    (table,) = comparison.classes
    assert table.disagreements
    spreads = [found.spread for found in table.disagreements]
    assert spreads == sorted(spreads, reverse=True)
    assert len(comparison.pictures["biscuit"]) == len(table.disagreements)
    shown = comparison.pictures["biscuit"][0]
    assert [name for name, _ in shown.inputs] == ["rgb", "depth"]
    assert [recipe for recipe, _, _ in shown.maps] == ["both", "colour"]
    page = (out / "compare.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 * len(table.disagreements)
    assert table.disagreements[0].id in (out / "compare.md").read_text()
    assert np.isfinite([list(found.placement.values()) for found in table.disagreements]).all()


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path
