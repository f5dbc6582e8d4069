"""An empty station is taught a class: parts are collected and checked, and the first detector is put in service."""

from __future__ import annotations

import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from cameras import BrighteningCamera
from jobs import jobs_in_this_process
from stations import client_of, until, upload
from taught import BASE, FIRST, WHY, asked, collect, ended, events_of, good_parts, new_class

from trd.data.listing import list_class
from trd_station.inputs import live_camera


@pytest.mark.timeout(240)
def test_from_an_empty_station_to_a_class_in_service(empty, drawn: Path, tmp_path: Path) -> None:
    station = empty()
    told: list = []
    station.news.listeners.append(lambda message: told.append((message.event, message.data)))
    with client_of(station) as client:
        assert client.get("/v1/classes").json() == {"classes": []}
        assert client.get("/v1/teaching").json() == {"classes": []}
        new_class(client)
        taught = client.get(BASE).json()
        assert (taught["parts"], taught["needed"], taught["recommended"]) == (0, 19, 50)
        assert "at least 2 are needed" in taught["missing"]["train"]
        early = client.post("/v1/classes/biscuit/inspections", files=good_parts(drawn, "000"))
        assert (early.status_code, early.json()["code"]) == (404, "no_class")
        refused = client.post(f"{BASE}/jobs", json=FIRST)
        assert (refused.status_code, refused.json()["detail"]) == (422, taught["missing"]["train"])
        collected = collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        assert [one["state"] for one in collected["parts"]] == ["kept"] * 6
        assert list_class(Path(taught["folder"]), "", ("rgb", "xyz"), ("xyz",)).train[5].id == "train/good/005"
        again = collect(client, drawn, "003")["parts"]
        assert (again[0]["state"], again[0]["name"]) == ("copy", "003")
        assert client.get(BASE).json()["frame"] == {"height": 192, "width": 192}

        first = ended(client, asked(client, **FIRST))
        assert (first["state"], first["error"], first["model"]) == ("done", None, "patch-statistics-1")
        stages = [data["stage"]["title"] for event, data in told if event == "job" and data["stage"]]
        assert "biscuit: preparation" in stages
        assert client.get("/v1/classes").json() == {"classes": []}  # it does not serve by itself
        assert "missing" in client.get(BASE).json()
    with client_of(empty()) as client:  # nor after a start
        assert client.get("/v1/classes").json() == {"classes": []}
        model = client.post("/v1/classes/biscuit/models", json={"name": "patch-statistics-1"}).json()
        assert client.post(f"/v1/models/{model['id']}/switch", json=WHY).json()["state"] == "serving"
        chip = client.post("/v1/classes/biscuit/inspections", files=upload(drawn / "biscuit/test/chip", "000"))
        assert chip.json()["inspections"][0]["decision"] in ("review", "reject")
        until(lambda: client.get("/v1/classes/biscuit/watch").json()["streams"])
    with client_of(empty()) as client:
        assert client.get("/readyz").json()["classes"] == {"biscuit": True}
        texts = events_of(client)
        for part in ("can be taught, by local", "6 good parts were collected by local", "job 1, train", "serves, by"):
            assert part in texts


