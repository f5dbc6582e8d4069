"""A running station in an archive, and a station made of it anywhere."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from stations import Upload, client_of, until, upload
from typer.testing import CliRunner

from trd.cli import app
from trd.errors import CheckpointError, DataError, OutputError
from trd.files import SCRAP
from trd_station.backup.archive import last_backup, write_backup
from trd_station.backup.members import Member
from trd_station.backup.restore import restore
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.tokens import Tokens

BASE = "/v1/classes/biscuit"


def called(*words: object) -> str:
    result = CliRunner().invoke(app, ["station", *(str(word) for word in words)])
    assert result.exit_code == 0, result.output + str(result.exception)
    return " ".join(result.output.split())


@contextmanager
def sending(client: TestClient, files: Upload) -> Iterator[None]:
    """Parts come in all the while."""
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            client.post(f"{BASE}/inspections", files=files)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def elsewhere(run_folder: Path, tmp_path: Path) -> Path:
    """The run under a path that can be taken away."""
    return Path(shutil.copytree(run_folder, tmp_path / "machine" / "run"))


def test_a_backup_of_a_running_station_serves_the_same_elsewhere(
    opened, elsewhere: Path, other_run: Path, test_parts: Path, tmp_path: Path
) -> None:
    """With what came while it was written; and the earlier model is there to roll back to."""
    station: Station = opened(elsewhere, other_run, audit_rate=1.0)
    good, chip = upload(test_parts / "good", "000"), upload(test_parts / "chip", "000")
    with client_of(station) as client:
        other = client.post(f"{BASE}/models", json={"name": "other/biscuit"}).json()
        client.post(f"/v1/models/{other['id']}/switch", json={"reason": "better"})
        client.post(f"{BASE}/models/roll-back", json={"reason": "worse"})
        limits = {"reject_above": 7.25, "review_above": 3.125, "reason": "set by hand"}
        assert client.put(f"{BASE}/threshold", json=limits).status_code == 201
        (told,) = client.post(f"{BASE}/inspections", files=chip).json()["inspections"]
        client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "good"})
        with sending(client, good):
            until(lambda: client.get("/v1/inspections").json()["inspections"][0]["id"] > 3)
            said = called("backup", tmp_path / "data", "--out", tmp_path / "b.zip")
        assert "run/biscuit" in said
        kept = [client.get(f"/v1/inspections/{number}").json() for number in (1, 2, 3)]
        threshold = client.get(f"{BASE}/threshold").json()
        maps = client.get("/v1/inspections/1/maps/fused.npy").content
    station.close()
    shutil.rmtree(elsewhere.parent)
    shutil.rmtree(tmp_path / "data")
    called("restore", tmp_path / "b.zip", tmp_path / "far" / "away")
    (tmp_path / "far" / "away").rename(tmp_path / "moved")  # a station's folder can be moved, too
    for runs in ((), (other_run,)):  # what is given at the start does not take its place
        settings = Settings(tmp_path / "moved", device="cpu", audit_rate=0.0)
        restored = Station.open(settings, [str(run) for run in runs])
        with client_of(restored) as client:
            assert [client.get(f"/v1/inspections/{number}").json() for number in (1, 2, 3)] == kept
            assert client.get("/v1/inspections/1/maps/fused.npy").content == maps
            assert client.get(f"{BASE}/threshold").json() == threshold
            (again,) = client.post(f"{BASE}/inspections", files=chip).json()["inspections"]
            same = ("score", "decision", "model", "detector", "review_above", "reject_above", "p_value")
            assert [again[name] for name in same] == [told[name] for name in same]
            texts = [one["text"] for one in client.get("/v1/events").json()["events"]]
            assert any(text.startswith("restored from b.zip, which was written at 2") for text in texts)
            assert not [text for text in texts if "served before" in text]
            if not runs:
                back = client.post(f"{BASE}/models/roll-back", json={"reason": "other"}).json()
                assert back["id"] == other["id"]
                client.post(f"{BASE}/models/roll-back", json={"reason": "and back"})
        restored.close()
    said = called("reconcile", tmp_path / "moved", "--verify")
    assert " 0 that no row names were deleted; 0 inspections whose" in said


def test_another_model_than_before_is_told(opened, elsewhere: Path, other_run: Path, test_parts: Path) -> None:
    station: Station = opened(elsewhere)
    with client_of(station) as client:
        above = client.get(f"{BASE}/threshold").json()["reject_above"]
    station.close()
    shutil.rmtree(elsewhere)
    with client_of(opened(other_run)) as client:
        events = client.get("/v1/events?kind=model&level=warning").json()["events"]
        now = client.get(f"{BASE}/threshold").json()["reject_above"]
    (text,) = [one["text"] for one in events]
    assert text.startswith(f"run/biscuit (model 1) served before, which rejected above {above:.5g}, and is not at")
    assert f"now other/biscuit (model 2) serves and rejects above {now:.5g}" in text


def test_a_class_keeps_the_name_it_was_given(opened, elsewhere: Path, package: bytes, tmp_path: Path) -> None:
    packed = tmp_path / "part.trdm"
    packed.write_bytes(package)
    station: Station = opened(f"gear #2={elsewhere}", f"cog={packed}")
    write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip")
    classes = station.shelf.classes
    station.close()
    shutil.rmtree(elsewhere)
    packed.unlink()
    restore(tmp_path / "b.zip", tmp_path / "new")
    again = Station.open(Settings(tmp_path / "new", device="cpu"), [])
    assert sorted(again.shelf.classes) == sorted(classes) == ["cog", "gear #2"]
    again.close()


def test_an_archive_comes_from_the_page(tmp_path: Path, opened, test_parts: Path) -> None:
    (tmp_path / "data").mkdir()
    tokens = Tokens(tmp_path / "data")
    anna = {"Authorization": f"Bearer {tokens.add('anna', 'admin')}"}
    station: Station = opened()
    with client_of(station) as client:
        assert client.get("/v1/backup.zip").status_code == 401
        client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"), headers=anna)
        answer = client.get("/v1/backup.zip", headers=anna)
        events = until(lambda: client.get("/v1/events?kind=backup", headers=anna).json()["events"])
    assert answer.headers["content-type"] == "application/zip"
    assert "-station.zip" in answer.headers["content-disposition"]
    assert last_backup(station.settings.data)
    assert [one["text"] for one in events] == ["an archive of 1 inspections was sent to anna"]
    (tmp_path / "b.zip").write_bytes(answer.content)
    assert restore(tmp_path / "b.zip", tmp_path / "new").inspections == 1
    assert contents(tmp_path / "new/files") == contents(tmp_path / "data/files")
    assert (tmp_path / "new/tokens.json").read_bytes() == (tmp_path / "data/tokens.json").read_bytes()
    assert (tmp_path / "new/tokens.json").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "data/backing-up").exists()


def test_files_that_retention_deletes_meanwhile_are_marked(opened, test_parts: Path, tmp_path: Path) -> None:
    station: Station = opened(audit_rate=0.0)
    with client_of(station) as client:
        for _ in range(2):
            client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))

    def meanwhile(members: list[Member]) -> list[Member]:
        members[0].path.unlink()
        return members

    written = write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip", meanwhile)
    assert (written.inspections, written.missing) == (2, 1)
    restore(tmp_path / "b.zip", tmp_path / "new")
    again = Station.open(Settings(tmp_path / "new", device="cpu"), [])
    with client_of(again) as client:
        assert [client.get(f"/v1/inspections/{number}").json()["pruned"] for number in (1, 2)] == [True, False]
    again.close()


def test_without_the_model_that_serves_there_is_no_archive(opened, elsewhere: Path, tmp_path: Path) -> None:
    station: Station = opened(elsewhere)
    shutil.rmtree(elsewhere)
    with pytest.raises(CheckpointError, match=r"'biscuit' is served by run/biscuit .* holds no detector any more"):
        write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
    assert not (station.settings.data / "backing-up").exists()


KILLED = """
import sys, time
from pathlib import Path
from trd_station.backup.archive import write_backup
from trd_station.settings import Settings

