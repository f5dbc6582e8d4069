"""Regions with limits of their own, from training through prediction and package to the single file and the station."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from meandistance import toml
from rich.console import Console
from sharing import made_for, run_of

from trd.config import Recipe, load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import RecipeError
from trd.export.export import Exported, ExportJob, export
from trd.export.single import export_single
from trd.predictions.parts import DetectorReference, Output
from trd.predictions.predict import predict_parts
from trd.preprocess.parts import stacked_images
from trd.training.recalibrate import recalibrated
from trd.types import Sample

pytestmark = pytest.mark.usefixtures("mean_distance")

SPOT = "[[60, 70], [100, 70], [100, 110], [60, 110]]"
WEIGHED = (
    f'{{name="left",polygons=[{SPOT}],limit=1.5}},{{name="rest",polygons=[[[120,0],[191,0],[191,191],[120,191]]]}}'
)
FOLLOWING = f'{{name="label",polygons=[{SPOT}],limit=4,follows="part"}}'


def recipe_of(folder: Path, regions: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(toml("regions"))
    return load_recipe(path, [f"frame.regions=[{regions}]", "frame.crop=none", "scoring.region=part"])


@pytest.fixture(scope="module")
def plain(mean_distance: None, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return run_of(drawn, folder, recipe_of(folder, ""))


@pytest.fixture(scope="module")
def weighed(mean_distance: None, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("weighed")
    return made_for("onnx", run_of(drawn, folder, recipe_of(folder, WEIGHED)), folder)


@pytest.fixture(scope="module")
def following(mean_distance: None, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("following")
    return run_of(drawn, folder, recipe_of(folder, FOLLOWING))


@pytest.fixture
def spotted(drawn: Path) -> Sample:
    """A good part with a green spot in the region."""
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",))
    part = load_sample(next(part for part in files.test if part.is_good), ("xyz",))
    arrays = {name: array.copy() for name, array in part.arrays.items()}
    arrays["rgb"][80:100, 70:90] = (20, 200, 20)
    return Sample("spotted", arrays)


def test_the_map_is_divided_in_the_region_and_named(plain: Path, weighed: Exported, spotted: Sample) -> None:
    before, after = Detector.load(plain, "cpu"), Detector.load(weighed.package.path.parent / "run", "cpu")
    assert after.calibration.maps == before.calibration.maps
    first, second = before.predict(spotted), after.predict(spotted)
    assert (first.region, second.region) == (None, "left")
    assert second.peak == first.peak
    assert second.score == pytest.approx(first.score / 1.5)
    np.testing.assert_array_equal(second.map[:, 120:], first.map[:, 120:])
    assert second.map[90, 80] == pytest.approx(first.map[90, 80] / 1.5)
    elsewhere = spotted.arrays["rgb"].copy()
    elsewhere[80:100, 70:90] = elsewhere[110:130, 70:90]
    elsewhere[80:100, 125:140] = (20, 200, 20)
    third = after.predict({**spotted.arrays, "rgb": elsewhere})
    assert third.region == "rest"
    assert third.score == before.predict({**spotted.arrays, "rgb": elsewhere}).score


def test_calibration_sees_the_divided_maps(plain: Path, weighed: Exported, drawn: Path) -> None:
    """Their scores may fall only, as no limit here is below 1; and further good parts are measured alike."""
    before, after = Detector.load(plain, "cpu"), Detector.load(weighed.package.path.parent / "run", "cpu")
    scores = [dict(zip(d.calibration.good_parts, d.calibration.good_scores, strict=True)) for d in (before, after)]
    assert all(scores[1][name] <= scores[0][name] for name in scores[0])
    assert scores[0] != scores[1]
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",)).validation
    again = recalibrated(after, files, None, None, Console(quiet=True))
    assert again.good_scores == after.calibration.good_scores
    assert again.image_threshold == after.calibration.image_threshold


def test_the_package_decides_alike_and_names_alike(weighed: Exported, spotted: Sample) -> None:
    before, package = Detector.load(weighed.package.path.parent / "run", "cpu"), Detector.load(weighed.package.path)
    first, second = before.predict(spotted), package.predict(spotted)
    assert (second.region, second.peak) == (first.region, first.peak)
    assert second.score == pytest.approx(first.score, abs=1e-4)
    np.testing.assert_allclose(second.map, first.map, atol=1e-3)


def test_the_single_file_has_the_limits(weighed: Exported, spotted: Sample, tmp_path: Path) -> None:
    import onnxruntime

    export_single(weighed, tmp_path / "one.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx", providers=["CPUExecutionProvider"])
    detector = Detector.load(weighed.package.path)
    part = detector.pipeline(spotted)
    (expected,) = detector.score([part])
    assert part.region is not None
    inputs = {**stacked_images([part]), "region": part.region[None].astype(np.float32)}
    score, fused = session.run(["score", "fused_map"], inputs)
    assert score[0] == pytest.approx(expected.score, abs=1e-3)
    np.testing.assert_allclose(fused[0], expected.fused, atol=2e-3)


def test_a_region_that_follows_goes_through_package_and_station(
    following: Path, spotted: Sample, drawn: Path, tmp_path: Path
) -> None:
    exported = export(ExportJob(following, tmp_path / "part.trdm", "onnx"), Console(quiet=True))
    before, package = Detector.load(following, "cpu"), Detector.load(exported.package.path)
    reference = before.facts.frame.reference
    assert reference is not None
    assert reference.part == "train/good/000"
    assert package.facts.frame == before.facts.frame
    moved = Sample("moved", {name: np.roll(array, (6, -4), (0, 1)) for name, array in spotted.arrays.items()})
    for sample in (spotted, moved):
        first, second = before.predict(sample), package.predict(sample)
        assert second.score == pytest.approx(first.score, abs=1e-4)
        assert (second.region, second.peak, second.notes) == (first.region, first.peak, first.notes)
    named = [before.pipeline(sample).named for sample in (spotted, moved)]
    assert all(values is not None and values.any() for values in named)
    places = [np.argwhere(cv2.resize(values, (192, 192)) == 1).mean(axis=0) for values in named]
    assert places[1] - places[0] == pytest.approx([6, -4], abs=2)

    pytest.importorskip("fastapi")
    from stations import client_of, upload

    from trd_station.settings import Settings
    from trd_station.station import Station

    station = Station.open(Settings(tmp_path / "station", device="cpu"), [str(exported.package.path)])
    try:
        with client_of(station) as client:
            url, files = "/v1/classes/biscuit/inspections", upload(drawn / "biscuit/test/stain", "000")
            (told,) = client.post(url, files=files).json()["inspections"]
            again = client.get(f"/v1/inspections/{told['id']}").json()
        part = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",)).test
        expected = package.predict(load_sample(next(p for p in part if p.id == "test/stain/000"), ("xyz",)))
        assert told["region"] == again["region"] == expected.region
        assert told["score"] == expected.score
    finally:
        station.close()


def test_the_single_file_refuses_regions_that_follow(following: Path, tmp_path: Path) -> None:
    job = ExportJob(following, tmp_path / "part.trdm", "onnx", keep_onnx=True)
    with pytest.raises(RecipeError, match="a region of this recipe follows the part, and a single ONNX file"):
        export(job, Console(quiet=True))
    assert not list(tmp_path.iterdir())


def test_rows_name_the_region(weighed: Exported, drawn: Path, tmp_path: Path) -> None:
    run = weighed.package.path.parent / "run"
    detector, files = Detector.load(run, "cpu"), list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",)).test[:2]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"damaged")
    files = (files[0], type(files[1])("broken", "test", "good", {**files[1].sources, "rgb": broken}))
    reference = DetectorReference.of(detector, files, run, "cpu", False, None, "")
    output = Output(tmp_path / "out", overlays=False, keep_going=True)
    predict_parts(detector, reference, files, output, Console(quiet=True))
    with (tmp_path / "out/scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in rows] == [detector.predict(load_sample(files[0], ("xyz",))).region, ""]
    assert rows[1]["error"]