def test_parts_are_kept_whole_or_refused(empty, drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data/teach/biscuit"
    with client_of(empty()) as client:
        new_class(client)
        for name in ("biscuit", "Biscuit", "a/b", ".hidden", "x" * 101):
            assert client.post("/v1/teaching", json={"name": name, "layout": "colour"}).status_code == 422, name
        collect(client, drawn, "000", "001")
        (rgb, xyz), broken = good_parts(drawn, "002"), ("rgb", ("002.png", b"no picture"))
        (told,) = client.post(f"{BASE}/parts", files=[broken, xyz]).json()["parts"]
        assert (told["state"], told["name"]) == ("refused", None)
        assert told["reason"].startswith("rgb cannot be read")
        other_size = tmp_path / "small.png"
        imagecodecs.imwrite(other_size, np.zeros((64, 64, 3), np.uint8))
        cloud = tmp_path / "small.npy"
        np.save(cloud, np.ones((64, 64, 3), np.float32))
        small = [(name, (path.name, path.read_bytes())) for name, path in (("rgb", other_size), ("xyz", cloud))]
        (told,) = client.post(f"{BASE}/parts", files=small).json()["parts"]
        assert "64 x 64 pixels (height x width), that of '000' 192 x 192" in told["reason"]
        (told,) = client.post(f"{BASE}/parts", files=[rgb, xyz], data={"part": "../x_mask"}).json()["parts"]
        assert told["name"] == "x_mask-part"
        (told,) = client.post(f"{BASE}/parts", files=good_parts(drawn, "003"), data={"part": "000"}).json()["parts"]
        assert told["name"] == "000-2"
        assert not list((folder / "incoming").iterdir())
        left = client.delete(f"{BASE}/parts/000-2").json()["parts"]
        assert [part["name"] for part in left] == ["000", "001", "x_mask-part"]
        assert (folder / "discarded/rgb/000-2.png").is_file()
        assert client.get(f"{BASE}/parts/000/xyz.png?size=64").headers["content-type"] == "image/png"
        assert client.get(f"{BASE}/parts/none/xyz.png").json()["code"] == "no_part"
    (folder / "parts/train/xyz/001.tiff").unlink()  # as a kill between the files of a part leaves it
    with client_of(empty()) as client:
        assert [part["name"] for part in client.get(f"{BASE}/parts").json()["parts"]] == ["000", "x_mask-part"]
        assert (folder / "incomplete/rgb/001.png").is_file()
        assert "1 good parts lacked a file (001)" in events_of(client)


def test_what_check_says(empty, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_in_this_process(monkeypatch)
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, "000", "001", "002", "003")
        triangle = [[10, 10], [180, 10], [10, 180]]
        assert client.put(f"{BASE}/region", json={"inspect": [triangle]}).json()["inspect"] == [triangle]
        checked = ended(client, asked(client, kind="check", settings=["frame.size=64"]))
        assert checked["state"] == "done", checked
        result = checked["result"]
        assert result["problems"] == []
        assert result["facts"]["3D in"] == "metres"
        assert any("parts are few" in line for line in result["warnings"])
        assert sorted(part["name"] for part in result["strangest"]) == ["000", "001", "002", "003"]
        pictures = result["strangest"][0]["pictures"]
        assert set(pictures) == {"rgb", "normals", "where it is strange"}
        shown = client.get(f"/v1/jobs/{checked['id']}/pictures/{pictures['rgb']}")
        assert imagecodecs.jpeg_decode(shown.content).shape == (64, 64, 3)
        assert client.get(f"/v1/jobs/{checked['id']}/pictures/../job.json").status_code == 404


def test_what_a_machine_writes_is_collected(empty, drawn: Path, tmp_path: Path) -> None:
    with client_of(empty()) as client:
        new_class(client)
        drop = Path(client.get(BASE).json()["drop"])
        good = drawn / "biscuit/train/good"
        shutil.copy(good / "rgb/000.png", drop / "rgb/a.png")
        (drop / "rgb/b.png").write_bytes(b"no picture")
        for name in "abc":
            shutil.copy(good / "xyz/000.tiff", drop / f"xyz/{name}.tiff")
        until(lambda: [part["name"] for part in client.get(f"{BASE}/parts").json()["parts"]] == ["a"])
        until(lambda: "the folder 'drop': b: " in events_of(client))
        assert [path.name for path in (drop / "xyz").iterdir()] == ["c.tiff"]  # its partner may still come
        assert len(list((drop.parent / "refused/rgb").iterdir())) == 1
        assert "1 good parts were collected by the folder 'drop' (a): 1 now" in events_of(client)


def test_3d_alone_is_taught(empty, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_in_this_process(monkeypatch)
    with client_of(empty()) as client:
        new_class(client, layout="3D")
        clouds = [file for file in good_parts(drawn, "000", "001", "002", "003") if file[0] == "xyz"]
        assert client.post(f"{BASE}/parts", files=clouds).json()["count"] == 4
        taught = client.get(BASE).json()
        assert (taught["first"], taught["network"]) == ("lite-normals", None)
        assert (taught["frame"], [one["name"] for one in taught["recipes"]]) == (
            {"height": 192, "width": 192},
            ["lite-normals"],
        )
        refused = client.post(f"{BASE}/jobs", json={"kind": "train", "step": "network"})
        assert refused.json()["detail"].startswith("no recipe trains a network for 3D alone")
        settings = ["frame.size=64", "evidence.memory_bank=false"]
        done = ended(client, asked(client, kind="train", settings=settings))
        assert (done["state"], done["model"]) == ("done", "lite-normals-1"), done
        model = client.post("/v1/classes/biscuit/models", json={"name": done["model"]}).json()
        client.post(f"/v1/models/{model['id']}/switch", json=WHY)
        dent = [file for file in upload(drawn / "biscuit/test/dent", "000") if file[0] == "xyz"]
        (told,) = client.post("/v1/classes/biscuit/inspections", files=dent).json()["inspections"]
        assert told["score"] > 0
        assert client.get(f"/v1/inspections/{told['id']}/images/xyz.png").status_code == 200


def test_good_parts_from_a_camera(empty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", BrighteningCamera)
    with client_of(empty()) as client:
        new_class(client, layout="colour")
        seen = client.get(f"{BASE}/camera.jpg?address=0&size=80")
        assert imagecodecs.jpeg_decode(seen.content).shape == (60, 80, 3)
        for count in (1, 2):
            told = client.post(f"{BASE}/parts/from-camera", json={"address": "0"}).json()
            assert (told["parts"][0]["state"], told["count"]) == ("kept", count)
        assert client.get(BASE).json()["frame"] == {"height": 120, "width": 160}
        for address in ("/etc/passwd", "file:///etc/passwd"):
            assert "is no camera" in client.get(f"{BASE}/camera.jpg", params={"address": address}).json()["detail"]
        assert BrighteningCamera.open_now == 1
    assert BrighteningCamera.open_now == 0
