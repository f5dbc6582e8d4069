import subprocess
import sys
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest

from trd.evaluation import figures
from trd.evaluation.curves import evaluate_maps, pixel_curves, pro_line


@pytest.fixture(autouse=True)
def _all_drawn(monkeypatch: pytest.MonkeyPatch, plain_figures: dict[str, Callable[..., str]]) -> None:
    for name, plain in plain_figures.items():
        monkeypatch.setattr(figures, name, plain)


def test_curves_and_histogram_show_what_they_are_given() -> None:
    rng = np.random.default_rng(0)
    defective = np.arange(20) % 2 == 0
    masks = np.zeros((20, 16, 16), bool)
    masks[defective, 4:8, 4:8] = True
    scores = {"fused": rng.normal(size=20).astype(np.float32)}
    maps = rng.normal(size=(20, 16, 16)).astype(np.float32)
    metrics = {"fused": evaluate_maps(maps, masks, scores["fused"])}
    pictures = [
        figures.curves_figure(scores, defective, {"fused": pro_line(pixel_curves(maps, masks))}, metrics),
        figures.curves_figure(scores, defective, {}, metrics),
        figures.curves_figure(scores, ~defective, {}, metrics),
        figures.histogram_figure(scores["fused"], defective, 1.0),
        figures.histogram_figure(scores["fused"], defective, 0.0),
    ]
    assert len(set(pictures)) == 5


def test_heat_maps_have_the_colour_maps_colours() -> None:
    from matplotlib import colormaps

    values = np.linspace(-3, 12, 4000, dtype=np.float32).reshape(40, 100)
    expected = colormaps["inferno"](np.clip((values + 1) / 9, 0, 1))[..., :3] * 255
    assert np.abs(figures.heat(values, 4.0).astype(float) - expected).max() <= 3


def test_an_overlay_is_written_without_loss() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    values = rng.normal(size=(60, 80)).astype(np.float32)
    drawn = figures.overlay(image, values, 1.0)
    assert drawn.shape == image.shape
    np.testing.assert_array_equal(imagecodecs.png_decode(figures.png(drawn)), drawn)


def test_the_callers_choice_of_a_window_system_stays() -> None:
    code = (
        "import sys, trd.evaluation.evaluate, trd.evaluation.report, trd.predictions; assert 'matplotlib' not in "
        "sys.modules; import matplotlib; matplotlib.use('svg'); import numpy as np; "
        "from trd.evaluation import figures; "
        "figures.histogram_figure(np.float32([1, 2]), np.array([True, False]), 1.5); "
        "assert matplotlib.get_backend() == 'svg'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_curves_and_intervals_of_several_detectors() -> None:
    steps = np.linspace(0, 1, 5)
    roc = figures.roc_figure({"a": (steps, steps), "b": (steps, np.sqrt(steps))})
    bars = figures.intervals_figure(
        {"AUROC": {"a": (0.5, 0.4, 0.6), "b": (0.7, 0.6, 0.8)}, "difference": {"a": (-0.2, -0.3, 0.1), "b": None}}
    )
    for uri in (roc, bars):
        assert uri.startswith("data:image/png;base64,")
    assert roc != bars
