"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from trd.export import graphs
from trd.export.export import Exported
from trd.methods.exportable import GraphForm

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from sharing import Shared, made_for


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


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, trained: Path, shared: Shared[Exported]) -> Exported:
    """A package in float32 of the tiny trained detector. Read only."""
    return shared(f"package-{request.param}", lambda folder: made_for(request.param, trained, folder))


@pytest.fixture(scope="session")
def onnx_package(trained: Path, shared: Shared[Exported]) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    return shared("package-onnx", lambda folder: made_for("onnx", trained, folder)).package.path
