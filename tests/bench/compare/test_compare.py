import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from meandistance import COLOUR, MeanDistance, toml
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
def written(tmp_path: Path) -> list[Path]:
    """Recipe files: colour and depth, colour alone."""
    texts = {"both": toml("both"), "colour": toml("colour", COLOUR)}
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return [tmp_path / f"{name}.toml" for name in texts]


@pytest.fixture
def recipes(written: list[Path]) -> list[Recipe]:
    return [load_recipe(path) for path in written]


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


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 good parts to train on and nothing else. Read only."""
    root = tmp_path_factory.mktemp("shapes")
    draw_demo(root, seed=2, train=14, validation=0, good=0, per_kind=0)
    return root


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trd_bench.compare.measure.fit_class", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("trd_bench.compare.measure.evaluate_files", lambda *_: pytest.fail("measured again"))


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


def test_synthetic_defects_on_parts_kept_from_training(
    shapes: Path, tmp_path: Path, recipes: list[Recipe], request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    comparison, failures = compare(shapes, out, recipes, (1, 2), device="cpu")
    assert not failures
    for name in FILES:
        assert "synthetic" in (out / name).read_text().lower(), name
    assert "SYNTHETIC DEFECTS" in (out / "compare.html").read_text()
    assert "3 good parts that were kept from training" in comparison.synthetic
    drawn = out / "synthetic/biscuit"
    record = [json.loads((p / "biscuit/training.json").read_text()) for p in sorted(out.glob("runs/*/*"))]
    left_out = record[0]["left_out"]
    assert len(left_out) == 3
    assert len(record) == 4
    assert all(r["left_out"] == left_out and not set(left_out) & set(r["parts"]) for r in record)
    assert set(json.loads((drawn / "synthetic.json").read_text())["parts"]) == set(left_out)
    table = comparison.classes[0]
    assert table.counts["good"] == 3
    assert sum(table.counts.values()) == 12
    assert set(table.counts) == {"good", "stain", "scratch", "patch", "dent", "groove", "chip"}
    assert table.rows[0].false is not None  # nobody has seen them
    written = {path: path.stat().st_mtime_ns for path in drawn.rglob("*.*")}
    request.getfixturevalue("_no_work")
    compare(shapes, out, recipes, (1, 2), device="cpu")
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*.*")} == written


def test_synthetic_defects_on_calibration_parts(tmp_path: Path, recipes: list[Recipe]) -> None:
    draw_demo(tmp_path / "data", seed=3, train=6, validation=8, good=0, per_kind=0)
    comparison, _ = compare(tmp_path / "data", tmp_path / "out", recipes, device="cpu")
    (table,) = comparison.classes
    assert "8 calibration parts" in comparison.synthetic
    assert table.rows[0].false is None  # they set the threshold
    assert "were set on these good parts" in (tmp_path / "out/compare.md").read_text()
    record = json.loads((tmp_path / "out/runs/both/seed-42/biscuit/training.json").read_text())
    assert record["training_samples"] == 6
    assert "left_out" not in record


def test_synthetic_defects_on_good_test_parts_in_colour_only(tmp_path: Path, recipes: list[Recipe]) -> None:
    draw_demo(tmp_path / "data", seed=4, train=6, validation=4, good=8, per_kind=0)
    for cloud in list((tmp_path / "data").rglob("xyz")):
        shutil.rmtree(cloud)
    out = tmp_path / "out"
    comparison, failures = compare(tmp_path / "data", out, recipes, device="cpu")
    assert len(failures) == 1  # one recipe needs the cloud
    assert failures[0].startswith("both, seed 42: biscuit: training")
    assert "8 good test parts" in comparison.synthetic
    assert set(comparison.classes[0].counts) == {"good", "stain", "scratch", "patch"}


def test_too_few_parts_for_synthetic_defects(tmp_path: Path, recipes: list[Recipe]) -> None:
    draw_demo(tmp_path / "data", train=9, validation=0, good=0, per_kind=0)
    with pytest.raises(TRDError, match="9 good parts are too few to train on some and to make defects of others"):
        compare(tmp_path / "data", tmp_path / "out", recipes, device="cpu")


def test_pictures_of_something_else_get_no_colour_defects(shapes: Path, tmp_path: Path, recipes: list[Recipe]) -> None:
    vectors = COLOUR.replace("rgb", "normals") + 'vectors = "y_down"\n'
    other = load_recipe(_file(tmp_path, "other", toml("other", vectors)))
    data = Path(shutil.copytree(shapes, tmp_path / "data"))
    for folder in list(data.rglob("rgb")):
        shutil.copytree(folder, folder.with_name("normals"))
    comparison, failures = compare(data, tmp_path / "out", [recipes[1], other], device="cpu")
    assert len(failures) == 1
    assert "no synthetic defects are drawn into 'normals'" in failures[0]
    assert [row.recipe for row in comparison.overall] == ["colour"]
    assert comparison.title == "TRD: recipes compared on biscuit"
    with pytest.raises(TRDError, match="neither colour pictures nor clouds"):
        compare(data, tmp_path / "alone", [other], device="cpu")


def test_the_part_is_found_in_millimetres_too(shapes: Path, recipes: list[Recipe]) -> None:
    from dataclasses import replace

    from trd.data.listing import class_folders
    from trd.data.loading import load_sample
    from trd_bench.compare.testing import _listed, _part

    (place,) = class_folders(shapes)
    listed = _listed(place, [recipes[0].changed("frame.cloud_scale=auto")])
    sample = load_sample(listed.files.train[0], listed.clouds)
    larger = replace(sample, arrays={**sample.arrays, "xyz": np.asarray(sample.arrays["xyz"]) * 1000})
    part = _part(sample, listed)
    assert (_part(larger, listed) == part).all()
    assert 0.1 < part.mean() < 0.5  # the biscuit, not the table
    colour = _part(sample, _listed(place, recipes[1:]))
    assert (colour & part).sum() / (colour | part).sum() > 0.8


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
