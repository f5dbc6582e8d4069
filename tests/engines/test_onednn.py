"""oneDNN's fused operators against the modules they stand for."""

import copy
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from trd.engines.pytorch.frozen import folded, frozen
from trd.engines.pytorch.onednn import OneCallConvolution, OneCallResidual, onednn_takes, with_onednn
from trd.evidence.reverse_distillation.network.blocks import BottleneckBlock, Resample, activation, conv_norm, up_norm
from trd.evidence.reverse_distillation.network.student import Student
from trd.teachers.efficientnet_lite import EfficientNetLite0, SameConv
from trd.teachers.wide_resnet import WideResNet50

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not onednn_takes(CPU, torch.float32), reason="fused operators are used on x86-64 only")


def kinds(module: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...]) -> int:
    return sum(isinstance(layer, kind) for layer in module.modules())


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("teacher", [EfficientNetLite0, WideResNet50])
def test_teachers(teacher: type[nn.Module]) -> None:
    torch.manual_seed(0)
    plain = folded(teacher().eval())
    fast = with_onednn(folded(plain))
    assert kinds(fast, OneCallConvolution) == kinds(plain, nn.Conv2d) > 0
    assert kinds(fast, (nn.Conv2d, nn.ReLU, nn.ReLU6, nn.BatchNorm2d)) == 0
    with torch.no_grad():
        for shape in ((2, 3, 64, 96), (1, 3, 96, 64), (2, 3, 64, 96)):
            image = torch.rand(shape)
            for ours, theirs in zip(fast(image), plain(image), strict=True):
                same(ours, theirs)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("others", [0, 1, 2])
def test_students(others: int, linear: bool) -> None:
    torch.manual_seed(0)
    channels = (8, 12, 16)
    plain = folded(Student(channels, others, linear=linear))
    fast = with_onednn(folded(plain))
    assert kinds(fast, OneCallConvolution) == kinds(plain, (nn.Conv2d, nn.ConvTranspose2d)) > 0
    with torch.no_grad():
        for size in (32, 16, 32):
            own = tuple(torch.randn(2, c, size >> i, size >> i) for i, c in enumerate(channels))
            other = tuple(torch.randn(2, others * c, size >> i, size >> i) for i, c in enumerate(channels))
            for ours, theirs in zip(fast(own, other if others else None).fused,
                                    plain(own, other if others else None).fused, strict=True):  # fmt: skip
                same(ours, theirs)


@pytest.mark.skipif(not onednn_takes(CPU, torch.bfloat16), reason="this processor does not multiply bf16")
def test_bf16_is_no_farther_from_float32_than_the_plain_module_is() -> None:
    torch.manual_seed(0)
    student = Student((16, 24, 32)).eval()
    exact, plain, fast = folded(student), folded(student).bfloat16(), frozen(student, CPU, torch.bfloat16)
    own, other = (tuple(torch.randn(2, c, 32 >> i, 32 >> i) for i, c in enumerate((16, 24, 32))) for _ in range(2))
    with torch.inference_mode():
        expected = exact(own, other).fused
        rounded = [tuple(level.bfloat16() for level in pyramid) for pyramid in (own, other)]
        for truth, usual, ours in zip(expected, plain(*rounded).fused, fast(*rounded).fused, strict=True):
            assert ours.dtype == torch.bfloat16
            assert float((ours.float() - truth).norm()) < 1.1 * float((usual.float() - truth).norm())


@pytest.mark.parametrize("kind", ["same", "down", "up"])
@pytest.mark.parametrize("linear", [False, True])
def test_a_block_is_one_call_per_convolution(kind: Resample, linear: bool) -> None:
    """The addition of the shortcut goes into the last convolution, with the ReLU after it."""
    torch.manual_seed(0)
    plain = folded(nn.Sequential(BottleneckBlock(8, 4, 8 if kind == "same" else 12, kind, linear)))
    fast = with_onednn(folded(plain))
    calls = []
    for layer in fast.modules():
        layer.register_forward_hook(lambda module, *_: calls.append(type(module)))
    x = torch.randn(2, 8, 16, 16)
    same(fast(x), plain(x))
    assert calls.count(OneCallConvolution) == kinds(plain, (nn.Conv2d, nn.ConvTranspose2d))
    assert set(calls) <= {OneCallConvolution, OneCallResidual, nn.Sequential, nn.Identity}


def test_what_cannot_be_fused_stays() -> None:
    """Layers that compute something else than a convolution, and an activation that no convolution precedes."""
    layers = nn.Sequential(nn.ReLU(), SameConv(3, 3, 3, 2), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.ReLU6())
    plain = layers.requires_grad_(False)
    fast = with_onednn(copy.deepcopy(plain))
    assert [type(layer) for layer in fast] == [nn.ReLU, SameConv, nn.ReLU, OneCallConvolution, nn.ReLU6]
    x = torch.randn(1, 3, 8, 8)
    same(fast(x), plain(x))


def test_copies_are_made_beside_running_ones_and_freed_at_once() -> None:
    """A server may load a second detector while the first one predicts."""
    torch.manual_seed(0)
    running, stop, failures = with_onednn(folded(EfficientNetLite0().eval())), threading.Event(), []
    image = torch.rand(1, 3, 32, 32)

    def predict() -> None:
        while not stop.is_set():
            try:
                with torch.no_grad():
                    running(image)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    for _ in range(5):
        with_onednn(folded(Student((8, 12, 16))))
    stop.set()
    thread.join()
    assert not failures
    gc.disable()
    try:
        copied = frozen(Student((8, 12, 16)), CPU, torch.float32)
        gone = weakref.ref(copied)
        del copied
        assert gone() is None
    finally:
        gc.enable()


def test_shapes_may_alternate_and_threads_may_share_it() -> None:
    torch.manual_seed(0)
    stack = folded(nn.Sequential(conv_norm(8, 16, 3), activation(), conv_norm(16, 16, 2, 2), up_norm(16, 8)))
    fast = with_onednn(folded(stack))
    inputs = [torch.randn(1 + index % 3, 8, 16, 16 + 2 * (index % 2)) for index in range(60)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(torch.no_grad()(fast), inputs))
    for x, result in zip(inputs, results, strict=True):
        same(result, stack(x))


def test_without_the_operators_the_plain_modules_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trd.engines.pytorch.onednn.OPERATORS", ("_convolution_of_another_release",))
    assert kinds(frozen(Student((8, 12, 16)), CPU, torch.float32), OneCallConvolution) == 0


def test_not_on_other_devices_or_precisions() -> None:
    assert not onednn_takes(torch.device("cuda"), torch.float32)
    assert not onednn_takes(CPU, torch.float16)
