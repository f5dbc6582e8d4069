"""Graphs and the steps that call them -> one ONNX model. Weights of a graph that several steps call are in it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trd.engines.graphs import Step

BATCH = "batch"


def joined(
    graphs: Mapping[str, bytes],
    steps: Sequence[Step],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    metadata: Mapping[str, str],
) -> bytes:
    """graphs: name -> ONNX, all of the same operators' version and without functions of their own. steps: what they
    give and take are names of values. inputs, outputs: value -> shape of one part, float32."""
    import onnx
    from onnx import helper

    models = {name: onnx.load_from_string(data) for name, data in graphs.items()}
    whole = onnx.GraphProto(name="trd")
    for name, model in models.items():
        for tensor in model.graph.initializer:
            initializer = whole.initializer.add()
            initializer.CopyFrom(tensor)
            initializer.name = f"{name}/{tensor.name}"
    for number, step in enumerate(steps):
        _add_call(whole, models[step.graph], step, number)
    for place, values in ((whole.input, inputs), (whole.output, outputs)):
        for name, shape in values.items():
            place.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [BATCH, *shape]))
    first = next(iter(models.values()))
    model = helper.make_model(whole, opset_imports=first.opset_import, ir_version=first.ir_version)
    helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString())


def _add_call(whole: Any, model: Any, step: Step, number: int) -> None:
    """The graph's nodes once more; what is within the call gets names of its own."""
    assert not model.functions, step.graph
    weights = {tensor.name for tensor in model.graph.initializer}
    known = {**step.inputs, **step.outputs, "": ""}  # "": an optional input that is left out

    def renamed(local_name: str) -> str:
        if local_name in known:
            return known[local_name]
        return f"{step.graph}/{local_name}" if local_name in weights else f"{number}/{local_name}"

    for node in model.graph.node:
        assert not any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute), node.op_type
        call = whole.node.add()
        call.CopyFrom(node)
        call.name = f"{number}/{node.name}"
        call.input[:] = [renamed(name) for name in node.input]
        call.output[:] = [renamed(name) for name in node.output]
