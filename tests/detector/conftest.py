"""A trained detector and the samples of its test split."""

from pathlib import Path

import pytest

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.types import Sample


@pytest.fixture(scope="module")
def detector(trained: Path) -> Detector:
    return Detector.load(trained)


@pytest.fixture(scope="module")
def samples(drawn: Path) -> list[Sample]:
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",))
    return [load_sample(s, ("xyz",)) for s in files.test]
