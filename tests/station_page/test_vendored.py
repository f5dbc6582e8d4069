"""What was taken from others is as its manifest says; the page asks nobody else for anything, and nothing is inline."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import trd_station

PAGE = Path(trd_station.__file__).parent / "page"
VENDORED = {"page": PAGE / "vendor", "tests": Path(__file__).parent / "vendor"}
LICENCES = {"MIT", "OFL-1.1", "MPL-2.0"}
OWN = sorted(path for path in PAGE.rglob("*") if path.is_file() and "vendor" not in path.parts)


@pytest.mark.parametrize("place", VENDORED)
def test_every_vendored_file_is_the_one_of_the_manifest(place: str) -> None:
    folder = VENDORED[place]
    packages = json.loads((folder / "manifest.json").read_text("utf-8"))["packages"]
    listed = {file["path"]: file["sha256"] for package in packages for file in package["files"]}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"manifest.json"}
    assert there == set(listed)
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed}
    assert found == listed


@pytest.mark.parametrize("place", VENDORED)
def test_every_package_says_version_licence_and_use(place: str) -> None:
    packages = json.loads((VENDORED[place] / "manifest.json").read_text("utf-8"))["packages"]
    for package in packages:
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence"] in LICENCES
        assert package["use"]
        assert package["npm_integrity"].startswith("sha512-")
        assert any(file["from"] == "LICENSE" for file in package["files"])


def test_own_files_name_no_other_address() -> None:
    """But the names of formats, which nobody fetches."""
    wrong = [
        f"{path.name}: {found}"
        for path in OWN
        for found in re.findall(r"https?://[^\"'\s)]+", path.read_text("utf-8"))
        if found != "http://www.w3.org/2000/svg"
    ]
    assert not wrong


def test_nothing_is_inline() -> None:
    html = (PAGE / "index.html").read_text("utf-8")
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", html)


def test_modules_name_files_that_exist() -> None:
    for path in OWN:
        if path.suffix != ".js":
            continue
        source = path.read_text("utf-8")
        for name in re.findall(r"^(?:import|export) .*from \"([^\"]+)\"|import\(\"([^\"]+)\"\)", source, re.MULTILINE):
            assert (path.parent / (name[0] or name[1])).is_file(), f"{path.name} imports {name}"


def test_files_are_short() -> None:
    long = {p.name: n for p in OWN if (n := len(p.read_text("utf-8").splitlines())) > 350}
    assert not long
