"""The disk cache of prepared samples: what it gives is what was prepared, whatever happens to its files."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from caching import BYTES, assert_same, files_in, fill, never, size_of, some_sample

from trd.preprocess import cache as module
from trd.preprocess.cache import PreparedCache
from trd.types import PreparedSample


@pytest.mark.parametrize("region", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path: Path, region: bool, mask: bool) -> None:
    sample = some_sample()
    sample = replace(sample, region=sample.region if region else None, mask=sample.mask if mask else None)
    assert PreparedCache(tmp_path, 10**9).get("key", lambda: sample) is sample
    assert_same(PreparedCache(tmp_path, 10**9).get("key", never), sample)


def test_layout_in_memory_does_not_matter(tmp_path: Path) -> None:
    """Views with strides and read-only images, as the representations return them."""
    channels_last = np.random.default_rng(0).random((40, 48, 3), np.float32)
    repeated = np.broadcast_to(channels_last[..., 0], (3, 40, 48))
    images = {"zebra": np.moveaxis(channels_last, -1, 0), "mask": repeated}
    sample = PreparedSample("ä/\udcff", "dent", images, np.eye(48, dtype=bool)[:40].T[::-1], None, (1, 2))
    PreparedCache(tmp_path, 10**9).get("key", lambda: sample)
    assert_same(PreparedCache(tmp_path, 10**9).get("key", never), sample)


def test_a_sample_with_notes_is_not_kept(tmp_path: Path) -> None:
    sample = replace(some_sample(), notes=("no support plane found",))
    assert PreparedCache(tmp_path, 10**9).get("key", lambda: sample) is sample
    assert files_in(tmp_path) == set()


def flip_last_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
        lambda content: b"\xff" * len(content),
        lambda content: content.replace(b"train/good/0", b"train/good/1"),
        lambda content: content.replace(b"sample", b"simple"),
        flip_last_byte,
    ],
)
@pytest.mark.parametrize("same_process", [True, False])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: Callable[[bytes], bytes], same_process: bool) -> None:
    sample, cache = some_sample(), PreparedCache(tmp_path, 10**9)
    cache.get("key", lambda: sample)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    cache = cache if same_process else PreparedCache(tmp_path, 10**9)
    assert cache.get("key", lambda: sample) is sample
    assert path.read_bytes() == whole
    assert_same(cache.get("key", never), sample)


def test_equal_samples_are_equal_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        PreparedCache(tmp_path / folder, 10**9).get("key", some_sample)
    assert len({path.read_bytes() for path in tmp_path.glob("*/*")}) == 1


def test_writers_and_deleters_do_not_disturb_each_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Four runs share a folder that holds a third of their samples: every answer is right, none gives up."""

    def run(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 15, 40).tolist():
            cache = PreparedCache(tmp_path, 5 * (BYTES + module.HEADER))
            assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert not caplog.records
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]
    assert size_of(tmp_path) <= 9 * (BYTES + module.HEADER)


def test_a_full_disk_ends_the_writing_and_not_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = PreparedCache(tmp_path, 10**9)
    fill(cache, range(2))
    attempts: list[int] = []

    def full(arrays: object, path: Path, facts: object) -> None:
        attempts.append(1)
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    for number in range(5):
        assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))
    assert len(attempts) == 1
    (warning,) = caplog.records
    assert "No space left on device" in warning.getMessage()
    assert files_in(tmp_path) == {"0.safetensors", "1.safetensors"}
