"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sharing import Shared, made_for

from trd.export.export import Exported


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, trained: Path, shared: Shared[Exported]) -> Exported:
    """A package in float32 of the tiny trained detector. Read only."""
    return shared(f"package-{request.param}", lambda folder: made_for(request.param, trained, folder))


@pytest.fixture(scope="session")
def onnx_package(trained: Path, shared: Shared[Exported]) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    return shared("package-onnx", lambda folder: made_for("onnx", trained, folder)).package.path
