"""Folders on disk -> sample lists, for MVTec 3D-AD as downloaded and for a user's own parts in the same manner.

A class folder holds splits, a split holds one folder per source, and files of one stem belong together:

    CLASS/train/[good/]{rgb,xyz}/STEM.*        good parts; may also lie in CLASS/{rgb,xyz}/ when there is nothing else
    CLASS/validation/[good/]{rgb,xyz}/STEM.*   optional (also `val`)
    CLASS/test/KIND/{rgb,xyz,gt}/STEM.*        optional; KIND is "good" or a defect; gt is optional per KIND
    CLASS/camera.json                          only for depth images (also one level up, or MVTec's own file)

3D may lie in `xyz`, `depth`, `pointcloud` or `cloud`, masks in `gt`, `ground_truth`, `mask` or `masks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trd.data.readers import CLOUD_SUFFIXES, IMAGE_SUFFIXES, UNREAD_SUFFIXES, read_camera
from trd.errors import DataError
from trd.types import GOOD, UNLABELLED, Camera, ClassFiles, SampleFiles

CLOUD_FOLDERS = ("xyz", "depth", "pointcloud", "cloud")
MASK_FOLDERS = ("gt", "ground_truth", "mask", "masks")
VALIDATION_FOLDERS = ("validation", "val")
CAMERA_FILES = ("camera.json", "calibration/camera_parameters.json")


def class_names(root: Path) -> tuple[str, ...]:
    """Names of the classes below `root`, sorted; ("",) where `root` is itself one class.

    Raises DataError when there is nothing to read.
    """
    if not root.is_dir():
        raise DataError(f"the data folder {root} does not exist")
    if (root / "train").is_dir() or _holds_sources(root):
        return ("",)
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and ((p / "train").is_dir() or _holds_sources(p)))
    if not names:
        raise DataError(
            f"{root} holds no class: looked for {root}/CLASS/train and {root}/train; see the layout in the README, "
            "'Your own parts'"
        )
    return tuple(names)


def list_class(root: Path, name: str, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """All samples of one class, each with a file for every one of `sources`; `clouds` says which of them are 3D.

    Raises DataError for a missing class or source folder, a partner file that is missing, two files of one stem, or
    an empty training split.
    """
    folder = root / name if name else root
    if not folder.is_dir():
        known = ", ".join(class_names(root)) if root.is_dir() else "none: the data folder does not exist"
        raise DataError(f"class folder {folder} is missing; classes there: {known}")
    train = _split(folder, "train", sources, clouds)
    if train is None:
        train = _good_samples(folder, "train", sources, clouds)
    if not train:
        raise DataError(f"{folder}: the training split is empty; put good parts into {folder}/train/{sources[0]}/")
    validation: tuple[SampleFiles, ...] = ()
    for split in VALIDATION_FOLDERS:
        validation = validation or _split(folder, split, sources, clouds) or ()
    return ClassFiles(
        name=name or folder.resolve().name,
        root=folder,
        train=train,
        validation=validation,
        test=_test_samples(folder, sources, clouds),
        camera=_camera(folder) if clouds else None,
    )


def list_unlabelled(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    """Samples of a folder to predict on: `folder` holds one folder per source, or, for one source, the files."""
    if not folder.is_dir():
        raise DataError(f"the input folder {folder} does not exist")
    if len(sources) == 1 and _source_folder(folder, sources[0], clouds) is None:
        suffixes = _suffixes(sources[0], clouds)
        files = _by_stem(folder, suffixes)
        samples = tuple(SampleFiles(stem, "predict", UNLABELLED, {sources[0]: path}) for stem, path in files.items())
    else:
        samples = tuple(
            SampleFiles(Path(s.id).name, "predict", UNLABELLED, s.sources)
            for s in _paired(folder, "predict", UNLABELLED, sources, clouds)
        )
    if not samples:
        raise DataError(f"{folder} holds no samples of {' + '.join(sources)}")
    return samples


def camera_near(folder: Path) -> Camera | None:
    """The camera file of a folder or of one of its three parents, None without one."""
    for place in (folder, *list(folder.resolve().parents)[:3]):
        camera = _camera(place)
        if camera is not None:
            return camera
    return None


def _split(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...] | None:
    return _good_samples(folder / split, split, sources, clouds) if (folder / split).is_dir() else None


def _good_samples(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    inner = folder / GOOD if (folder / GOOD).is_dir() else folder
    return _paired(inner, split, GOOD, sources, clouds)


def _test_samples(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    test = folder / "test"
    if not test.is_dir():
        return ()
    if _source_folder(test, sources[0], clouds) is not None:
        return _paired(test, "test", UNLABELLED, sources, clouds)
    kinds = sorted(p for p in test.iterdir() if p.is_dir())
    return tuple(sample for kind in kinds for sample in _paired(kind, "test", kind.name, sources, clouds))


def _paired(
    folder: Path, split: str, defect: str, sources: Sequence[str], clouds: Sequence[str]
) -> tuple[SampleFiles, ...]:
    by_source: dict[str, dict[str, Path]] = {}
    for source in sources:
        place = _source_folder(folder, source, clouds)
        if place is None:
            names = CLOUD_FOLDERS if source in clouds else (source,)
            raise DataError(
                f"{folder}: no folder for '{source}'; looked for {', '.join(dict.fromkeys((source, *names)))}"
            )
        colour_tiffs = () if source in clouds else (".tif", ".tiff")
        by_source[source] = _by_stem(place, _suffixes(source, clouds), (*UNREAD_SUFFIXES, *colour_tiffs))
    first = by_source[sources[0]]
    for source in sources[1:]:
        _same_stems(sources[0], first, source, by_source[source], folder)
    masks = _masks(folder, defect)
    if masks is not None:
        _same_stems(sources[0], first, "mask", masks, folder)
    return tuple(
        SampleFiles(
            id=f"{split}/{defect}/{stem}",
            split=split,
            defect=defect,
            sources={source: files[stem] for source, files in by_source.items()},
            mask=masks[stem] if masks is not None else None,
        )
        for stem in first
    )


def _masks(folder: Path, defect: str) -> dict[str, Path] | None:
    if defect == GOOD:
        return None  # good parts are all 0 by definition; MVTec ships such files, nobody else needs to draw them
    for name in MASK_FOLDERS:
        if (folder / name).is_dir():
            return _by_stem(folder / name, IMAGE_SUFFIXES)
    return None


def _same_stems(name: str, files: dict[str, Path], other: str, others: dict[str, Path], folder: Path) -> None:
    for missing, have, lacking in (
        (files.keys() - others.keys(), name, other),
        (others.keys() - files.keys(), other, name),
    ):
        if missing:
            stem = sorted(missing)[0]
            raise DataError(
                f"{folder}: '{stem}' has a {have} file but no {lacking} file ({len(missing)} such); files of one "
                "sample carry the same name up to the ending: add the partner or remove the file"
            )


def _by_stem(folder: Path, suffixes: Sequence[str], unread: Sequence[str] = UNREAD_SUFFIXES) -> dict[str, Path]:
    """Raises DataError for two files of one name, and for pictures of a kind that is not read (`unread`)."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in unread and not path.name.startswith("."):
            raise DataError(
                f"{path}: {path.suffix} files are not read here, and a part must not be left out unseen; convert it to "
                f"one of {', '.join(suffixes)}, or move it away"
            )
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in files:
            raise DataError(
                f"{folder}: both {files[path.stem].name} and {path.name} are called '{path.stem}'; keep one"
            )
        files[path.stem] = path
    return files


def _source_folder(folder: Path, source: str, clouds: Sequence[str]) -> Path | None:
    names = dict.fromkeys((source, *CLOUD_FOLDERS)) if source in clouds else (source,)
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _suffixes(source: str, clouds: Sequence[str]) -> Sequence[str]:
    return CLOUD_SUFFIXES if source in clouds else IMAGE_SUFFIXES


def _holds_sources(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("rgb", *CLOUD_FOLDERS))


def _camera(folder: Path) -> Camera | None:
    for place in (folder, folder.parent):
        for name in CAMERA_FILES:
            if (place / name).is_file():
                return read_camera(place / name)
    return None
