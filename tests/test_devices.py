"""Nothing is left behind on the CPU when network and data are on another device.

No GPU is needed: PyTorch's "meta" device stands for it. Its tensors hold no values, so what needs values (fitting,
metrics) is not covered here.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.frozen import frozen
from trd.evidence.detection import TEACHER, detector_graphs, state_below
from trd.evidence.reverse_distillation.fit import fit_feature_scalers
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import restored
from trd.evidence.reverse_distillation.training.features import TeacherFeatures
from trd.evidence.reverse_distillation.training.loss import network_loss
from trd.evidence.reverse_distillation.training.views import View
from trd.evidence.state import fill
from trd.preprocess.parts import stacked_images
from trd.stored import read_detector
from trd.teachers.frozen import FrozenTeacher, TeacherGraph
from trd.types import PreparedSample

ELSEWHERE = torch.device("meta")
MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class OneDevice(TorchDispatchMode):
    """Fails at the first operation that reads tensors of two devices (numbers aside, which may be anywhere)."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor) and leaf.dim() > 0]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) < 2 or operation in MOVES, f"{operation} reads tensors on {sorted(devices)}"
        return operation(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def on_cpu(trained: Path) -> Detector:
    return Detector.load(trained, "cpu")


@pytest.fixture
def samples(on_cpu: Detector, drawn: Path) -> list[PreparedSample]:
    recipe = on_cpu.recipe
    files = list_class(drawn, "biscuit", recipe.sources, recipe.point_cloud_sources)
    return [on_cpu.pipeline(load_sample(sample, recipe.point_cloud_sources)) for sample in files.test[:2]]


@pytest.fixture(autouse=True)
def _without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda device, **_: nullcontext())  # this device has none


@pytest.fixture
def teacher(trained: Path) -> FrozenTeacher:
    facts, state = read_detector(trained)
    graph = TeacherGraph(facts.recipe.teacher, load=False)
    fill(graph.teacher, state_below(state, TEACHER))
    return FrozenTeacher(graph, ELSEWHERE)


@pytest.fixture
def network(trained: Path, teacher: FrozenTeacher) -> TunedReverseDistillation:
    facts, state = read_detector(trained)
    own = state_below(state, "reverse_distillation.")
    return restored(facts.recipe, own, teacher.channels, teacher.linear_outputs)[0].to(ELSEWHERE)


def test_the_check_itself_sees_a_tensor_left_behind() -> None:
    with OneDevice(), pytest.raises(AssertionError, match="cpu.*meta"):
        torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8, device=ELSEWHERE), torch.ones(4, 3, 3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_prediction(trained: Path, samples: list[PreparedSample], dtype: torch.dtype) -> None:
    facts, state = read_detector(trained)
    engine = PyTorchEngine(detector_graphs(facts.recipe, state, facts.frame.size), ELSEWHERE, dtype)
    with OneDevice():
        values = engine.values(stacked_images(samples))
    maps = {name: value for name, value in values.items() if name.startswith("map.")}
    assert len(maps) == len(facts.recipe.branches)
    assert {value.device for value in values.values()} == {ELSEWHERE}
    assert {tuple(value.shape) for value in maps.values()} == {(2, 64, 64)}
    assert {value.dtype for value in maps.values()} == {torch.float32}


@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
def test_training_step(
    teacher: FrozenTeacher,
    network: TunedReverseDistillation,
    on_cpu: Detector,
    samples: list[PreparedSample],
    half: bool,
) -> None:
    network.train()
    vectors = on_cpu.recipe.vector_maps
    features = TeacherFeatures(teacher, network, vectors, count=2, views=8, limit=2**30, half=half)
    with OneDevice():
        for view in (View(0, False), View(1, True)):
            pyramids = features(samples, [view, view])
            loss = torch.stack(
                [v for terms in network_loss(network.rebuild(pyramids)).values() for v in terms.values()]
            )
            loss.sum().backward()
    assert features.size > 0
    gradients = [p.grad for p in network.students.parameters()]
    assert all(g is not None and g.device == ELSEWHERE for g in gradients)


def test_standardising_the_teacher(
    teacher: FrozenTeacher, network: TunedReverseDistillation, samples: list[PreparedSample]
) -> None:
    with OneDevice():
        fit_feature_scalers(network, teacher, samples)
    assert {buffer.device for buffer in network.scalers.buffers()} == {ELSEWHERE}


def test_paper_network() -> None:
    """The paper's modules, built on the device: two halves of its forward that differ from the small network's."""
    from trd.evidence.reverse_distillation.network.student import Student
    from trd.teachers.wide_resnet import WideResNet50

    with ELSEWHERE:
        teacher, student = WideResNet50(), Student((256, 512, 1024))
    image = torch.ones(2, 3, 64, 64, device=ELSEWHERE)
    with OneDevice():
        own = frozen(teacher, ELSEWHERE, torch.float32)(image)
        output = frozen(student, ELSEWHERE, torch.bfloat16)(
            tuple(level.bfloat16() for level in own), tuple(level.bfloat16() for level in own)
        )
    assert [tuple(level.shape) for level in output.fused] == [(2, 256, 16, 16), (2, 512, 8, 8), (2, 1024, 4, 4)]
