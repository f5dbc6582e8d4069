"""Pictures: heat-map overlays with outlines, galleries, ROC and PRO curves, score histograms."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from trd.evaluation.curves import DRAWN_TO, Line, aupro_key, image_curves
from trd.extras import explained

if TYPE_CHECKING:  # matplotlib is imported where it draws curves: predicting does without
    from matplotlib.figure import Figure

Picture = NDArray[np.uint8]
_RUN_LENGTHS, _DIFFERENCE_TO_ROW_ABOVE = 3, 0x20  # Z_RLE of zlib, PNG_FILTER_UP of libpng
COLD = -1.0  # z-score drawn in the darkest colour; twice the threshold gets the brightest


def heat(values: NDArray[np.float32], threshold: float) -> Picture:
    """(H, W) z-scores -> (H, W, 3) colours; the scale is fixed by the threshold, so pictures can be compared."""
    top = max(2 * threshold, COLD + 1)
    levels = np.clip((values - np.float32(COLD)) * np.float32(256 / (top - COLD)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, _inferno()), np.uint8)


@functools.cache
def _inferno() -> Picture:
    """(256, 1, 3), red first."""
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(table[..., ::-1], np.uint8)


def overlay(image: Picture, values: NDArray[np.float32], threshold: float, strength: float = 0.55) -> Picture:
    """Heat map over the image, both (H, W); a thin white line where the map crosses the threshold."""
    blended = cv2.addWeighted(np.ascontiguousarray(image), 1 - strength, heat(values, threshold), strength, 0)
    return outlined(np.asarray(blended, np.uint8), values > threshold, (255, 255, 255))


def outlined(picture: Picture, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Picture:
    """The picture with the mask's outline drawn in."""
    flags = np.ascontiguousarray(mask).view(np.uint8)
    contours, _ = cv2.findContours(flags, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(picture.copy(), contours, -1, colour, 1), np.uint8)


def as_picture(image: NDArray[np.float32]) -> Picture:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.asarray((np.moveaxis(image, 0, -1) * 255).round().astype(np.uint8))


def png(picture: Picture) -> bytes:
    """Compressed in the fastest way: for photographs under heat maps also one of the smallest."""
    contiguous = np.ascontiguousarray(picture)
    return bytes(imagecodecs.png_encode(contiguous, level=1, strategy=_RUN_LENGTHS, filter=_DIFFERENCE_TO_ROW_ABOVE))


def data_uri(picture: Picture) -> str:
    """As JPEG, a sixth of the size of PNG: a report holds a hundred pictures per class."""
    data = bytes(imagecodecs.jpeg_encode(np.ascontiguousarray(picture), level=88))
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def curves_figure(
    scores: Mapping[str, NDArray[np.float32]],
    defective: NDArray[np.bool_],
    pro: Mapping[str, Line],
    metrics: Mapping[str, Mapping[str, float]],
) -> str:
    """ROC over images and PRO over pixels (to 30 % false positives), one line per map; as a data URI.

    pro: per map of `scores`, `pro_line` of it; empty without masks. metrics: of each map, for the legends.
    """
    figure = _figure(3.6, margins={"left": 0.07, "right": 0.985, "bottom": 0.15, "top": 0.9, "wspace": 0.2})
    images, pixels = figure.subplots(1, 2)
    for name, values in scores.items():
        width = 2 if name == "fused" else 1
        auroc = metrics[name]["image_auroc"]
        images.plot(*image_curves(values, defective).roc(), label=f"{name} {auroc:.3f}", lw=width)
        if name in pro:
            pixels.plot(*pro[name], label=f"{name} {metrics[name][aupro_key(DRAWN_TO)]:.3f}", lw=width)
    images.set(xlabel="false alarms among good parts", ylabel="defective parts found", title="ROC, images")
    pixels.set(
        xlabel="false positive pixels", ylabel="mean overlap of defect regions", title="PRO, to 30 %", ylim=(0, 1.02)
    )
    for axes in (images, pixels):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="lower right", fontsize=8)
    return _figure_uri(figure)


def histogram_figure(scores: NDArray[np.float32], defective: NDArray[np.bool_], threshold: float) -> str:
    """Image scores of good and defective parts with the operating threshold; as a data URI."""
    figure = _figure(2.6, margins={"left": 0.07, "right": 0.985, "bottom": 0.2, "top": 0.96})
    axes = figure.subplots()
    bins = np.linspace(float(scores.min()), float(scores.max()) + 1e-6, 31)
    axes.hist([scores[~defective], scores[defective]], bins=list(bins), stacked=True,
              label=["good", "defective"], color=["#4c9f70", "#c0504d"])  # fmt: skip
    axes.axvline(threshold, color="black", ls="--", lw=1, label=f"threshold {threshold:.2f}")
    axes.set(xlabel="image score", ylabel="parts")
    axes.legend(fontsize=8)
    return _figure_uri(figure)


def roc_figure(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> str:
    """ROC over images, label -> shares of false alarms and of defective parts found, one step per good part; as a data
    URI. No class is named in it: fonts lack characters that names have."""
    figure = _figure(4.2, 6.5)
    axes = figure.subplots()
    for label, (rate, detected) in curves.items():
        axes.step(rate, detected, where="post", label=label, lw=1.5, alpha=0.85)
    axes.plot([0, 1], [0, 1], color="#999", ls=":", lw=1)
    axes.set(
        xlabel="false alarms, share of good parts",
        ylabel="found, share of defective parts",
        title="every threshold, as false alarms against defects found",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return _figure_uri(figure)


def intervals_figure(panels: Mapping[str, Mapping[str, tuple[float, float, float] | None]]) -> str:
    """A panel per label, in it a dot and a bar per name: a value and the ends of its interval, first name on top, the
    same names in all panels, None for no bar; a line where 0 is in sight. As a data URI."""
    names = list(next(iter(panels.values())))
    figure = _figure(0.9 + 0.32 * len(names), 5.5 * len(panels))
    shown = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(shown, panels.items(), strict=True):
        for place, interval in enumerate(values.values()):
            if interval is not None:
                value, low, high = interval
                colour = f"C{place % 10}"
                axes.plot([low, high], [place, place], color=colour, lw=2.5, solid_capstyle="butt")
                axes.plot([value], [place], "o", color=colour, ms=6)
        left, right = axes.get_xlim()
        if left <= 0 <= right:
            axes.axvline(0, color="black", ls="--", lw=1)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        axes.locator_params(axis="x", nbins=7)
        axes.grid(alpha=0.3, axis="x")
    return _figure_uri(figure)


def _figure(height: float, width: float = 9, margins: Mapping[str, float] | None = None) -> Figure:
    """Sizes in inches; draws into memory without touching which window system the caller has chosen for matplotlib.

    margins: as shares of the figure, where no label's length is unknown; else they are found by laying it out first, a
    third of all drawing.
    """
    with explained("a page with curves"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=None if margins else "constrained")
    if margins:
        figure.subplots_adjust(**margins)
    FigureCanvasAgg(figure)
    return figure


def _figure_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
