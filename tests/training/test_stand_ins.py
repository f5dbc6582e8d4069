"""A sensor is missing: the others' stand-in decides, with thresholds of its own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from trd.cli import app
from trd.config import Recipe, load_recipe
from trd.data.listing import list_class, list_unlabelled
from trd.data.loading import load_sample
from trd.decision.calibrate import calibrate
from trd.detector import Detector
from trd.errors import CheckpointError, DataError
from trd.runs import Run
from trd.stored import FACTS, read_facts
from trd.training.prepare import PreparedClass, list_parts, prepare_class
from trd.training.stand_ins import parts_without
from trd.types import ClassFolder

OVERRIDES = ("frame.size=64", "components=4")


@pytest.fixture(scope="session")
def standing_in(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of patch statistics with stand-ins. Read only."""
    out = tmp_path_factory.mktemp("stand-ins") / "run"
    run = Run.open(drawn, out, load_recipe("patch-statistics", OVERRIDES), ["biscuit"])
    run.train_and_evaluate("cpu")
    run.raise_failures()
    return out


def test_the_recipe_without_a_source() -> None:
    recipe = load_recipe("lite-residual")
    colour, surface = recipe.without("xyz"), recipe.without("rgb")
    assert colour is not None
    assert surface is not None
    assert (tuple(colour.modalities), colour.sources, colour.point_cloud_sources) == (("rgb",), ("rgb",), ())
    assert (tuple(surface.modalities), surface.sources) == (("normals",), ("xyz",))
    for reduced in (colour, surface):
        assert tuple(reduced.evidence) == ("patch_statistics",)
        assert not reduced.scoring.stand_ins
        assert reduced.frame.size == recipe.frame.size
        assert reduced.scoring.sigma == recipe.scoring.sigma
    bank = load_recipe("lite-residual", ["evidence.memory_bank=true"]).without("xyz")
    assert bank is not None
    assert set(bank.evidence) == {"patch_statistics", "memory_bank"}  # what fits in seconds
    (kind,) = load_recipe("lite-crossmodal-mapping").without("xyz").evidence
    assert kind == "patch_statistics"  # where the recipe has nothing of the sort
    assert load_recipe("lite-rgb").without("rgb") is None  # nothing would be left
    assert recipe.without("thermal") is None


def test_a_cloud_that_only_tells_where_the_part_is_can_be_missing() -> None:
    recipe = load_recipe("lite-rgb", ["frame.part.source=xyz", "frame.crop=part", "scoring.region=part"])
    assert recipe.sources == ("rgb", "xyz")
    reduced = recipe.without("xyz")
    assert reduced is not None
    assert reduced.sources == ("rgb",)
    assert recipe.without("rgb") is None


def test_regions_hold_without_a_sensor_where_they_can(drawn: Path) -> None:
    """What the stand-in is calibrated on is what its pipeline makes of a new part."""
    polygon = "[[0,0],[110,0],[110,191],[0,191]]"
    place = ClassFolder("biscuit", drawn / "biscuit")

    def parts(*changes: str) -> PreparedClass:
        recipe = load_recipe("patch-statistics", ["frame.size=64", *changes])
        files, record = list_parts(place, recipe, Console(quiet=True))
        return prepare_class(files, recipe, record)

    fixed = parts(f"frame.inspect=[{polygon}]", f'frame.regions=[{{name="a",polygons=[{polygon}],limit=2}}]')
    for source, left, clouds in (("xyz", ("rgb",), ()), ("rgb", ("xyz",), ("xyz",))):
        reduced = parts_without(fixed, source)
        assert reduced is not None
        kept = reduced.training[0]
        again = reduced.pipeline(load_sample(list_class(place.path, "", left, clouds).train[0], clouds))
        np.testing.assert_array_equal(kept.region, again.region)
        np.testing.assert_array_equal(kept.named, again.named)
        assert kept.region is not None
        assert not kept.region[:, 40:].any()
    following = parts(f'frame.regions=[{{name="a",polygons=[{polygon}],limit=2,follows="part"}}]')
    assert parts_without(following, "xyz") is None
    reduced = parts_without(following, "rgb")
    assert reduced is not None
    np.testing.assert_array_equal(reduced.training[1].named, following.training[1].named)


@pytest.mark.parametrize(("missing", "left"), [("xyz", "rgb"), ("rgb", "xyz")])
def test_a_part_with_one_sensor_is_scored_as_in_calibration(
    standing_in: Path, drawn: Path, missing: str, left: str
) -> None:
    detector = Detector.load(standing_in, "cpu", without=missing)
    recipe = detector.recipe
    assert recipe.sources == (left,)
    files = list_class(drawn / "biscuit", "", recipe.sources, recipe.point_cloud_sources).validation
    samples = [load_sample(file, recipe.point_cloud_sources, None) for file in files]
    assert all(detector.predict(sample).used == (left,) for sample in samples)
    parts = [detector.pipeline(sample) for sample in samples]
    again = calibrate(detector.raw_maps(parts), [part.region for part in parts], recipe.scoring)
    np.testing.assert_allclose(again.good_scores, detector.calibration.good_scores, rtol=1e-4, atol=1e-4)


