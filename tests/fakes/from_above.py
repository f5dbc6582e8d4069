"""A profiler's heights, and loose points of a scanner."""

import numpy as np

HEIGHTS = np.random.default_rng(0).uniform(1, 9, (6, 5)).round(3)  # millimetres
HEIGHTS[2, 3] = np.nan


def table(heights: np.ndarray, mark: str = ",") -> str:
    return "\n".join(mark.join("" if np.isnan(cell) else f"{cell:.3f}" for cell in row) for row in heights)


def scanned(seed: int = 0) -> np.ndarray:
    """30 000 points of a tilted table of 0.2 x 0.15 m with a block of 0.04 x 0.03 x 0.02 m and stray points."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.1, 0.1, 30_000), rng.uniform(-0.075, 0.075, 30_000)
    height = np.where((np.abs(x - 0.02) < 0.02) & (np.abs(y) < 0.015), 0.02, 0)
    height[:50] = rng.uniform(0, 0.1, 50)
    height += rng.normal(0, 2e-5, len(x))
    tilt = np.radians(25)
    across = np.stack([x, y * np.cos(tilt) - height * np.sin(tilt), -y * np.sin(tilt) - height * np.cos(tilt)], axis=1)
    return (across + np.array([0.3, -0.1, 0.7])).astype(np.float32)
