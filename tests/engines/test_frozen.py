"""Every fast copy against the plain module it stands for."""

import pytest
import torch
from torch import nn

from trd.config import load_recipe
from trd.engines.pytorch.frozen import folded, frozen
from trd.evidence.reverse_distillation.network.frozen_network import FrozenNetwork
from trd.evidence.reverse_distillation.network.network import build_network
from trd.evidence.reverse_distillation.network.student import Student
from trd.teachers.efficientnet_lite import EfficientNetLite0, SameConv
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


@pytest.mark.parametrize("size", [64, 320, 512])
def test_the_teacher_sees_few_images_at_a_time(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_network(load_recipe("lite-rgb", ["teacher.weights=random"])).eval()
    images = {"rgb": torch.rand(3, 3, size, size)}
    parts = model.teacher_pyramids(images)
    monkeypatch.setattr("trd.engines.pytorch.frozen.CACHED_PIXELS", 10**9)
    for ours, whole in zip(parts["rgb"], model.teacher_pyramids(images)["rgb"], strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-5)


def test_the_teacher_stays_in_float32_under_autocast() -> None:
    model = build_network(load_recipe("lite-rgb", ["teacher.weights=random"])).eval()
    images = {"rgb": torch.rand(1, 3, 64, 64)}
    with torch.autocast("cpu", torch.bfloat16):
        under = model.teacher_pyramids(images)["rgb"]
    for ours, plain in zip(under, model.teacher_pyramids(images)["rgb"], strict=True):
        assert torch.equal(ours, plain)


@pytest.mark.parametrize(
    "overrides", [(), ("student.branches=joint",), ("student.amplifier=false",), ("standardize=true",)]
)
def test_the_frozen_network_gives_the_same_pyramids(overrides: tuple[str, ...]) -> None:
    extra = "modalities.depth={representation='image', source='d'}"
    plain = build_network(load_recipe("lite-rgb", ["teacher.weights=random", extra, *overrides]))
    with_statistics(plain)
    images = {name: torch.rand(2, 3, 64, 64) for name in plain.modalities}
    exact = FrozenNetwork(plain, torch.device("cpu"), torch.float32)
    rough = FrozenNetwork(plain, torch.device("cpu"), torch.bfloat16)
    with torch.inference_mode():
        expected, same, near = plain(images), exact(images), rough(images)
    for name in plain.branches:
        for a, b, c in zip(
            expected.students[name].fused, same.students[name].fused, near.students[name].fused, strict=True
        ):
            size = float(a.abs().max())
            torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-3 * size)
            assert float((c.float() - a).norm() / a.norm()) < 0.1
        for a, b in zip(expected.teachers[name], same.teachers[name], strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4 * float(a.abs().max()))
    assert {key for key in plain.state_dict() if "frozen" in key} == set()


def test_a_copy_follows_newly_loaded_weights() -> None:
    plain = build_network(load_recipe("lite-rgb", ["teacher.weights=random"])).eval()
    images = {"rgb": torch.rand(1, 3, 64, 64)}
    before = plain.teacher_pyramids(images)["rgb"][0].clone()
    plain.load_state_dict({k: v * 1.5 if v.is_floating_point() else v for k, v in plain.state_dict().items()})
    assert not torch.allclose(plain.teacher_pyramids(images)["rgb"][0], before)


def test_frozen_is_in_one_precision_and_order() -> None:
    fast = frozen(EfficientNetLite0(), torch.device("cpu"), torch.bfloat16, fuse=False)
    assert {p.dtype for p in fast.parameters()} == {torch.bfloat16}
    assert fast.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
