"""Detectors for when a sensor is missing: one for each source, which does without it.

Memory banks and patch statistics are kept per modality and need nothing of each other, so those of the modalities that
are left can stand in at once: seconds of fitting, nothing lost while all sensors work. Each stand-in is a whole
detector with a calibration of its own, since what good parts score depends on what is looked at
(docs/missing-sensor.md).

The prepared images are the detector's own, of the same window. Where the missing source is the cloud that told which
pixels are part, a `PartFinder` takes its place, in training too.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from trd.config import Recipe
from trd.config.sections import ImageInput
from trd.preprocess.part_finder import PartFinder, fit_part_finder
from trd.preprocess.parts import PreparedParts, parts_at_map_size
from trd.preprocess.pipeline import Pipeline
from trd.training.prepare import PreparedClass
from trd.types import PreparedSample

_log = logging.getLogger(__name__)


def parts_without(parts: PreparedClass, source: str) -> PreparedClass | None:
    """What the stand-in without `source` is fitted and calibrated on; None where no modality is left."""
    recipe = parts.recipe.without(source)
    if recipe is None:
        if parts.recipe.frame.follows_part and len(parts.recipe.modalities) > 1:
            _log.warning("no fallback detector without '%s': regions follow the part, whose pose it tells", source)
        return None
    finder, pipeline = None, parts.pipeline
    assert isinstance(pipeline, Pipeline)  # recipes of several views have no stand-ins
    frame = pipeline.frame
    if pipeline.region == "part" and parts.recipe.point_cloud_sources[:1] == (source,):
        finder = _finder(recipe, parts)
        frame = replace(frame, region="part" if finder else "frame")
    planes = {name: plane for name, plane in frame.planes.items() if name in recipe.plane_sources}
    reduced = Pipeline(recipe, replace(frame, planes=planes), pipeline.ranges, finder)

    def reduced_parts(all_parts: PreparedParts) -> PreparedParts:
        return PreparedParts(len(all_parts), lambda index: _reduced_part(all_parts[index], reduced), limit=0)

    record = {
        **parts.record,
        "without": source,
        "recipe": recipe.identity(),
        "seconds": {},
        **({"part_finder_overlap": finder.overlap} if finder else {}),
    }
    return PreparedClass(
        recipe, parts.files, reduced, reduced_parts(parts.training), reduced_parts(parts.validation), record
    )


def _finder(recipe: Recipe, parts: PreparedClass) -> PartFinder | None:
    images = [name for name, modality in recipe.modalities.items() if isinstance(modality, ImageInput)]
    if not images:
        return None
    tiles = parts.pipeline.frame.tiles
    training, held_out = (parts_at_map_size(split, tiles) for split in (parts.training, parts.validation))
    return fit_part_finder(images[0], training, held_out, recipe.seed)


def _reduced_part(part: PreparedSample, pipeline: Pipeline) -> PreparedSample:
    """A prepared part as the stand-in's own pipeline would give it."""
    images = {name: part.images[name] for name in pipeline.recipe.modalities}
    if pipeline.recipe.frame.follows_part:  # the cloud is there: all that it tells stays
        return replace(part, images=images)
    finder, region = pipeline.finder, part.region if pipeline.region == "part" else None
    if finder is not None:
        region = finder(pipeline.frame.shrunk(images[finder.modality]))
    region, named, _ = pipeline.placed(region)
    return replace(part, images=images, region=region, named=named)
