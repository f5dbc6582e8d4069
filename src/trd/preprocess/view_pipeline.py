"""Parts with several views -> what the network takes: a pipeline for each view, what they give one above the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.errors import DataError
from trd.preprocess.facts import SampleFacts, shape_of
from trd.preprocess.part_finder import PartFinder
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.ranges import TrainingRanges
from trd.preprocess.view_frames import AnyFrame, ViewFrames
from trd.types import PreparedSample, Sample

log = logging.getLogger("trd")

Mask = NDArray[np.bool_]


class ViewPipeline:
    """What `Pipeline` is for parts with one picture."""

    finder = None

    def __init__(self, recipe: Recipe, frame: ViewFrames, ranges: TrainingRanges | None = None) -> None:
        self.recipe, self.frame, self.ranges = recipe, frame, ranges
        self.pipelines = {
            name: Pipeline(recipe, view_frame, ranges.of_view(name, view_frame.sensor) if ranges else None)
            for name, view_frame in frame.views.items()
        }
        self.record: dict[str, Any] = {}

    @property
    def region(self) -> Literal["part", "frame"]:
        """ "part" where that is scored in one of the views."""
        regions = [pipeline.region for pipeline in self.pipelines.values()]
        return "part" if "part" in regions else "frame"

    def __call__(self, sample: Sample) -> PreparedSample:
        """Raises DataError naming the sample when a view is missing, and as `Pipeline`."""
        names = tuple(name for name, _ in sample.views)
        if set(names) != set(self.pipelines):
            views = f"the views {', '.join(names)}" if names else "one picture"
            raise DataError(f"sample {sample.id} has {views}, the detector looks at {', '.join(self.pipelines)}")
        parts = {name: pipeline(sample.view(name)) for name, pipeline in self.pipelines.items()}
        images = {
            name: np.concatenate([part.images[name] for part in parts.values()], axis=1)
            for name in self.recipe.modalities
        }
        notes = [f"{name}: {note}" for name, part in parts.items() for note in part.notes]
        measures = {_of_view(m, name): v for name, part in parts.items() for m, v in part.measures.items()}
        return PreparedSample(
            sample.id,
            sample.defect,
            images,
            self._regions([part.region for part in parts.values()]),
            self._masks(list(parts.values())),
            shape_of(sample),
            tuple(notes),
            measures,
        )

    def _regions(self, regions: Sequence[Mask | None]) -> Mask | None:
        if all(region is None for region in regions):
            return None
        height, width = self.frame.map_size
        whole = np.ones((height // len(regions), width), bool)
        return np.concatenate([whole if region is None else region for region in regions])

    def _masks(self, parts: Sequence[PreparedSample]) -> Mask | None:
        if any(part.mask is None for part in parts):
            return None
        width = self.frame.canvas[1]
        masks = [part.mask for part in parts if part.mask is not None]
        return np.concatenate([np.pad(mask, ((0, 0), (0, width - mask.shape[1]))) for mask in masks])


AnyPipeline = Pipeline | ViewPipeline


def pipeline_of(
    recipe: Recipe, frame: AnyFrame, ranges: TrainingRanges | None = None, finder: PartFinder | None = None
) -> AnyPipeline:
    """finder: of a stand-in, whose parts have one picture."""
    if isinstance(frame, ViewFrames):
        return ViewPipeline(recipe, frame, ranges)
    return Pipeline(recipe, frame, ranges, finder)


def fit_pipeline(
    recipe: Recipe, facts: Mapping[str, Sequence[SampleFacts]], reference: Callable[[], Sample] | None = None
) -> AnyPipeline:
    """On the training samples' facts, of each view: view -> facts, "" where a part has one picture.

    reference, raises: as `Pipeline.from_facts`; with several views there are no regions.
    """
    if "" in facts:
        return Pipeline.from_facts(recipe, facts[""], reference)
    fitted = {}
    for name, view_facts in facts.items():
        log.info("view '%s':", name)  # what follows is of it
        fitted[name] = Pipeline.from_facts(recipe, view_facts)
    frames = {name: pipeline.frame for name, pipeline in fitted.items()}
    if len({frame.size for frame in frames.values()}) > 1:  # of other proportions: one size for the network
        side = recipe.frame.size
        frames = {name: replace(frame, size=(side, side)) for name, frame in frames.items()}
    frame = ViewFrames(frames)
    measures = [
        {
            _of_view(measure, name): value
            for name, parts in zip(facts, row, strict=True)
            for measure, value in parts.items()
        }
        for row in zip(*([fact.measures for fact in view_facts] for view_facts in facts.values()), strict=True)
    ]
    pipeline = ViewPipeline(recipe, frame, TrainingRanges.of(frame.sensor, measures))
    pipeline.record = {"views": {name: part.record for name, part in fitted.items()}}
    return pipeline


def _of_view(measure: str, view: str) -> str:
    """ "brightness rgb" -> "brightness front/rgb", "plane" -> "plane front"."""
    kind, _, source = measure.partition(" ")
    return f"{kind} {view}/{source}" if source else f"{kind} {view}"
