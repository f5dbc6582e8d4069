"""Graphs by ONNX Runtime (extra `onnx`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trd.errors import CheckpointError, RecipeError

PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}


class OnnxGraph:
    """`Graph` of a session."""

    def __init__(self, model: bytes, device: str, threads: int, where: str) -> None:
        """where: for messages. Raises CheckpointError for what the runtime does not take."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # threads that wait busily take the cores from preparation and from the next graph: 150 against 88 ms a part
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only; they are raised too
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=list(PROVIDERS[device]))
        except Exception as error:  # the runtime raises a dozen types of its own
            raise CheckpointError(
                f"{where}: ONNX Runtime cannot use it ({_first_line(error)}); export it anew"
            ) from error
        self._outputs = [output.name for output in self._session.get_outputs()]

    def graph(self) -> OnnxGraph:
        """To call."""
        return self

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def onnx_device(requested: str) -> str:
    """ "auto" is CUDA where this build of ONNX Runtime has it. Raises RecipeError for what it lacks."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if requested == "auto":
        return "cuda" if PROVIDERS["cuda"][0] in available else "cpu"
    if requested not in PROVIDERS:
        raise RecipeError(f"--device {requested}: a package for ONNX Runtime takes auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[requested][0] not in available:
        raise RecipeError(
            f"--device {requested}: this ONNX Runtime has {', '.join(available)}; onnxruntime-gpu has CUDA and TensorRT"
        )
    return requested


def onnx_form() -> str:
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
