import pytest
import torch

from naslora_core.errors import ConfigError
from naslora_core.ops import OPS, resolve_space
from naslora_core.registry import Registry

CHANNELS = 4


@pytest.fixture(params=list(OPS))
def operation(request):
    torch.manual_seed(3)
    op = OPS[request.param](CHANNELS).double()
    for parameter in op.parameters():
        torch.nn.init.normal_(parameter)
    return op


@pytest.mark.parametrize("size", [(14, 14), (5, 9), (1, 1)])
def test_an_operation_keeps_the_shape_and_has_finite_gradients(operation, size):
    x = torch.randn(2, CHANNELS, *size, dtype=torch.double, requires_grad=True)
    y = operation(x)
    y.square().sum().backward()
    assert y.shape == x.shape
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in operation.parameters())


def test_an_operation_is_the_convolution_its_kernel_says_at_borders_too(operation):
    kernel = operation.as_kernel()
    assert kernel.shape[:2] == (CHANNELS, CHANNELS)
    assert kernel.shape[2] == kernel.shape[3]
    assert kernel.shape[2] % 2 == 1
    x = torch.randn(1, CHANNELS, 6, 7, dtype=torch.double)
    margin = kernel.shape[-1] // 2
    padded = torch.nn.functional.pad(x, [margin] * 4)
    expected = torch.zeros_like(x)
    for row in range(6):
        for column in range(7):
            patch = padded[0, :, row : row + kernel.shape[2], column : column + kernel.shape[3]]
            expected[0, :, row, column] = torch.einsum("oihw,ihw->o", kernel, patch)
    torch.testing.assert_close(operation(x), expected)


def test_an_operation_is_linear(operation):
    x, y = torch.randn(2, 1, CHANNELS, 8, 8, dtype=torch.double)
    torch.testing.assert_close(operation(2 * x - 3 * y), 2 * operation(x) - 3 * operation(y))


def test_average_pooling_agrees_with_torch():
    x = torch.randn(2, CHANNELS, 6, 6)
    expected = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=True)
    torch.testing.assert_close(OPS["avg_pool_3x3"](CHANNELS)(x), expected)


def test_dilated_and_depthwise_convolutions_agree_with_torch():
    x = torch.randn(2, CHANNELS, 9, 9)
    dilated, depthwise = OPS["dil_conv_3x3"](CHANNELS), OPS["dw_conv_3x3"](CHANNELS)
    conv = torch.nn.functional.conv2d
    torch.testing.assert_close(dilated(x), conv(x, dilated.weight, padding=2, dilation=2))
    torch.testing.assert_close(depthwise(x), conv(x, depthwise.weight[:, None], padding=1, groups=CHANNELS))


def test_an_unknown_space_lists_the_known():
    with pytest.raises(ConfigError, match=r"search.space 'darst' is unknown; use linear"):
        resolve_space("darst")


@pytest.mark.parametrize(
    ("space", "message"),
    [(["conv_3x3", "conv_7x7"], "conv_7x7"), ([], "at least one"), (["none", "none"], "only once")],
)
def test_a_wrong_list_of_operations_is_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        resolve_space(space)


def test_a_name_cannot_be_registered_twice():
    registry: Registry[int] = Registry("thing")
    registry.register("one")(1)
    with pytest.raises(ConfigError, match="thing 'one' is registered twice"):
        registry.register("one")
