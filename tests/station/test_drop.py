"""The folder into which a machine writes good parts: what is complete is collected."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from trd.errors import DataError
from trd_station.teaching.collection import Collection
from trd_station.teaching.drop import DropFolder
from trd_station.teaching.settings import ClassSettings

LOOKS = 0.01  # seconds between two


@pytest.fixture
def drop(tmp_path: Path) -> DropFolder:
    return DropFolder(Collection(tmp_path / "biscuit", ClassSettings("biscuit", "colour", "anna", 0)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell who writes")
def test_a_file_that_is_still_written_waits_however_long_it_rests(drop: DropFolder, drawn: Path) -> None:
    content = (drawn / "biscuit/train/good/rgb/000.png").read_bytes()
    with (drop.path / "rgb/a.png").open("wb") as writing:
        writing.write(content[:1000])
        writing.flush()
        for _ in range(3):
            assert drop.take() == ([], [])
            time.sleep(LOOKS)
        writing.write(content[1000:])
    assert drop.take() == ([], [])  # it has changed
    time.sleep(LOOKS)
    assert drop.take() == (["a"], [])


def test_a_folder_that_is_gone_is_told(drop: DropFolder) -> None:
    shutil.rmtree(drop.path / "rgb")
    with pytest.raises(DataError, match="does not exist: make a folder for each of rgb"):
        drop.take()


def test_a_second_file_of_the_same_name_is_refused(drop: DropFolder, drawn: Path) -> None:
    content = (drawn / "biscuit/train/good/rgb/000.png").read_bytes()
    (drop.path / "rgb/a.png").write_bytes(content)
    (drop.path / "rgb/a.bmp").write_bytes(content)
    drop.take()
    time.sleep(max(LOOKS, drop._settling.seconds if sys.platform != "linux" else 0))
    kept, (text,) = drop.take()
    assert kept == ["a"]
    assert text == f"{drop.path}/rgb/a.bmp is not read while a.png has the same name: leave one of them"
    (path,) = (drop.path.parent / "refused/rgb").iterdir()
    assert path.suffix == ".bmp"
