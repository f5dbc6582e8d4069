"""One class's folder -> its samples, the fitted pipeline, and prepared training and calibration parts."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trd.config import Recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample, with_validation
from trd.data.views import camera_of_view
from trd.errors import CheckpointError, DataError, RecipeError
from trd.preprocess.cache import Contents, PreparedCache, facts_key, file_contents, sample_key, user_cache
from trd.preprocess.facts import SampleFacts, sample_facts
from trd.preprocess.image import warn_of_unused_range
from trd.preprocess.parts import PreparedParts
from trd.preprocess.threads import in_threads
from trd.preprocess.view_pipeline import AnyPipeline, fit_pipeline, pipeline_of
from trd.progress import tracked
from trd.stored import FACTS, read_facts
from trd.training.digests import NAMED, changed_parts, part_digests
from trd.training.reference_part import reference_part
from trd.types import Camera, ClassFiles, ClassFolder, PreparedSample, Sample, SampleFiles, plain_sources

LOG = logging.getLogger(__name__)
RECORD = "training.json"
FURTHER = "further_parts"  # key in it: ids of good parts that a lesson has added since the training
MOST_HELD_OUT = 1 / 3
FEW_PARTS = 20  # below this lite-residual's accuracy fell by more than its interval (docs/results.md)


@dataclass(frozen=True)
class PreparedClass:
    """What training and calibration start from. recipe: with the class's overrides. record: for training.json."""

    recipe: Recipe
    files: ClassFiles
    pipeline: AnyPipeline
    training: PreparedParts
    validation: PreparedParts
    record: dict[str, Any]


def list_parts(place: ClassFolder, recipe: Recipe, console: Console) -> tuple[ClassFiles, dict[str, Any]]:
    """The samples of a class, calibration parts held out of training where it has none, and the record's beginning."""
    listed = _without(list_class(place.path, "", recipe.inputs, recipe.point_cloud_sources), place.left_out)
    files = replace(with_calibration_parts(listed, recipe), name=place.name)
    held_out = [sample.id for sample in files.validation if sample not in listed.validation]
    record: dict[str, Any] = {
        "class": files.name,
        "data": str(files.root.resolve()),
        "training_samples": len(files.train),
        "validation_samples": len(files.validation),
        "held_out_of_training": held_out,
        **({"left_out": sorted(place.left_out)} if place.left_out else {}),
        "recipe": recipe.identity(),
        "parts": part_digests([*files.train, *files.validation]),
        "seconds": {},
    }
    if record["held_out_of_training"]:
        console.print(
            f"{files.name}: {len(held_out)} of {len(listed.train)} training parts are held out for calibration (listed "
            "in training.json)",
            markup=False,
        )
    if len(files.train) < FEW_PARTS:
        console.print(
            f"{files.name}: {len(files.train)} good parts to train on are few: on rendered parts 10 instead of 60 cost "
            "0.03 image AUROC and 5 cost 0.07 (lite-residual; patch statistics were no better); more good parts help "
            "most",
            markup=False,
        )
    return files, record


def _without(files: ClassFiles, left_out: frozenset[str]) -> ClassFiles:
    """Without the parts of these ids."""
    train, validation = (tuple(p for p in split if p.id not in left_out) for split in (files.train, files.validation))
    return replace(files, train=train, validation=validation)


