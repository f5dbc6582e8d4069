"""Names from other systems: decomposed by a Mac, or in bytes that are no UTF-8."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import trd
from trd.cli import app
from trd.config import Recipe
from trd.data.listing import list_class
from trd.data.names import part_name
from trd.errors import DataError


def renamed(folder: Path, stem: str, rgb: bytes, xyz: bytes) -> None:
    for source, ending, name in (("rgb", ".png", rgb), ("xyz", ".tiff", xyz)):
        place = folder / source
        os.rename(place / f"{stem}{ending}", os.fsencode(place) + b"/" + name + os.fsencode(ending))


def test_a_name_from_a_mac_meets_its_partner(data: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Gehäuse").encode() for form in ("NFC", "NFD"))
    assert composed != decomposed
    renamed(data / "biscuit/train/good", "000", decomposed, composed)
    files = list_class(data, "biscuit", ("rgb", "xyz"), ("xyz",))
    (part,) = [sample for sample in files.train if "Geh" in sample.id]
    assert part.id == "train/good/Gehäuse"
    assert all(path.is_file() for path in part.sources.values())


def test_two_names_that_look_alike_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        np.save(tmp_path / f"{unicodedata.normalize(form, 'ä')}.npy", np.ones((4, 4, 3), np.float32))
    with pytest.raises(DataError, match="are called 'ä'; keep one"):
        list_class(tmp_path, "", ("xyz",), ("xyz",))


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_goes_through_everything(data: Path, tmp_path: Path, quick: Recipe) -> None:
    for split in ("train/good", "validation/good", "test/chip"):
        renamed(data / "biscuit" / split, "000", b"Geh\xe4use", b"Geh\xe4use")
    shutil.rmtree(data / "biscuit/test/chip/gt")  # masks are named alike
    trd.fit(data, tmp_path / "run", quick, device="cpu")
    inputs = data / "biscuit/test/chip"
    words = ["predict", tmp_path / "run", "--input", inputs, "--out", tmp_path / "results", "--raw-maps"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Geh\\xe4use" in (tmp_path / "results/scores.csv").read_text("utf-8")
    assert tifffile.imread(tmp_path / "results/maps/Geh\\xe4use.tiff").ndim == 2
    assert (tmp_path / "results/overlays/Geh\\xe4use.png").is_file()


def test_ordinary_names_stay() -> None:
    assert part_name(Path("a/b c.1.png")) == "b c.1"
    assert part_name(Path("漆-ß_ø.tiff")) == "漆-ß_ø"
