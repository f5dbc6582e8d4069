"""Raw sensor arrays -> Prediction: the one object that evaluation, command line, export and server all use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.data.clouds import finite
from trd.data.views import joined_views, sample_of_arrays
from trd.decision.calibration import Calibration
from trd.decision.kinds import DISTANCES, PLACE, place_of
from trd.decision.maps import Map, decide
from trd.engines.base import Engine, Maps, Placement
from trd.engines.graphs import IMAGE, MAP
from trd.errors import CheckpointError, DataError, TRDError
from trd.extras import explained
from trd.packages.engine import package_engine, self_tested
from trd.packages.package import is_package, read_package
from trd.preprocess.parts import batches, stacked_images
from trd.preprocess.regions import limit_map
from trd.preprocess.threads import Steps, in_threads
from trd.preprocess.view_pipeline import pipeline_of
from trd.stored import DetectorFacts, detector_folder, read_detector, stand_in_folder
from trd.types import Failure, KindSuggestion, Prediction, PreparedSample, Sample

Arrays = Mapping[str, NDArray[np.generic]]
"""Source name -> array, as in `Sample.arrays`; of a part with several views, "front/rgb" and so on."""

BATCH = 8  # samples that go through the engine together


@dataclass(frozen=True)
class ScoredSample:
    """A prepared sample with its z-scored, smoothed maps, (h, w) per branch and fused, of `Frame.map_size`.

    raw: branch -> (h, w), what the maps were made of; empty where no kinds were taught, which alone ask for it.
    """

    sample: PreparedSample
    branch_maps: Mapping[str, NDArray[np.float32]]
    fused: NDArray[np.float32]
    score: float
    raw: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Peak:
    """Where a score comes from: pixel of the sensor's frame, and each branch's part of it, 0 to 1, adding up to 1.
    region: as in `Prediction`."""

    row: int
    column: int
    share: Mapping[str, float]
    region: str | None = None


class Detector:
    """Pipeline, engine and calibration; made by `trd.fit`, read back by `Detector.load`.

    Several threads may use one: the engine computes for one of them at a time, preparation shares one pool. (With
    `compiled` that was not tried: CUDA graphs belong to the thread that recorded them.)
    """

    def __init__(self, facts: DetectorFacts, engine: Engine) -> None:
        self.facts = facts
        self.engine = engine
        self.pipeline = pipeline_of(facts.recipe, facts.frame, facts.ranges, facts.finder)
        self._computing = Lock()  # one for each engine

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        compiled: bool = False,
        precision: str | None = None,
        without: str = "",
    ) -> Detector:
        """Read a detector from its folder, from a run folder that holds one class, or from an exported package.

        device: "cuda" where there is one by default. compiled: by torch.compile, for many parts on a GPU. precision:
        "fp32", "bf16", "fp16" or "auto"; by default that in which it was calibrated. without: a source that is missing;
        its stand-in comes, which asks for the others only and has thresholds of its own. Raises CheckpointError naming
        the file and the remedy when it is missing, damaged, from another training, or from a newer version, and of a
        package when this machine does not compute what the exporting one did; MissingExtraError where what computes
        its maps is not installed.
        """
        if is_package(Path(path)):
            return cls._from_package(Path(path), Placement(device, precision, compiled), without)
        if without:
            path = stand_in_folder(Path(path), without)
        facts, state = read_detector(Path(path))
        placement = Placement(device, precision or facts.calibration.precision or None, compiled)
        try:
            with explained(f"the detector {detector_folder(Path(path))}"):
                from trd.evidence.detection import detector_engine  # torch, which packages do without

                frame = facts.frame
                engine = detector_engine(facts.recipe, state, frame.network_size, placement, frame.tiles)
        except CheckpointError as error:
            raise CheckpointError(f"{detector_folder(Path(path))}: {error}") from error
        return cls(facts, engine)

    @classmethod
    def _from_package(cls, path: Path, placement: Placement, without: str) -> Detector:
        package = read_package(path)
        if without and without != package.facts.without:
            raise CheckpointError(
                f"{path} is of one detector: export its fallback detector to a package of its own (trd export RUN "
                f"--without {without})"
            )
        with explained(f"{path}, a package for {package.manifest.runtime},"):
            detector = cls(package.facts, package_engine(package, placement))
        self_tested(package, detector.pipeline, detector.engine)
        return detector

    @property
    def recipe(self) -> Recipe:
        """Every number that it was trained with."""
        return self.facts.recipe

    @property
    def calibration(self) -> Calibration:
        """What turns its raw maps into scores and decisions: thresholds, good scores, and what they promise."""
        return self.facts.calibration

    @property
    def class_name(self) -> str:
        """The class of parts that it is of."""
        return self.facts.class_name

    def calibrated(self, calibration: Calibration) -> Detector:
        """The same detector with another calibration; the engine is shared."""
        other = Detector(replace(self.facts, calibration=calibration), self.engine)
        other._computing = self._computing
        return other

    def raw_maps(self, samples: Sequence[PreparedSample]) -> Maps:
        """branch -> (B, h, w) float32 raw anomaly maps of `Frame.map_size`."""
        images = stacked_images(samples)
        with self._computing:
            return self.engine.raw_maps(images)

    def score(self, samples: Iterable[PreparedSample], batch_size: int = BATCH) -> Iterator[ScoredSample]:
        """z-scored, smoothed maps of prepared samples, computed in batches, in order.

        Raises TRDError for a map that is not finite.
        """
        for batch in batches(samples, batch_size):
            yield from self._scored(batch)

    def _scored(self, batch: Sequence[PreparedSample]) -> Iterator[ScoredSample]:
        raw = self.raw_maps(batch)
        for index, sample in enumerate(batch):
            yield self._decided(sample, {name: maps[index] for name, maps in raw.items()})

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes every score doubtful, a sentence each: computed in another precision than it was calibrated in."""
        calibrated, computed = self.calibration.precision, self.engine.precision
        if calibrated in ("", computed):
            return ()
        return (f"computed in precision {computed}, calibrated in {calibrated}: the false-alarm rate is not promised",)

    def _decided(self, sample: PreparedSample, raw: Mapping[str, Map]) -> ScoredSample:
        limits = limit_map(self.recipe.frame, sample.named)
        decision = decide(self.calibration, raw, sample.region, run=_at_once, limits=limits)
        score = float(decision.score)
        if not math.isfinite(score):
            raise TRDError(
                f"sample {sample.id}: the anomaly map is not finite; float16 ends at 65504, so predict with precision "
                "fp32 or bf16, and if it stays so, train again"
            )
        return ScoredSample(sample, decision.maps, decision.fused, score, raw if self.facts.kinds else {})

    def predict(self, sample: Sample | Arrays) -> Prediction:
        """Of one sample, or of its arrays by source name.

        Arrays: "rgb" (H, W, 3) uint8 / uint16 / float32 in [0, 1]; "xyz" (H, W, 3) float32, metres, missing points
        zero. Raises DataError when a source is missing, not finite, without valid depth, or of another size.
        """
        (outcome,) = self.predict_many([sample])
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome

    def predict_many(
        self, samples: Iterable[Sample | Arrays | Failure], batch_size: int = BATCH
    ) -> Iterator[Prediction | Failure]:
        """One after another, in order; a sample that cannot be used fails alone, in its place.

        A long list needs memory for one batch, on GPUs for two groups. A failure that is given (a file that could not
        be read) is passed on.
        """
        numbered = enumerate(samples)
        prepared = in_threads(self._prepared, numbered, batch_size, ahead=self.engine.device != "cpu")
        for batch in batches(prepared, batch_size):
            good = [item for item in batch if isinstance(item, PreparedSample)]
            raw = self.raw_maps(good) if good else {}
            row = 0
            for item in batch:
                if isinstance(item, Failure):
                    yield item
                    continue
                maps = {name: values[row] for name, values in raw.items()}
                row += 1
                try:
                    yield self.prediction(self._decided(item, maps))
                except TRDError as error:
                    yield Failure(item.id, error)

    def _prepared(self, numbered: tuple[int, Sample | Arrays | Failure]) -> PreparedSample | Failure:
        index, item = numbered
        if isinstance(item, Failure):
            return item
        name = item.id if isinstance(item, Sample) else f"sample-{index}"
        try:
            sample = item if isinstance(item, Sample) else sample_of_arrays(name, item)
            return self.pipeline(checked(sample, self.recipe))
        except TRDError as error:
            return Failure(name, error)

    def peak(self, scored: ScoredSample) -> Peak:
        """Of a sample that this detector's `score` gave."""
        row, column = np.unravel_index(int(scored.fused.argmax()), scored.fused.shape)
        at_peak = {name: float(m[row, column]) for name, m in scored.branch_maps.items()}
        place = self.facts.frame.pixel(int(row), int(column), scored.sample.shape, scored.fused.shape[:2])
        return Peak(*place, self.calibration.shares(at_peak), self._region_at(scored.sample, int(row), int(column)))

    def kind(self, scored: ScoredSample) -> KindSuggestion | None:
        """Which kind of taught defect a sample shows that this detector's `score` gave, be it anomalous or not; None
        where no kinds were taught."""
        if self.facts.kinds is None:
            return None
        sample = scored.sample
        values = {IMAGE + name: image for name, image in sample.images.items()}
        values |= {MAP + name: raw_map for name, raw_map in scored.raw.items()}
        values[PLACE] = place_of(scored.fused, sample.region)
        with self._computing:
            distances = self.engine.on_demand({name: value[None] for name, value in values.items()})[DISTANCES]
        return self.facts.kinds.suggested(distances[0])

    def _region_at(self, sample: PreparedSample, row: int, column: int) -> str | None:
        """As in `Prediction`, at a pixel of the maps."""
        if sample.named is None:
            return None
        number = int(sample.named[row, column])
        return self.recipe.frame.regions[number - 1].name if number else ""

    def prediction(self, scored: ScoredSample) -> Prediction:
        """What `predict` says of a sample that this detector's `score` gave, at the sensor's own size."""
        calibration, frame, shape = self.calibration, self.facts.frame, scored.sample.shape
        floors, peak = calibration.floors, self.peak(scored)
        anomalous = scored.score > calibration.image_threshold.value
        return Prediction(
            id=scored.sample.id,
            score=scored.score,
            threshold=calibration.image_threshold.value,
            is_anomalous=anomalous,
            p_value=calibration.p_value(scored.score),
            map=frame.to_sensor(scored.fused, shape, calibration.fused_floor),
            modality_maps={n: frame.to_sensor(m, shape, floors[n]) for n, m in scored.branch_maps.items()},
            share=peak.share,
            peak=(peak.row, peak.column),
            pixel_threshold=calibration.pixel_threshold.value,
            notes=scored.sample.notes + self.doubts,
            used=self.recipe.inputs,
            region=peak.region,
            kind=self.kind(scored) if anomalous else None,
        )


