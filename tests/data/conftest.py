"""A cloud to write in the formats that are read."""

import numpy as np
import pytest


@pytest.fixture
def cloud() -> np.ndarray:
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0.1, 0.5, (8, 10, 3)).astype(np.float32)
    xyz[2, 3] = 0
    return xyz
