"""Whether the page tells a calibration that is right from one that is some pixels off."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from trd.check.check import check_class
from trd.check.page import html_page
from trd.check.registration import agreement, depth_edges, registration
from trd.config import Recipe
from trd.types import ClassFolder, Sample


def disc(columns: float = 0, rows: float = 0) -> np.ndarray:
    """(240, 320) True on a disc in the middle, moved."""
    down, across = np.indices((240, 320))
    return np.hypot(down - 120 - rows, across - 160 - columns) < 60


def part(columns: float, rows: float) -> Sample:
    """A bright disc before a table with a pattern; its depth lies aside."""
    rng = np.random.default_rng(0)
    table = cv2.GaussianBlur(rng.uniform(60, 140, (240, 320)), (0, 0), 3) + rng.normal(0, 3, (240, 320))
    picture = np.where(disc(), 200, table).clip(0, 255).astype(np.uint8)
    depth = np.where(disc(columns, rows), 0.45, 0.5) + rng.normal(0, 2e-4, (240, 320))
    depth[:, :30] = 0
    xyz = np.stack([np.indices(depth.shape)[1] * depth / 500, depth, depth], axis=-1).astype(np.float32)
    return Sample("1", {"rgb": np.repeat(picture[..., None], 3, axis=2), "xyz": xyz})


def test_edges_are_the_rims_of_what_stands_before() -> None:
    edges = depth_edges(np.asarray(part(0, 0).arrays["xyz"], np.float32))
    rim = disc() & (cv2.erode(disc().astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    assert np.mean(edges[rim]) > 0.95
    assert np.mean(rim[edges]) > 0.95


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 0), (4, 0), (-3, 2)])
def test_a_shift_is_measured(columns: int, rows: int) -> None:
    seen = registration([part(columns, rows), part(columns, rows)], "rgb", "xyz")
    assert seen.facts["pixels with depth"] == "91% of the picture, in the first 2 parts"
    assert len(seen.pictures) == 2
    if abs(columns) < 2:
        assert not seen.warnings
        return
    (warning,) = seen.warnings
    assert f"off by about {np.hypot(columns, rows):.0f} pixels" in warning
    assert f"{-columns:+d} columns and {-rows:+d} rows away" in warning


@pytest.mark.parametrize("side", [8, 20])
def test_tiny_pictures(side: int) -> None:
    edges = np.random.default_rng(0).random((side, side)) < 0.5
    grey = edges.astype(np.float32)
    correlation = agreement(grey, edges)
    assert correlation.shape == (2 * (side // 4) + 1,) * 2


def test_flat_parts_tell_nothing() -> None:
    flat = Sample("1", {"rgb": np.zeros((60, 80), np.uint8), "xyz": np.ones((60, 80, 3), np.float32)})
    seen = registration([flat], "rgb", "xyz")
    assert seen.facts["edges of colour and depth"] == "too few edges in depth to compare"
    assert not seen.warnings


def test_the_page_shows_depth_over_colour(data: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn biscuits have slopes, no jumps."""
    centre = (192 - 1) / 2
    colour = {"fx": 620, "fy": 620, "cx": centre, "cy": centre, "width": 192, "height": 192}
    (data / "biscuit/camera.json").write_text(json.dumps({"colour": colour}))
    monkeypatch.setattr(
        "trd.check.check.registration", lambda *inputs: replace(registration(*inputs), warnings=("moved aside",))
    )
    seen = check_class(ClassFolder("biscuit", data / "biscuit"), recipe)
    assert not seen.problems
    assert "moved aside" in seen.warnings
    assert seen.facts["edges of colour and depth"] == "too few edges in depth to compare"
    assert len(seen.registered) == 3
    page = html_page("check", [seen])
    assert page.count('<figure class="large">') == 3
