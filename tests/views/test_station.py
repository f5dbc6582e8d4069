"""The station inspects parts of which there are several views."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from fastapi.testclient import TestClient
from several_views import VIEWS
from stations import client_of, until

from trd.config import Recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import DataError
from trd.types import Sample
from trd_station.inputs.folder import WatchedFolder
from trd_station.inputs.taking import Running
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.store import history
from trd_station.teaching.trial import predicted

FILES = (("rgb", ".png"), ("xyz", ".tiff"))


@pytest.fixture
def station(views_run: Path, tmp_path: Path) -> Iterator[Station]:
    """Its self-test has passed, else it would not open."""
    opened = Station.open(Settings(tmp_path / "data", device="cpu"), [str(views_run)])
    yield opened
    opened.close()


@pytest.fixture
def client(station: Station) -> Iterator[TestClient]:
    with client_of(station) as one:
        yield one


@pytest.fixture
def part(views_data: Path, views_recipe: Recipe) -> Sample:
    files = list_class(views_data, "biscuit", views_recipe.inputs, ("xyz",))
    return load_sample(files.test[0], ("xyz",))


def chip(views_data: Path, view: str, source: str, ending: str) -> Path:
    return views_data / "biscuit" / view / "test" / "chip" / source / f"000{ending}"


def test_a_part_is_sent_with_the_files_of_all_views(
    station: Station, client: TestClient, views_data: Path, views_run: Path, part: Sample
) -> None:
    sources = {source["name"]: source["kind"] for source in client.get("/v1/classes/biscuit").json()["sources"]}
    assert sources == {f"{view}/{s}": kind for view in VIEWS for s, kind in (("rgb", "image"), ("xyz", "cloud"))}
    form = [
        (f"{view}/{source}", (f"000{ending}", chip(views_data, view, source, ending).read_bytes()))
        for view in VIEWS
        for source, ending in FILES
    ]
    missing = client.post("/v1/classes/biscuit/inspections", files=form[:3])
    assert missing.status_code == 422
    assert "back/xyz" in missing.text
    answer = client.post("/v1/classes/biscuit/inspections", files=form)
    assert answer.status_code == 201, answer.text
    (told,) = answer.json()["inspections"]
    expected = Detector.load(views_run).predict(part)
    assert told["score"] == pytest.approx(expected.score, rel=1e-5)
    with station.database.reading() as connection:
        judged = station.parts.judged(history.inspection_by_id(connection, told["id"]))
    assert judged is not None
    detector = Detector.load(views_run)
    assert predicted(detector, judged).score == pytest.approx(expected.score, rel=1e-5)  # of a shadow or a trial
    with pytest.raises(DataError, match="has no file 'back/xyz'"):
        predicted(detector, replace(judged, sources={k: v for k, v in judged.sources.items() if k != "back/xyz"}))
    base = f"/v1/inspections/{told['id']}"
    values = np.load(io.BytesIO(client.get(f"{base}/maps/fused.npy").content))
    np.testing.assert_allclose(values, expected.map, atol=1e-5)
    colours = imagecodecs.png_decode(client.get(f"{base}/images/rgb.png").content)
    np.testing.assert_array_equal(colours, part.arrays["rgb"])
    normals = imagecodecs.png_decode(client.get(f"{base}/images/normals.png").content)
    assert normals.shape == (*part.arrays["rgb"].shape[:2], 4)
    assert all((half > 0).any() for half in np.split(normals[..., 3], 2))
    cloud = client.get(f"{base}/cloud.bin")
    assert cloud.status_code == 200
    assert (cloud.content if cloud.content[:4] == b"TRDC" else gzip.decompress(cloud.content))[:4] == b"TRDC"
    sent = client.get(f"{base}/inputs/back%2Frgb")
    assert sent.content == chip(views_data, "back", "rgb", ".png").read_bytes()


def test_a_watched_folder_has_a_folder_for_each_view(
    station: Station, client: TestClient, views_data: Path, tmp_path: Path
) -> None:
    place = tmp_path / "in"
    for view in VIEWS:
        for source, _ in FILES:
            (place / view / source).mkdir(parents=True)
    running = Running(station, WatchedFolder(station, "biscuit", place, settle=0.1))
    try:
        for view in VIEWS:
            for source, ending in FILES:
                shutil.copy(chip(views_data, view, source, ending), place / view / source / f"a{ending}")
        (told,) = until(lambda: client.get("/v1/inspections").json()["inspections"])
        assert told["part"] == "a"
        until((place / "inspected" / "back" / "xyz" / "a.tiff").exists)
    finally:
        running.stop()
