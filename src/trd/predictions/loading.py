"""How a call's detector and parts are loaded, in this process or in another one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from trd.data.listing import camera_near
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.errors import CheckpointError, DataError
from trd.types import Camera, Sample, SampleFiles


@dataclass(frozen=True)
class Loading:
    """path, device, compiled, precision, without: of `Detector.load`. camera: that depth images are read with.

    detector, calibration: ids of what is there now. folder: that relative paths begin at.
    """

    path: Path
    device: str
    compiled: bool
    precision: str | None
    without: str
    camera: Camera | None
    detector: str
    calibration: str
    folder: Path

    @classmethod
    def of(
        cls, detector: Detector, files: Sequence[SampleFiles], path: Path, device: str, compiled: bool,
        precision: str | None, without: str,
    ) -> Loading:  # fmt: skip
        """For the files to predict, with the detector that is at `path`."""
        facts = detector.facts
        camera = camera_near(files, detector.recipe.point_cloud_sources, facts.camera)
        return cls(path, device, compiled, precision, without, camera, facts.id, facts.calibration.id, Path.cwd())

    def reader(self, detector: Detector) -> Callable[[SampleFiles], Sample]:
        return partial(load_sample, clouds=detector.recipe.point_cloud_sources, camera=self.camera)

    def elsewhere(self) -> Detector:
        """The detector in a process of its own, perhaps on another machine, which moves into `folder`.

        Raises DataError where this machine does not see the folder, CheckpointError for another detector than was there
        when the call began.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise DataError(
                f"{self.folder} cannot be entered on {socket.gethostname()} ({error.strerror}): all machines of the "
                "Ray cluster must see detector and parts under the same paths"
            ) from error
        detector = Detector.load(self.path, self.device, self.compiled, self.precision, self.without)
        if (detector.facts.id, detector.calibration.id) != (self.detector, self.calibration):
            raise CheckpointError(f"{self.path} has changed since this call began: start it again")
        return detector

    def settings(self) -> Mapping[str, str]:
        """All that a part's score depends on beside its files, as text."""
        return {
            "path": str(self.folder / self.path),
            "detector": self.detector,
            "calibration": self.calibration,
            "device": self.device,
            "precision": str(self.precision),
            "without": self.without,
            "camera": repr(self.camera),
            "version": metadata.version("trd-anomaly"),
        }
