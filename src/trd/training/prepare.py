"""One class's folder -> its samples, the fitted pipeline, and prepared training and calibration parts."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from trd.config import Recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample, with_validation
from trd.preprocess.cache import PreparedCache, sample_key, user_cache
from trd.preprocess.dataset import PreparedDataset
from trd.preprocess.image import warn_of_unused_range
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.types import ClassFiles, PreparedSample, Sample, SampleFiles


@dataclass(frozen=True)
class PreparedClass:
    """What training and calibration start from. recipe: with the class's overrides. record: for training.json."""

    recipe: Recipe
    files: ClassFiles
    pipeline: Pipeline
    training: PreparedDataset
    validation: PreparedDataset
    record: dict[str, Any]


def list_parts(data: Path, class_name: str, recipe: Recipe, console: Console) -> tuple[ClassFiles, dict[str, Any]]:
    """The samples of a class, calibration parts held out of training where it has none, and the record's beginning."""
    listed = list_class(data, class_name, recipe.sources, recipe.point_cloud_sources)
    files = with_validation(listed, recipe.training.holdout, recipe.training.seed)
    record: dict[str, Any] = {
        "class": files.name,
        "data": str(files.root),
        "training_samples": len(files.train),
        "validation_samples": len(files.validation),
        "held_out_of_training": [] if listed.validation else [s.id for s in files.validation],
        "fingerprint": _fingerprint(recipe, files),
        "seconds": {},
    }
    if record["held_out_of_training"]:
        console.print(
            f"{files.name}: no validation split; {len(files.validation)} of {len(listed.train)} good parts are held "
            "out of training for calibration (listed in training.json)"
        )
    return files, record


def prepare_class(files: ClassFiles, recipe: Recipe, record: dict[str, Any]) -> PreparedClass:
    """Fit the pipeline and prepare every sample once, or take it from the user's cache (`preprocess.cache`).

    Raises DataError for the first one that cannot be used, RecipeError for settings of the cache that cannot be.
    """
    begin = time.monotonic()
    cache = user_cache()
    for name, config in recipe.modalities.items():
        if config.representation == "image" and config.full_scale == "auto":
            warn_of_unused_range(name, (sample.sources[config.source] for sample in files.train))
    pipeline = Pipeline.fit(recipe, _samples(files.train, files, recipe))
    training, validation = (_prepared(part, files, pipeline, cache) for part in (files.train, files.validation))
    for dataset in (training, validation):  # all bad files show now, not after an hour
        for _ in in_threads(dataset.__getitem__, range(len(dataset))):
            pass
    record["seconds"]["preparation"] = time.monotonic() - begin
    return PreparedClass(recipe, files, pipeline, training, validation, record)


def _samples(part: Iterable[SampleFiles], files: ClassFiles, recipe: Recipe) -> Iterator[Sample]:
    return in_threads(lambda sample: load_sample(sample, recipe.point_cloud_sources, files.camera), part)


def _prepared(
    part: tuple[SampleFiles, ...], files: ClassFiles, pipeline: Pipeline, cache: PreparedCache | None
) -> PreparedDataset:
    recipe, camera = pipeline.recipe, files.camera

    def prepare(index: int) -> PreparedSample:
        return pipeline(load_sample(part[index], recipe.point_cloud_sources, camera))

    @functools.cache  # a run takes the files as they are at its beginning
    def key(index: int) -> str | None:
        return sample_key(recipe, pipeline.frame, camera, part[index])

    if cache is None:
        return PreparedDataset(len(part), prepare)
    return PreparedDataset(len(part), lambda index: cache.get(key(index), lambda: prepare(index)))


def _fingerprint(recipe: Recipe, files: ClassFiles) -> str:
    """Of what a checkpoint depends on: the recipe and the training parts."""
    return hashlib.sha256(json.dumps([recipe.identity(), [s.id for s in files.train]]).encode()).hexdigest()[:16]
