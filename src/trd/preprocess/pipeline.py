"""Samples -> what the network takes. One object serves training, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import DepthImageInput, ImageInput, ModalityInput, Recipe, SobelNormalsInput, SurfaceNormalsInput
from trd.errors import DataError
from trd.preprocess.depth import depth_image, full_size_depth_image
from trd.preprocess.foreground import PART_REACH, border_plane, part_foreground
from trd.preprocess.frame import Frame, fit_frame
from trd.preprocess.image import full_scale_of, resize_antialiased, resize_mask, unit_range
from trd.preprocess.normals import (
    full_size_sobel_normals,
    sobel_normals_image,
    surface_normals_image,
    window_reach,
)
from trd.types import PreparedSample, Sample

REGION_DILATION = 5  # pixels of the network's input: a defect at the part's rim shows just outside it too


class Pipeline:
    """Turns samples into network inputs of one size: representation at native size, then window, then resize.

    The paper's two 3D images keep the order in which they are published: the depth image is made from the resized
    cloud, the normals image at native size.
    """

    def __init__(self, recipe: Recipe, frame: Frame) -> None:
        self.recipe = recipe
        self.frame = frame

    @classmethod
    def fit(cls, recipe: Recipe, samples: Iterable[Sample]) -> Pipeline:
        """Fix the frame on the training samples; only the first is read unless the recipe crops to the part."""
        samples = iter(samples)
        first = next(samples)
        shape = _shape(first)

        def clouds() -> Iterable[NDArray[np.float32]]:
            source = recipe.point_cloud_sources[0]
            yield cast(NDArray[np.float32], first.arrays[source])
            for sample in samples:
                if _shape(sample) != shape:
                    raise DataError(
                        f"{sample.id} is {_shape(sample)} pixels, {first.id} is {shape}: training images of one class "
                        "must have one size"
                    )
                yield cast(NDArray[np.float32], sample.arrays[source])

        return cls(recipe, fit_frame(recipe.frame, shape, clouds()))

    def __call__(self, sample: Sample) -> PreparedSample:
        """Raises DataError naming the sample when a source is missing or of a shape that cannot be used."""
        for source in self.recipe.sources:
            if source not in sample.arrays:
                raise DataError(f"sample {sample.id} has no '{source}'; the recipe '{self.recipe.name}' needs it")
        planes = _Planes(sample)
        images = {name: self._image(config, sample, planes) for name, config in self.recipe.modalities.items()}
        mask = None
        if sample.mask is not None:
            mask = resize_mask(sample.mask, self.frame.canvas)
        region = self._region(sample, planes) if self.recipe.scoring.region == "part" else None
        return PreparedSample(sample.id, sample.defect, images, region, mask, _shape(sample))

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

    def _region(self, sample: Sample, planes: _Planes) -> NDArray[np.bool_] | None:
        """Pixels on and near the part and in gaps of its outline (holes, unmeasured points: they may be the defect).

        None (the whole window) where this sample shows no support plane or no part inside the window.
        """
        source = self.recipe.point_cloud_sources[0]
        around, window = self._around_window(cast(NDArray[np.float32], sample.arrays[source]), PART_REACH)
        part = part_foreground(around, planes[source])
        if part is None:
            return None
        height, width = self.frame.size
        small = cv2.resize(part[window].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        if not small.any():
            return None
        outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(small, [cv2.convexHull(outline) for outline in outlines], -1, 1, cv2.FILLED)
        return cv2.dilate(filled, np.ones((REGION_DILATION,) * 2, np.uint8)).astype(bool)


class _Planes(dict[str, NDArray[np.float64] | None]):
    """The support plane of each cloud of one sample, fitted once."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self._arrays = sample.arrays

    def __missing__(self, source: str) -> NDArray[np.float64] | None:
        self[source] = border_plane(cast(NDArray[np.float32], self._arrays[source]))
        return self[source]


def _shape(sample: Sample) -> tuple[int, int]:
    array = next(iter(sample.arrays.values()))
    return array.shape[0], array.shape[1]
