"""Modules -> graphs of a runtime, in float32."""

from __future__ import annotations

import gc
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from trd.engines.graphs import GraphForm, Role
from trd.errors import TRDError
from trd.export.plain_layers import exportable
from trd.packages.manifest import Runtime

OPSET = 20  # the newest whose static quantisation ONNX Runtime has
EXAMPLES = 2  # parts; an example of one would fix the batch at one
MOST_PARTS = 1024


@dataclass(frozen=True)
class ExportedGraph:
    """model: ONNX, or OpenVINO's XML with `weights` beside it. precision: what the runtime shall compute it in. onnx:
    the graph as PyTorch's exporter gave it, in float32, where somebody asked for it."""

    model: bytes
    weights: bytes
    role: Role
    precision: str = "fp32"
    onnx: bytes = b""


def exported(form: GraphForm, runtime: Runtime, keep_onnx: bool = False) -> ExportedGraph:
    """Raises TRDError where PyTorch's exporter fails."""
    model = onnx_bytes(form)
    onnx_copy = model if keep_onnx else b""
    if runtime == "onnx":
        return ExportedGraph(model, b"", form.role, onnx=onnx_copy)
    return replace(openvino_graph(read_for_openvino(model), form.role), onnx=onnx_copy)


def onnx_bytes(form: GraphForm) -> bytes:
    """One ONNX model, weights inside; the batch may be of any size."""
    tensors = tuple(torch.rand(EXAMPLES, *shape) for shape in form.inputs.values())
    batch = torch.export.Dim("batch", min=1, max=MOST_PARTS)
    folded = form.role in ("teacher", "student")
    module = exportable(form.module) if folded else form.module.float().cpu().eval()
    with _quietly(), _garbage_kept(), torch.no_grad():
        try:
            program = torch.onnx.export(
                _Listed(module),
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(form.inputs),
                output_names=list(form.outputs),
                dynamic_shapes=(tuple({0: batch} for _ in tensors),),
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # whatever PyTorch's exporter stumbles over
            raise TRDError(f"PyTorch's exporter failed: {str(error).strip().splitlines()[-1][:300]}") from error
    proto = cast(Any, program).model_proto
    fixed = [
        graph_input.name for graph_input in proto.graph.input if not graph_input.type.tensor_type.shape.dim[0].dim_param
    ]
    if fixed:  # something reads the batch as a number; the exporter then fixes it without a word
        raise TRDError(f"PyTorch's exporter fixed the batch of {', '.join(fixed)} at {EXAMPLES}")
    _strip(proto.graph)
    return bytes(proto.SerializeToString())


def _strip(graph: Any) -> None:
    """Of what tells where in the source a node came from, and of shapes that a runtime infers: 0.4 MB for a student."""
    del graph.value_info[:]
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")


class _Listed(torch.nn.Module):
    """The module with any number of tensors, whose names the exporter then takes in order."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.module(*tensors))


def read_for_openvino(model: bytes) -> Any:
    """An `openvino.Model` of an ONNX model."""
    import openvino

    return openvino.Core().read_model(io.BytesIO(model))


def openvino_graph(model: Any, role: Role, precision: str = "fp32") -> ExportedGraph:
    """`openvino.Model` -> bytes; weights stay as they are (OpenVINO's own `save_model` would halve them)."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        openvino.serialize(model, str(path))
        return ExportedGraph(path.read_bytes(), path.with_suffix(".bin").read_bytes(), role, precision)


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """The exporter makes millions of small objects, and searching them for cycles takes a quarter of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells of every operator of torchvision that is not there, of its own deprecations, and, where
    somebody handles all logs, of every step of its tracing, which then takes minutes."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch.__trace")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
