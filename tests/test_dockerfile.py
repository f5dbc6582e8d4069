"""What can be held about the image without building it."""

import re
import sys
from pathlib import Path

import pytest

from trd_station.running import Place

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
if not (ROOT / "Dockerfile").exists():
    pytest.skip("not in a checkout", allow_module_level=True)
LINES = [
    line
    for line in (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def arguments(instruction: str) -> list[str]:
    return [line.removeprefix(instruction).strip() for line in LINES if line.startswith(f"{instruction} ")]


def test_the_base_is_one_release_and_not_whatever_is_newest() -> None:
    (base,) = arguments("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_what_runs_is_not_root_and_was_told_so_last() -> None:
    (user,) = arguments("USER")
    assert user not in ("root", "0")
    assert any(f"useradd --create-home --uid 10001 {user}" in line for line in arguments("RUN"))
    order = [line.split()[0] for line in LINES]
    assert order.index("USER") > max(index for index, word in enumerate(order) if word == "RUN")


def test_copied_files_are_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"  # nothing of a working folder, data and keys least of all, gets in unless it is named
    for line in arguments("COPY"):
        *sources, target = line.split()
        assert target.startswith("/source/")
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_extras_exist_and_leave_pytorch_out() -> None:
    (wanted,) = re.findall(r"/source\[([\w,]+)\]", " ".join(arguments("RUN")))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(wanted.split(",")) <= set(extras)
    assert not any("torch" in requirement for name in wanted.split(",") for requirement in extras[name])


def test_the_port_and_the_health_check_are_the_stations() -> None:
    assert arguments("EXPOSE") == [str(Place().port)]
    assert f"127.0.0.1:{Place().port}/healthz" in arguments("HEALTHCHECK")[0]
