"""Whatever a file holds, decoding it ends in a result or in one error that names the file."""

from pathlib import Path

import pytest
from damage import mutated, valid_files, write_beside

from trd.errors import DataError

DAMAGED = valid_files()


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """Seven seeds for each of about forty formats: a DataError that names the file, or a plausible result."""
    data, read = DAMAGED[name]
    write_beside(tmp_path)
    (tmp_path / name).write_bytes(data)
    read(tmp_path / name)
    for seed in range(7):
        (tmp_path / name).write_bytes(mutated(data, seed))
        refusal = ""
        try:
            read(tmp_path / name)
        except DataError as error:
            refusal = str(error)
        assert not refusal or name in refusal
        assert len(refusal) < 1500


def test_damage_is_repeatable() -> None:
    data = DAMAGED["xyz.tiff"][0]
    assert [mutated(data, seed) for seed in range(20)] == [mutated(data, seed) for seed in range(20)]
    assert len({mutated(data, seed) for seed in range(20)}) > 15
