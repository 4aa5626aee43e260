"""Our depthwise convolution against the stock one."""

import pytest
import torch
from torch import nn

from edgenas.supernet.convolution import DepthwiseConv2d, PointwiseConv2d

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"))]


def both(kernel, stride):
    torch.manual_seed(0)
    stock = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False)
    ours = DepthwiseConv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False)
    ours.load_state_dict(stock.state_dict())
    return stock, ours


def gradients(module, x, weigh):
    x = x.clone().requires_grad_()
    y = module(x)
    (y * weigh).sum().backward()
    return y, x.grad, module.weight.grad


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_outputs_and_gradients_are_the_stock_ones(kernel, stride, size, device):
    stock, ours = both(kernel, stride)
    x = torch.randn(4, 6, size, size).contiguous(memory_format=torch.channels_last)
    weigh = torch.randn(4, 6, (size - 1) // stride + 1, (size - 1) // stride + 1)
    expected, found = gradients(stock, x, weigh), gradients(ours.to(device), x.to(device), weigh.to(device))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_pointwise_one_is_the_stock_one(bias, device):
    torch.manual_seed(0)
    stock, ours = (kind(6, 4, 1, bias=bias) for kind in (nn.Conv2d, PointwiseConv2d))
    ours.load_state_dict(stock.state_dict())
    x, weigh = (torch.randn(3, n, 5, 5).contiguous(memory_format=torch.channels_last) for n in (6, 4))
    expected, found = gradients(stock, x, weigh), gradients(ours.to(device), x.to(device), weigh.to(device))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-4, atol=1e-5)


def test_under_autocast_gradients_have_float32_precision():
    stock, ours = both(5, 1)
    x = torch.randn(4, 6, 8, 8).bfloat16()
    weigh = torch.randn(4, 6, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y, grad_x, grad_weight = gradients(ours, x, weigh)
    _, expected_x, expected_weight = gradients(stock, x.float(), weigh.float())
    assert y.dtype == grad_x.dtype == torch.bfloat16
    torch.testing.assert_close(grad_x.float(), expected_x, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(grad_weight, expected_weight, rtol=1e-4, atol=1e-4)
