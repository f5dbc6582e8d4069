"""Tiny data and recipes that every test can afford; nothing outside the project is read."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch reads it: threads of several processes would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import meandistance
import pytest
import torch
from recipes import TINY
from sharing import Shared, graphs_exported_once, made_for, run_of, sharing

from trd.config import EVIDENCE, Recipe, load_recipe
from trd.data.demo import draw_demo
from trd.evidence.registry import MODULES


def pytest_collection_finish() -> None:
    """What was imported and collected so far stays: looking through millions of objects for garbage, again and again,
    takes a seventh of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exports first: they take longest, and what one worker makes for both must not keep the other one waiting."""
    items.sort(key=lambda item: item.path.parent.name != "export")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared[Any]:
    """Makes once what several worker processes need."""
    return sharing(tmp_path_factory)


@pytest.fixture(scope="session", autouse=True)
def _graphs_exported_once(shared: Shared[bytes]) -> Iterator[None]:
    with graphs_exported_once(shared):
        yield


FIGURES = ("curves_figure", "histogram_figure", "roc_figure", "intervals_figure")


@pytest.fixture(scope="session", autouse=True)
def plain_figures() -> Iterator[dict[str, Callable[..., str]]]:
    """Every page has matplotlib's figures, and laying out and drawing them takes as long as evaluating: each kind is
    drawn once in a process, and what it gave then is given again. Yields the functions that draw each."""
    from trd.evaluation import figures

    plain = {name: getattr(figures, name) for name in FIGURES}
    pictures: dict[str, str] = {}

    def once(name: str) -> Callable[..., str]:
        def draw(*values: Any) -> str:
            if name not in pictures:
                pictures[name] = plain[name](*values)
            return pictures[name]

        return draw

    with pytest.MonkeyPatch.context() as patch:
        for name in FIGURES:
            patch.setattr(figures, name, once(name))
        yield plain


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))  # beside other work two crawl


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared samples go to a temporary folder: the user's cache is neither read nor written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRD_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("TRD_CACHE_GB", raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line sends what is logged to its console, for the rest of the process; and a fixture of the session
    may have called it before this one."""
    _log_as_imported()
    yield
    _log_as_imported()


def _log_as_imported() -> None:
    log = logging.getLogger("trd")
    log.setLevel(logging.NOTSET)
    log.handlers.clear()


@pytest.fixture(scope="session")
def drawn(shared: Shared[Path]) -> Path:
    """A drawn data set: 6 training, 4 validation, 2 good and 3 defective test samples. Read only."""

    def make(folder: Path) -> Path:
        draw_demo(folder, seed=1, train=6, validation=4, good=2, per_kind=1)
        return folder

    return shared("drawn", make)


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn data set to damage."""
    return Path(shutil.copytree(drawn, tmp_path / "data"))


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("lite-residual", TINY)


@pytest.fixture
def quick() -> Recipe:
    """Fitted in a tenth of that one's time: for what is done around a training, whatever is trained."""
    return load_recipe("patch-statistics", ("frame.size=64", "scoring.stand_ins=false"))


@pytest.fixture(scope="module")
def mean_distance() -> Iterator[None]:
    """The evidence of tests/fakes/meandistance.py is a registered one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EVIDENCE, meandistance.KIND, meandistance.MeanDistanceConfig)
        patch.setitem(MODULES, meandistance.KIND, meandistance.__name__)
        yield


@pytest.fixture(scope="session")
def trained(drawn: Path, shared: Shared[Path]) -> Path:
    """A run folder over the drawn data, trained for two epochs and evaluated. Read only."""
    return shared("trained", lambda folder: run_of(drawn, folder, load_recipe("lite-residual", TINY)))


@pytest.fixture(scope="session")
def labelled(shared: Shared[Path]) -> Path:
    """Drawn parts that no detector here was trained on: two defects of each of three kinds, with masks, and six good
    ones. Read only."""

    def make(folder: Path) -> Path:
        return draw_demo(folder, seed=9, train=1, validation=1, good=6, per_kind=2) / "test"

    return shared("labelled", make)


@pytest.fixture(scope="session")
def quick_run(drawn: Path, shared: Shared[Path]) -> Path:
    """A run folder of patch statistics: for what is done with a detector, whatever it is. Read only.

    Named "other": the station has it beside one of smaller images.
    """
    recipe = load_recipe("patch-statistics", ("frame.size=96", "scoring.stand_ins=false"))
    return shared("quick-run", lambda folder: run_of(drawn, folder, recipe, name="other"))


@pytest.fixture(scope="session")
def quick_package(quick_run: Path, shared: Shared[Any]) -> Path:
    """The path of its package for ONNX Runtime. Read only."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    made = shared("quick-package", lambda folder: made_for("onnx", quick_run, folder))
    return Path(made.package.path)