def members(all):
    for number, one in enumerate(all):
        if number == 3:
            print("writing", flush=True)
            time.sleep(60)
        yield one

from trd_station.backup import archive
if int(sys.argv[3]):
    archive.write_unnamed = lambda out, write: False
write_backup(Path(sys.argv[1]), Settings(Path(sys.argv[1])).url, Path(sys.argv[2]), members)
"""


@pytest.mark.parametrize("named", [False, True])
def test_a_killed_backup_leaves_nothing(opened, test_parts: Path, tmp_path: Path, named: bool) -> None:
    """named: on a drive where a file that is being written has a name, hidden until it is whole."""
    station: Station = opened()
    with client_of(station) as client:
        for _ in range(2):
            client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "b.zip"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(out), str(int(named))],
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout.readline() == b"writing\n"
    with pytest.raises(OutputError, match="is in use: a backup by process"):
        write_backup(station.settings.data, station.settings.url, tmp_path / "second.zip")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = [path.name for path in out.parent.iterdir()]
    assert [SCRAP.fullmatch(name) is not None for name in left] == [True] * (named or sys.platform != "linux")
    write_backup(station.settings.data, station.settings.url, out)
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([*left, "b.zip"])
    assert not (tmp_path / "data/backing-up").exists()
    with pytest.raises(OutputError, match="choose a new file"):
        write_backup(station.settings.data, station.settings.url, out)


def test_what_is_no_archive_makes_no_station(opened, tmp_path: Path, test_parts: Path) -> None:
    station: Station = opened()
    with client_of(station) as client:
        client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
    write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()

    def with_member(name: str, *without: str) -> bytes:
        data = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(data, "w") as target:
            for member in source.namelist():
                if member not in without:
                    target.writestr(member, source.read(member))
            if name:
                target.writestr(name, source.read("manifest.json").replace(b'"format": 2', b'"format": 3'))
        return data.getvalue()

    flipped = bytearray(whole)
    flipped[len(flipped) // 3] ^= 1
    bad = {
        "truncated": whole[: len(whole) // 2],
        "is no backup of a station, truncated or damaged": bytes(flipped),
        "copy it anew": b"no zip at all",
        r"holds '\.\./evil'": with_member("../evil"),
        "holds 'files/20260101/../../evil'": with_member("files/20260101/../../evil"),
        "is newer": with_member("manifest.json", "manifest.json"),
        r"manifest\.json is missing": with_member("", "manifest.json"),
        r"holds no station\.db": with_member("", "station.db"),
    }
    for words, data in bad.items():
        (tmp_path / "bad.zip").write_bytes(data)
        with pytest.raises(DataError, match=words):
            restore(tmp_path / "bad.zip", tmp_path / "new")
        assert not list((tmp_path / "new").iterdir()), words
    with pytest.raises(DataError, match="does not exist"):
        restore(tmp_path / "none.zip", tmp_path / "new")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        restore(tmp_path, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "new/.restore.trd-01234567").mkdir()  # of a restoring that was killed
    (tmp_path / "new/files").mkdir()
    restore(tmp_path / "b.zip", tmp_path / "new")
    with pytest.raises(OutputError, match="is not empty"):
        restore(tmp_path / "b.zip", tmp_path / "new")


def test_what_a_killed_restoring_left_is_not_deleted_from_a_station(opened, tmp_path: Path) -> None:
    """Which may have no SQLite: it works with PostgreSQL since."""
    station: Station = opened()
    write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip")
    data = tmp_path / "new"
    (data / ".restore.trd-01234567").mkdir(parents=True)
    (data / "files").mkdir()
    (data / "database").write_text("postgresql\n")
    with pytest.raises(OutputError, match="is not empty"):
        restore(tmp_path / "b.zip", data)
    assert (data / "files").exists()


def test_a_run_given_at_the_start_comes_before_what_was_sent(opened, elsewhere: Path, other_run: Path) -> None:
    """Where the model that served has gone."""
    station: Station = opened(elsewhere)
    models = station.settings.models
    models.mkdir()
    shutil.copytree(other_run / "biscuit", models / "sent")
    with client_of(station) as client:
        assert client.post(f"{BASE}/models", json={"name": "sent"}).status_code == 201
    station.close()
    shutil.rmtree(elsewhere)
    new = Path(shutil.copytree(other_run, elsewhere.with_name("new")))
    serving = opened(new).shelf.serving("biscuit")
    assert serving.version.path == str(new.resolve() / "biscuit")
