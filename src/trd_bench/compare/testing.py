"""What the recipes are compared on: the labelled test parts, or synthetic defects where nobody has labelled any."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console

from trd.config import Recipe
from trd.config.sections import ImageInput
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.data.synthetic import kinds_for, part_in_picture, with_defect
from trd.errors import DataError, TRDError
from trd.files import write_bytes, write_json, write_whole
from trd.preprocess.facts import FARTHEST, MILLIMETRES
from trd.preprocess.foreground import border_plane, part_foreground
from trd.progress import tracked
from trd.training.digests import part_digests
from trd.types import GOOD, UNLABELLED, Camera, ClassFiles, ClassFolder, Sample, SampleFiles

MARKER, VERSION = "synthetic.json", 1
ENOUGH = 8  # good parts from which defects can be made
MOST = 40  # of them that are used
LEFT_OUT = 0.2  # share of the training parts that none of the recipes gets, where there are no others
MOST_LEFT_OUT = 20
FEWEST_TRAINING = 10
PER_PART = 3  # synthetic defects, a picture each, per good part
SEED = 0


@dataclass(frozen=True)
class TestSet:
    """What is measured on in one class.

    place: the class; its `left_out` parts are kept from all recipes. synthetic: the drawn parts, None for the data's
    own test split. base: id of a drawn part -> number of the good part it was made from. origin: for people, where the
    good parts come from. unseen: whether no threshold was set on the good parts, so that false alarms mean something.
    """

    __test__ = False  # for pytest, which takes it for tests

    place: ClassFolder
    synthetic: ClassFiles | None = None
    base: dict[str, int] | None = None
    origin: str = ""
    unseen: bool = True

    def files(self, recipe: Recipe) -> ClassFiles:
        """The test parts with the sources that a recipe needs. Raises DataError where it cannot have them."""
        if self.synthetic is None:
            return list_class(self.place.path, "", recipe.inputs, recipe.point_cloud_sources)
        test = self.synthetic.test
        missing = [source for source in recipe.sources if source not in test[0].sources]
        if missing:
            raise DataError(
                f"no synthetic defects are drawn into '{missing[0]}' of {self.place.path}, which the recipe "
                f"'{recipe.name}' needs: it is not there, or a picture of something else than colour"
            )
        chosen = (replace(s, sources={name: s.sources[name] for name in recipe.sources}) for s in test)
        return replace(self.synthetic, test=tuple(chosen))


@dataclass(frozen=True)
class _Listed:
    """A class as those recipes see it that can: all their sources.

    images, clouds: those into which defects can be drawn; pictures of vectors are in neither. scale: metres per unit of
    the clouds, None for told by their distance.
    """

    files: ClassFiles
    images: tuple[str, ...]
    clouds: tuple[str, ...]
    scale: float | None

    @property
    def lacking(self) -> str:
        """Why its test split cannot be measured on; empty where it can."""
        kinds = {sample.defect for sample in self.files.test}
        if not kinds:
            return "there is no test split"
        if UNLABELLED in kinds:
            return "the test parts are not sorted into test/good and test/DEFECT"
        if GOOD not in kinds:
            return "the test split holds no good parts (test/good)"
        return "the test split holds good parts only" if kinds == {GOOD} else ""


def test_sets(
    places: Sequence[ClassFolder], recipes: Sequence[Recipe], folder: Path, console: Console
) -> tuple[list[TestSet], list[str], dict[str, str]]:
    """What to measure on per class; what to tell the reader; and the classes that cannot be used, with the reason.

    Where some class has labelled defects, only such classes are compared on. Otherwise synthetic defects are drawn
    into good parts that no recipe trains on, in `folder`/CLASS.
    """
    listed, failed = {}, {}
    for place in places:
        try:
            listed[place.name] = _listed(place, recipes)
        except TRDError as error:
            failed[place.name] = str(error)
    usable = [place for place in places if place.name in listed]
    lacking = {place.name: listed[place.name].lacking for place in usable}
    if not all(lacking.values()):
        notes = [f"{name} is left out: {reason}." for name, reason in lacking.items() if reason]
        return [TestSet(place) for place in usable if not lacking[place.name]], notes, failed
    synthetic_sets = []
    for place in usable:
        try:
            synthetic_sets.append(_synthetic(place, listed[place.name], recipes, folder / place.name, console))
        except TRDError as error:
            failed[place.name] = str(error)
    reasons = dict.fromkeys(lacking[test.place.name] for test in synthetic_sets)
    notes = [f"No labelled defects: {'; '.join(reasons)}." for _ in synthetic_sets[:1]]
    return synthetic_sets, notes, failed


def _listed(place: ClassFolder, recipes: Sequence[Recipe]) -> _Listed:
    """Raises the first recipe's DataError where none can be served."""
    sources: list[str] = []
    images: list[str] = []
    clouds: list[str] = []
    problem: TRDError | None = None
    scale: float | None = None
    for recipe in (recipe.for_class(place.name) for recipe in recipes):
        try:
            list_class(place.path, "", recipe.inputs, recipe.point_cloud_sources)
        except TRDError as error:
            problem = problem or error
            continue
        sources += recipe.sources
        clouds += recipe.point_cloud_sources
        inputs = recipe.modalities.values()
        images += [i.source for i in inputs if isinstance(i, ImageInput) and i.vectors == "none"]
        if recipe.point_cloud_sources and recipe.frame.cloud_scale != "auto":
            scale = scale or float(recipe.frame.cloud_scale)
    if problem is not None and not sources:
        raise problem
    pictures, points = tuple(dict.fromkeys(images)), tuple(dict.fromkeys(clouds))
    files = list_class(place.path, "", tuple(dict.fromkeys(sources)), points)
    return _Listed(replace(files, name=place.name), pictures, points, scale)