def _at_once(work: Sequence[Callable[[], Map]]) -> list[Map]:
    """The branches' maps, in the threads that all share."""
    steps = Steps()
    results = [steps.add(compute) for compute in work]
    steps.run()
    return [result.result() for result in results]


def checked(sample: Sample, recipe: Recipe) -> Sample:
    """The sample with NaN and infinite points of clouds as missing ones, when its arrays can be used. Raises DataError
    otherwise; files are checked on reading too."""
    if sample.views:
        return _checked_views(sample, recipe)
    shape: tuple[int, ...] | None = None
    changed = dict[str, NDArray[np.generic]]()
    for source in recipe.sources:
        array = sample.arrays.get(source)
        if array is None:
            remedy = f"; a fallback detector may do without (--without {source})" if recipe.scoring.stand_ins else ""
            raise DataError(f"sample {sample.id} has no '{source}'; the recipe '{recipe.name}' needs it{remedy}")
        if not isinstance(array, np.ndarray):
            raise DataError(f"sample {sample.id}: '{source}' must be a numpy array, got {type(array).__name__}")
        cloud = source in recipe.point_cloud_sources
        grey = array.ndim == 2 and not cloud
        if not (grey or (array.ndim == 3 and array.shape[2] == 3)) or not array.size:
            raise DataError(f"sample {sample.id}: '{source}' must be (H, W, 3), got {array.shape}")
        if cloud and array.dtype.kind != "f":
            raise DataError(
                f"sample {sample.id}: '{source}' must be floating-point numbers in metres, got {array.dtype}; integer "
                "clouds are mostly millimetres: divide them by 1000"
            )
        if shape is not None and array.shape[:2] != shape:
            raise DataError(
                f"sample {sample.id}: '{source}' is {array.shape[:2]}, its partners {shape} (height, width)"
            )
        shape = array.shape[:2]
        if cloud:
            points = finite(cast(NDArray[np.float32], array))
            if points is not array:
                array = changed[source] = points
        elif np.issubdtype(array.dtype, np.floating) and not np.isfinite(cast(NDArray[np.float32], array)).all():
            raise DataError(f"sample {sample.id}: '{source}' holds NaN or infinite values")
        if not cloud and not _is_image(array):
            raise DataError(
                f"sample {sample.id}: '{source}' must be uint8, uint16, or float in [0, 1], got {array.dtype}"
            )
        if cloud and not (array[..., 2] != 0).any():
            raise DataError(f"sample {sample.id}: '{source}' has no valid depth, every point is missing (z = 0)")
    return replace(sample, arrays={**sample.arrays, **changed}) if changed else sample


def _checked_views(sample: Sample, recipe: Recipe) -> Sample:
    given = {name: sample.view(name) for name, _ in sample.views}
    views = {name: checked(view, recipe) for name, view in given.items()}
    if all(views[name] is view for name, view in given.items()):
        return sample
    return replace(joined_views(sample.id, views, sample.defect), mask=sample.mask)


def _is_image(array: NDArray[np.generic]) -> bool:
    if np.issubdtype(array.dtype, np.floating):
        values = cast(NDArray[np.float32], array)
        return bool(values.min() >= 0 and values.max() <= 1)
    return array.dtype in (np.uint8, np.uint16)
