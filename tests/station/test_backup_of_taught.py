"""What is taught is in a station's archive: a station made of it goes on teaching."""

import asyncio
import io
import json
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from jobs import jobs_in_this_process
from stations import client_of, until
from taught import BASE, FIRST, asked, collect, ended, good_parts, new_class

from trd.errors import DataError
from trd_station.api.app import create_app
from trd_station.backup.archive import BACKING_UP, write_backup
from trd_station.backup.restore import restore
from trd_station.backup.taught import taught_of_one_moment
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.teaching.jobs import Job
from trd_station.teaching.lesson import LessonPlan
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.settings import ClassSettings
from trd_station.teaching.trial import JudgedPart, Plan, Tried


@pytest.fixture
def teaching(empty: Callable[[], Station], drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Station:
    """Three good parts, one of them discarded since a job was begun with them, which does not end."""

    def work(queue: JobQueue, _job: Job) -> tuple[int, str]:
        until(lambda: queue._stopping)
        return 1, ""

    monkeypatch.setattr(JobQueue, "_process_of", work)
    station = empty()
    with client_of(station) as client:
        new_class(client)
        collect(client, drawn, "000", "001", "002")
        client.put(f"{BASE}/region", json={"inspect": [[[5, 5], [180, 5], [180, 180]]], "ignore": []})
        number = asked(client, **FIRST)
        until(lambda: client.get(f"/v1/jobs/{number}").json()["state"] == "running")
        client.delete(f"{BASE}/parts/001")
    return station


def archived(station: Station, out: Path) -> Path:
    write_backup(station.settings.data, station.settings.url, out)
    return out


def test_a_restored_station_goes_on_teaching(
    teaching: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(teaching) as client:
        told = [client.get(path).json() for path in (f"{BASE}/parts", BASE)]
    archive = archived(teaching, tmp_path / "b.zip")
    folder, place = teaching.teaching.folder / "biscuit", tmp_path / "new/teach/biscuit"
    with zipfile.ZipFile(archive) as opened:
        assert json.loads(opened.read("manifest.json"))["taught"] == ["biscuit"]
        assert sum(name.endswith(".tiff") for name in opened.namelist()) == 3  # a job's are the collection's
    restore(archive, tmp_path / "new")
    for name in ("parts/train/rgb/000.png", "discarded/xyz/001.tiff", "jobs/1/parts/train/xyz/001.tiff", "class.json"):
        assert (place / name).read_bytes() == (folder / name).read_bytes()
    assert (place / "jobs/1/parts/train/rgb/000.png").samefile(place / "parts/train/rgb/000.png")
    assert not (place / "drop").exists()
    jobs_in_this_process(monkeypatch)
    restored = Station.open(Settings(tmp_path / "new", device="cpu"), [])
    with client_of(restored) as client:
        assert client.get(f"{BASE}/parts").json() == told[0]
        assert client.get(BASE).json()["inspect"] == told[1]["inspect"]
        done = ended(client, 1)
        assert (done["state"], done["model"]) == ("done", "patch-statistics-1"), done
        trained = json.loads((tmp_path / "new/models/patch-statistics-1/training.json").read_text())
        assert len(trained["parts"]) == 3  # the job's, not those that are left
    restored.close()


def test_parts_that_come_meanwhile_are_whole_or_not_in_it(
    empty: Callable[[], Station], drawn: Path, tmp_path: Path
) -> None:
    station = empty()
    (_, (_, rgb)), xyz = good_parts(drawn, "000")
    kept: list[str] = []
    with client_of(station) as client:
        new_class(client)

        def send() -> None:
            for number in range(1000):
                part = [("rgb", ("a.png", rgb + b"%d" % number)), xyz]  # behind its end, where no reader looks
                answer = client.post(f"{BASE}/parts", files=part, data={"part": f"part-{number}"}).json()
                kept.append(answer["parts"][0]["name"])
                if done.is_set():
                    return

        done = threading.Event()
        thread = threading.Thread(target=send)
        thread.start()
        try:
            for number in range(3):
                until(lambda number=number: len(kept) > 4 * number)
                before = set(kept)
                with zipfile.ZipFile(archived(station, tmp_path / f"{number}.zip")) as archive:
                    names = [Path(name) for name in archive.namelist() if "/train/" in name]
                rgb_stems, xyz_stems = ({name.stem for name in names if name.parent.name == s} for s in ("rgb", "xyz"))
                assert before <= rgb_stems == xyz_stems
        finally:
            done.set()
            thread.join()


def test_a_part_that_is_moving_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "data/teach/biscuit"
    ClassSettings("biscuit", "colour and 3D", "anna", 0).write(folder)
    for name in ("rgb/whole.png", "xyz/whole.tiff", "xyz/torn.tiff", "xyz/.whole.tiff.trd-01234567.tiff"):
        (folder / "parts/train" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "parts/train" / name).write_bytes(b"content")
    (tmp_path / "data/teach/damaged").mkdir()
    (tmp_path / "data/teach/damaged/class.json").write_text("{")
    assert taught_of_one_moment(tmp_path / "data", tmp_path / "copy") == ("biscuit",)
    files = sorted(path.name for path in (tmp_path / "copy").rglob("*") if path.is_file())
    assert files == ["class.json", "whole.png", "whole.tiff"]


def test_a_killed_backup_leaves_no_links(opened: Callable[..., Station], tmp_path: Path) -> None:
    left = tmp_path / "data" / BACKING_UP / ".teach.trd-01234567/biscuit"
    left.mkdir(parents=True)
    (left / "class.json").write_text("{}")
    station = opened()
    assert not (tmp_path / "data" / BACKING_UP).exists()
    left.mkdir(parents=True)
    archived(station, tmp_path / "b.zip")
    assert not (tmp_path / "data" / BACKING_UP).exists()


def test_an_earlier_archive_is_read_and_odd_links_are_not(teaching: Station, tmp_path: Path) -> None:
    whole = archived(teaching, tmp_path / "b.zip").read_bytes()

    def changed(name: str, out: str, form: bytes, links: bytes | None) -> Path:
        with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(tmp_path / out, "w") as target:
            for member in source.namelist():
                if name and member.startswith(name):
                    continue
                data = source.read(member).replace(b'"format": 2', form)
                if member == "links.json":
                    data = links
                if data is not None:
                    target.writestr(member, data)
        return tmp_path / out

    restore(changed("teach/", "first.zip", b'"format": 1', None), tmp_path / "first")
    assert not (tmp_path / "first/teach").exists()
    member = "teach/biscuit/class.json"
    for number, links in enumerate(({"../evil": member}, {"teach/x": "teach/none"}, {member: member}, [])):
        bad = changed("", f"{number}.zip", b'"format": 2', json.dumps(links).encode())
        with pytest.raises(DataError, match=r"links\.json is damaged"):
            restore(bad, tmp_path / "bad")


def test_a_file_whose_name_no_archive_takes_is_told(teaching: Station, tmp_path: Path) -> None:
    odd = teaching.teaching.folder / "biscuit/refused/rgb/Geh\udce4use.png"
    odd.parent.mkdir(parents=True)
    try:
        odd.write_bytes(b"content")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    (odd.parent / "same.png").hardlink_to(odd)
    (odd.parent / "same\udce4.png").hardlink_to(odd)
    written = write_backup(teaching.settings.data, teaching.settings.url, tmp_path / "b.zip")
    why = "a file with this name cannot be in an archive"
    assert written.lost == (f"'Geh\\udce4use.png': {why}", f"'same\\udce4.png': {why}")
    restore(tmp_path / "b.zip", tmp_path / "new")
    assert (tmp_path / "new/teach/biscuit/refused/rgb/same.png").read_bytes() == b"content"
    with client_of(teaching) as client:
        client.get("/v1/backup.zip")
        events = until(lambda: len(e := client.get("/v1/events?kind=backup&level=warning").json()["events"]) > 1 and e)
    assert {event["text"] for event in events} == {f"not in the archive: {text}" for text in written.lost}


def test_a_client_that_leaves_at_once_does_not_keep_others_from_it(opened: Callable[..., Station]) -> None:
    station = opened()
    app = create_app(station)

    async def left() -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/v1/backup.zip", "raw_path": b"/v1/backup.zip", "query_string": b"",
            "root_path": "", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }  # fmt: skip

        async def receive() -> dict:
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            await asyncio.sleep(3600)  # nobody reads

        await asyncio.wait_for(app(scope, receive, send), 60)

    with ThreadPoolExecutor() as pool:  # in this thread a browser's tests may have a loop
        pool.submit(asyncio.run, left()).result()
    assert not (station.settings.data / BACKING_UP).exists()
    with client_of(station) as client:
        assert client.get("/v1/backup.zip").status_code == 200


def test_the_paths_of_a_trial_move_with_the_station(tmp_path: Path) -> None:
    job = Job(3, "biscuit", "trial", tmp_path / "one/teach/biscuit/jobs/3", "anna", 0)
    part = JudgedPart(1, "000", "good", None, True, {"rgb": str(tmp_path / "one/files/20260101/a.png")}, None)
    model = Tried("first", str(tmp_path / "one/models/first"), True, 1.0)
    outside = Tried("given", "/runs/given", False, None)
    Plan((model, outside), (part,)).write(job)
    (tmp_path / "one").rename(tmp_path / "two")
    plan = Plan.read(replace(job, folder=tmp_path / "two/teach/biscuit/jobs/3"))
    assert [Path(model.path) for model in plan.models] == [tmp_path / "two/models/first", Path("/runs/given")]
    assert Path(plan.parts[0].sources["rgb"]) == tmp_path / "two/files/20260101/a.png"


def test_a_model_that_was_moved_already_is_taken_as_it_is(
    empty: Callable[[], Station], drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an archive that was made while a job ended."""
    jobs_in_this_process(monkeypatch)
    station = empty()
    with client_of(station) as client:
        new_class(client)
        collect(client, drawn, "000", "001")
        number = asked(client, **FIRST)
        done = ended(client, number)
        job = station.teaching.queue.job(number)
        (job.folder / "run").mkdir()
        (job.folder / "run/recipe.toml").write_text("other")
        model = station.settings.models / done["model"]
        before = (model / "recipe.toml").read_bytes()
        assert station.teaching._finished(job).model == done["model"]
        assert (model / "recipe.toml").read_bytes() == before
        assert not (job.folder / "run").exists()


def test_the_paths_of_a_lesson_move_with_the_station(tmp_path: Path) -> None:
    job = Job(3, "biscuit", "lesson", tmp_path / "one/teach/biscuit/jobs/3", "anna", 0)
    data = str(tmp_path / "one/teach/biscuit/jobs/1/parts")
    LessonPlan("first", str(tmp_path / "one/models/first"), "id", data, None, (), ()).write(job)
    (tmp_path / "one").rename(tmp_path / "two")
    plan = LessonPlan.read(replace(job, folder=tmp_path / "two/teach/biscuit/jobs/3"))
    assert (Path(plan.path), plan.camera) == (tmp_path / "two/models/first", None)
    assert plan.data == str(tmp_path / "two/teach/biscuit/jobs/1/parts")


def test_jobs_of_a_class_that_is_served_and_not_taught_are_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "data/teach/biscuit/jobs/3"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("{}")
    assert taught_of_one_moment(tmp_path / "data", tmp_path / "place") == ()
    assert (tmp_path / "place/biscuit/jobs/3/job.json").is_file()
