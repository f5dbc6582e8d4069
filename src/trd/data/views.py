"""Parts of which there are several pictures or clouds: their files found, and their arrays put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.errors import DataError
from trd.types import UNLABELLED, VIEW_SEPARATOR, Camera, ClassFiles, Sample, SampleFiles, plain_sources, views_of

NAMED = 3  # parts in a message
SEPARATORS = "_-."  # before a view's name at the end of a file's

ListClass = Callable[[Path, Sequence[str], Sequence[str]], ClassFiles]
ViewOf = Callable[[str], tuple[str, str] | None]
"""Stem of a file -> its part and view; None where it names none."""
ListParts = Callable[[Path, Sequence[str], Sequence[str]], tuple[SampleFiles, ...]]


def list_class_of_views(
    place: Path, sources: Sequence[str], clouds: Sequence[str], view_of: ViewOf | None, list_class: ListClass
) -> ClassFiles:
    """All parts of a class, with views in folders `place/VIEW` that are each a class of one layout, or told by the end
    of the files' names.

    sources: as "VIEW/SOURCE". view_of: of a layout that names its views. list_class: of one layout. Raises DataError
    for a part that lacks a view.
    """
    views, plain, plain_clouds = views_of(sources), plain_sources(sources), plain_sources(clouds)
    if _in_folders(place, views):
        listed = {view: list_class(place / view, plain, plain_clouds) for view in views}
        train, validation, test = (
            _joined({view: getattr(files, split) for view, files in listed.items()}, place)
            for split in ("train", "validation", "test")
        )
        camera = joined_cameras({view: files.camera for view, files in listed.items()})
        return ClassFiles(place.resolve().name, place, train, validation, test, camera)
    files = list_class(place, plain, plain_clouds)
    splits = (files.train, files.validation, files.test)
    train, validation, test = (_joined(_by_name(split, views, place, view_of), place) for split in splits)
    return replace(files, train=train, validation=validation, test=test)


def list_parts_of_views(
    place: Path, sources: Sequence[str], clouds: Sequence[str], list_parts: ListParts
) -> tuple[SampleFiles, ...]:
    """The same of a folder to predict on."""
    views, plain, plain_clouds = views_of(sources), plain_sources(sources), plain_sources(clouds)
    if _in_folders(place, views):
        return _joined({view: list_parts(place / view, plain, plain_clouds) for view in views}, place)
    return _joined(_by_name(list_parts(place, plain, plain_clouds), views, place), place)


def _in_folders(place: Path, views: Sequence[str]) -> bool:
    """Raises DataError where some views have a folder and others none."""
    missing = [view for view in views if not (place / view).is_dir()]
    if missing and len(missing) < len(views):
        raise DataError(f"{place} has no folder for the view '{missing[0]}'; the recipe's views are {', '.join(views)}")
    return not missing


def _by_name(
    samples: Sequence[SampleFiles], views: Sequence[str], place: Path, view_of: ViewOf | None = None
) -> dict[str, list[SampleFiles]]:
    """view -> its samples, called as their parts are. Raises DataError for a name that names no view."""
    named = [(sample, _part_and_view(sample, views, place, view_of)) for sample in samples]
    kinds = {part: sample.defect for sample, (part, _) in named if not sample.is_good} if view_of else {}
    by_view: dict[str, list[SampleFiles]] = {view: [] for view in views}
    for sample, (part, view) in named:
        kind = kinds.get(part, sample.defect)  # of a part whose defect shows in other views
        prefix = sample.id.rpartition("/")[0] if kind == sample.defect else f"{sample.split}/{kind}"
        if view in by_view:  # the recipe may do without some
            by_view[view].append(replace(sample, id=f"{prefix}/{part}" if prefix else part, defect=kind))
    return by_view


def _part_and_view(sample: SampleFiles, views: Sequence[str], place: Path, view_of: ViewOf | None) -> tuple[str, str]:
    stem = sample.id.rpartition("/")[2]
    if view_of is not None:
        named = view_of(stem)
    else:
        ends = [view for view in views for separator in SEPARATORS if stem.endswith(separator + view)]
        view = max(ends, key=len, default="")  # "1_top_left" is of top_left, not of left
        named = (stem[: -len(view) - 1], view) if view else None
    if named is None:
        path = next(iter(sample.sources.values()))
        raise DataError(
            f"{path}: its name ends in none of the views {', '.join(views)}; call files {path.stem}_{views[0]}"
            f"{path.suffix}, or put each view into a folder of its own, {place / views[0]}"
        )
    return named


def _joined(by_view: Mapping[str, Sequence[SampleFiles]], place: Path) -> tuple[SampleFiles, ...]:
    """Parts in the order of the first view. Raises DataError for one that lacks a view."""
    named = {view: {sample.id: sample for sample in samples} for view, samples in by_view.items()}
    first, all_ids = next(iter(named.values())), dict.fromkeys(id for samples in named.values() for id in samples)
    for view, samples in named.items():
        missing = [name for name in all_ids if name not in samples]
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise DataError(
                f"{place}: the view '{view}' of {', '.join(missing[:NAMED])}{more} is missing; a part needs all views"
            )
    return tuple(_part([(view, samples[name]) for view, samples in named.items()]) for name in first)


def _part(views: Sequence[tuple[str, SampleFiles]]) -> SampleFiles:
    first = views[0][1]
    sources = {f"{view}{VIEW_SEPARATOR}{s}": path for view, files in views for s, path in files.sources.items()}
    masks = {view: files.mask for view, files in views if files.mask is not None}
    return SampleFiles(first.id, first.split, first.defect, sources, view_masks=masks)


def joined_cameras(cameras: Mapping[str, Camera | None]) -> Camera | None:
    """view -> its camera, as one: that of all where they have the same."""
    different = {view: camera for view, camera in cameras.items() if camera is not None}
    first = next(iter(different.values()), None)
    if first is None or (len(different) == len(cameras) and all(camera == first for camera in different.values())):
        return first
    return Camera(0, 0, 0, 0, views=tuple(different.items()))


def camera_of_view(camera: Camera | None, view: str) -> Camera | None:
    return dict(camera.views).get(view) if camera is not None and camera.views else camera


def joined_views(name: str, views: Mapping[str, Sample], defect: str = UNLABELLED) -> Sample:
    """view -> its sample, as one of all; views without a mask show no defect where others have one. Raises DataError
    for views of different types of numbers."""
    shapes = tuple((view, _shape(sample)) for view, sample in views.items())
    width = max(shape[1] for _, shape in shapes)
    arrays = {
        source: _stacked([sample.arrays[source] for sample in views.values()], width, f"{name}, '{source}'")
        for source in next(iter(views.values())).arrays
    }
    masks = [np.zeros(_shape(sample), bool) if sample.mask is None else sample.mask for sample in views.values()]
    marked = any(sample.mask is not None for sample in views.values())
    mask = np.asarray(_stacked(masks, width, name), bool) if marked else None
    return Sample(name, arrays, defect, mask, shapes)


def sample_of_arrays(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> Sample:
    """Of a part's arrays by the recipe's names of inputs: "rgb", or "front/rgb". Raises DataError for views of which
    one lacks a source, or has arrays of several sizes."""
    views = views_of(arrays)
    if not views:
        return Sample(name, arrays)
    sources = plain_sources(arrays)
    missing = [f"{v}{VIEW_SEPARATOR}{s}" for v in views for s in sources if f"{v}{VIEW_SEPARATOR}{s}" not in arrays]
    if missing:
        raise DataError(f"sample {name} has no '{missing[0]}': every view has {' and '.join(sources)}")
    samples = {view: Sample(name, {s: arrays[f"{view}{VIEW_SEPARATOR}{s}"] for s in sources}) for view in views}
    for view, sample in samples.items():
        shapes = {f"{view}{VIEW_SEPARATOR}{s}": getattr(array, "shape", ()) for s, array in sample.arrays.items()}
        sizes = {shape[:2] for shape in shapes.values()}
        if len(sizes) > 1 or len(sizes.pop()) < 2:
            given = ", ".join(f"'{source}' {shape}" for source, shape in shapes.items())
            raise DataError(f"sample {name}: the arrays of a view have one height and width, got {given}")
    return joined_views(name, samples)


def arrays_of_sample(sample: Sample) -> dict[str, NDArray[np.generic]]:
    """The reverse."""
    if not sample.views:
        return dict(sample.arrays)
    return {
        f"{view}{VIEW_SEPARATOR}{source}": array
        for view, _ in sample.views
        for source, array in sample.view(view).arrays.items()
    }


def _shape(sample: Sample) -> tuple[int, int]:
    array = next(iter(sample.arrays.values()))
    return array.shape[0], array.shape[1]


def _stacked(arrays: Sequence[NDArray[np.generic]], width: int, name: str) -> NDArray[np.generic]:
    kinds = {(array.dtype.name, array.shape[2:]) for array in arrays}
    if len(kinds) > 1:
        raise DataError(
            f"{name}: one view is {' and another '.join(sorted(f'{k} {s}' for k, s in kinds))}; save them alike"
        )
    return np.concatenate(
        [np.pad(array, ((0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2))) for array in arrays]
    )
