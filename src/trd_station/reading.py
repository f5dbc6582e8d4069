"""The files of one part, as they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.data.camera_files import of_new_parts
from trd.data.cameras import read_camera
from trd.data.clouds import CLOUD_SUFFIXES, read_cloud
from trd.data.images import IMAGE_SUFFIXES, read_image
from trd.data.loading import load_sample
from trd.types import UNLABELLED, Camera, Sample, SampleFiles, views_of


def suffixes(is_cloud: bool) -> tuple[str, ...]:
    """Of the files that can be read, in lower case with the dot."""
    return CLOUD_SUFFIXES if is_cloud else IMAGE_SUFFIXES


@dataclass(frozen=True)
class Inputs:
    """sources: source -> file. clouds: those that are point clouds. camera: of the training data, for a part without
    `camera_file`."""

    sources: Mapping[str, Path]
    clouds: tuple[str, ...]
    camera: Camera | None
    camera_file: Path | None = None

    def sample(self, name: str = "part") -> Sample:
        """Raises DataError."""
        return load_sample(SampleFiles(name, "predict", UNLABELLED, self.sources), self.clouds, self._camera)

    @property
    def _camera(self) -> Camera | None:
        return of_new_parts(read_camera(self.camera_file), self.camera) if self.camera_file else self.camera

    def source(self, name: str, shape: tuple[int, int]) -> NDArray[np.generic]:
        """One source's array, of a part with several views all of them; shape: (height, width) of the frame. Raises
        DataError."""
        if views_of(self.sources):
            return self.sample().arrays[name]
        path = self.sources[name]
        return read_cloud(path, self._camera, shape) if name in self.clouds else read_image(path)
