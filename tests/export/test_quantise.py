"""INT8 of a small network, in both runtimes; `test_export` has whole packages (slow)."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from trd.engines.graphs import GraphForm
from trd.export.graphs import exported
from trd.export.quantise import quantised
from trd.packages.manifest import Runtime

SHAPE = (8, 12, 12)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(8, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 8, 3, padding=1))

    def forward(self, level):
        return (self.layers(level),)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_quantised_network_is_smaller_and_nearly_the_same(runtime: Runtime) -> None:
    pytest.importorskip("onnxscript")
    if runtime == "onnx":
        pytest.importorskip("onnxruntime")
        from trd.engines.onnx import OnnxGraph

        def graph(made):
            return OnnxGraph(made.model, "cpu", 1, "a network")
    else:
        pytest.importorskip("nncf")
        from trd.engines.openvino import OpenVINOModel

        def graph(made):
            return OpenVINOModel(made.model, made.weights, "fp32", 1, 1, "a network").graph()

    plain = exported(GraphForm(Network().eval(), {"level": SHAPE}, ("rebuilt",), "student"), runtime)
    rng = np.random.default_rng(0)
    feeds = [{"level": rng.normal(size=(1, *SHAPE)).astype(np.float32)} for _ in range(8)]
    smaller = quantised(plain, feeds, runtime)
    assert (smaller.precision, smaller.role) == ("int8", "student")
    assert len(smaller.model) + len(smaller.weights) < 0.7 * (len(plain.model) + len(plain.weights))
    before, after = (graph(made)(feeds[0])["rebuilt"].copy() for made in (plain, smaller))
    error = np.abs(after - before).mean() / before.std()
    assert 0 < error < 0.03
