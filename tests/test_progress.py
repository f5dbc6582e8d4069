"""What long work says of itself where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from trd import progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10_000, 20))  # each part takes 20 s
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    console = Console(file=io.StringIO(), record=True, width=200)
    assert list(progress.tracked("abcdef", "cookie [1]: preparation", 6, console)) == list("abcdef")
    assert console.export_text().splitlines() == [
        "cookie [1]: preparation: 1 of 6, 200 s left",
        "cookie [1]: preparation: 3 of 6, 80 s left",
        "cookie [1]: preparation: 5 of 6, 24 s left",
    ]


def test_short_work_says_nothing() -> None:
    console = Console(file=io.StringIO(), record=True)
    assert list(progress.tracked(range(5), "preparation", 5, console)) == list(range(5))
    assert console.export_text() == ""
