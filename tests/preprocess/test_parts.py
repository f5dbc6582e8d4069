"""Prepared samples in memory."""

from scans import flat_sample

from trd.config import load_recipe
from trd.preprocess.parts import PreparedParts
from trd.preprocess.pipeline import Pipeline


def test_the_cache_is_bounded() -> None:
    sample = flat_sample(64, 64)
    pipeline = Pipeline.fit(load_recipe("lite-rgb", ["frame.size=64"]), [sample])
    calls: list[int] = []

    def prepare(index: int):
        calls.append(index)
        return pipeline(sample)

    size = pipeline(sample).images["rgb"].nbytes
    dataset = PreparedParts(3, prepare, limit=2 * size)
    for _ in range(2):
        for index in range(3):
            dataset[index]
    assert calls == [0, 1, 2, 2]
