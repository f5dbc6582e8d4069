"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from trd.config import load_recipe
from trd.export import graphs
from trd.export.export import Exported, ExportJob, export
from trd.methods.exportable import GraphForm
from trd.packages.manifest import Runtime

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from sharing import Shared, run_of


def content_of(form: GraphForm) -> str:
    """Digest of everything that an exporter sees of it."""
    digest = hashlib.sha256(repr((form.module, dict(form.inputs), form.outputs)).encode())
    tensors = itertools.chain(form.module.named_parameters(), form.module.named_buffers())
    for name, tensor in tensors:
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="session", autouse=True)
def _graphs_exported_once(shared: Shared[bytes]) -> Iterator[None]:
    """The same graph goes through PyTorch's exporter once for all packages, runtimes and precisions."""
    plain = graphs.onnx_bytes

    def once(form: GraphForm, metadata: Mapping[str, str] | None = None) -> bytes:
        key = hashlib.sha256(f"{content_of(form)}{metadata}".encode()).hexdigest()
        return shared(f"graph-{key[:32]}", lambda _: plain(form, metadata))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "onnx_bytes", once)
        yield


def made_for(runtime: Runtime, trained: Path, folder: Path) -> Exported:
    return export(ExportJob(trained, folder / f"{runtime}.trdm", runtime), Console(quiet=True))


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, trained: Path, shared: Shared[Exported]) -> Exported:
    """A package in float32 of the tiny trained detector. Read only."""
    return shared(f"package-{request.param}", lambda folder: made_for(request.param, trained, folder))


@pytest.fixture(scope="session")
def onnx_package(trained: Path, shared: Shared[Exported]) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    return shared("package-onnx", lambda folder: made_for("onnx", trained, folder)).package.path


@pytest.fixture(scope="session")
def quick_run(drawn: Path, shared: Shared[Path]) -> Path:
    """A run folder of patch statistics: for what is done with a package, whatever is in it. Read only."""
    recipe = load_recipe("patch-statistics", ("frame.size=64", "scoring.stand_ins=false"))
    return shared("quick-run", lambda folder: run_of(drawn, folder, recipe))


@pytest.fixture(scope="session")
def quick_package(quick_run: Path, shared: Shared[Exported]) -> Path:
    """The path of its package for ONNX Runtime. Read only."""
    return shared("quick-package", lambda folder: made_for("onnx", quick_run, folder)).package.path
