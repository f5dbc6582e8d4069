"""Jobs and shadows give way to the line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trd_station.teaching import process

SHARES = Path("/proc/sys/kernel/sched_autogroup_enabled")
SAID = """
import os, sys
from trd_station.teaching.process import Channel
Channel()
print(os.nice(0), open("/proc/self/autogroup").read().split()[-1], file=sys.stderr)
"""


@pytest.mark.skipif(not SHARES.exists(), reason="this system shares no processors between sessions")
def test_a_process_of_its_own_session_has_the_lowest_priority_among_sessions_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAID], capture_output=True, text=True, start_new_session=True, check=False
    )
    assert done.stderr.split() == ["19", "19"]
    assert os.nice(0) < 19


@pytest.mark.parametrize(
    ("refusals", "tries"),
    [([BlockingIOError, BlockingIOError], 3), ([PermissionError], 1), ([BlockingIOError] * 99, 20)],
)
def test_linux_is_asked_again_where_another_process_has_just_asked(
    refusals: list[type[OSError]], tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Autogroup:
        def write_text(self, text: str) -> None:
            asked.append(text)
            if len(asked) <= len(refusals):
                raise refusals[len(asked) - 1]

    monkeypatch.setattr(process, "AUTOGROUP", Autogroup())
    monkeypatch.setattr(process, "AGAIN", 0.0)
    process._session_to_lowest_priority()
    assert asked == ["19"] * tries
