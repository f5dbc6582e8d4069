import csv
import errno
import io
import multiprocessing
import os
import stat
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from trd.errors import OutputError
from trd.files import csv_line, locked, write_bytes, write_json, write_text, write_whole

POSIX = pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed, nor modes set, on Windows")


def test_a_full_disk_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    write_text(target, "old")

    def fill_up(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"weights\.bin: No space left on device"):
        write_whole(target, fill_up)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin"]


def test_an_interruption_leaves_no_scraps(tmp_path: Path) -> None:
    def interrupt(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "map.tiff", interrupt)
    assert not list(tmp_path.iterdir())


def test_nan_becomes_null_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"a": [float("nan"), 1.0]})
    assert "null" in (tmp_path / "m.json").read_text()


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk, in order: "content", "replace", "folder"."""
    done: list[str] = []

    def spied(name: str, call: Callable[..., object], kind: Callable[..., str]) -> None:
        def spy(*arguments: object) -> object:
            done.append(kind(*arguments))
            return call(*arguments)

        monkeypatch.setattr(f"trd.files.os.{name}", spy)

    spied("fsync", os.fsync, lambda handle: "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content")
    spied("replace", os.replace, lambda *_: "replace")
    return done


@POSIX
def test_a_file_is_on_the_disk_before_its_name_is(tmp_path: Path, flushed: list[str]) -> None:
    write_text(tmp_path / "run.json", "{}")
    assert flushed == ["content", "replace", "folder"]
    flushed.clear()
    write_text(tmp_path / "new/deeper/run.json", "{}")  # the names of new folders are kept too
    assert flushed == ["folder", "folder", "content", "replace", "folder"]


def test_files_that_can_be_made_again_do_not_wait_for_the_disk(tmp_path: Path, flushed: list[str]) -> None:
    write_bytes(tmp_path / "maps/0.tiff", b"II", durable=False)
    assert flushed == ["replace"]


@POSIX
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o027, 0o640)])
def test_new_files_have_the_permissions_that_the_umask_gives(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "a")
        write_whole(tmp_path / "b.safetensors", lambda path: save_file({"b": np.zeros(3)}, path))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(tmp_path.iterdir())] == [mode, mode]


def test_text_of_a_file_name_that_is_not_text(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "caf\udce9 \u00e9")
    assert (tmp_path / "a.txt").read_text("utf-8") == "caf\\udce9 \u00e9"


def _hold(folder: Path, connection: Connection) -> None:
    with locked(folder, "training"):
        connection.send("held")
        connection.recv()


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_is_worked_in_by_one_process_only(tmp_path: Path, killed: bool) -> None:
    folder = tmp_path / "run"
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(folder, theirs))
    process.start()
    theirs.close()  # so that a process that fails ends the waiting
    assert ours.recv() == "held"
    with pytest.raises(OutputError, match=f"run is in use: training by process {process.pid}"), locked(folder, "x"):
        pass
    with locked(tmp_path / "other", "training"):  # another folder is free
        pass
    if killed:
        process.kill()
    else:
        ours.send("stop")
    process.join()
    with locked(folder, "training"):
        pass
    if sys.platform != "win32":
        assert not list(folder.iterdir())


def test_a_folder_that_is_locked_twice_in_one_process(tmp_path: Path) -> None:
    with locked(tmp_path, "training"):
        with pytest.raises(OutputError, match=f"training by process {os.getpid()}"), locked(tmp_path, "predicting"):
            pass
        with pytest.raises(OutputError, match="in use"), locked(tmp_path, "predicting"):  # the refused one left it
            pass


def test_spreadsheets_see_no_formulas() -> None:
    cells = ["=1+1", "+1", "-1", "@A1", "\ta", "\ra", "a\nb", "a\rb", 'a "b", c', "plain", -0.5, 3, None]
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert row[:6] == ["'=1+1", "'+1", "'-1", "'@A1", "'\ta", "'\ra"]
    assert row[6:] == ["a\nb", "a\rb", 'a "b", c', "plain", "-0.5", "3", ""]


SCRAP = ".weights.safetensors.trd-0123abcd.safetensors"


def _die_while_writing(folder: Path) -> None:
    write_whole(folder / "weights.safetensors", lambda path: (path.write_text("half"), os._exit(9)))


def test_who_locks_a_folder_deletes_what_killed_processes_left(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "class", tmp_path / "elsewhere"):
        process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(place,))
        process.start()
        process.join()
        assert len(list(place.glob(".weights.safetensors.trd-*"))) == 1
    (tmp_path / ".mine.json").touch()
    with locked(tmp_path, "training", ["class", "not there"]):
        left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock")
        assert [name.partition(".trd-")[0] for name in left] == [".mine.json", ".weights.safetensors"]
        assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / SCRAP).touch()
    with locked(tmp_path / "class", "predicting"):
        (tmp_path / "class" / SCRAP).touch()
        with locked(tmp_path, "training", ["class"]):
            pass
        assert (tmp_path / "class" / SCRAP).exists()


@POSIX
def test_without_locks_only_old_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", cannot)
    young, old = tmp_path / SCRAP, tmp_path / SCRAP.replace("0123", "4567")
    for path in (young, old):
        path.touch()
    os.utime(old, (0, 0))
    with locked(tmp_path, "training"):
        assert (young.exists(), old.exists()) == (True, False)


def test_waiting_for_a_lock(tmp_path: Path) -> None:
    done = []

    def second() -> None:
        with locked(tmp_path, "noting", wait=20):
            done.append("second")

    with locked(tmp_path, "training"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        done.append("first")
    thread.join(20)
    assert done == ["first", "second"]
