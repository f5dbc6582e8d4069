"""Students in INT8: what their values range over is seen on good parts and on altered good parts.

No test part and no label is used. Altered, because a student's input at a defect is not like that of good parts: ranges
of good parts alone would cut off just what tells them apart.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.export.graphs import ExportedGraph, openvino_graph
from trd.packages.manifest import Runtime

Inputs = Sequence[Mapping[str, NDArray[np.float32]]]
"""Of a graph: name -> (1, ...), of some parts."""

ALTERED_SIDE = (0.08, 0.3)  # of a patch that is put elsewhere, as shares of the image's sides


def with_altered(
    parts: Iterator[Mapping[str, NDArray[np.float32]]], seed: int
) -> Iterator[Mapping[str, NDArray[np.float32]]]:
    """Prepared images of good parts, (1, 3, h, w) by modality: each, and then a copy with a patch of another place put
    into one of its modalities."""
    rng = np.random.default_rng(seed)
    for images in parts:
        yield images
        names = sorted(images)
        modality = names[int(rng.integers(len(names)))]
        yield {**images, modality: _transplanted(images[modality], rng)}


def _transplanted(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = image.shape[2:]
    rows, columns = (max(1, round(side * rng.uniform(*ALTERED_SIDE))) for side in (height, width))
    (top, left), (y, x) = (
        (int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))) for _ in range(2)
    )
    altered = image.copy()
    altered[..., y : y + rows, x : x + columns] = image[..., top : top + rows, left : left + columns]
    return altered


def quantised(graph: ExportedGraph, inputs: Inputs, runtime: Runtime) -> ExportedGraph:
    """The graph with INT8 weights and activations, by channel; what cannot be quantised stays float32."""
    return _for_onnx(graph, inputs) if runtime == "onnx" else _for_openvino(graph, inputs)


def _for_openvino(graph: ExportedGraph, inputs: Inputs) -> ExportedGraph:
    import nncf
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = openvino.Core().read_model(graph.model, openvino.Tensor(np.frombuffer(graph.weights, np.uint8)))
    smaller = nncf.quantize(
        model,
        nncf.Dataset([dict(feed) for feed in inputs]),
        preset=nncf.QuantizationPreset.MIXED,  # students' values take both signs
        subset_size=len(inputs),
    )
    return openvino_graph(smaller, graph.role, "int8")


def _for_onnx(graph: ExportedGraph, inputs: Inputs) -> ExportedGraph:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library ships no types
        def __init__(self) -> None:
            self.left = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            feed = next(self.left, None)
            return None if feed is None else dict(feed)

    with tempfile.TemporaryDirectory() as folder:
        plain, ready, smaller = (str(Path(folder) / name) for name in ("plain.onnx", "ready.onnx", "int8.onnx"))
        Path(plain).write_bytes(graph.model)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            smaller,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add", "MatMul", "Gemm"],
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        return ExportedGraph(Path(smaller).read_bytes(), b"", graph.role, "int8")
