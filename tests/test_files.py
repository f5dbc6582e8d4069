import errno
from pathlib import Path

import pytest

from trd.errors import OutputError
from trd.files import write_json, write_text, write_whole


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
