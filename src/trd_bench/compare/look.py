"""With all detectors of a class loaded at once: milliseconds per part, and pictures of what they disagree on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.data.listing import camera_near
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.evaluation import figures
from trd.preprocess.parts import at_map_size
from trd.statistics.resampling import Interval
from trd.types import GOOD, Sample, SampleFiles
from trd_bench.compare.measure import Measured
from trd_bench.compare.statistics import Cost, Disagreement, training_cost
from trd_bench.compare.testing import TestSet

TIMED = 12  # parts
WARM_UP = 2  # predictions that are not counted
WIDTH = 256  # pixels of a picture on the page
RED = (255, 40, 40)


@dataclass(frozen=True)
class PartPictures:
    """A part on which recipes disagree. title, facts: for people. inputs: caption and picture (data URI) of what the
    networks see; maps: recipe, caption and picture of its fused map."""

    title: str
    facts: str
    inputs: tuple[tuple[str, str], ...]
    maps: tuple[tuple[str, str, str], ...]


class Loaded:
    """All detectors of one class, of one seed each, and its test parts."""

    def __init__(self, test: TestSet, measured: Mapping[str, Sequence[Measured]], device: str) -> None:
        self.measured = measured
        self.detectors = {recipe: Detector.load(trainings[0].folder, device) for recipe, trainings in measured.items()}
        self.parts: dict[str, SampleFiles] = {}
        for detector in self.detectors.values():
            for part in test.files(detector.recipe).test:
                earlier = self.parts.get(part.id)
                sources = {**(earlier.sources if earlier else {}), **part.sources}
                self.parts[part.id] = SampleFiles(part.id, part.split, part.defect, sources, part.mask)
        self.clouds = tuple(dict.fromkeys(c for d in self.detectors.values() for c in d.recipe.point_cloud_sources))
        trained = next((d.facts.camera for d in self.detectors.values() if d.facts.camera is not None), None)
        self.camera = camera_near(list(self.parts.values()), self.clouds, trained)

    def _sample(self, part: str) -> Sample:
        return load_sample(self.parts[part], self.clouds, self.camera)

    def costs(self) -> dict[str, Cost]:
        """Decoded parts one by one, each through all detectors in turn, so that a busy machine slows all alike."""
        places = np.linspace(0, len(self.parts) - 1, min(TIMED, len(self.parts))).round().astype(int)
        samples = [self._sample(list(self.parts)[place]) for place in places]
        order = list(self.detectors)
        for recipe in order:
            for sample in samples[:WARM_UP]:
                self.detectors[recipe].predict(sample)
        spent: dict[str, list[float]] = {recipe: [] for recipe in order}
        for sample in samples:
            for recipe in order:
                begin = time.perf_counter()
                self.detectors[recipe].predict(sample)
                spent[recipe].append(1000 * (time.perf_counter() - begin))
            order = [*order[1:], order[0]]
        costs = {}
        for recipe, milliseconds in spent.items():
            training, engine = training_cost(self.measured[recipe]), self.detectors[recipe].engine
            low, middle, high = (float(value) for value in np.quantile(milliseconds, [0.1, 0.5, 0.9]))
            device = f"{engine.device}, precision {engine.precision}"
            costs[recipe] = Cost(training.training, training.megabytes, Interval(middle, low, high), device)
        return costs

    def pictures(self, disagreement: Disagreement) -> PartPictures:
        sample = self._sample(disagreement.id)
        inputs: dict[str, str] = {}
        maps = []
        for recipe, detector in self.detectors.items():
            frame = detector.facts.frame
            prepared = detector.pipeline(sample)
            images = at_map_size(prepared, frame.tiles).images
            mask = None if sample.mask is None else frame.from_sensor(sample.mask)
            for name, image in images.items():
                inputs.setdefault(name, _picture(figures.as_picture(image), mask))
            (scored,) = detector.score([prepared])
            prediction = detector.prediction(scored)
            fused = frame.from_sensor(prediction.map)
            drawn = figures.overlay(figures.as_picture(next(iter(images.values()))), fused, prediction.threshold)
            caption = _described_decision(disagreement, recipe, prediction.score, prediction.threshold)
            maps.append((recipe, caption, _picture(drawn, mask)))
        kind = "good part" if disagreement.defect == GOOD else disagreement.defect
        return PartPictures(
            f"{disagreement.id} ({kind})",
            f"{100 * disagreement.spread:.0f} percentage points between the recipes",
            tuple(inputs.items()),
            tuple(maps),
        )


def _described_decision(disagreement: Disagreement, recipe: str, score: float, threshold: float) -> str:
    right = 100 * disagreement.placement[recipe]
    decision = "defective" if score > threshold else "good"
    order = (
        f"below {right:.0f} % of the defective" if disagreement.defect == GOOD else f"above {right:.0f} % of the good"
    )
    return f"says {decision}: score {score:.1f}, threshold {threshold:.1f}; {order} parts"


def _picture(picture: figures.Picture, mask: NDArray[np.bool_] | None) -> str:
    if mask is not None:
        picture = figures.outlined(picture, mask, RED)
    height, width = picture.shape[:2]
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    resized: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if width > WIDTH else cv2.INTER_LINEAR)
    return figures.data_uri(resized)
