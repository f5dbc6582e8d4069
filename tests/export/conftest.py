"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from trd.export.export import Exported, ExportJob, export


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A package in float32 of the tiny trained detector. Read only."""
    out = tmp_path_factory.mktemp("package") / f"{request.param}.trdm"
    return export(ExportJob(trained, out, request.param), Console(quiet=True))


@pytest.fixture(scope="session")
def onnx_package(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    out = tmp_path_factory.mktemp("onnx") / "part.trdm"
    return export(ExportJob(trained, out, "onnx"), Console(quiet=True)).package.path
