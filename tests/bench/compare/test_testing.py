"""What is tested on where nobody has defective parts: synthetic defects."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from meandistance import COLOUR, toml

from trd.config import Recipe, load_recipe
from trd.data.demo import draw_demo
from trd.data.listing import class_folders
from trd.data.loading import load_sample
from trd.errors import TRDError
from trd_bench.compare.compare import compare
from trd_bench.compare.testing import _listed, _part

FILES = ("compare.html", "compare.md", "compare.csv", "compare.json")

pytestmark = pytest.mark.usefixtures("mean_distance")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 good parts to train on and nothing else. Read only."""
    root = tmp_path_factory.mktemp("shapes")
    draw_demo(root, seed=2, train=14, validation=0, good=0, per_kind=0)
    return root


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
    (tmp_path / "other.toml").write_text(toml("other", vectors))
    other = load_recipe(tmp_path / "other.toml")
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
    (place,) = class_folders(shapes)
    listed = _listed(place, [recipes[0].changed("frame.cloud_scale=auto")])
    sample = load_sample(listed.files.train[0], listed.clouds)
    larger = replace(sample, arrays={**sample.arrays, "xyz": np.asarray(sample.arrays["xyz"]) * 1000})
    part = _part(sample, listed)
    assert (_part(larger, listed) == part).all()
    assert 0.1 < part.mean() < 0.5  # the biscuit, not the table
    colour = _part(sample, _listed(place, recipes[1:]))
    assert (colour & part).sum() / (colour | part).sum() > 0.8
