import pytest
import torch
from torch import nn

from trd.engines.pytorch.halving import Doubling, Halving, product_pays


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [4, 16])  # fewer and more positions than channels: product and convolution
@pytest.mark.parametrize(("ours", "plain"), [(Halving, nn.Conv2d), (Doubling, nn.ConvTranspose2d)])
def test_the_product_is_the_convolution(
    ours: type, plain: type, size: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "trd.engines.pytorch.halving.product_pays", lambda x, positions, channels: positions <= channels
    )
    torch.manual_seed(0)
    fast = ours(40, 24, bias)
    slow = plain(40, 24, 2, 2, bias=bias)
    slow.load_state_dict(fast.state_dict())
    image = torch.randn(2, 40, size, size)
    inputs = [image.clone().requires_grad_(), image.to(memory_format=torch.channels_last).requires_grad_()]
    target = image.clone().requires_grad_()
    expected = slow(target)
    expected.square().sum().backward()
    for x in inputs:
        fast.zero_grad()
        result = fast(x)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
        result.square().sum().backward()
        torch.testing.assert_close(x.grad, target.grad, rtol=1e-4, atol=1e-4)
        for name, parameter in slow.named_parameters():
            torch.testing.assert_close(fast.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-4)


def test_float32_keeps_the_convolution() -> None:
    assert not product_pays(torch.zeros(1), 1, 100)
    assert product_pays(torch.zeros(1, dtype=torch.bfloat16), 1, 100)
    assert not product_pays(torch.zeros(1, dtype=torch.bfloat16), 101, 100)
    with torch.autocast("cpu", torch.bfloat16):
        assert product_pays(torch.zeros(1), 1, 100)


def test_devices_without_autocast_keep_the_convolution() -> None:
    with torch.device("meta"):
        assert Halving(8, 4)(torch.zeros(1, 8, 4, 4)).shape == (1, 4, 2, 2)
        assert Doubling(8, 4)(torch.zeros(1, 8, 4, 4)).shape == (1, 4, 8, 8)
