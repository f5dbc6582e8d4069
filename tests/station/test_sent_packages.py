"""Packages that are sent to the station: tested, kept or refused, for classes of any name."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from stations import client_of, upload

from trd.packages.facts import facts_at
from trd_station.shelf import discovery

BASE = "/v1/classes/biscuit"


def send_package(client: TestClient, data: bytes, kind: str = "application/octet-stream"):
    return client.post(f"{BASE}/models/package", content=data, headers={"content-type": kind})


def test_a_package_is_sent_tested_and_switched_to(opened, package: bytes, test_parts: Path) -> None:
    station = opened()
    with client_of(station) as client:
        answer = send_package(client, package)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert (told["state"], told["self_test"]["passed"]) == ("ready", True)
        (kept,) = station.settings.models.iterdir()
        assert kept.name == f"upload-{hashlib.sha256(package).hexdigest()[:16]}.trdm" == f"{told['name']}.trdm"
        assert send_package(client, package).json()["id"] == told["id"]
        assert client.post(f"/v1/models/{told['id']}/switch", json={"reason": "sent"}).json()["state"] == "serving"
        files = upload(test_parts / "good", "000")
        (inspection,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        assert inspection["model"] == told["id"]


def swollen(package: bytes) -> bytes:
    """With a member that unpacks to more than may be."""
    data = io.BytesIO(package)
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))
    return data.getvalue()


def test_what_is_no_package_of_the_class_is_not_kept(opened, package: bytes) -> None:
    station = opened(max_model_bytes=2**25)
    with client_of(station) as client:

        def refused(data: bytes, kind: str = "application/octet-stream") -> tuple[int, str]:
            answer = send_package(client, data, kind)
            assert str(station.settings.data) not in answer.text
            return answer.status_code, answer.json()["code"]

        assert refused(b"") == (422, "package")
        assert refused(package[:-100]) == (422, "package")
        assert refused(package[:2000] + bytes(50) + package[2050:]) == (422, "package")
        assert refused(package + bytes(2**25)) == (413, "too_large")
        assert refused(swollen(package)) == (413, "too_large")
        assert refused(package, "application/zip") == (415, "format")
        octets = {"content-type": "application/octet-stream"}
        for name, code in (("..", "parameter"), ("g" * 201, "parameter")):
            other = client.post(
                f"/v1/classes/{name.replace('.', '%2e')}/models/package", content=package, headers=octets
            )
            assert (other.status_code, other.json()["code"]) == (422, code), name
        assert list(station.settings.models.iterdir()) == []


def package_sent(client: TestClient, name: str, data: bytes, **query: str):
    headers = {"content-type": "application/octet-stream"}
    return client.post(f"/v1/classes/{name}/models/package", content=data, headers=headers, params=query)


def test_a_package_is_sent_for_a_class_of_another_name(opened, run_folder: Path, package: bytes) -> None:
    """`GEAR=runs/gear` serves what was trained as "biscuit": a package of that run is meant for GEAR."""
    station = opened(f"GEAR={run_folder / 'biscuit'}")
    with client_of(station) as client:
        told = package_sent(client, "GEAR", package)
        assert (told.status_code, told.json()["class"]) == (201, "GEAR"), told.text
        available = client.get("/v1/models", params={"class": "GEAR"}).json()["found"]
        assert {one["name"] for one in available} == {"run/biscuit", told.json()["name"]}
        assert client.post(f"/v1/models/{told.json()['id']}/switch", json={"reason": "sent"}).status_code == 200
    station.close()
    again = opened(f"GEAR={run_folder / 'biscuit'}")
    assert again.shelf.classes == ("GEAR",)
    assert again.shelf.serving("GEAR").version.id == told.json()["id"]


def test_a_package_of_another_class_is_meant_or_a_mistake(
    opened, run_folder: Path, package: bytes, tmp_path: Path
) -> None:
    renamed = shutil.copytree(run_folder / "biscuit", tmp_path / "gear") / "detector.json"
    renamed.write_text(json.dumps(json.loads(renamed.read_text("utf-8")) | {"class_name": "gear"}), "utf-8")
    with client_of(opened(renamed.parent)) as client:
        refused = package_sent(client, "gear", package)
        assert (refused.status_code, refused.json()["code"]) == (422, "other_class")
        assert refused.json()["trained_as"] == "biscuit"
        assert "?trained_as=biscuit" in refused.json()["detail"]
        assert package_sent(client, "gear", package, trained_as="cookie").status_code == 422
        assert package_sent(client, "gear", package, trained_as="biscuit").json()["state"] == "ready"


def test_a_package_for_a_new_class_serves_it(opened, package: bytes, test_parts: Path) -> None:
    station = opened()
    with client_of(station) as client:
        told = package_sent(client, "new part", package)
        assert (told.status_code, told.json()["state"]) == (201, "serving"), told.text
        assert [one["name"] for one in client.get("/v1/classes").json()["classes"]] == ["biscuit", "new part"]
        files = upload(test_parts / "good", "000")
        (inspection,) = client.post("/v1/classes/new part/inspections", files=files).json()["inspections"]
        assert (inspection["class"], inspection["model"]) == ("new part", told.json()["id"])
        assert client.get("/readyz").status_code == 200
    station.close()
    assert opened().shelf.serving("new part").version.id == told.json()["id"]


def test_pictures_of_a_model_that_is_not_in_memory(
    opened, run_folder: Path, package: bytes, test_parts: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    station = opened(run)
    with client_of(station) as client:
        files = upload(test_parts / "good", "000")
        (inspection,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        path = f"/v1/inspections/{inspection['id']}/images/normals.png"
        before = client.get(path).content
        other = send_package(client, package).json()["id"]
        client.post(f"/v1/models/{other}/switch", json={"reason": "sent"})
        station.shelf._warm.pop(inspection["model"])
        assert client.get(path).content == before
        shutil.rmtree(run)
        station.parts._facts.clear()
        gone = client.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "no_image")
    assert "run/biscuit" in gone.json()["detail"]


def test_a_package_is_unpacked_once_for_all_its_old_pictures(
    opened, package: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another detector's lies there by now."""
    station = opened()
    place = station.settings.models / "part.trdm"
    place.parent.mkdir()
    place.write_bytes(package)
    with client_of(station) as client:
        model = client.post(f"{BASE}/models", json={"name": "part"}).json()
        version = station.serializer.model_of(model["id"])
    del station.shelf._warm[model["id"]]
    unpacked: list[Path] = []
    monkeypatch.setattr(discovery, "facts_at", lambda path: unpacked.append(path) or facts_at(path))
    monkeypatch.setattr(station.serializer, "model_of", lambda _: replace(version, detector="0" * 16))
    os.utime(place, (1, 1))
    assert [station.parts.facts_of(model["id"]) for _ in range(3)] == [None] * 3
    assert len(unpacked) == 1
    monkeypatch.setattr(station.serializer, "model_of", lambda _: version)
    assert station.parts.facts_of(model["id"]).id == version.detector
    assert len(unpacked) == 1
