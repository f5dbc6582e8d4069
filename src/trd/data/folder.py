"""Folders on disk -> sample lists, for MVTec 3D-AD as downloaded and for a user's own parts in the same manner.

A class folder holds splits, a split holds one folder per source, and files of one stem belong together:

    CLASS/train/[good/]{rgb,xyz}/STEM.*        good parts; may also lie in CLASS/{rgb,xyz}/ when there is nothing else
    CLASS/validation/[good/]{rgb,xyz}/STEM.*   optional (also `val`)
    CLASS/test/KIND/{rgb,xyz,gt}/STEM.*        optional; KIND is "good" or a defect; gt is optional per KIND
    CLASS/camera.json                          see `cameras` (also one level up, or MVTec's own file)

3D may lie in `xyz`, `depth`, `pointcloud` or `cloud`, masks in `gt`, `ground_truth`, `mask` or `masks`. In place of the
source folders the files may lie together, one picture and one 3D file per part, or pictures alone:

    CLASS/train/[good/]STEM.png + STEM.ply, CLASS/test/KIND/STEM.png + STEM.ply, also CLASS/STEM.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trd.data.camera_files import camera_of_class
from trd.data.clouds import CLOUD_SUFFIXES
from trd.data.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from trd.data.loading import COLOURED_SUFFIXES
from trd.errors import DataError
from trd.types import GOOD, UNLABELLED, ClassFiles, SampleFiles

CLOUD_FOLDERS = ("xyz", "depth", "pointcloud", "cloud")
MASK_FOLDERS = ("gt", "ground_truth", "mask", "masks")
VALIDATION_FOLDERS = ("validation", "val")
# Tables lie beside parts for other reasons too: those of heights need a folder of their own.
SOLID_SUFFIXES = tuple(suffix for suffix in CLOUD_SUFFIXES if suffix not in (*IMAGE_SUFFIXES, ".csv"))
NAMED_FAULTS = 5  # missing partners that one message names


def class_names(root: Path) -> tuple[str, ...]:
    """Names of the classes below `root`, sorted; ("",) where `root` is itself one class.

    Raises DataError when there is nothing to read.
    """
    if not root.is_dir():
        raise DataError(f"the data folder {root} does not exist")
    if (root / "train").is_dir() or _holds_sources(root):
        return ("",)
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and ((p / "train").is_dir() or _holds_sources(p)))
    if not names and _holds_files(root):
        return ("",)
    if not names:
        raise DataError(
            f"{root} holds no class: looked for {root}/CLASS/train and {root}/train; see the layout in the README, "
            "'Your own parts'"
        )
    return tuple(names)


def list_class(root: Path, name: str, sources: Sequence[str], clouds: Sequence[str]) -> ClassFiles:
    """All samples of one class, each with a file for every one of `sources`; `clouds` says which of them are 3D.

    The camera is that of `camera_files`. Raises DataError for a missing class or source folder, partner files that are
    missing, two files of one stem, files whose part cannot be told, an empty training split, or a camera file that is
    needed and cannot be read.
    """
    folder = root / name if name else root
    if not folder.is_dir():
        listed_classes = ", ".join(class_names(root)) if root.is_dir() else "none: the data folder does not exist"
        raise DataError(f"class folder {folder} is missing; classes there: {listed_classes}")
    train = _split(folder, "train", sources, clouds)
    if train is None:
        train = _good_samples(folder, "train", sources, clouds)
    if not train:
        raise DataError(f"{folder}: the training split is empty; put good parts into {folder}/train/{sources[0]}/")
    validation: tuple[SampleFiles, ...] = ()
    for split in VALIDATION_FOLDERS:
        validation = validation or _split(folder, split, sources, clouds) or ()
    test = _test_samples(folder, sources, clouds)
    return ClassFiles(
        name=name or folder.resolve().name,
        root=folder,
        train=train,
        validation=validation,
        test=test,
        camera=camera_of_class((*train, *validation, *test), clouds, folder),
    )


def list_unlabelled(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    """Samples of a folder to predict on: `folder` holds one folder per source, or the files themselves."""
    if not folder.is_dir():
        raise DataError(f"the input folder {folder} does not exist")
    samples = tuple(
        SampleFiles(Path(s.id).name, "predict", UNLABELLED, s.sources)
        for s in _paired(folder, "predict", UNLABELLED, sources, clouds)
    )
    if not samples:
        raise DataError(f"{folder} holds no samples of {' + '.join(sources)}")
    return samples


def _split(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...] | None:
    return _good_samples(folder / split, split, sources, clouds) if (folder / split).is_dir() else None


def _good_samples(folder: Path, split: str, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    labels = {path.name: path for path in _kind_folders(folder, sources, clouds)}
    good = next((path for name, path in labels.items() if name.lower() == GOOD), None)
    holds_parts = _has_source_folders(folder, sources, clouds) or _holds_files(folder)
    if good is not None and holds_parts:
        raise DataError(
            f"{folder} holds parts as well as the folder '{good.name}': which ones are meant cannot be told; move all "
            f"good parts into {good}, or all out of it"
        )
    if good is None and not holds_parts and folder.name == split and labels:
        raise DataError(
            f"{folder} holds the folders {', '.join(list(labels)[:NAMED_FAULTS])}, but none called '{GOOD}', and no "
            f"{sources[0]} folder: put the good parts of this split into {folder / GOOD}"
        )
    return _paired(good or folder, split, GOOD, sources, clouds)


def _test_samples(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> tuple[SampleFiles, ...]:
    test = folder / "test"
    if not test.is_dir():
        return ()
    if _source_folder(test, sources[0], clouds) is not None:
        return _paired(test, "test", UNLABELLED, sources, clouds)
    kinds = _kind_folders(test, sources, clouds)
    if _holds_files(test):
        if kinds:
            raise DataError(
                f"{test} holds files as well as the folder '{kinds[0].name}': move the files into folders for their "
                "kind, such as test/good, or away"
            )
        return _paired(test, "test", UNLABELLED, sources, clouds)
    return tuple(
        sample
        for kind in kinds
        for sample in _paired(kind, "test", GOOD if kind.name.lower() == GOOD else kind.name, sources, clouds)
    )


def _kind_folders(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> list[Path]:
    """Folders that may be kinds of parts: those that are not sources, masks or hidden."""
    others = {*sources, "rgb", *CLOUD_FOLDERS, *MASK_FOLDERS}
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in folders if path.name not in others or _has_source_folders(path, sources, clouds)]


def _paired(
    folder: Path, split: str, defect: str, sources: Sequence[str], clouds: Sequence[str]
) -> tuple[SampleFiles, ...]:
    if not _has_source_folders(folder, sources, clouds) and _holds_files(folder):
        by_source = _files_together(folder, sources, clouds)
    else:
        by_source = _files_in_folders(folder, sources, clouds)
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
        by_source[source] = _by_stem(place, suffixes, (*UNREAD_SUFFIXES, *colour_tiffs))
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
        by_source[source] = _by_stem(folder, suffixes)
        if source in solid and not flat and not by_source[source]:
            by_source[source] = _by_stem(folder, (".png",))  # depth images
        if source in flat and solid and not by_source[source]:
            by_source[source] = _by_stem(folder, COLOURED_SUFFIXES)
        if not by_source[source]:
            raise _no_folder(folder, source, clouds)
    for source in flat:
        _refuse_strays(folder, by_source[source], alone=not solid)
    return by_source


def _refuse_strays(folder: Path, pictures: dict[str, Path], alone: bool) -> None:
    """Raises DataError for masks among the pictures, and, where they are read alone, for TIFFs of no picture's part."""
    for stem, path in pictures.items():
        if stem.endswith("_mask") and stem.removesuffix("_mask") in pictures:
            raise DataError(
                f"{path} lies among the pictures; masks belong into {folder / MASK_FOLDERS[0]}, named alike"
            )
    for path in sorted(folder.iterdir()) if alone else ():
        if path.suffix.lower() in (".tif", ".tiff") and path.stem not in pictures and not path.name.startswith("."):
            raise DataError(
                f"{path}: TIFF is read for 3D only, and no picture is called '{path.stem}'; convert it to PNG if it is "
                "a picture, or move it away"
            )


