"""A part with what the exporting machine made of it, so that every other machine can compare.

Everything from raw arrays to raw maps is compared; what follows is arithmetic on those. Images and maps are kept on
every fourth pixel of every fourth row: enough to see any difference, and small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from trd.data.views import arrays_of_sample, sample_of_arrays
from trd.decision.calibration import Calibration
from trd.engines.base import Engine
from trd.errors import CheckpointError
from trd.preprocess.parts import stacked_images
from trd.preprocess.view_pipeline import AnyPipeline
from trd.types import PreparedSample, Sample

THIN = 4  # every so many pixels
LONGEST = 200  # pixels of a golden part's longer side
PREPARED = 1e-4  # of prepared images in [0, 1]; another resize filter moves them by 0.01 and more
USUAL = 0.99
SOURCE, IMAGE, MAP, REGION = "source.", "image.", "map.", "region"


@dataclass(frozen=True)
class Golden:
    """sources: raw arrays by name. images: prepared, (3, h / 4, w / 4) by modality. maps: raw, (h / 4, w / 4) by
    branch. region: (h / 4, w / 4) uint8, 1 where scored."""

    sources: Mapping[str, NDArray[np.generic]]
    images: Mapping[str, NDArray[np.float32]]
    maps: Mapping[str, NDArray[np.float32]]
    region: NDArray[np.uint8]

    @property
    def sample(self) -> Sample:
        return sample_of_arrays("golden", self.sources)

    def to_bytes(self) -> bytes:
        arrays: dict[str, NDArray[np.generic]] = {REGION: self.region}
        arrays |= {SOURCE + name: np.ascontiguousarray(value) for name, value in self.sources.items()}
        arrays |= {IMAGE + name: value for name, value in self.images.items()}
        arrays |= {MAP + name: value for name, value in self.maps.items()}
        return bytes(save(arrays))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Golden:
        """Raises CheckpointError."""
        try:
            arrays = load(data)
            return cls(
                _with_prefix(arrays, SOURCE),
                _with_prefix(arrays, IMAGE),
                _with_prefix(arrays, MAP),
                np.asarray(arrays[REGION], np.uint8),
            )
        except (SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"{where} is damaged: {error}; export it anew") from error


@dataclass(frozen=True)
class Deviation:
    """Of this machine from the exporting one. images: greatest of prepared values. maps: 99 % quantile of raw maps, in
    deviations of good parts: single cells may be far off, where rounding chooses between two kinds of place. region:
    share of cells that are scored here and were not there, or the reverse."""

    images: float
    maps: float
    region: float


def thinned(sample: Sample) -> Sample:
    """The part at a resolution that is small on disk: every n-th pixel, so that nothing is invented."""
    arrays = arrays_of_sample(sample)
    step = -(-max(max(array.shape[:2]) for array in arrays.values()) // LONGEST)
    return sample_of_arrays(sample.id, {n: np.ascontiguousarray(a[::step, ::step]) for n, a in arrays.items()})


def golden_of(sample: Sample, pipeline: AnyPipeline, engine: Engine) -> Golden:
    """Of a decoded part, as this machine sees it."""
    small = thinned(sample)
    prepared = pipeline(small)
    maps = engine.raw_maps(stacked_images([prepared]))
    thin_maps = {name: np.ascontiguousarray(m[0, ::THIN, ::THIN]) for name, m in maps.items()}
    return Golden(arrays_of_sample(small), _thin_images(prepared), thin_maps, _thin_region(prepared))


def deviation(golden: Golden, pipeline: AnyPipeline, engine: Engine, calibration: Calibration) -> Deviation:
    """calibration: says how far good parts' raw maps deviate.

    The part is prepared and computed here; nan where the maps are not finite.
    """
    prepared = pipeline(golden.sample)
    images, region = _thin_images(prepared), _thin_region(prepared)
    maps = engine.raw_maps(stacked_images([prepared]))
    if (
        images.keys() != golden.images.keys()
        or maps.keys() != golden.maps.keys()
        or region.shape != golden.region.shape
    ):
        raise CheckpointError("the golden part is of another recipe: export the package anew")
    return Deviation(
        max(float(np.abs(images[name] - golden.images[name]).max()) for name in images),
        max(
            float(np.quantile(np.abs(maps[name][0, ::THIN, ::THIN] - golden.maps[name]), USUAL))
            / min(units.std for units in calibration.units(name).values())
            for name in maps
        ),
        float((region != golden.region).mean()),
    )


def refuse_deviation(measured: Deviation, tolerance: float, where: str) -> None:
    """Raises CheckpointError for a machine that does not compute what the exporting one did."""
    if not measured.images <= PREPARED or measured.region > 0.001:
        raise CheckpointError(
            f"{where}: this machine prepares the golden part otherwise (by {measured.images:.2g} of 1, where "
            f"{PREPARED:.2g} is allowed): another version of OpenCV, Pillow or trd-anomaly than it was exported with "
            "(trd info PACKAGE lists them); install those, or export it here"
        )
    if not measured.maps <= tolerance:
        raise CheckpointError(
            f"{where}: this machine's maps of the golden part differ by {measured.maps:.2g} deviations, where "
            f"{tolerance:.2g} is allowed: it would not decide as the exporting machine did. Look for a precision that "
            "the runtime takes by itself, or export and calibrate on this kind of machine"
        )


def _thin_images(prepared: PreparedSample) -> dict[str, NDArray[np.float32]]:
    return {name: np.ascontiguousarray(i[:, ::THIN, ::THIN]) for name, i in prepared.images.items()}


def _thin_region(prepared: PreparedSample) -> NDArray[np.uint8]:
    height, width = next(iter(prepared.images.values())).shape[1:]
    region = np.ones((height, width), bool) if prepared.region is None else prepared.region
    return np.ascontiguousarray(region[::THIN, ::THIN]).astype(np.uint8)


def _with_prefix(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
