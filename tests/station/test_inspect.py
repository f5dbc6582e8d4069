"""Parts come in over HTTP and are decided exactly as `Detector.predict` decides them."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from stations import client_of, upload

import trd
from trd.data.loading import load_sample
from trd.errors import OutputError
from trd.types import Prediction, SampleFiles
from trd_station.station import Station
from trd_station.store import history
from trd_station.work import line
from trd_station.work.parts import prepare

URL = "/v1/classes/biscuit/inspections"


def predicted(run: Path, folder: Path, stem: str = "000") -> Prediction:
    files = {"rgb": folder / "rgb" / f"{stem}.png", "xyz": folder / "xyz" / f"{stem}.tiff"}
    return trd.Detector.load(run, "cpu").predict(load_sample(SampleFiles(stem, "predict", "?", files), ("xyz",)))


def test_scores_and_maps_equal_the_library_to_the_bit(client, send, run_folder: Path, test_parts: Path) -> None:
    for kind in ("good", "chip", "dent", "stain"):
        (told,) = send(kind)
        expected = predicted(run_folder, test_parts / kind)
        assert told["score"] == expected.score
        assert told["p_value"] == expected.p_value
        assert tuple(told["peak"]) == expected.peak
        assert told["region"] is None
        assert told["share"] == {name: round(share, 4) for name, share in expected.share.items()}
        assert (told["decision"] == "reject") == expected.is_anomalous
        maps = {"fused": expected.map, **expected.modality_maps}
        assert told["maps"] == list(maps)
        for name, values in maps.items():
            stored = client.get(f"/v1/inspections/{told['id']}/maps/{name}.npy")
            np.testing.assert_array_equal(np.load(io.BytesIO(stored.content)), values)


def test_an_answer_says_what_decided(client: TestClient, send, station: Station) -> None:
    (told,) = send("chip", part="tray 7 / 3")
    serving = station.shelf.serving("biscuit")
    assert told["part"] == "tray 7 / 3"
    assert (told["detector"], told["calibration"]) == (serving.detector.facts.id, serving.detector.calibration.id)
    assert (told["model"], told["threshold"]) == (serving.version.id, serving.threshold.id)
    assert {"wait_ms", "decode_ms", "prepare_ms", "model_ms", "store_ms", "total_ms"} == set(told["timings"])
    assert {"brightness rgb", "contrast rgb", "measured", "plane", "tilt", "part_mm"} < set(told["measures"])
    assert 0.39 < told["measures"]["plane"] < 0.41
    again = client.get(f"/v1/inspections/{told['id']}").json()
    assert {name: again[name] for name in told} == told


def test_several_parts_of_one_request_stay_in_order(send, run_folder: Path, test_parts: Path) -> None:
    found = send("good", "001", "000", "001")
    assert [one["part"] for one in found] == ["001", "000", "001"]
    scores = [predicted(run_folder, test_parts / "good", stem).score for stem in ("001", "000", "001")]
    assert [one["score"] for one in found] == scores
    assert [one["id"] for one in found] == sorted(one["id"] for one in found)


def test_sixteen_clients_at_once_are_not_mixed_up(station: Station, run_folder: Path, test_parts: Path) -> None:
    kinds = [(kind, "000") for kind in ("good", "chip", "dent", "stain")] + [("good", "001")]
    expected = {one: predicted(run_folder, test_parts / one[0], one[1]).score for one in kinds}
    sent = {one: upload(test_parts / one[0], one[1]) for one in kinds}
    ready = threading.Barrier(16)
    with client_of(station) as client, ThreadPoolExecutor(16) as pool:

        def send_several(place: int) -> list[bool]:
            ready.wait()
            right = []
            for number in range(4):
                one = kinds[(place + number) % len(kinds)]
                name = f"{one[0]}-{place}-{number}"
                (told,) = client.post(URL, files=sent[one], data={"part": name}).json()["inspections"]
                right.append(told["score"] == expected[one] and told["part"] == name)
            return right

        assert all(all(one) for one in pool.map(send_several, range(16)))
    with station.database.reading() as connection:
        assert connection.exec_driver_sql("select count(*) from inspection").scalar() == 64


@pytest.mark.parametrize(
    ("files", "status", "code", "words"),
    [
        ({"rgb": "a.png"}, 422, "missing_source", "no file 'xyz'; class 'biscuit' needs rgb, xyz"),
        ({"rgb": "a.png", "xyz": "a.tiff", "depth": "a.png"}, 422, "unknown_source", "'depth'"),
        ({"rgb": "a.gif", "xyz": "a.tiff"}, 415, "format", r"'rgb' is 'a.gif'; known endings: .png"),
        ({"rgb": "a", "xyz": "a.tiff"}, 415, "format", "'rgb' is 'a'"),
        ({}, 415, "format", "expected multipart/form-data"),
    ],
)
def test_a_form_that_cannot_be_used(client, files: dict, status: int, code: str, words: str) -> None:
    answer = client.post(URL, files=[(name, (sent, b"x")) for name, sent in files.items()] or None)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_uneven_parts(client: TestClient, test_parts: Path) -> None:
    files = upload(test_parts / "good", "000", "001")
    answer = client.post(URL, files=files[:-1])
    assert (answer.status_code, answer.json()["code"]) == (422, "uneven_parts")
    assert "2 of 'rgb', 1 of 'xyz'" in answer.json()["detail"]


def test_an_unreadable_part_is_an_inspection_with_its_reason(client, station: Station, test_parts: Path) -> None:
    (good, cloud) = upload(test_parts / "good", "000")
    sent = [good, cloud, ("rgb", ("../../etc/broken.png", b"\x89PNG\r\n\x1a\nno")), cloud]
    first, second = client.post(URL, files=sent).json()["inspections"]
    assert first["decision"] != "invalid"
    assert (second["decision"], second["score"], second["maps"], second["images"]) == ("invalid", None, [], [])
    assert second["reason"].startswith("broken.png cannot be read")
    assert str(station.settings.data) not in second["reason"]
    kept = client.get(f"/v1/inspections/{second['id']}/inputs/rgb")
    assert kept.content == b"\x89PNG\r\n\x1a\nno"
    assert client.get(f"/v1/inspections/{second['id']}/maps/fused.npy").json()["code"] == "no_map"


def test_sizes_are_limited_before_anything_is_decoded(opened, test_parts: Path, monkeypatch) -> None:
    monkeypatch.setenv("TRD_MAX_PIXELS", "30000")
    station = opened(max_body_bytes=700_000)
    with client_of(station) as client:
        (told,) = client.post(URL, files=upload(test_parts / "good", "000")).json()["inspections"]
        assert told["decision"] == "invalid"
        assert "more than the limit of 30000" in told["reason"]
        large = client.post(URL, files=[("rgb", ("a.png", b"x" * 800_000))])
        assert (large.status_code, large.json()["code"]) == (413, "too_large")

        def endless():  # no length is declared
            for _ in range(100):
                yield b"x" * 10_000

        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = client.post(URL, content=endless(), headers=kind)
        assert answer.status_code in (400, 413)
    assert station.line.state.queued == 0


def test_a_request_that_is_sent_again_is_not_inspected_again(client, station: Station, test_parts: Path) -> None:
    files = upload(test_parts / "good", "000", "001")
    key = {"Idempotency-Key": "tray-7"}
    first = client.post(URL, files=files, headers=key)
    again = client.post(URL, files=files, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = client.post(URL, files=upload(test_parts / "chip", "000"), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert client.post(URL, files=files, headers={"Idempotency-Key": "a b"}).status_code == 422
    assert client.get("/v1/inspections/count").json() == {"count": 2, "exact": True}
    assert not any(station.files.incoming.iterdir())


def test_a_full_queue_says_so_and_takes_nothing(opened, test_parts: Path) -> None:
    station = opened(capacity=2)
    files = upload(test_parts / "good", "000")
    with client_of(station) as client:
        station.line.reserve(2)
        answer = client.post(URL, files=files)
        assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
        assert int(answer.headers["Retry-After"]) == answer.json()["retry_after_s"] >= 1
        station.line.release(2)
        two = client.post(URL, files=upload(test_parts / "good", "000", "001", "000"))
        assert two.status_code == 413  # not 429: there will never be room
        assert station.line.state.queued == 0
        assert client.post(URL, files=files).status_code == 201
        assert client.get("/v1/inspections/count").json()["count"] == 1
    assert not any(station.files.incoming.iterdir())


def test_load_of_twice_the_capacity(opened, test_parts: Path) -> None:
    """Only 201 and 429; what was taken is answered once and stored once."""
    station = opened(capacity=3)
    files = upload(test_parts / "good", "000")
    with client_of(station) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.post(URL, files=files, data={"part": str(n)}), range(60)))
    taken = [a.json()["inspections"][0] for a in answers if a.status_code == 201]
    assert {a.status_code for a in answers} <= {201, 429}
    assert taken
    assert len({one["id"] for one in taken}) == len(taken)
    with station.database.reading() as connection:
        stored = connection.exec_driver_sql("select part from inspection").scalars().all()
    assert sorted(stored) == sorted(one["part"] for one in taken)
    assert station.line.state.queued == 0


def test_a_form_that_does_not_come_gives_its_place_back(opened) -> None:
    """Over a socket: the client begins a form and says nothing more."""
    import socket

    from trd_station.serve import listening, serve

    station = opened(capacity=1, upload_seconds=0.3)
    bound = listening("127.0.0.1", 0)
    address = bound.getsockname()
    ready = threading.Event()
    thread = threading.Thread(target=serve, args=(station, bound), kwargs={"on_ready": ready.set}, daemon=True)
    thread.start()
    assert ready.wait(30)
    with socket.create_connection(address) as slow:
        head = f"POST {URL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
        slow.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
        answer = ""
        while "too_slow" not in answer:  # of head and content, which come in one piece or in two
            piece = slow.recv(4096).decode()
            assert piece, answer
            answer += piece
        assert answer.startswith("HTTP/1.1 408")
    assert station.line.state.queued == 0


def test_other_formats_and_a_camera(opened, tmp_path: Path, drawn: Path) -> None:
    """Depth images need a camera: that of the training data, or one that is sent."""
    import imagecodecs

    from trd.data.clouds import read_cloud

    rgb, cloud = (drawn / "biscuit/test/good" / name for name in ("rgb/000.png", "xyz/000.tiff"))
    depth = (read_cloud(cloud)[..., 2] * 10_000).round().astype(np.uint16)
    camera = {"fx": 620.0, "fy": 620.0, "cx": 95.5, "cy": 95.5, "depth_scale": 1e-4}
    forms = {
        "png": bytes(imagecodecs.png_encode(depth)),
        "npy": npy(read_cloud(cloud)),
    }
    station = opened()
    with client_of(station) as client:
        for ending, data in forms.items():
            files = [("rgb", ("a.png", rgb.read_bytes())), ("xyz", (f"a.{ending}", data))]
            without = client.post(URL, files=files).json()["inspections"][0]
            assert (without["decision"] == "invalid") == (ending == "png")
            sent = [*files, ("camera", ("camera.json", json.dumps(camera).encode()))]
            told = client.post(URL, files=sent).json()["inspections"][0]
            assert told["decision"] in ("ok", "review", "reject"), told["reason"]
            assert client.get(f"/v1/inspections/{told['id']}/cloud.bin").status_code == 200


def npy(values: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, values)
    return data.getvalue()


def test_what_was_taken_is_decided_before_the_station_stops(opened, test_parts: Path, monkeypatch) -> None:
    begun = threading.Event()

    def prepared(job, serving):
        begun.set()
        return prepare(job, serving)

    monkeypatch.setattr(line, "prepare", prepared)
    station = opened()
    with client_of(station) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, URL, files=upload(test_parts / "good", "000", "001"))
        assert begun.wait(30)
        station.line.stop()
        assert answer.result().status_code == 201
        late = client.post(URL, files=upload(test_parts / "good", "000"))
        assert (late.status_code, late.json()["code"]) == (503, "not_ready")


def test_a_disk_that_is_full_is_told_and_takes_no_room(opened, test_parts: Path, monkeypatch) -> None:
    station = opened(capacity=3)
    files = upload(test_parts / "good", "000", "001")
    with client_of(station) as client:

        def full(*_: object) -> None:
            raise OutputError("cannot write maps: No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(station.files, "write", full)
            answer = client.post(URL, files=files)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage")
        assert "No space left" in answer.json()["detail"]
        assert station.line.state.queued == 0
        with monkeypatch.context() as patch:
            patch.setattr(line, "score", lambda *_: 1 / 0)  # a fault of ours
            assert client.post(URL, files=files).status_code == 503
        assert station.line.state.queued == 0
        assert not any(station.files.incoming.iterdir())
        assert client.post(URL, files=files).status_code == 201
        assert client.get("/v1/inspections/count").json()["count"] == 2
        station.line.stop()  # a part may be stored a little after its request was answered
        assert len(list(station.files.root.rglob("*-*"))) == 6


def test_a_database_that_cannot_write_leaves_no_files_behind(opened, test_parts: Path, monkeypatch) -> None:
    station = opened()
    files = upload(test_parts / "good", "000", "001")
    dialect = station.database.engine.dialect
    commit = dialect.do_commit

    def away(*_: object, **__: object) -> None:
        raise OutputError("disk I/O error")

    def committed(connection: object) -> None:
        commit(connection)
        away()

    with client_of(station) as client:
        for place, name in ((history, "add"), (dialect, "do_commit")):
            with monkeypatch.context() as patch:
                patch.setattr(place, name, away)
                assert client.post(URL, files=files).status_code == 503
            assert not list(station.files.root.rglob("*-*")), name
            assert station.line.state.queued == 0
        with monkeypatch.context() as patch:  # it may be there, and it is
            patch.setattr(dialect, "do_commit", committed)
            assert client.post(URL, files=files).status_code == 503
        assert len(list(station.files.root.rglob("*-*"))) == 6
        assert client.get("/v1/inspections/count").json()["count"] == 2
        with monkeypatch.context() as patch:  # it is not there, but nobody can ask
            patch.setattr(dialect, "do_commit", away)
            patch.setattr(history, "lately_stored", away)
            assert client.post(URL, files=files).status_code == 503
        assert len(list(station.files.root.rglob("*-*"))) == 12
