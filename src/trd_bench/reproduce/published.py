"""Published results, in per cent, to stand beside ours. AUPRO there is sampled at 100 thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field

MVTEC3D = ("bagel", "cable_gland", "carrot", "cookie", "dowel", "foam", "peach", "potato", "rope", "tire")
EYECANDIES = (
    "CandyCane", "ChocolateCookie", "ChocolatePraline", "Confetto", "GummyBear", "HazelnutTruffle",
    "LicoriceSandwich", "Lollipop", "Marshmallow", "PeppermintCandy",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """One method's row. mean: metric -> value over all classes. image_auroc: per class, where the paper gives it."""

    method: str
    mean: dict[str, float]
    image_auroc: dict[str, float] = field(default_factory=dict)


def _row(method: str, image: float, pixel: float, aupro_30: float, aupro_1: float | None = None) -> Published:
    values = {"image_auroc": image, "pixel_auroc": pixel, "aupro_30": aupro_30}
    return Published(method, values if aupro_1 is None else {**values, "aupro_1": aupro_1})


def _trd(inputs: str, mean: tuple[float, float, float], *per_class: float) -> Published:
    row = _row(f"TRD {inputs} (arXiv 2412.08949)", *mean)
    return Published(row.method, row.mean, dict(zip(MVTEC3D, per_class, strict=True)))


@dataclass(frozen=True)
class Benchmark:
    """A data set by its classes, the recipe that the paper uses on it, and what has been published."""

    classes: tuple[str, ...]
    recipe: str
    published: tuple[Published, ...] = ()


BENCHMARKS = {
    "mvtec3d": Benchmark(
        MVTEC3D,
        "mvtec3d-rgb-normals",
        (
            _trd("rgb+depth", (96.2, 99.4, 96.9), 99.6, 96.1, 98.2, 98.5, 99.7, 90.1, 99.2, 97.6, 100.0, 83.3),
            _trd("rgb+normals", (98.4, 99.6, 97.9), 98.9, 99.5, 99.7, 97.0, 100.0, 98.8, 99.6, 98.3, 100.0, 91.7),
            _row("CPMAD (2026)", 97.8, 99.6, 97.9),
            _row("CMDR-IAD (2026)", 97.3, 99.6, 97.6),
            _row("G2SF (2025)", 97.1, 99.7, 97.9, 46.8),
            _row("M3DM (2023)", 94.5, 99.2, 96.4),
        ),
    ),
    # no per-class or mean numbers of Eyecandies were at hand when this was written
    "eyecandies": Benchmark(EYECANDIES, "eyecandies-rgb-normals"),
    # one's own data in any known layout: all its classes, nothing published
    "folder": Benchmark((), "lite-rgb-normals"),
}