def prepare_class(
    files: ClassFiles, recipe: Recipe, record: dict[str, Any], console: Console | None = None
) -> PreparedClass:
    """Fit the pipeline and prepare every sample once, or take it from the user's cache (`preprocess.cache`).

    Raises DataError for the first one that cannot be used and for calibration parts that are copies of training parts,
    RecipeError for settings of the cache that cannot be and for evidence that good parts do not fit. Warns of other
    copies.
    """
    begin = time.monotonic()
    for kind, section in recipe.evidence.items():
        if section.needs_defects:
            raise RecipeError(
                f"recipe '{recipe.name}': evidence.{kind} is learned from labelled defects, which training does not "
                "have: train without it, then `trd learn`"
            )
    cache = user_cache()
    for name, config in recipe.modalities.items():
        if config.representation == "image" and config.full_scale == "auto":
            pictures = [
                p for part in files.train for s, p in part.sources.items() if (config.source,) == plain_sources([s])
            ]
            warn_of_unused_range(name, pictures)
    parts = _Part(files.train), _Part(files.validation)
    shown = partial(tracked, console=console or Console(quiet=True))
    facts = _facts(recipe, parts[0], files.camera, cache)
    shown_facts = shown(facts, f"{files.name}: looking for the part", len(files.train))

    def reference() -> Sample:
        part = reference_part(files, recipe.frame.reference)
        return load_sample(part, recipe.point_cloud_sources, files.camera)

    pipeline = fit_pipeline(recipe, _by_view(shown_facts), reference)
    training, validation = (_prepared(part, pipeline, files.camera, cache) for part in parts)
    good = training.and_also(validation)
    pixel_digests = in_threads(lambda index: _pixels_digest(good[index]), range(len(good)))  # all bad files show now
    digests = list(shown(pixel_digests, f"{files.name}: preparation", len(good)))
    _look_for_copies(files, recipe, digests)
    record["frame"] = pipeline.record
    record["seconds"]["preparation"] = time.monotonic() - begin
    return PreparedClass(recipe, files, pipeline, training, validation, record)


def _pixels_digest(part: PreparedSample) -> bytes:
    """Of what the network sees: equal for files that hold the same pixels in another encoding."""
    digest = hashlib.blake2b(digest_size=16)
    for image in part.images.values():
        digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _look_for_copies(files: ClassFiles, recipe: Recipe, digests: Sequence[bytes]) -> None:
    """digests: of the training parts, then of the calibration parts.

    Raises DataError for calibration parts that are trained on: they score too low, so would the threshold be. Warns of
    parts that stand twice in a split, and of test parts that are among the good parts.
    """
    count = len(files.train)
    trained = list(zip(files.train, digests[:count], strict=True))
    calibrated = list(zip(files.validation, digests[count:], strict=True))
    doubled, doubled_too = _copies(trained, trained), _copies(calibrated, calibrated)
    known = _copies(trained, calibrated)
    if recipe.scoring.calibration == "cross":  # all parts are trained on and calibrated on
        known += doubled
    if known:
        raise DataError(
            f"{files.root}: {len(known)} calibration parts are copies of training parts ({_named(known)}): they score "
            "lower than new parts, and the threshold would reject too many of these; delete the copies"
        )
    if pairs := doubled + doubled_too:
        LOG.warning(f"{files.name}: {len(pairs)} good parts stand twice ({_named(pairs)}): delete the copies")
    good, test = [*files.train, *files.validation], files.test
    good_digests, test_digests = part_digests(good), part_digests(test)
    pairs = _copies([(part, good_digests[part.id]) for part in good], [(part, test_digests[part.id]) for part in test])
    if pairs:
        LOG.warning(
            f"{files.name}: {len(pairs)} test parts are copies of good parts that are trained or calibrated on "
            f"({_named(pairs)}): what is measured on them is too good; delete them from the test split"
        )


def _copies(
    first: Sequence[tuple[SampleFiles, Hashable]], second: Sequence[tuple[SampleFiles, Hashable]]
) -> list[tuple[str, str]]:
    """Ids of parts of `second`, each with that of the first part of `first` that equals it."""
    first_ids: dict[Hashable, str] = {}
    for part, digest in first:
        first_ids.setdefault(digest, part.id)
    return [(part.id, first_ids[digest]) for part, digest in second if first_ids.get(digest, part.id) != part.id]


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{copy} is {first}" for copy, first in pairs[:NAMED]) + (", ..." if len(pairs) > NAMED else "")


class _Part:
    """Samples' files and what is in them, by index: a run takes the files as they are at its beginning."""

    def __init__(self, files: Sequence[SampleFiles]) -> None:
        self.files = files
        self.contents = functools.cache(lambda index: file_contents(files[index]))


