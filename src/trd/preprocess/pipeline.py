"""Samples -> what the network takes. One object serves training, evaluation and prediction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe, SurfaceNormalsInput
from trd.errors import DataError
from trd.preprocess.cloud_values import with_clean_clouds
from trd.preprocess.facts import SampleFacts, in_metres, sample_facts, shape_of
from trd.preprocess.foreground import Mask
from trd.preprocess.frame import ENOUGH, Frame, detected_count, fit_frame, means_part, why_no_part
from trd.preprocess.image import resize_mask
from trd.preprocess.part_finder import PartFinder
from trd.preprocess.part_search import PartSearch, SupportPlanes
from trd.preprocess.pose import Pose, PoseReference
from trd.preprocess.ranges import TrainingRanges, plane_measures, sample_measures
from trd.preprocess.regions import Regions
from trd.preprocess.representations import MetricNormals, window_image
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
        self.regions = Regions(recipe.frame, frame)
        self._search = PartSearch(recipe, frame, self._seeks_part, measures=ranges is not None)
        self.record: dict[str, Any] = {}  # what fitting decided and saw, for training.json

    @classmethod
    def fit(cls, recipe: Recipe, samples: Iterable[Sample]) -> Pipeline:
        """`from_facts` of decoded training samples; regions that follow the part are in the frame of the first."""
        listed = list(samples)
        return cls.from_facts(recipe, [sample_facts(recipe, sample) for sample in listed], lambda: listed[0])

    @classmethod
    def from_facts(
        cls, recipe: Recipe, facts: Sequence[SampleFacts], reference: Callable[[], Sample] | None = None
    ) -> Pipeline:
        """Fix the frame, the unit of the clouds and what is scored on the training samples, one at least.

        reference: gives the part in whose frame regions that follow the part are written, where there are any. Raises
        DataError as `fit_frame`, `Regions` and `_with_reference`. The log says what "auto" came to, and in how many
        samples no plane was found.
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
        return pipeline._with_reference(reference()) if recipe.frame.follows_part and reference else pipeline

    def _with_reference(self, sample: Sample) -> Pipeline:
        """With the training part whose frame the regions that follow the part are in. Raises DataError where it shows
        no part on a support."""
        sample, steps = self._clean(sample), Steps()
        sources = self.recipe.point_cloud_sources[:1]
        planes = SupportPlanes(sample, self.recipe.frame.part, self.frame.planes, sources, steps)
        steps.run()
        view = self._search.view(sample, planes)
        if view is None:
            raise DataError(
                f"no part on a support is seen in {sample.id}, whose frame the regions that follow the part are in: "
                "name another part in frame.reference, or use follows = 'frame'"
            )
        logging.getLogger("trd").info("regions that follow the part are in the frame of %s", sample.id)
        frame = replace(self.frame, reference=PoseReference.of(sample.id, view))
        pipeline = Pipeline(self.recipe, frame, self.ranges, self.finder)
        pipeline.record = {**self.record, "reference": sample.id}
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
        sample, steps = self._clean(sample), Steps()
        # First what others wait for, last what waits for others: in between is work for every thread.
        planes = SupportPlanes(sample, self.recipe.frame.part, self.frame.planes, self._plane_sources, steps)
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
        part = steps.add(partial(self._search, sample, planes))
        for image in normals.values():
            image.add_resizing(steps)
        steps.run()
        images = {n: normals[n].image if n in normals else pictures[n].result() for n in self.recipe.modalities}
        region, notes = part.result().region, list[str]()
        if self.region == "part":
            if self.finder is not None:
                region = self.finder(self.frame.shrunk(images[self.finder.modality]))
            notes = ["no part found: the whole window is scored"] if region is None else []
        pose = part.result().pose
        if self.recipe.frame.follows_part and (pose is None or pose.note):
            notes.append(pose.note if pose else "the part's pose is unknown: regions that follow it do not count")
        region, named, more = self.placed(region, pose)
        measured = {**self._plane_measures(planes), **measures.result(), **part.result().measures}
        unusual = self.ranges.notes(shape_of(sample), measured) if self.ranges else ()
        return PreparedSample(
            sample.id,
            sample.defect,
            images,
            region,
            mask.result(),
            shape_of(sample),
            (*planes.notes(), *notes, *more, *unusual),
            measured,
            named,
        )

    def placed(
        self, region: Mask | None, pose: Pose | None = None
    ) -> tuple[Mask | None, NDArray[np.uint8] | None, tuple[str, ...]]:
        """What is scored of a part that is scored in `region`, `PreparedSample.named`, and notes."""
        places = self.regions.places(pose)
        if places.area is None:
            return region, places.named, ()
        if not places.area.any():  # only where regions follow the part
            return region, places.named, ("regions that follow the part leave nothing to inspect: they do not count",)
        inside = places.area if region is None else region & places.area
        if inside.any():
            return inside, places.named, ()
        return places.area, places.named, ("the part lies outside of frame.inspect: all of that area is scored",)

    def _clean(self, sample: Sample) -> Sample:
        """With clouds in metres that hold nothing but what was measured."""
        clouds = self.recipe.point_cloud_sources
        return in_metres(with_clean_clouds(sample, clouds, self.recipe.frame.missing), clouds, self.frame.cloud_scale)

    @property
    def _plane_sources(self) -> tuple[str, ...]:
        """Clouds whose support plane is needed, each once."""
        normals = [m.source for m in self.recipe.modalities.values() if isinstance(m, SurfaceNormalsInput)]
        seeks = self._seeks_part or self.recipe.frame.follows_part
        return tuple(dict.fromkeys([*normals, *([self.recipe.point_cloud_sources[0]] if seeks else [])]))

    @property
    def _seeks_part(self) -> bool:
        """Whether the part is found in the cloud."""
        return self.region == "part" and self.finder is None

    def _mask(self, sample: Sample) -> NDArray[np.bool_] | None:
        return None if sample.mask is None else resize_mask(sample.mask, self.frame.canvas)

    def _measures(self, sample: Sample) -> dict[str, float]:
        return sample_measures(self.recipe, sample) if self.ranges else {}

    def _plane_measures(self, planes: SupportPlanes) -> dict[str, float]:
        plane = planes.fitted(next(iter(self.recipe.plane_sources), "")) if self.ranges else None
        return plane_measures(plane) if plane is not None else {}  # no plane is fitted for this alone
