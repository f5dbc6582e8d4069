"""A folder of the test's own for the cache on disk."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("caching")  # its comparisons show what differs, as in a test


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRD_CACHE_DIR", str(tmp_path / "prepared"))
    return tmp_path / "prepared"
