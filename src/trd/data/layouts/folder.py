"""A user's own folders, and data sets of the same manner as downloaded -> sample lists.

A class folder holds splits, a split holds one folder per source, and files of one stem belong together:

    CLASS/train/[good/]{rgb,xyz}/STEM.*        good parts; may also lie in CLASS/{rgb,xyz}/ when there is nothing else
    CLASS/validation/[good/]{rgb,xyz}/STEM.*   optional (also `val`)
    CLASS/test/KIND/{rgb,xyz,gt}/STEM.*        optional (also `test_public`); KIND is "good" or a defect
    CLASS/camera.json                          see `cameras` (also one level up, or MVTec's own file)

3D may lie in `xyz`, `depth`, `pointcloud` or `cloud`. Masks are optional per KIND: see `trd.data.masks`. In place of
the source folders the files may lie together, one picture and one 3D file per part, or pictures alone:

    CLASS/train/[good/]STEM.png + STEM.ply, CLASS/test/KIND/STEM.png + STEM.ply, also CLASS/STEM.png
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trd.data.camera_files import camera_of_class
from trd.data.clouds import CLOUD_SUFFIXES
from trd.data.endings import NAMED_FILES, unread_lines
from trd.data.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from trd.data.labels import label_of
from trd.data.loading import COLOURED_SUFFIXES
from trd.data.masks import MASK_END, MASK_FOLDERS, masks_of
from trd.data.names import part_name
from trd.data.partners import by_stem, same_stems
from trd.errors import DataError
from trd.types import GOOD, UNLABELLED, ClassFiles, SampleFiles

CLOUD_FOLDERS = ("xyz", "depth", "pointcloud", "cloud")
VALIDATION_FOLDERS = ("validation", "val")
TEST_FOLDERS = ("test", "test_public")
# Tables lie beside parts for other reasons too: those of heights need a folder of their own.
SOLID_SUFFIXES = tuple(suffix for suffix in CLOUD_SUFFIXES if suffix not in (*IMAGE_SUFFIXES, ".csv"))
NAMED_FOLDERS = 5  # that one message names

_log = logging.getLogger(__name__)


def is_class(folder: Path) -> bool:
    """Whether a folder is a class of parts: it has a training split, or folders of sources."""
    return (folder / "train").is_dir() or any((folder / name).is_dir() for name in ("rgb", *CLOUD_FOLDERS))


def list_folder(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """All samples of one class, each with a file for every one of `sources`; `clouds` says which of them are 3D.

    The camera is that of `camera_files`. Raises DataError for a missing source folder, partner files that are missing,
    two files of one stem, files whose part cannot be told, an empty training split, or a camera file that is needed and
    cannot be read.
    """
    train = _split(folder, "train", sources, clouds)
    if train is None:
        train = _good_samples(folder, "train", sources, clouds)
    if not train:
        unread = "".join(f"; {line}" for line in unread_lines(sorted(folder.rglob("*")), folder))
        raise DataError(
            f"{folder}: the training split is empty; put good parts into {folder}/train/{sources[0]}/{unread}"
        )
    validation: tuple[SampleFiles, ...] = ()
    for split in VALIDATION_FOLDERS:
        validation = validation or _split(folder, split, sources, clouds) or ()
    test = _test_samples(folder, sources, clouds)
    return ClassFiles(
        name=folder.resolve().name,
        root=folder,
        train=train,
        validation=validation,
        test=test,
        camera=camera_of_class((*train, *validation, *test), clouds, folder),
    )


def list_unlabelled(
    folder: Path, sources: Sequence[str], clouds: Sequence[str], masked: bool = False
) -> tuple[SampleFiles, ...]:
    """Samples of a folder to predict on: `folder` holds one folder per source, or the files themselves.

    Masks beside them are left out, with a note in the log, or, with `masked`, given to the samples that have one.
    """
    if not folder.is_dir():
        raise DataError(f"the input folder {folder} does not exist")
    by_source = _by_source(folder, sources, clouds)
    beside = _masks_among(by_source)
    by_source = {source: {s: p for s, p in files.items() if s not in beside} for source, files in by_source.items()}
    masks = dict[str, Path]()
    if masked:
        masks = masks_of(by_source[sources[0]].keys(), folder) or {}
        masks |= {stem.removesuffix(MASK_END): path for stem, path in beside.items()}
    else:
        places = [folder / name for name in MASK_FOLDERS if (folder / name).is_dir()]
        _note_ignored([str(path) for path in (*beside.values(), *places)])
    samples = tuple(
        replace(sample, id=Path(sample.id).name, mask=masks.get(Path(sample.id).name))
        for sample in _samples(folder, "predict", UNLABELLED, by_source, None)
    )
    if not samples:
        raise DataError(f"{folder} holds no samples of {' + '.join(sources)}")
    return samples


def _note_ignored(ignored: Sequence[str]) -> None:
    if ignored:
        more = f" and {len(ignored) - NAMED_FILES} more" if len(ignored) > NAMED_FILES else ""
        _log.info("not looked at, because masks are not predicted on: %s%s", ", ".join(ignored[:NAMED_FILES]), more)


def _split(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...] | None:
    return _good_samples(folder / split, split, sources, clouds) if (folder / split).is_dir() else None


def _good_samples(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    kinds = _kind_folders(folder, sources, clouds)
    good = next((path for path in kinds if label_of(path.name) == GOOD), None)
    holds_parts = _has_source_folders(folder, sources, clouds) or holds_files(folder)
    if good is not None and holds_parts:
        raise DataError(
            f"{folder} holds parts as well as the folder '{good.name}': which ones are meant cannot be told; move all "
            f"good parts into {good}, or all out of it"
        )
    if good is None and not holds_parts and folder.name == split and kinds:
        named = ", ".join(path.name for path in kinds[:NAMED_FOLDERS])
        raise DataError(
            f"{folder} holds the folders {named}, but none called '{GOOD}', and no "
            f"{sources[0]} folder: put the good parts of this split into {folder / GOOD}"
        )
    return _paired(good or folder, split, GOOD, sources, clouds)


def _test_samples(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    test = next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), None)
    if test is None:
        return ()
    if _source_folder(test, sources[0], clouds) is not None:
        return _paired(test, "test", UNLABELLED, sources, clouds)
    kinds = _kind_folders(test, sources, clouds)
    if holds_files(test):
        if kinds:
            raise DataError(
                f"{test} holds files as well as the folder '{kinds[0].name}': move the files into folders for their "
                "kind, such as test/good, or away"
            )
        return _paired(test, "test", UNLABELLED, sources, clouds)
    return tuple(sample for kind in kinds for sample in _paired(kind, "test", label_of(kind.name), sources, clouds))


def _kind_folders(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> list[Path]:
    """Folders that may be kinds of parts: those that are not sources, masks or hidden."""
    others = {*sources, "rgb", *CLOUD_FOLDERS, *MASK_FOLDERS}
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    kinds = [path for path in folders if path.name not in others or _has_source_folders(path, sources, clouds)]
    good = [path for path in kinds if label_of(path.name) == GOOD]
    if len(good) > 1:
        raise DataError(f"{folder}: both {good[0].name} and {good[1].name} are folders of good parts; make them one")
    return kinds


def _paired(
    folder: Path, split: str, defect: str, sources: Sequence[str], clouds: Sequence[str]
) -> tuple[SampleFiles, ...]:
    by_source = _by_source(folder, sources, clouds)
    for path in _masks_among(by_source).values():
        raise DataError(f"{path} lies among the pictures; masks belong into {folder / MASK_FOLDERS[0]}, named alike")
    # Good parts are all 0 by definition; MVTec ships such files, nobody else needs to draw them.
    masks = None if defect == GOOD else masks_of(by_source[sources[0]].keys(), folder)
    return _samples(folder, split, defect, by_source, masks)


def _by_source(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Source -> stem -> file."""
    if not _has_source_folders(folder, sources, clouds) and holds_files(folder):
        return _files_together(folder, sources, clouds)
    return _files_in_folders(folder, sources, clouds)


