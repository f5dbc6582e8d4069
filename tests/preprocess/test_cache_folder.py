"""The cache's folder: where it is, how large it gets, and what is deleted first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from caching import BYTES, assert_same, files_in, fill, never, size_of, some_sample

from trd.errors import RecipeError
from trd.preprocess import cache as module
from trd.preprocess.cache import PreparedCache, user_cache


def test_the_oldest_go_when_the_limit_is_reached(tmp_path: Path) -> None:
    limit = 10 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    fill(cache, range(10))
    assert len(files_in(tmp_path)) == 10
    for used in (0, 4):
        cache.get(str(used), never)  # now the youngest
    before = files_in(tmp_path)
    fill(cache, range(10, 11))
    gone = {int(name.partition(".")[0]) for name in before - files_in(tmp_path)}
    assert gone
    assert gone <= {1, 2, 3}
    assert size_of(tmp_path) <= module.KEPT_SHARE * limit
    for kept in (0, 4, 9, 10):
        assert_same(cache.get(str(kept), never), some_sample(kept))


def test_the_limit_holds_all_the_time_and_in_a_folder_that_was_full_before(tmp_path: Path) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(20))
    limit = 6 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    for number in range(20, 40):
        fill(cache, range(number, number + 1))
        assert size_of(tmp_path) <= limit
        assert f"{number}.safetensors" in files_in(tmp_path)


def test_the_limit_holds_for_two_processes_together(tmp_path: Path) -> None:
    limit = 40 * (BYTES + module.HEADER)
    caches = [PreparedCache(tmp_path, limit) for _ in range(2)]
    for number in range(200):
        fill(caches[number % 2], range(number, number + 1))
        assert size_of(tmp_path) <= (1 + 2 * module.LISTING_SHARE) * limit


def test_the_folder_is_listed_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings: list[int] = []
    original = PreparedCache._delete_oldest

    def counted(self: PreparedCache) -> int:
        listings.append(1)
        return original(self)

    monkeypatch.setattr(PreparedCache, "_delete_oldest", counted)
    fill(PreparedCache(tmp_path, 1000 * BYTES), range(200))
    assert 1 < len(listings) <= 6


def test_what_was_displaced_is_not_written_again_by_the_same_process(tmp_path: Path) -> None:
    limit = 6 * (BYTES + module.HEADER)
    cache = PreparedCache(tmp_path, limit)
    fill(cache, range(12))
    kept = files_in(tmp_path)
    for number in range(12):
        assert_same(cache.get(str(number), lambda n=number: some_sample(n)), some_sample(number))
    assert files_in(tmp_path) == kept
    PreparedCache(tmp_path, limit).get("0", lambda: some_sample(0))
    assert "0.safetensors" in files_in(tmp_path)


def test_a_sample_larger_than_the_limit_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(3))
    sample, cache = some_sample(7), PreparedCache(tmp_path, BYTES)
    for _ in range(2):
        assert cache.get("7", lambda: sample) is sample
    assert files_in(tmp_path) == {f"{number}.safetensors" for number in range(3)}
    assert not caplog.records


def test_only_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    limit = 4 * (BYTES + module.HEADER)
    fill(PreparedCache(tmp_path, 10**9), range(3))
    abandoned, under_way = tmp_path / ".8.abc.safetensors", tmp_path / ".9.abc.safetensors"
    for path, seconds in ((abandoned, 0), (under_way, 4e9)):
        path.write_bytes(b"half a sample")
        os.utime(path, (seconds, seconds))
    fill(PreparedCache(tmp_path, limit), range(10, 12))
    assert not abandoned.exists()
    assert under_way.exists()


def test_facts_count_towards_the_limit(tmp_path: Path) -> None:
    fill(PreparedCache(tmp_path, 10**9), range(3))
    for number in range(50):
        (tmp_path / f"{number:02d}.json").write_text("x" * 100)
        os.utime(tmp_path / f"{number:02d}.json", (1e8, 1e8))  # the oldest
    limit = 4 * (BYTES + module.HEADER)
    fill(PreparedCache(tmp_path, limit), range(10, 12))
    assert not list(tmp_path.glob("*.json"))
    assert size_of(tmp_path) <= limit


@pytest.mark.parametrize("value", ["four", "-1", "nan", "inf", "-inf", "4 GB", "1e400"])
def test_a_bad_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", value)
    with pytest.raises(RecipeError, match=rf"TRD_CACHE_GB is '{value}'.*0 for none"):
        user_cache()


@pytest.mark.parametrize(("value", "limit"), [("", 4 * 2**30), ("1.5", 3 * 2**29), (" 2 ", 2**31)])
def test_limits(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str, limit: int) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", value)
    cache = user_cache()
    assert cache is not None
    assert (cache.folder, cache.limit) == (folder, limit)
    assert user_cache() is cache


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache"),
        ("linux", {"XDG_CACHE_HOME": "ROOT/xdg"}, "xdg"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache"),
        ("darwin", {"XDG_CACHE_HOME": "ROOT/xdg"}, "home/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "ROOT/local"}, "local"),
    ],
)
def test_the_folder_without_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("TRD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("ROOT", str(tmp_path)))
    monkeypatch.setattr(module.sys, "platform", platform)
    monkeypatch.setattr(module.Path, "home", lambda: tmp_path / "home")
    cache = user_cache()
    assert cache is not None
    assert cache.folder == tmp_path / expected / "trd" / "prepared"
    assert not cache.folder.exists()
