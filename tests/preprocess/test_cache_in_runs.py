"""The cache on disk behind the preparation of a class: a second run prepares nothing, and nothing in it stops a run."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from caching import assert_same, files_in, prepare_biscuits
from rich.console import Console

from trd.config import Recipe
from trd.data.loading import load_sample
from trd.errors import DataError
from trd.preprocess.cache import user_cache
from trd.preprocess.pipeline import Pipeline
from trd.training.prepare import PreparedClass, list_parts, prepare_class
from trd.types import ClassFolder, PreparedSample, Sample


@pytest.fixture
def prepared_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the samples that went through a pipeline, in order."""
    ids: list[str] = []
    original = Pipeline.__call__

    def counted(self: Pipeline, sample: Sample) -> PreparedSample:
        ids.append(sample.id)
        return original(self, sample)

    monkeypatch.setattr(Pipeline, "__call__", counted)
    return ids


def both_parts(parts: PreparedClass) -> Iterator[PreparedSample]:
    yield from parts.training
    yield from parts.validation


def test_a_second_run_prepares_nothing(drawn: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    first = list(both_parts(prepare_biscuits(drawn, recipe)))
    assert len(prepared_ids) == len(first) == len(list(folder.glob("*.safetensors"))) == 10
    assert len(list(folder.glob("*.json"))) == 6
    second = list(both_parts(prepare_biscuits(drawn, recipe)))
    assert len(prepared_ids) == 10
    for found, expected in zip(second, first, strict=True):
        assert_same(found, expected)
    assert any(sample.region is not None for sample in second)


def test_the_first_level_is_still_memory(drawn: Path, recipe: Recipe, folder: Path) -> None:
    parts = prepare_biscuits(drawn, recipe)
    shutil.rmtree(folder)
    assert parts.training[0] is parts.training[0]


def test_one_changed_file_is_prepared_anew(data: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    recipe = recipe.model_copy(update={"frame": recipe.frame.model_copy(update={"crop": "none"})})
    prepare_biscuits(data, recipe)
    prepared_ids.clear()
    source, target = (data / f"biscuit/train/good/rgb/{name}.png" for name in ("001", "003"))
    shutil.copyfile(source, target)
    changed = prepare_biscuits(data, recipe)
    assert prepared_ids == ["train/good/003"]
    np.testing.assert_array_equal(changed.training[3].images["rgb"], changed.training[1].images["rgb"])


def test_a_missing_file_is_reported_by_its_reader(data: Path, recipe: Recipe, folder: Path) -> None:
    files, record = list_parts(ClassFolder("biscuit", data / "biscuit"), recipe, Console(quiet=True))
    missing = files.validation[0].sources["rgb"]
    missing.unlink()
    with pytest.raises(DataError, match=str(missing)):
        prepare_class(files, recipe, record)


def test_two_processes_fill_one_folder(drawn: Path, recipe: Recipe, folder: Path, prepared_ids: list[str]) -> None:
    files, record = list_parts(ClassFolder("biscuit", drawn / "biscuit"), recipe, Console(quiet=True))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=prepare_class, args=(files, recipe, record)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    assert len(files_in(folder)) == 10 + 6  # samples, and facts of the training samples
    assert not [name for name in files_in(folder) if name.startswith(".")]
    parts = prepare_class(files, recipe, record)
    found = list(both_parts(parts))
    assert prepared_ids == []
    for sample, listed in zip(found, [*files.train, *files.validation], strict=True):
        assert_same(sample, parts.pipeline(load_sample(listed, recipe.point_cloud_sources)))


def test_a_folder_that_cannot_be_made_does_not_stop_the_run(
    drawn: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TRD_CACHE_DIR", str(tmp_path / "file" / "prepared"))
    for _ in range(2):  # two classes of one run
        assert len(list(both_parts(prepare_biscuits(drawn, recipe)))) == 10
    (warning,) = caplog.records
    assert (warning.name, warning.levelno) == ("trd", logging.WARNING)
    assert "TRD_CACHE_DIR" in warning.getMessage()
    assert str(tmp_path / "file" / "prepared") in warning.getMessage()


def test_zero_switches_it_off(
    drawn: Path, recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch, prepared_ids: list[str]
) -> None:
    monkeypatch.setenv("TRD_CACHE_GB", "0")
    assert user_cache() is None
    for count in (10, 20):
        prepare_biscuits(drawn, recipe)
        assert len(prepared_ids) == count
    assert not folder.exists()
