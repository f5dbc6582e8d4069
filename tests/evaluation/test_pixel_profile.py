import numpy as np
import pytest

from trd.evaluation.curves import evaluate_maps
from trd.evaluation.pixel_profile import pixel_profile
from trd.statistics.resampling import resampled


def test_pixel_metrics_of_resampled_parts() -> None:
    """Against the exact metrics of the parts written out as often as they were drawn."""
    rng = np.random.default_rng(4)
    masks = np.zeros((12, 40, 40), bool)
    for index in range(6):
        row, column = rng.integers(2, 28, 2)
        masks[index, row : row + 8, column : column + 6] = True
    maps = (rng.normal(size=masks.shape) + 1.8 * masks).astype(np.float32)
    profile = pixel_profile(maps, masks)
    flags = masks.any(axis=(1, 2))
    counts = resampled(flags, 5)
    ours = profile.resampled(counts, (0.3, 0.01))
    for number, row in enumerate(counts):
        exact = evaluate_maps(np.repeat(maps, row, axis=0), np.repeat(masks, row, axis=0))
        for key, values in ours.items():
            assert values[number] == pytest.approx(exact[key], abs=0.003), key
