"""What takes long to make, made once for all worker processes of pytest-xdist."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from filelock import FileLock
from rich.console import Console

from trd.config import Recipe
from trd.runs import Run

if TYPE_CHECKING:
    from trd.engines.graphs import GraphForm
    from trd.export.export import Exported
    from trd.packages.manifest import Runtime

Made = TypeVar("Made")
Shared = Callable[[str, Callable[[Path], Made]], Made]
"""`shared(name, make)`: what `make(folder)` gives; other processes get a copy of it and the same folder, in which
nobody writes any more."""


def sharing(factory: pytest.TempPathFactory) -> Shared:
    base = factory.getbasetemp()
    base = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    base.mkdir(exist_ok=True)

    def shared(name: str, make: Callable[[Path], Made]) -> Made:
        folder, kept = base / name, base / f"{name}.pickle"
        with FileLock(base / f"{name}.lock"):
            if kept.exists():
                found: Made = pickle.loads(kept.read_bytes())
                return found
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed in another worker
            folder.mkdir()
            made = make(folder)
            kept.write_bytes(pickle.dumps(made))
            return made

    return shared


def run_of(data: Path, folder: Path, recipe: Recipe, classes: list[str] | None = None, name: str = "run") -> Path:
    """A run folder of that name in `folder`, trained and evaluated."""
    run = Run.open(data, folder / name, recipe, classes or ["biscuit"])
    run.train_and_evaluate("cpu")
    run.raise_failures()
    return folder / name


def content_of(form: GraphForm) -> str:
    """Digest of everything that an exporter sees of it."""
    digest = hashlib.sha256(repr((form.module, dict(form.inputs), form.outputs)).encode())
    tensors = itertools.chain(form.module.named_parameters(), form.module.named_buffers())
    for name, tensor in tensors:
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def graphs_exported_once(shared: Shared[bytes]) -> Iterator[None]:
    """The same graph goes through PyTorch's exporter once for all packages, runtimes and precisions."""
    from trd.export import graphs

    plain = graphs.onnx_bytes

    def once(form: GraphForm) -> bytes:
        return shared(f"graph-{content_of(form)[:32]}", lambda _: plain(form))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "onnx_bytes", once)
        yield


def made_for(runtime: Runtime, run: Path, folder: Path) -> Exported:
    """A package of a run folder, in float32, and its ONNX."""
    from trd.export.export import ExportJob, export

    return export(ExportJob(run, folder / f"{runtime}.trdm", runtime, keep_onnx=True), Console(quiet=True))