def _synthetic(
    place: ClassFolder, listed: _Listed, recipes: Sequence[Recipe], folder: Path, console: Console
) -> TestSet:
    files = listed.files
    cross = any(recipe.for_class(place.name).scoring.calibration == "cross" for recipe in recipes)
    good = [sample for sample in files.test if sample.defect == GOOD]
    left_out: frozenset[str] = frozenset()
    unseen, rng = True, np.random.default_rng(SEED)
    if len(good) >= ENOUGH:
        base, origin = _sampled(good, MOST, rng), "good test parts"
    elif len(files.validation) >= ENOUGH and not cross:
        base, origin, unseen = (
            _sampled(files.validation, MOST, rng),
            "calibration parts, on which nothing was trained",
            False,
        )
    else:
        count = min(MOST_LEFT_OUT, max(2, round(LEFT_OUT * len(files.train))))
        if len(files.train) - count < FEWEST_TRAINING:
            raise DataError(
                f"{files.root}: {len(files.train)} good parts are too few to train on some and to make defects of "
                f"others; at least {FEWEST_TRAINING + 2} are needed"
            )
        left_out_samples = _sampled(files.train, count, rng)
        left_out = frozenset(sample.id for sample in left_out_samples)
        base, origin = [*good, *left_out_samples], "good parts that were kept from training and calibration"
    test, numbers = _drawn(base, files.camera, listed, folder, f"{place.name}: drawing defects", console)
    drawn_files = ClassFiles(place.name, folder, (), (), test)
    return TestSet(replace(place, left_out=left_out), drawn_files, numbers, f"{len(base)} {origin}", unseen)


def _sampled(samples: Sequence[SampleFiles], count: int, rng: np.random.Generator) -> list[SampleFiles]:
    indices = sorted(rng.choice(len(samples), min(count, len(samples)), replace=False).tolist())
    return [samples[index] for index in indices]