def _facts(
    recipe: Recipe, part: _Part, camera: Camera | None, cache: PreparedCache | None
) -> Iterator[dict[str, SampleFacts]]:
    """What the pipeline is fitted on, of each training part: view -> facts, "" where it has one picture."""

    def facts(files: SampleFiles, camera: Camera | None, contents: Contents | None) -> SampleFacts:
        def measure() -> SampleFacts:
            return sample_facts(recipe, load_sample(files, recipe.point_cloud_sources, camera))

        if cache is None:
            return measure()
        return cache.get_facts(facts_key(recipe, camera, files, contents), measure)

    def of_views(index: int) -> dict[str, SampleFacts]:
        files = part.files[index]
        if not recipe.views.names:
            return {"": facts(files, camera, part.contents(index))}
        return {v: facts(files.view(v), camera_of_view(camera, v), None) for v in recipe.views.names}

    return in_threads(of_views, range(len(part.files)))


def _by_view(facts: Iterable[Mapping[str, SampleFacts]]) -> dict[str, list[SampleFacts]]:
    rows = list(facts)
    return {view: [row[view] for row in rows] for view in rows[0]}


def _prepared(part: _Part, pipeline: AnyPipeline, camera: Camera | None, cache: PreparedCache | None) -> PreparedParts:
    pipeline = pipeline_of(pipeline.recipe, pipeline.frame)  # without ranges: what is kept does not hang on all others

    def prepare(index: int) -> PreparedSample:
        return pipeline(load_sample(part.files[index], pipeline.recipe.point_cloud_sources, camera))

    @functools.cache
    def key(index: int) -> str | None:
        return sample_key(pipeline, camera, part.files[index], part.contents(index))

    if cache is None:
        return PreparedParts(len(part.files), prepare)
    return PreparedParts(len(part.files), lambda index: cache.get(key(index), lambda: prepare(index)))


def with_calibration_parts(files: ClassFiles, recipe: Recipe) -> ClassFiles:
    """`files` with parts to calibrate on: a validation split of its own, or some held out of training.

    None are needed for cross-conformal calibration. Raises DataError for too few parts.
    """
    if recipe.scoring.calibration == "cross" and len(files.train) > 1:
        return files
    return with_validation(files, held_out_count(recipe, files), recipe.seed)


def held_out_count(recipe: Recipe, files: ClassFiles) -> int:
    """`calibration_count` of a class's files."""
    return calibration_count(recipe, len(files.train), len(files.validation))


def calibration_count(recipe: Recipe, count: int, validation_count: int = 0) -> int:
    """Of `count` training parts, those to calibrate on beside the validation split (`scoring.calibration_parts`).

    For the least number that the false-alarm rate needs up to a third of them: fewer training parts would cost more
    than a threshold that promises less. For the second greatest score as threshold no more than the recipe's share.
    """
    scoring = recipe.scoring
    if validation_count and scoring.calibration_parts == "validation":
        return 0
    least, enough = (math.ceil(times / scoring.false_alarm_rate) - 1 - validation_count for times in (1, 2))
    share = round(scoring.holdout * count)
    held_out = min(least, round(MOST_HELD_OUT * count))
    if validation_count:
        return max(0, held_out, min(enough, share))
    return max(1, held_out, share)


def refuse_other_parts(folder: Path, record: Mapping[str, Any]) -> None:
    """Compare with the training.json that an earlier training left in `folder`.

    Raises CheckpointError naming what is different: parts or recipe.
    """
    try:
        before: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        recipe, difference = before["recipe"], changed_parts(before["parts"], record["parts"])
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CheckpointError(
            f"{folder} holds a training without a {RECORD} that this version reads ({error!r}): train anew with "
            "--retrain, or choose another --out"
        ) from error
    if difference:
        raise CheckpointError(
            f"since the training in {folder} began, {difference}: train anew on the parts as they are now with "
            "`trd train --retrain`, delete that folder, or choose another --out"
        )
    if recipe != record["recipe"]:
        raise CheckpointError(
            f"the training in {folder} is of another recipe: choose another --out, or train anew with --retrain"
        )


def is_complete(place: ClassFolder, recipe: Recipe, folder: Path) -> bool:
    """Whether `folder` holds the finished detector of these parts.

    Raises CheckpointError where it holds one of other parts, or of another recipe.
    """
    if not (folder / FACTS).is_file():
        return False
    facts, _ = read_facts(folder)
    try:
        before: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        finished = bool(before.get("detector", "") == facts.id)
    except (OSError, ValueError, AttributeError):
        finished = False
    _, record = list_parts(place, recipe, Console(quiet=True))
    if (folder / RECORD).is_file():
        refuse_other_parts(folder, record)
    return finished