def test_the_window_is_that_of_all_sensors_and_the_part_is_found_in_colour(standing_in: Path, drawn: Path) -> None:
    both, colour = Detector.load(standing_in, "cpu"), Detector.load(standing_in, "cpu", without="xyz")
    assert colour.facts.frame.window == both.facts.frame.window
    assert colour.facts.finder is not None
    recipe = both.recipe
    (part, *_) = list_class(drawn / "biscuit", "", recipe.sources, recipe.point_cloud_sources).test
    sample = load_sample(part, recipe.point_cloud_sources, None)
    told, found = both.pipeline(sample).region, colour.pipeline(sample).region
    assert told is not None
    assert found is not None
    assert (told & found).sum() / (told | found).sum() > 0.8
    np.testing.assert_array_equal(both.pipeline(sample).images["rgb"], colour.pipeline(sample).images["rgb"])


def test_all_sensors_are_asked_for_unless_one_is_said_to_be_missing(standing_in: Path) -> None:
    detector = Detector.load(standing_in, "cpu")
    assert detector.facts.stand_ins.keys() == {"rgb", "xyz"}
    with pytest.raises(DataError, match="has no 'xyz'.*--without xyz"):
        detector.predict({"rgb": np.zeros((192, 192, 3), np.uint8)})
    with pytest.raises(CheckpointError, match="no fallback detector without 'thermal': it can do without rgb, xyz"):
        Detector.load(standing_in, "cpu", without="thermal")


def test_a_detector_without_stand_ins_says_how_to_get_them(trained: Path) -> None:
    with pytest.raises(CheckpointError, match="scoring.stand_ins=true"):
        Detector.load(trained, "cpu", without="xyz")


def test_a_stand_in_of_another_training_is_refused(standing_in: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(standing_in, tmp_path / "run"))
    path = run / "biscuit" / FACTS
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "stand_ins": {**content["stand_ins"], "xyz": "0" * 16}}))
    with pytest.raises(CheckpointError, match="of another training"):
        Detector.load(run, "cpu", without="xyz")


def test_the_command_line_needs_only_what_is_left(standing_in: Path, drawn: Path, tmp_path: Path) -> None:
    def trd(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        return result.output if result.exit_code == 0 else f"failed: {result.exception}"

    run = str(shutil.copytree(standing_in, tmp_path / "run"))
    colour = tmp_path / "colour"
    shutil.copytree(drawn / "biscuit" / "test" / "good" / "rgb", colour / "rgb")
    out = tmp_path / "scores"
    trd("predict", run, "--input", str(colour), "--out", str(out), "--without", "xyz")
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert len(rows) == len(list_unlabelled(colour, ("rgb",), ()))
    assert {row["used"] for row in rows} == {"rgb"}
    trd("evaluate", run, "--without", "xyz")
    assert (tmp_path / "run" / "without-xyz" / "metrics.csv").is_file()
    metrics = json.loads((tmp_path / "run" / "biscuit" / "without" / "xyz" / "metrics.json").read_text())
    assert metrics["maps"].keys() == {"fused", "rgb_statistics"}
    assert "--without xyz" in trd("info", run)
    refused = trd("predict", run, "--input", str(colour), "--out", str(out), "--without", "thermal")
    assert "no fallback detector without 'thermal'" in refused


def test_a_network_gets_stand_ins_too_and_keeps_its_weights(
    recipe: Recipe, drawn: Path, trained: Path, tmp_path: Path
) -> None:
    run = Run.open(drawn, tmp_path, recipe.changed("scoring.stand_ins=true"), None)
    run.train_and_evaluate("cpu")
    run.raise_failures()
    (plain, _), (facts, _) = (read_facts(folder / "biscuit") for folder in (trained, tmp_path))
    assert not plain.stand_ins
    assert facts.calibration == plain.calibration
    assert facts.stand_ins.keys() == {"rgb", "xyz"}
    assert Detector.load(tmp_path, "cpu", without="rgb").recipe.sources == ("xyz",)


def test_cross_calibration_counts_all_good_parts_of_a_stand_in(drawn: Path, tmp_path: Path) -> None:
    cross = load_recipe("patch-statistics", [*OVERRIDES, "scoring.calibration=cross", "scoring.folds=2"])
    run = Run.open(drawn, tmp_path / "run", cross, None)
    run.train_and_evaluate("cpu")
    run.raise_failures()
    detector = Detector.load(tmp_path / "run", "cpu", without="xyz")
    assert detector.calibration.kind == "cross"
    assert len(detector.calibration.good_scores) == 10
