"""Which camera file belongs to samples, and what the first of them adds to it: a size, or a grid for loose points."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from trd.data.cameras import read_camera
from trd.data.clouds import NO_CAMERA, POINT_SUFFIXES, depth_size, points_of
from trd.data.heights import support_grid
from trd.data.views import camera_of_view, joined_cameras
from trd.errors import DataError
from trd.types import Camera, SampleFiles, plain_sources, views_of

log = logging.getLogger(__name__)

CAMERA_FILES = ("camera.json", "calibration/camera_parameters.json")


def camera_of_class(samples: Sequence[SampleFiles], clouds: Sequence[str], folder: Path) -> Camera | None:
    """The camera of a class in `folder`, from its files or those one level up; training samples come first.

    Depth images and heights need it: the camera learns its size from the first depth image, where the file states
    none. Files of points may have one. Points without rows and without a picture beside them get the grid over the
    support of the first part. Raises DataError for a camera file that cannot be read but is needed.
    """
    if not clouds:
        return None
    is_needed, size = _depth_files(samples, clouds)
    camera = _camera((folder, folder.parent), is_needed)
    if is_needed:
        learns = camera is not None and camera.size is None and camera.height_map is None
        return replace(camera, size=size) if camera is not None and learns else camera
    return _with_grid(camera, samples, clouds)


def camera_near(samples: Sequence[SampleFiles], clouds: Sequence[str], trained: Camera | None = None) -> Camera | None:
    """The camera of new samples: the file in their folder or one of its three parents, else the `trained` one.

    Raises DataError for a camera file that cannot be read but is needed.
    """
    if not clouds or not samples:
        return trained
    if views := views_of(samples[0].sources):
        plain = plain_sources(clouds)
        return joined_cameras(
            {v: camera_near([s.view(v) for s in samples], plain, camera_of_view(trained, v)) for v in views}
        )
    place = next(iter(samples[0].sources.values())).parent
    is_needed, _ = _depth_files(samples, clouds)
    camera = _camera((place, *list(place.resolve().parents)[:3]), is_needed)
    return trained if camera is None else of_new_parts(camera, trained)


def of_new_parts(camera: Camera, trained: Camera | None) -> Camera:
    """A camera file's, with what only the detector's camera knows: the size of the training images, and their grid."""
    if trained is None:
        return camera
    if camera in (replace(trained, grid=None), replace(trained, size=None, grid=None)):
        return trained  # the training data's own file
    return replace(camera, grid=trained.grid) if camera.colour is None else camera


def _camera(places: Iterable[Path], is_needed: bool) -> Camera | None:
    """The first camera file's; where only points could need it, one that says something about points."""
    path = next((place / name for place in places for name in CAMERA_FILES if (place / name).is_file()), None)
    if path is None:
        return None
    try:
        camera = read_camera(path)
    except DataError as error:
        if is_needed:
            raise
        log.warning("points are taken as they are stored, without the camera: %s", error)
        return None
    return camera if is_needed or camera.concerns_points or camera.height_map is not None else None


def _depth_files(samples: Iterable[SampleFiles], clouds: Sequence[str]) -> tuple[bool, tuple[int, int] | None]:
    """Whether there are depth images or tables of heights, and (height, width) of the first depth image.

    One readable file of each split, source and ending stands for the others: not every header is read.
    """
    looked_at: set[tuple[str, str, str]] = set()
    for sample in samples:
        for source in clouds:
            path = sample.sources[source]
            kind = (sample.split, source, path.suffix.lower())
            if kind in looked_at:
                continue
            if kind[2] == ".csv":
                return True, None
            try:
                size = depth_size(path)
            except DataError:  # reported when its turn comes
                continue
            if size is not None:
                return True, size
            looked_at.add(kind)
    return False, None


def _with_grid(camera: Camera | None, samples: Sequence[SampleFiles], clouds: Sequence[str]) -> Camera | None:
    if camera is not None and camera.colour is not None:
        return camera
    for sample in samples:
        paths = [path for source, path in sample.sources.items() if source in clouds]
        if len(paths) < len(sample.sources) or paths[0].suffix.lower() not in POINT_SUFFIXES:
            return camera  # a picture, or another cloud, gives the grid
        try:
            points = points_of(paths[0], camera)
            grid = None if points is None else support_grid(points, paths[0])
        except DataError:  # reported when its turn comes
            continue
        return camera if grid is None else replace(camera or NO_CAMERA, grid=grid)
    return camera
