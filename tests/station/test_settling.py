"""A watched folder whose files come slowly, in pieces, or are none."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient
from stations import until

from trd.errors import DataError
from trd_station.inputs import folder, settling
from trd_station.inputs.folder import WatchedFolder
from trd_station.inputs.settling import Settling, being_written, facts_of, on_this_machine
from trd_station.inputs.taking import Running
from trd_station.station import Station

NEVER = threading.Event()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for source in ("rgb", "xyz"):
        (tmp_path / "in" / source).mkdir(parents=True)
    return tmp_path / "in"


def put(part: Path, place: Path, name: str) -> None:
    for source, ending in (("rgb", ".png"), ("xyz", ".tiff")):
        shutil.copy(part / f"{source}/000{ending}", place / source / f"{name}{ending}")


def inspections(client: TestClient) -> list[dict]:
    return client.get("/v1/inspections?order=oldest").json()["inspections"]


def texts(client: TestClient) -> list[str]:
    return [one["text"] for one in client.get("/v1/events?kind=input").json()["events"]]


def stepped(watched: WatchedFolder, seconds: float = 0.3) -> None:
    """Looked at again and again for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watched.step(NEVER)
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes")
def test_a_file_of_full_size_that_is_still_written_waits(
    station: Station, client: TestClient, place: Path, test_parts: Path, tmp_path: Path
) -> None:
    """As a copy from Windows: it has its size at once, and zeros where it was not written yet."""
    cloud = tifffile.imread(test_parts / "good/xyz/000.tiff")
    tifffile.imwrite(tmp_path / "plain.tiff", cloud, photometric="rgb")
    data = (tmp_path / "plain.tiff").read_bytes()
    shutil.copy(test_parts / "good/rgb/000.png", place / "rgb/a.png")
    watched = WatchedFolder(station, "biscuit", place)
    with (place / "xyz/a.tiff").open("wb") as file:
        file.truncate(len(data))
        file.write(data[: len(data) // 2])
        file.flush()
        assert being_written(place / "xyz/a.tiff")
        stepped(watched)
        assert not inspections(client)
        file.write(data[len(data) // 2 :])
    assert being_written(place / "xyz/a.tiff") is False
    assert being_written(place / "xyz/nothing.tiff") is None
    stepped(watched)
    put(test_parts / "good", place, "whole")
    stepped(watched)
    part, whole = inspections(client)
    assert (part["part"], part["score"]) == ("a", whole["score"])


def test_a_file_that_ends_early_waits_for_its_rest(
    station: Station, client: TestClient, place: Path, test_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(test_parts / "good", place, "a")
    data = (place / "rgb/a.png").read_bytes()
    (place / "rgb/a.png").write_bytes(data[: len(data) // 2])  # and closed: the copy was broken off
    watched = WatchedFolder(station, "biscuit", place)
    stepped(watched)
    assert not inspections(client)
    put(test_parts / "good", place, "b")  # does not wait for it
    stepped(watched)
    assert [one["part"] for one in inspections(client)] == ["b"]
    (place / "rgb/a.png").write_bytes(data)
    stepped(watched)
    assert [(one["part"], one["score"]) for one in inspections(client)] == [
        ("b", inspections(client)[0]["score"]),
        ("a", inspections(client)[0]["score"]),
    ]
    monkeypatch.setattr(folder, "PATIENCE", 0.1)
    (place / "rgb/c.png").write_bytes(data[: len(data) // 2])
    shutil.copy(test_parts / "good/xyz/000.tiff", place / "xyz/c.tiff")
    stepped(watched)
    assert [one["decision"] for one in inspections(client)[2:]] == ["invalid"]
    watched = WatchedFolder(station, "biscuit", place)  # after a restart
    stepped(watched)
    assert len(inspections(client)) == 3
    (place / "rgb/c.png").write_bytes(data)  # the rest came after all
    stepped(watched)
    assert [one["part"] for one in inspections(client)] == ["b", "a", "c", "c"]
    assert inspections(client)[3]["score"] == inspections(client)[0]["score"]
    assert (place / "inspected/rgb/c.png").exists()
    monkeypatch.setattr(folder, "KEPT", 0.1)
    (place / "rgb/d.png").write_bytes(data[: len(data) // 2])
    shutil.copy(test_parts / "good/xyz/000.tiff", place / "xyz/d.tiff")
    stepped(watched, 0.6)
    assert (place / "inspected/rgb/d.png").exists()


def test_what_is_of_no_use_does_not_wait(station: Station, client: TestClient, place: Path, test_parts: Path) -> None:
    """It is whole: another copy would be no better."""
    shutil.copy(test_parts / "good/rgb/000.png", place / "rgb/a.png")
    tifffile.imwrite(place / "xyz/a.tiff", np.zeros((192, 192, 3), np.float32), photometric="rgb")
    stepped(WatchedFolder(station, "biscuit", place))
    assert [one["decision"] for one in inspections(client)] == ["invalid"]


def test_where_nobody_tells_who_writes_files_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    monkeypatch.setattr(settling, "LOCAL", 0.2)
    monkeypatch.setattr(settling, "being_written", lambda path: None)

    def complete(one: Settling) -> bool:
        one.look({path: facts_of(path)})
        return one.complete(path)

    for seconds in (None, 0.2):
        path.write_bytes(b"one")
        one = Settling(tmp_path, seconds)
        assert not complete(one)
        time.sleep(0.12)
        path.write_bytes(b"three")
        assert not complete(one)
        time.sleep(0.12)
        assert not complete(one)
        until(lambda one=one: complete(one))
    monkeypatch.setattr(settling, "being_written", lambda path: False)
    for seconds, expected in ((None, True), (5.0, False)):
        one = Settling(tmp_path, seconds)
        assert not complete(one)
        assert complete(one) is expected


@pytest.mark.parametrize(
    ("kind", "local"), [("ext4", True), ("overlay", True), ("cifs", False), ("nfs4", False), ("fuse.sshfs", False)]
)
def test_network_drives_are_known_by_their_kind(
    kind: str, local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a b"
    place.mkdir()
    mount = str(place.resolve()).replace(" ", "\\040")
    (tmp_path / "mounts").write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / {mount} rw,relatime shared:1 - {kind} //nas/parts rw\n"
    )
    monkeypatch.setattr(settling, "MOUNTS", tmp_path / "mounts")
    assert on_this_machine(place) is local
    assert Settling(place).seconds == (2 if local else 5)
    assert on_this_machine(tmp_path)
    monkeypatch.setattr(settling, "MOUNTS", tmp_path / "none")
    assert not on_this_machine(place)


def test_what_stands_in_the_way_is_told_once_and_passed_over(
    station: Station, client: TestClient, place: Path, test_parts: Path
) -> None:
    put(test_parts / "good", place, "a")
    (place / "rgb/a.png").unlink()
    (place / "rgb/a.png").symlink_to("/nonexistent/a.png")
    put(test_parts / "good", place, "b")
    (place / "rgb/b.png").unlink()
    (place / "rgb/b.png").mkdir()
    for number in range(5):
        (place / f"rgb/phone{number}.heic").write_bytes(b"ftypheic")
    (place / "rgb/notes.txt").write_text("of the line")
    put(test_parts / "good", place, "name")
    for source, ending in ((b"rgb", b".png"), (b"xyz", b".tiff")):
        odd = os.fsencode(place / os.fsdecode(source)) + b"/"
        os.rename(odd + b"name" + ending, odd + b"Geh\xe4use" + ending)
    put(test_parts / "good", place, "z")
    running = Running(station, WatchedFolder(station, "biscuit", place))
    try:
        until(lambda: len(inspections(client)) == 2 and len(texts(client)) == 3)
        time.sleep(3 * folder.POLL)
    finally:
        running.stop()
    assert {one["part"]: one["inputs"]["rgb"] for one in inspections(client)} == {
        "Geh\\xe4use": "Geh\\xe4use.png",
        "z": "z.png",
    }
    assert sorted(texts(client)) == sorted(
        [
            "folder of 'biscuit': "
            "5 .heic files (rgb/phone0.heic, rgb/phone1.heic, rgb/phone2.heic, ...) not read: convert them to PNG",
            f"folder of 'biscuit': {place / 'rgb/a.png'} is passed over: it links to nothing",
            f"folder of 'biscuit': {place / 'rgb/b.png'} is passed over: it is a folder",
        ]
    )


def test_a_part_that_cannot_be_copied_stops_no_other(
    station: Station, client: TestClient, place: Path, test_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(test_parts / "good", place, "a")
    put(test_parts / "good", place, "z")
    asked: list[str] = []
    copied = folder.job_of_files

    def refused(station: Station, class_name: str, name: str, *rest: object) -> object:
        asked.append(name)
        if name == "a":
            raise DataError("a.png cannot be read: Permission denied")
        return copied(station, class_name, name, *rest)

    monkeypatch.setattr(folder, "job_of_files", refused)
    watched = WatchedFolder(station, "biscuit", place)
    stepped(watched)
    assert asked == ["a", "z"]
    assert [one["part"] for one in inspections(client)] == ["z"]
    until(lambda: texts(client) == ["folder of 'biscuit': a.png cannot be read: Permission denied"])
    monkeypatch.setattr(folder, "job_of_files", copied)
    watched._failed["a"] = folder._Failed("", 0.0)  # five seconds later
    stepped(watched)
    assert [one["part"] for one in inspections(client)] == ["z", "a"]


def test_a_second_file_of_the_same_name_is_told_and_passed_over(
    station: Station, client: TestClient, place: Path, test_parts: Path
) -> None:
    watched = WatchedFolder(station, "biscuit", place, settle=0.05)
    put(test_parts / "good", place, "a")
    (place / "xyz/a.tiff").rename(place / "xyz/waits.tiff")
    (place / "rgb/a.bmp").write_bytes(b"not read")
    stepped(watched)
    (text,) = until(lambda: texts(client))
    assert text == (
        f"folder of 'biscuit': {place}/rgb/a.bmp is not read while a.png has the same name: leave one of them"
    )
    (place / "xyz/waits.tiff").rename(place / "xyz/a.tiff")
    stepped(watched)
    assert [one["decision"] for one in inspections(client)] == ["ok"]
    assert len(texts(client)) == 1