def _drawn(
    base: Sequence[SampleFiles], camera: Camera | None, listed: _Listed, folder: Path, title: str, console: Console
) -> tuple[tuple[SampleFiles, ...], dict[str, int]]:
    """The parts as they are and with defects, written to `folder` unless they are there; and what each is made from."""
    images, clouds = listed.images, listed.clouds
    kinds = kinds_for(images, clouds)
    if not kinds:
        raise DataError(
            f"{listed.files.root}: neither colour pictures nor clouds, so no defects can be drawn into them"
        )
    plan = [
        (number, defect, kinds[(PER_PART * number + defect) % len(kinds)])
        for number in range(len(base))
        for defect in range(PER_PART)
    ]
    facts: dict[str, Any] = {
        "version": VERSION,
        "seed": SEED,
        "sources": [*images, *clouds],
        "parts": part_digests(base),
    }
    if _recorded(folder) != facts:
        shutil.rmtree(folder, ignore_errors=True)
        for number, files in tracked(list(enumerate(base)), title, len(base), console):
            sample = load_sample(files, clouds, camera)
            part = _part(sample, listed)
            _write(sample, _files(folder, number, None, GOOD, listed))
            for (owner, defect, kind), strength in _with_strengths(plan):
                if owner == number:
                    rng = np.random.default_rng([SEED, crc32(files.id.encode()), defect])
                    altered = with_defect(sample, kind, strength, rng, part, images, clouds)
                    _write(altered, _files(folder, number, defect, kind, listed))
        write_json(folder / MARKER, facts)
    test = [_files(folder, number, None, GOOD, listed) for number in range(len(base))]
    test += [_files(folder, number, defect, kind, listed) for number, defect, kind in plan]
    return tuple(test), {sample.id: int(Path(sample.id).name[:3]) for sample in test}


def _with_strengths(plan: Sequence[tuple[int, int, str]]) -> list[tuple[tuple[int, int, str], float]]:
    """Each kind's strengths spread evenly from 0 to 1, however many there are: steps of the golden section."""
    kind_numbers: dict[str, int] = {}
    result = []
    for entry in plan:
        number = kind_numbers[entry[2]] = kind_numbers.get(entry[2], -1) + 1
        result.append((entry, (0.5 + 0.6180339887 * number) % 1))
    return result


def _recorded(folder: Path) -> Any:
    try:
        return json.loads((folder / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _part(sample: Sample, listed: _Listed) -> NDArray[np.bool_]:
    """(H, W) where the part is: what stands on the support, else what was measured, else what is unlike the border."""
    if not listed.clouds:
        return part_in_picture(sample.arrays[listed.images[0]])
    xyz = cast(NDArray[np.float32], sample.arrays[listed.clouds[0]])
    measured = xyz[..., 2] != 0
    depth = float(np.median(np.abs(xyz[..., 2][measured]))) if measured.any() else 0.0
    metres = xyz * np.float32(listed.scale or (MILLIMETRES if depth > FARTHEST else 1.0))
    part = part_foreground(metres, border_plane(metres))
    return measured if part is None else part


def _files(folder: Path, number: int, defect: int | None, kind: str, listed: _Listed) -> SampleFiles:
    stem = f"{number:03d}" + ("" if defect is None else f"-{defect}")
    place = folder / "test" / kind
    sources = {name: place / name / f"{stem}.png" for name in listed.images}
    sources |= {name: place / name / f"{stem}.tiff" for name in listed.clouds}
    mask = None if defect is None else place / "gt" / f"{stem}.png"
    return SampleFiles(f"test/{kind}/{stem}", "test", kind, sources, mask)


def _write(sample: Sample, files: SampleFiles) -> None:
    for name, path in files.sources.items():
        array = np.ascontiguousarray(sample.arrays[name])
        if path.suffix == ".png":
            write_bytes(path, bytes(imagecodecs.png_encode(array, level=4)), durable=False)
        else:
            tiff = partial(tifffile.imwrite, data=array, photometric="rgb", compression="zlib")
            write_whole(path, tiff, durable=False)
    if files.mask is not None and sample.mask is not None:
        mask = sample.mask.astype(np.uint8) * np.uint8(255)
        write_bytes(files.mask, bytes(imagecodecs.png_encode(mask)), durable=False)
