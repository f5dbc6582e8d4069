"""Does a detector work on this machine? Asked before it may serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.data.views import sample_of_arrays
from trd.detector import Detector
from trd.errors import TRDError
from trd.preprocess.frame import Frame
from trd.preprocess.view_frames import ViewFrames
from trd.types import VIEW_SEPARATOR, Prediction, Sample
from trd_station import times

SEED = 7
MIDDLE, NOISE = 0.45, 0.08  # of the drawn pictures' brightness
DISTANCE = 0.5  # metres of the drawn support, where the detector knows none
SAME = 1e-3  # scores of recorded parts may differ by so much from those of another precision or processor


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class SelfTest:
    """at: milliseconds since 1970."""

    checks: tuple[Check, ...]
    at: int
    seconds: float

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def fault(self) -> str:
        """Of the first check that failed."""
        return next((f"{check.name}: {check.detail}" for check in self.checks if not check.passed), "")

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "at": times.to_iso(self.at),
            "seconds": round(self.seconds, 3),
            "checks": [asdict(check) for check in self.checks],
        }


@dataclass(frozen=True)
class Recorded:
    """A part that this very detector has scored before."""

    sample: Sample
    score: float


def self_test(detector: Detector, recorded: Sequence[Recorded] = ()) -> SelfTest:
    """A drawn part gets finite maps of the right size, twice the same; recorded parts get the scores they had.

    The first prediction also warms the engine up.
    """
    begin = time.monotonic()
    sample = drawn_sample(detector)
    predictions: list[Prediction] = []

    def predicts() -> str:
        predictions.append(detector.predict(sample))
        shape = predictions[0].map.shape
        maps = [predictions[0].map, *predictions[0].modality_maps.values()]
        if shape != detector.facts.frame.sensor or not all(np.isfinite(values).all() for values in maps):
            raise TRDError(f"maps of {shape}, or not finite; expected {detector.facts.frame.sensor}")
        return f"a drawn part scores {predictions[0].score:.4g}"

    def repeats() -> str:
        again = detector.predict(sample)
        if not predictions or again.score != predictions[0].score or not np.array_equal(again.map, predictions[0].map):
            raise TRDError("the same part gets another map the second time")
        return "the same part gets the same map"

    checks = [_checked("predicts", predicts), _checked("repeatable", repeats)]
    checks += [_checked(f"recorded part {part.sample.id}", partial(_as_recorded, detector, part)) for part in recorded]
    return SelfTest(tuple(checks), times.now(), time.monotonic() - begin)


def _as_recorded(detector: Detector, part: Recorded) -> str:
    score = detector.predict(part.sample).score
    if abs(score - part.score) > SAME * max(1.0, abs(part.score)):
        raise TRDError(f"it scores {score:.5g} where it had {part.score:.5g}")
    return f"{score:.5g}, recorded {part.score:.5g}"


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except Exception as error:  # whatever a runtime raises: this is what the test is for
        return Check(name, False, f"{error}" if isinstance(error, TRDError) else f"{type(error).__name__}: {error}")


def drawn_sample(detector: Detector) -> Sample:
    """Noise of middling brightness, and a low dome on the training set's support plane, at the sensor's size; of each
    view, where the detector looks at several."""
    frame = detector.facts.frame
    if not isinstance(frame, ViewFrames):
        return Sample("self-test", _drawn_arrays(detector, frame))
    arrays = {
        f"{view}{VIEW_SEPARATOR}{source}": array
        for view, view_frame in frame.views.items()
        for source, array in _drawn_arrays(detector, view_frame).items()
    }
    return sample_of_arrays("self-test", arrays)


def _drawn_arrays(detector: Detector, frame: Frame) -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng(SEED)
    height, width = frame.sensor
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across, down = (x - width / 2) / width, (y - height / 2) / width
    dome = np.clip(0.01 - 0.08 * (across**2 + down**2), 0, None)
    arrays: dict[str, NDArray[np.generic]] = {}
    for source in detector.recipe.sources:
        if source in detector.recipe.point_cloud_sources:
            plane = frame.planes.get(source, (0.0, 0.0, -1.0, DISTANCE))
            a, b, c, d = plane
            z = -d / (a * across + b * down + c) - dome + rng.normal(0, 1e-4, dome.shape)
            cloud = np.stack([across * z, down * z, z], axis=-1) / frame.cloud_scale
            arrays[source] = cloud.astype(np.float32)
        else:
            noise = rng.normal(MIDDLE, NOISE, (height, width, 3))
            arrays[source] = (np.clip(noise, 0, 1) * 255).astype(np.uint8)
    return arrays
