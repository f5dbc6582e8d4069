"""Samples -> what the network takes. One object serves training, evaluation and prediction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import (
    DepthImageInput,
    ImageInput,
    ModalityInput,
    PartConfig,
    Recipe,
    SobelNormalsInput,
    SurfaceNormalsInput,
)
from trd.errors import DataError
from trd.preprocess.depth import depth_image, full_size_depth_image
from trd.preprocess.facts import Plane, SampleFacts, in_metres, sample_facts, shape_of
from trd.preprocess.foreground import PART_REACH, border_plane, filled_outline, part_foreground
from trd.preprocess.frame import ENOUGH, Frame, fit_frame, parts_found, wanted, why_no_part
from trd.preprocess.image import full_scale_of, resize_antialiased, resize_mask, unit_range
from trd.preprocess.normals import (
    full_size_sobel_normals,
    sobel_normals_image,
    surface_normals_image,
    window_reach,
)
from trd.preprocess.part_finder import PartFinder
from trd.preprocess.ranges import TrainingRanges, part_measures, plane_measures, sample_measures
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
        pipeline = cls(recipe, frame, TrainingRanges.of(frame.sensor, (one.measures for one in facts)))
        if not recipe.point_cloud_sources:
            return pipeline
        crop = "part" if wanted(recipe.frame.crop, facts) else "none"
        without = [one.id for one in facts if any(one.planes[source] is None for source in frame.planes)]
        pipeline.record = {"crop": crop, "region": frame.region, "cloud_scale": frame.cloud_scale}
        if recipe.looks_for_part:
            pipeline.record["parts_found"] = parts_found(facts)
        pipeline.record["without_plane"] = without
        log = logging.getLogger("trd")
        if "auto" in (recipe.frame.crop, recipe.scoring.region):
            said = f"a part on a plane was found in {parts_found(facts)} of {len(facts)} training samples: "
            said += f"frame.crop is '{crop}', scoring.region '{frame.region}'"
            log.info(said if parts_found(facts) >= ENOUGH * len(facts) else f"{said}; {why_no_part(recipe, facts)}")
        if recipe.frame.cloud_scale == "auto":
            log.info("the clouds are taken to be in units of %g metres (frame.cloud_scale)", frame.cloud_scale)
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
        """Raises DataError naming the sample when a source is missing or of a shape that cannot be used."""
        for source in self.recipe.sources:
            if source not in sample.arrays:
                raise DataError(f"sample {sample.id} has no '{source}'; the recipe '{self.recipe.name}' needs it")
        sample = in_metres(sample, self.recipe.point_cloud_sources, self.frame.cloud_scale)
        planes = _Planes(sample, self.recipe.frame.part, self.frame.planes)
        images = {name: self._image(config, sample, planes) for name, config in self.recipe.modalities.items()}
        mask = None
        if sample.mask is not None:
            mask = resize_mask(sample.mask, self.frame.canvas)
        measures = sample_measures(self.recipe, sample) if self.ranges else {}
        region, notes = None, list[str]()
        if self.region == "part":
            if self.finder is None:
                region = self._region(sample, planes, measures)
            else:
                region = self.finder(images[self.finder.modality])
            notes = ["no part found: the whole window is scored"] if region is None else []
        return PreparedSample(
            sample.id,
            sample.defect,
            images,
            region,
            mask,
            shape_of(sample),
            (*planes.notes(), *notes, *self._unusual(sample, planes, measures)),
        )

    def _unusual(self, sample: Sample, planes: _Planes, measures: dict[str, float]) -> tuple[str, ...]:
        """Notes on what lies outside the training set's ranges."""
        if self.ranges is None:
            return ()
        source = next(iter(self.recipe.plane_sources), "")
        own = planes.own.get(source)  # nothing is fitted for this alone
        return self.ranges.notes(shape_of(sample), {**(plane_measures(own) if own is not None else {}), **measures})

    def _image(self, config: ModalityInput, sample: Sample, planes: _Planes) -> NDArray[np.float32]:
        array = sample.arrays[config.source]
        match config:
            case ImageInput():
                full = full_scale_of(array, config.full_scale)
                return unit_range(resize_antialiased(self.frame.crop(array), self.frame.size), full)
            case DepthImageInput():
                xyz, keep = cast(NDArray[np.float32], array), config.background == "keep"
                if self._whole_square(xyz):
                    return np.repeat(depth_image(xyz, self.frame.size[0], keep), 3, axis=0)
                return np.repeat(self._window_of(full_size_depth_image(xyz, keep)), 3, axis=0)
            case SobelNormalsInput():
                xyz = cast(NDArray[np.float32], array)
                if self._whole_square(xyz):
                    return sobel_normals_image(xyz, self.frame.size[0], config.kernel)
                return self._window_of(full_size_sobel_normals(xyz, config.kernel))
            case SurfaceNormalsInput():
                xyz = cast(NDArray[np.float32], array)
                return self._surface_normals(xyz, config, planes[config.source])

    def _surface_normals(
        self, xyz: NDArray[np.float32], config: SurfaceNormalsInput, plane: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """Of the window alone, with as much around it as the plane fits at its edge look at."""
        around, (rows, columns) = self._around_window(xyz, window_reach(config.sigma))
        image = surface_normals_image(around, config.sigma, config.slope_gain, plane)
        return self._resized(image[:, rows, columns])

    def _around_window(self, xyz: NDArray[np.float32], reach: int) -> tuple[NDArray[np.float32], tuple[slice, slice]]:
        """The window and `reach` pixels around it, as far as there are; and where the window is in that."""
        rows, columns = self.frame.window_in((xyz.shape[0], xyz.shape[1]))
        top, left = max(0, rows.start - reach), max(0, columns.start - reach)
        around = xyz[top : rows.stop + reach, left : columns.stop + reach]
        return around, (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))

    def _whole_square(self, xyz: NDArray[np.float32]) -> bool:
        rows, columns = self.frame.window_in((xyz.shape[0], xyz.shape[1]))
        whole = (rows.stop - rows.start, columns.stop - columns.start) == xyz.shape[:2]
        return whole and self.frame.size[0] == self.frame.size[1]

    def _window_of(self, image: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C, H, W) at native size -> the window at the network's size."""
        return self._resized(np.moveaxis(self.frame.crop(np.moveaxis(image, 0, -1)), -1, 0))

    def _resized(self, image: NDArray[np.floating]) -> NDArray[np.float32]:
        resized = resize_antialiased(np.moveaxis(image, 0, -1).astype(np.float32), self.frame.size)
        return np.ascontiguousarray(np.moveaxis(resized, -1, 0), np.float32)

    def _region(self, sample: Sample, planes: _Planes, measures: dict[str, float]) -> NDArray[np.bool_] | None:
        """Pixels on and near the part and in gaps of its outline (holes, unmeasured points: they may be the defect).

        None (the whole window) where this sample shows no support plane or no part inside the window. Adds the part's
        to `measures` where there are ranges to compare them with.
        """
        source = self.recipe.point_cloud_sources[0]
        around, window = self._around_window(cast(NDArray[np.float32], sample.arrays[source]), PART_REACH)
        part = part_foreground(around, planes[source], self.recipe.frame.part.clearance)
        if part is None:
            return None
        if self.ranges:
            rows, columns = self.frame.window_in(shape_of(sample))
            measures |= part_measures(around, part, (rows.start - window[0].start, columns.start - window[1].start))
        height, width = self.frame.size
        small = cv2.resize(part[window].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        if not small.any():
            return None
        return filled_outline(small.astype(np.uint8, copy=False))


class _Planes(dict[str, NDArray[np.float64] | None]):
    """The support plane of each cloud of one sample, fitted once; where it shows none, the training set's."""

    def __init__(self, sample: Sample, config: PartConfig, typical: Mapping[str, Plane]) -> None:
        super().__init__()
        self.own: dict[str, NDArray[np.float64] | None] = {}
        self._arrays = sample.arrays
        self._config = config
        self._typical = typical

    def __missing__(self, source: str) -> NDArray[np.float64] | None:
        own = border_plane(cast(NDArray[np.float32], self._arrays[source]), self._config)
        self.own[source] = own
        self[source] = np.array(self._typical[source]) if own is None and source in self._typical else own
        return self[source]

    def notes(self) -> tuple[str, ...]:
        borrowed = [source for source, own in self.own.items() if own is None and source in self._typical]
        return tuple(f"no support plane found in '{source}': the training samples' stands in" for source in borrowed)
