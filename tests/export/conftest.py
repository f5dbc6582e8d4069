"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from trd.config import load_recipe
from trd.export import graphs
from trd.export.export import Exported, ExportJob, export
from trd.methods.exportable import GraphForm
from trd.runs import Run


def content_of(form: GraphForm) -> str:
    """Digest of everything that an exporter sees of it."""
    digest = hashlib.sha256(repr((form.module, dict(form.inputs), form.outputs)).encode())
    tensors = itertools.chain(form.module.named_parameters(), form.module.named_buffers())
    for name, tensor in tensors:
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="session", autouse=True)
def _graphs_exported_once() -> Iterator[None]:
    """The same graph goes through PyTorch's exporter once for all packages, runtimes and precisions."""
    plain, kept = graphs.onnx_bytes, dict[str, bytes]()

    def once(form: GraphForm, metadata: Mapping[str, str] | None = None) -> bytes:
        key = f"{content_of(form)}{metadata}"
        if key not in kept:
            kept[key] = plain(form, metadata)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "onnx_bytes", once)
        yield


def made_for(runtime: str, trained: Path, folder: Path) -> Exported:
    return export(ExportJob(trained, folder / f"{runtime}.trdm", runtime), Console(quiet=True))  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A package in float32 of the tiny trained detector. Read only."""
    return made_for(request.param, trained, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def onnx_package(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    return made_for("onnx", trained, tmp_path_factory.mktemp("onnx")).package.path


@pytest.fixture(scope="session")
def quick_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of patch statistics: for what is done with a package, whatever is in it. Read only."""
    out = tmp_path_factory.mktemp("quick") / "run"
    run = Run.open(
        drawn, out, load_recipe("patch-statistics", ("frame.size=64", "scoring.stand_ins=false")), ["biscuit"]
    )
    run.train_and_evaluate("cpu")
    run.raise_failures()
    return out


@pytest.fixture(scope="session")
def quick_package(quick_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of its package for ONNX Runtime. Read only."""
    return made_for("onnx", quick_run, tmp_path_factory.mktemp("quick_package")).package.path
