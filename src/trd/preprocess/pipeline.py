"""Samples -> what the network takes. One object serves training, evaluation and prediction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import PartConfig, Recipe, SurfaceNormalsInput
from trd.errors import DataError
from trd.preprocess.cloud_values import with_clean_clouds
from trd.preprocess.facts import Plane, SampleFacts, in_metres, sample_facts, shape_of
from trd.preprocess.foreground import PART_REACH, border_plane, filled_outline, part_foreground
from trd.preprocess.frame import ENOUGH, Frame, detected_count, fit_frame, means_part, why_no_part
from trd.preprocess.image import resize_mask
from trd.preprocess.inspected_area import inspected_area
from trd.preprocess.part_finder import PartFinder
from trd.preprocess.ranges import TrainingRanges, part_measures, plane_measures, sample_measures
from trd.preprocess.representations import MetricNormals, around_window, window_image
from trd.preprocess.threads import Steps
from trd.types import PreparedSample, Sample


class Pipeline:
    """Turns samples into network inputs of one size: representation at native size, then window, then resize.

    The paper's two 3D images keep the order in which they are published: the depth image is made from the resized
    cloud, the normals image at native size.
    """

    def __init__(
        self, recipe: Recipe, frame: Frame, ranges: TrainingRanges | None = None, finder: PartFinder | None = None
    ) -> None:
        self.recipe = recipe
        self.frame = frame
        self.finder = finder  # of a stand-in without the cloud in which the part is found otherwise
        self.ranges = ranges  # of the training set; None in detectors of earlier versions: nothing is compared
        self._inspected = inspected_area(recipe.frame, frame)
        self.record: dict[str, Any] = {}  # what fitting decided and saw, for training.json

    @classmethod
    def fit(cls, recipe: Recipe, samples: Iterable[Sample]) -> Pipeline:
        """`from_facts` of decoded training samples."""
        return cls.from_facts(recipe, [sample_facts(recipe, sample) for sample in samples])

    @classmethod
    def from_facts(cls, recipe: Recipe, facts: Sequence[SampleFacts]) -> Pipeline:
        """Fix the frame, the unit of the clouds and what is scored on the training samples, one at least.

        Raises DataError as `fit_frame`. The log says what "auto" came to, and in how many samples no plane was found.
        """
        frame = fit_frame(recipe, facts)
        pipeline = cls(recipe, frame, TrainingRanges.of(frame.sensor, (sample.measures for sample in facts)))
        if not recipe.point_cloud_sources:
            return pipeline
        fixed_window = isinstance(recipe.frame.crop, tuple)
        crop = recipe.frame.crop if fixed_window else "part" if means_part(recipe.frame.crop, facts) else "none"
        without = [sample.id for sample in facts if any(sample.planes[source] is None for source in frame.planes)]
        pipeline.record = {"crop": crop, "region": frame.region, "cloud_scale": frame.cloud_scale}
        if recipe.looks_for_part:
            pipeline.record["parts_found"] = detected_count(facts)
        pipeline.record["without_plane"] = without
        log = logging.getLogger("trd")
        if "auto" in (recipe.frame.crop, recipe.scoring.region):
            message = f"a part on a plane was found in {detected_count(facts)} of {len(facts)} training samples: "
            message += f"frame.crop is {crop!r}, scoring.region '{frame.region}'"
            enough = detected_count(facts) >= ENOUGH * len(facts)
            log.info(message if enough else f"{message}; {why_no_part(recipe, facts)}")
        if recipe.frame.cloud_scale == "auto":
            log.info("the clouds are taken to be in units of %g metres (frame.cloud_scale)", frame.cloud_scale)
        if turned := sum(sample.turned for sample in facts):
            pipeline.record["turned"] = turned
            log.info(
                "z is negative in the clouds of %d of %d training samples: their axes look backwards and were turned",
                turned,
                len(facts),
            )
        if without:
            log.warning(
                "no support plane was found in %d of %d training samples (%s): the others' stands in for it. See that "
                "the support is flat and visible around the part",
                len(without),
                len(facts),
                ", ".join(without[:3]) + (", ..." if len(without) > 3 else ""),
            )
        return pipeline

    @property
    def region(self) -> Literal["part", "frame"]:
        """What is scored: the part, or the whole frame."""
        return self.frame.region or ("part" if self.recipe.scoring.region == "part" else "frame")

    def __call__(self, sample: Sample) -> PreparedSample:
        """Raises DataError naming the sample when a source is missing or of a shape that cannot be used.

        Computes on several cores, unless they are busy with other samples (`threads.Steps`).
        """
        for source in self.recipe.sources:
            if source not in sample.arrays:
                raise DataError(f"sample {sample.id} has no '{source}'; the recipe '{self.recipe.name}' needs it")
            try:
                self.frame.window_in(sample.arrays[source].shape[:2])
            except DataError as error:
                raise DataError(f"sample {sample.id}, '{source}': {error}") from error
        clouds = self.recipe.point_cloud_sources
        sample = with_clean_clouds(sample, clouds, self.recipe.frame.missing)
        sample = in_metres(sample, clouds, self.frame.cloud_scale)
        steps = Steps()
        # First what others wait for, last what waits for others: in between is work for every thread.
        planes = _Planes(sample, self.recipe.frame.part, self.frame.planes, self._plane_sources, steps)
        pictures: dict[str, Future[NDArray[np.float32]]] = {}
        normals: dict[str, MetricNormals] = {}
        for name, config in self.recipe.modalities.items():
            if not isinstance(config, SurfaceNormalsInput):
                pictures[name] = steps.add(partial(window_image, config, sample.arrays[config.source], self.frame))
        mask = steps.add(partial(self._mask, sample))
        measures = steps.add(partial(self._measures, sample))
        for name, config in self.recipe.modalities.items():
            if isinstance(config, SurfaceNormalsInput):
                xyz = cast(NDArray[np.float32], sample.arrays[config.source])
                normals[name] = MetricNormals(config, xyz, partial(planes.of, config.source), self.frame, steps)
        part = steps.add(partial(self._part, sample, planes))
        for image in normals.values():
            image.add_resizing(steps)
        steps.run()
        images = {n: normals[n].image if n in normals else pictures[n].result() for n in self.recipe.modalities}
        region, notes = part.result().region, list[str]()
        if self.region == "part":
            if self.finder is not None:
                region = self.finder(self.frame.shrunk(images[self.finder.modality]))
            notes = ["no part found: the whole window is scored"] if region is None else []
        if self._inspected is not None:
            region = self._inspected if region is None else region & self._inspected
            if not region.any():
                region = self._inspected
                notes.append("the part lies outside of frame.inspect: all of that area is scored")
        measured = {**self._plane_measures(planes), **measures.result(), **part.result().measures}
        unusual = self.ranges.notes(shape_of(sample), measured) if self.ranges else ()
        return PreparedSample(
            sample.id,
            sample.defect,
            images,
            region,
            mask.result(),
            shape_of(sample),
            (*planes.notes(), *notes, *unusual),
            measured,
        )

    @property
    def _plane_sources(self) -> tuple[str, ...]:
        """Clouds whose support plane is needed, each once."""
        normals = [m.source for m in self.recipe.modalities.values() if isinstance(m, SurfaceNormalsInput)]
        return tuple(dict.fromkeys([*normals, *([self.recipe.point_cloud_sources[0]] if self._seeks_part else [])]))

    @property
    def _seeks_part(self) -> bool:
        """Whether the part is found in the cloud."""
        return self.region == "part" and self.finder is None

    def _mask(self, sample: Sample) -> NDArray[np.bool_] | None:
        return None if sample.mask is None else resize_mask(sample.mask, self.frame.canvas)

    def _measures(self, sample: Sample) -> dict[str, float]:
        return sample_measures(self.recipe, sample) if self.ranges else {}

    def _plane_measures(self, planes: _Planes) -> dict[str, float]:
        plane = planes.fitted(next(iter(self.recipe.plane_sources), "")) if self.ranges else None
        return plane_measures(plane) if plane is not None else {}  # no plane is fitted for this alone

    def _part(self, sample: Sample, planes: _Planes) -> _Part:
        """Pixels on and near the part and in gaps of its outline (holes, unmeasured points: they may be the defect).

        No region (the whole window) where this sample shows no support plane or no part inside the window. Measures
        where there are ranges to compare them with.
        """
        if not self._seeks_part:
            return _Part(None, {})
        source = self.recipe.point_cloud_sources[0]
        around, window = around_window(cast(NDArray[np.float32], sample.arrays[source]), self.frame, PART_REACH)
        part = part_foreground(around, planes.of(source), self.recipe.frame.part.clearance)
        if part is None:
            return _Part(None, {})
        measures = {}
        if self.ranges:
            rows, columns = self.frame.window_in(shape_of(sample))
            measures = part_measures(around, part, (rows.start - window[0].start, columns.start - window[1].start))
        height, width = self.frame.map_size
        small = cv2.resize(part[window].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return _Part(filled_outline(small.astype(np.uint8, copy=False)) if small.any() else None, measures)


@dataclass(frozen=True)
class _Part:
    """Where it is in the network's input, None for nowhere, and its measures."""

    region: NDArray[np.bool_] | None
    measures: dict[str, float]


class _Planes:
    """The support planes of the clouds of one sample, fitted once each; of those without, the training set's."""

    def __init__(
        self,
        sample: Sample,
        config: PartConfig,
        typical: Mapping[str, Plane],
        sources: Iterable[str],
        steps: Steps,
    ) -> None:
        self._typical = typical
        self._fits = {
            source: steps.add(partial(border_plane, cast(NDArray[np.float32], sample.arrays[source]), config))
            for source in sources
        }

    def of(self, source: str) -> NDArray[np.float64] | None:
        """Waits for the step that fits it, which is begun earlier than the one that asks."""
        fitted = self._fits[source].result()
        return np.array(self._typical[source]) if fitted is None and source in self._typical else fitted

    def fitted(self, source: str) -> NDArray[np.float64] | None:
        """None also where none was asked for."""
        return self._fits[source].result() if source in self._fits else None

    def notes(self) -> tuple[str, ...]:
        borrowed = [source for source in self._fits if self.fitted(source) is None and source in self._typical]
        return tuple(f"no support plane found in '{source}': the training samples' stands in" for source in borrowed)
