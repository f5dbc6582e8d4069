"""Every fast copy against the plain module it stands for."""

import pytest
import torch
from torch import nn

from trd.config import BackboneConfig, load_recipe
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.frozen import folded, frozen
from trd.evidence.base import GraphContext
from trd.evidence.reverse_distillation.graphs import student_graphs, student_value
from trd.evidence.reverse_distillation.network.student import Student
from trd.evidence.reverse_distillation.restored import build_network
from trd.teachers.efficientnet_lite import EfficientNetLite0, SameConv
from trd.teachers.frozen import FrozenTeacher, TeacherGraph, teacher_graphs
from trd.teachers.wide_resnet import WideResNet50


def with_statistics(module: nn.Module) -> nn.Module:
    """BatchNorm as after training: no mean is 0 and no deviation 1."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.2)
            nn.init.normal_(layer.running_mean, 0, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


@pytest.mark.parametrize("teacher", [EfficientNetLite0, WideResNet50])
def test_a_folded_teacher_computes_the_same(teacher: type[nn.Module]) -> None:
    plain = with_statistics(teacher())
    fast = folded(plain)
    assert norms(plain) > 0
    assert norms(fast) == 0
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for ours, theirs in zip(fast(image), plain(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
    assert not any(parameter.requires_grad for parameter in fast.parameters())


@pytest.mark.parametrize("linear", [False, True])
def test_a_folded_student_computes_the_same(linear: bool) -> None:
    channels = (8, 12, 16)
    plain = with_statistics(Student(channels, linear=linear))
    fast = folded(plain)
    assert norms(fast) == 0
    own, other = (tuple(torch.randn(2, c, 16 >> i, 24 >> i) for i, c in enumerate(channels)) for _ in range(2))
    with torch.no_grad():
        for ours, theirs in zip(fast(own, other), plain(own, other), strict=True):
            for a, b in zip(ours, theirs, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 2, 1), (3, 2, 6), (5, 2, 6), (3, 1, 6), (5, 1, 6)])
def test_same_padding_inside_the_convolution(kernel: int, stride: int, groups: int) -> None:
    plain = SameConv(6, 6, kernel, stride, groups=groups)
    image = torch.randn(1, 6, 32, 64)
    torch.testing.assert_close(plain.frozen_form()(image), plain(image))


@pytest.fixture
def teacher() -> FrozenTeacher:
    torch.manual_seed(0)
    graph = TeacherGraph(BackboneConfig(weights="random"))
    with_statistics(graph)
    return FrozenTeacher(graph, torch.device("cpu"))


@pytest.mark.parametrize("size", [64, 320, 512])
def test_the_teacher_sees_few_images_at_a_time(
    teacher: FrozenTeacher, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.rand(3, 3, size, size)
    parts = teacher(images)
    monkeypatch.setattr("trd.engines.pytorch.frozen.CACHED_PIXELS", 10**9)
    for ours, whole in zip(parts, teacher(images), strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-5)


def test_the_teacher_stays_in_float32_under_autocast(teacher: FrozenTeacher) -> None:
    images = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        under = teacher(images)
    for ours, plain in zip(under, teacher(images), strict=True):
        assert torch.equal(ours, plain)


def test_one_call_for_all_modalities_equals_one_for_each(teacher: FrozenTeacher) -> None:
    images = {name: torch.rand(2, 3, 64, 64) for name in ("a", "b", "c")}
    together = teacher.pyramids(images)
    for name, stack in images.items():
        normalised = (stack - teacher.graph.input_mean) / teacher.graph.input_std
        with torch.no_grad():
            alone = teacher.graph.teacher(normalised)
        for ours, theirs in zip(together[name], alone, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
    assert not any(parameter.requires_grad for parameter in teacher._copy.parameters())


@pytest.mark.parametrize("overrides", [(), ("student.branches=joint",), ("student.amplifier=false",)])
@pytest.mark.parametrize("standardize", ["true", "false"])
def test_an_engine_gives_what_the_plain_network_does(
    teacher: FrozenTeacher, overrides: tuple[str, ...], standardize: str
) -> None:
    extra = "modalities.depth={representation='image', source='d'}"
    recipe = load_recipe("lite-rgb", [extra, f"standardize={standardize}", *overrides])
    plain = with_statistics(build_network(recipe, teacher.channels, teacher.linear_outputs))
    for buffer in plain.scalers.buffers():
        nn.init.uniform_(buffer, 0.5, 1.5)
    images = {name: torch.rand(2, 3, 64, 64) for name in plain.modalities}
    context = GraphContext((64, 64), teacher.graph.shapes((64, 64)), teacher.linear_outputs)
    graphs = teacher_graphs(teacher.graph, plain.modalities, (64, 64)) + student_graphs(plain, context)
    with torch.no_grad():
        expected = plain(teacher.pyramids(images))
    for dtype, tolerance in ((torch.float32, 1e-3), (torch.bfloat16, 0.1)):
        values = PyTorchEngine(graphs, torch.device("cpu"), dtype).values({n: i.numpy() for n, i in images.items()})
        for name in plain.branches:
            for level, theirs in enumerate(expected.students[name].fused):
                ours = values[student_value(name, level)].float()
                assert float((ours - theirs).norm() / theirs.norm()) < tolerance


def test_frozen_is_in_one_precision_and_order() -> None:
    fast = frozen(EfficientNetLite0(), torch.device("cpu"), torch.bfloat16, fuse=False)
    assert {p.dtype for p in fast.parameters()} == {torch.bfloat16}
    assert fast.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
