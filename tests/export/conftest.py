"""Tiny packages, made once each: an export takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import TINY
from sharing import Shared, made_for, run_of

from trd.config import load_recipe
from trd.export.export import Exported


@pytest.fixture(scope="session")
def network_run(drawn: Path, shared: Shared[Path]) -> Path:
    """A run folder of a network alone: the graphs of statistics are in `quick_package`. Read only."""
    weights = "evidence.reverse_distillation.level_weights=[1,2,1]"
    recipe = load_recipe("lite-residual", (*TINY, "evidence.patch_statistics=false", weights))
    return shared("network-run", lambda folder: run_of(drawn, folder, recipe))


@pytest.fixture(scope="session", params=["onnx", "openvino"])
def made(request: pytest.FixtureRequest, network_run: Path, shared: Shared[Exported]) -> Exported:
    """A package in float32 of a tiny network. Read only."""
    return shared(f"package-{request.param}", lambda folder: made_for(request.param, network_run, folder))


@pytest.fixture(scope="session")
def onnx_package(network_run: Path, shared: Shared[Exported]) -> Path:
    """The path of one for ONNX Runtime. Read only."""
    return shared("package-onnx", lambda folder: made_for("onnx", network_run, folder)).package.path