def _no_folder(folder: Path, source: str, clouds: Sequence[str]) -> DataError:
    names, suffixes = (CLOUD_FOLDERS, SOLID_SUFFIXES) if source in clouds else ((source,), IMAGE_SUFFIXES)
    colour_alone = "; for colour alone, train with --recipe lite-rgb-memory-bank" if source in clouds else ""
    return DataError(
        f"{folder}: no folder for '{source}'; looked for {', '.join(dict.fromkeys((source, *names)))}, and for files "
        f"of all sources beside each other ({', '.join(suffixes)}){colour_alone}"
    )


def _masks(folder: Path, defect: str) -> dict[str, Path] | None:
    if defect == GOOD:
        return None  # good parts are all 0 by definition; MVTec ships such files, nobody else needs to draw them
    for name in MASK_FOLDERS:
        if (folder / name).is_dir():
            return _by_stem(folder / name, IMAGE_SUFFIXES)
    return None


def _same_stems(name: str, files: dict[str, Path], other: str, others: dict[str, Path], folder: Path) -> None:
    for missing, present, lacking in (
        (files.keys() - others.keys(), name, other),
        (others.keys() - files.keys(), other, name),
    ):
        if missing:
            named = ", ".join(f"'{stem}'" for stem in sorted(missing)[:NAMED_FAULTS])
            more = f" and {len(missing) - NAMED_FAULTS} more" if len(missing) > NAMED_FAULTS else ""
            verb = "has" if len(missing) == 1 else "have"
            raise DataError(
                f"{folder}: {named}{more} {verb} a {present} file but no {lacking} file; files of one "
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


def _coloured_clouds(folder: Path, source: str, clouds: Sequence[str]) -> dict[str, Path]:
    """Clouds that carry their colours, for a source of pictures that has no folder."""
    place = next((place for cloud in clouds if (place := _source_folder(folder, cloud, clouds)) is not None), None)
    return _by_stem(place, COLOURED_SUFFIXES) if place is not None and source not in clouds else {}


def _source_folder(folder: Path, source: str, clouds: Sequence[str]) -> Path | None:
    names = dict.fromkeys((source, *CLOUD_FOLDERS)) if source in clouds else (source,)
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _has_source_folders(folder: Path, sources: Sequence[str], clouds: Sequence[str]) -> bool:
    return any(_source_folder(folder, source, clouds) is not None for source in sources)


def _holds_sources(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("rgb", *CLOUD_FOLDERS))


def _holds_files(folder: Path) -> bool:
    """Whether pictures or 3D files, also of kinds that are not read, lie in the folder itself."""
    endings = {*SOLID_SUFFIXES, *IMAGE_SUFFIXES, *UNREAD_SUFFIXES}
    return any(
        path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file() for path in folder.iterdir()
    )