def _masks_among(by_source: dict[str, dict[str, Path]]) -> dict[str, Path]:
    """Of the sources' files those that are called as another one's mask."""
    return {
        stem: path
        for files in by_source.values()
        for stem, path in files.items()
        if stem.endswith(MASK_END) and stem.removesuffix(MASK_END) in files
    }


def _samples(
    folder: Path, split: str, defect: str, by_source: dict[str, dict[str, Path]], masks: dict[str, Path] | None
) -> tuple[SampleFiles, ...]:
    """A sample for each stem. Raises DataError where a source or the masks lack one, or have one more."""
    (name, first), *others = by_source.items()
    for source, files in others + ([("mask", masks)] if masks is not None else []):
        same_stems(name, first, source, files, folder)
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


def _files_in_folders(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> dict[str, dict[str, Path]]:
    by_source: dict[str, dict[str, Path]] = {}
    for source in sources:
        place = _source_folder(folder, source, clouds)
        if place is None:
            coloured = _coloured_clouds(folder, source, clouds)
            if coloured:
                by_source[source] = coloured
                continue
            raise _no_folder(folder, source, clouds)
        colour_tiffs = () if source in clouds else (".tif", ".tiff")
        suffixes = CLOUD_SUFFIXES if source in clouds else IMAGE_SUFFIXES
        by_source[source] = by_stem(place, suffixes, (*UNREAD_SUFFIXES, *colour_tiffs))
    return by_source


def _files_together(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Sources told apart by their endings: pictures are colour, what else there is is 3D."""
    solid = [source for source in sources if source in clouds]
    flat = [source for source in sources if source not in clouds]
    for several in (solid, flat):
        if len(several) > 1:
            raise DataError(
                f"{folder}: which of the files are {' and which '.join(several)} cannot be told; put each of them into "
                f"a folder of its own, {folder / several[0]} and so on"
            )
    by_source: dict[str, dict[str, Path]] = {}
    for source in sources:
        suffixes: Sequence[str] = IMAGE_SUFFIXES if source in flat else SOLID_SUFFIXES
        by_source[source] = by_stem(folder, suffixes)
        if source in solid and not flat and not by_source[source]:
            by_source[source] = by_stem(folder, (".png",))  # depth images
        if source in flat and solid and not by_source[source]:
            by_source[source] = by_stem(folder, COLOURED_SUFFIXES)
        if not by_source[source]:
            raise _no_folder(folder, source, clouds)
    if not solid:
        _refuse_strays(folder, by_source[flat[0]])
    return by_source


def _refuse_strays(folder: Path, pictures: dict[str, Path]) -> None:
    """Raises DataError for TIFFs of no picture's part, where pictures are read alone."""
    for path in sorted(folder.iterdir()):
        name, hidden = part_name(path), path.name.startswith(".")
        if path.suffix.lower() in (".tif", ".tiff") and name not in pictures and not hidden:
            raise DataError(
                f"{path}: TIFF is read for 3D only, and no picture is called '{name}'; convert it to PNG if it is a "
                "picture, or move it away"
            )


def _no_folder(folder: Path, source: str, clouds: Sequence[str]) -> DataError:
    names, suffixes = (CLOUD_FOLDERS, SOLID_SUFFIXES) if source in clouds else ((source,), IMAGE_SUFFIXES)
    colour_alone = "; for colour alone, train with --recipe lite-rgb-memory-bank" if source in clouds else ""
    unread = "".join(f"; {line}" for line in unread_lines(sorted(folder.iterdir())))
    return DataError(
        f"{folder}: no folder for '{source}'; looked for {', '.join(dict.fromkeys((source, *names)))}, and for files "
        f"of all sources beside each other ({', '.join(suffixes)}){unread}{colour_alone}"
    )


def _coloured_clouds(folder: Path, source: str, clouds: Sequence[str]) -> dict[str, Path]:
    """Clouds that carry their colours, for a source of pictures that has no folder."""
    place = next((place for cloud in clouds if (place := _source_folder(folder, cloud, clouds)) is not None), None)
    return by_stem(place, COLOURED_SUFFIXES) if place is not None and source not in clouds else {}


def _source_folder(folder: Path, source: str, clouds: Sequence[str]) -> Path | None:
    names = dict.fromkeys((source, *CLOUD_FOLDERS)) if source in clouds else (source,)
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _has_source_folders(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> bool:
    return any(_source_folder(folder, source, clouds) is not None for source in sources)


def holds_files(folder: Path) -> bool:
    """Whether pictures or 3D files, also of kinds that are not read, lie in the folder itself."""
    endings = {*SOLID_SUFFIXES, *IMAGE_SUFFIXES, *UNREAD_SUFFIXES}
    return any(
        path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file() for path in folder.iterdir()
    )
