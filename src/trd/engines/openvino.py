"""Graphs by OpenVINO (extra `openvino`), on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.errors import CheckpointError, RecipeError
from trd.types import PrecisionName

HINTS: dict[PrecisionName, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVINOModel:
    """A compiled model, for one part at a time in each call."""

    def __init__(
        self, xml: bytes, weights: bytes, precision: PrecisionName, threads: int, at_once: int, where: str
    ) -> None:
        """precision: of what is not quantised. threads: of a call, of which `at_once` may run together. where: for
        messages. Raises CheckpointError for what OpenVINO does not take."""
        import openvino

        try:
            core = openvino.Core()
            self._weights = np.frombuffer(weights, np.uint8)  # outlives the model, which may read constants from it
            model = core.read_model(xml, openvino.Tensor(self._weights))
            model.reshape({port: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    # said, not left to OpenVINO: with AMX it takes bf16 by itself
                    "INFERENCE_PRECISION_HINT": HINTS[precision],
                    "PERFORMANCE_HINT": "LATENCY",
                    "NUM_STREAMS": at_once,
                    "INFERENCE_NUM_THREADS": threads * at_once,
                    "ENABLE_CPU_PINNING": False,  # a station has other work on its cores
                },
            )
        except Exception as error:  # RuntimeError mostly, and what its bindings make of wrong bytes
            raise CheckpointError(f"{where}: OpenVINO cannot use it ({_last_line(error)}); export it anew") from error

    def graph(self) -> OpenVINOGraph:
        """To call; each has results of its own."""
        return OpenVINOGraph(self, self._compiled)


class OpenVINOGraph:
    """`Graph` of a compiled model, which lives as long as one of them."""

    def __init__(self, model: OpenVINOModel, compiled: Any) -> None:
        self._model = model
        self._request = compiled.create_infer_request()
        self._names = [port.get_any_name() for port in compiled.outputs]
        # OpenVINO drops inputs that no operator reads: the levels of another modality that a student does without
        self._input_names = {name for port in compiled.inputs for name in port.get_names()}

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        graph_inputs = {name: values for name, values in inputs.items() if name in self._input_names}
        self._request.infer(graph_inputs, share_inputs=True, share_outputs=True)
        return {name: self._request.get_output_tensor(index).data for index, name in enumerate(self._names)}


def openvino_device(requested: str) -> str:
    """Raises RecipeError for another than the CPU."""
    if requested not in ("auto", "cpu"):
        raise RecipeError(
            f"--device {requested}: a package for OpenVINO runs on the CPU; for GPUs export with --runtime onnx"
        )
    return "cpu"


def openvino_form() -> str:
    import openvino

    return f"OpenVINO {openvino.__version__.partition('-')[0]}"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
