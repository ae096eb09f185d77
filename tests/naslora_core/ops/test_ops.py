import pytest
import torch
import torch.nn.functional as F

from naslora_core.errors import ConfigError
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive, resolve_space
from naslora_core.ops.frequency import WAVES, FrequencyFilter
from naslora_core.ops.spaces import SPACES
from naslora_core.registry import Registry

CHANNELS = 4


def make(name: str):
    torch.manual_seed(3)
    op = OPS[name](CHANNELS).double()
    for parameter in op.parameters():
        torch.nn.init.normal_(parameter)
    return op


LINEAR = [name for name in OPS if isinstance(make(name), LinearPrimitive)]
POINTWISE = [name for name in OPS if isinstance(make(name), PointwisePrimitive)]


def test_every_kind_of_operation_is_there():
    assert {"none", "skip_connect", "conv_1x1", "singular_values"} == set(POINTWISE)
    assert {"conv_3x3", "dw_conv_5x5", "sep_conv_5x5", "dil_conv_5x5", "dw_dil_conv_3x3", "avg_pool_3x3"} < set(LINEAR)
    assert {"max_pool_3x3", "ms_conv_2x", "ms_conv_4x", "dct_filter"} == set(OPS) - set(LINEAR)


@pytest.mark.parametrize("size", [(14, 14), (5, 9), (1, 1)])
@pytest.mark.parametrize("name", list(OPS))
def test_an_operation_keeps_the_shape_and_has_finite_gradients(name, size):
    operation = make(name)
    x = torch.randn(2, CHANNELS, *size, dtype=torch.double, requires_grad=True)
    y = operation(x)
    y.square().sum().backward()
    assert y.shape == x.shape
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in operation.parameters())


def by_the_definition(kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Convolve with loops, zeros outside the grid."""
    margin, side = kernel.shape[-1] // 2, kernel.shape[-1]
    padded = F.pad(x, [margin] * 4)
    expected = torch.zeros_like(x)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            patch = padded[:, :, row : row + side, column : column + side]
            expected[:, :, row, column] = torch.einsum("oihw,bihw->bo", kernel, patch)
    return expected


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_operation_is_the_convolution_its_kernel_says_at_borders_too(name):
    operation = make(name)
    kernel = operation.as_kernel()
    assert kernel.shape[:2] == (CHANNELS, CHANNELS)
    assert kernel.shape[2] == kernel.shape[3]
    assert kernel.shape[2] % 2 == 1
    x = torch.randn(2, CHANNELS, 6, 7, dtype=torch.double)
    torch.testing.assert_close(operation(x), by_the_definition(kernel, x))


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_operation_is_its_kernel_in_a_window_that_is_partly_padding(name):
    operation = make(name)
    # SAM pads the last windows of an image with zeros; 64 tokens leave 8 in the last of five windows of 14.
    window = torch.randn(1, CHANNELS, 14, 14, dtype=torch.double)
    window[..., 8:, :] = 0
    window[..., :, 8:] = 0
    torch.testing.assert_close(operation(window), by_the_definition(operation.as_kernel(), window))


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_operation_is_linear(name):
    operation = make(name)
    x, y = torch.randn(2, 1, CHANNELS, 8, 8, dtype=torch.double)
    torch.testing.assert_close(operation(2 * x - 3 * y), 2 * operation(x) - 3 * operation(y))


@pytest.mark.parametrize("name", [name for name in OPS if name not in LINEAR])
def test_an_operation_that_claims_nothing_is_no_convolution_and_has_no_kernel(name):
    operation = make(name)
    x, y = torch.randn(2, 1, CHANNELS, 8, 8, dtype=torch.double)
    is_linear = torch.allclose(operation(x + y), operation(x) + operation(y), atol=1e-3)
    moved = torch.roll(operation(x), (1, 1), dims=(2, 3)) - operation(torch.roll(x, (1, 1), dims=(2, 3)))
    is_the_same_everywhere = bool(moved[..., 3:-3, 3:-3].abs().max() < 1e-3)
    assert not (is_linear and is_the_same_everywhere)
    assert not hasattr(operation, "as_kernel")


def test_a_frequency_filter_scales_the_waves_of_the_grid_and_no_others():
    operation = make("dct_filter")
    assert isinstance(operation, FrequencyFilter)
    columns = torch.arange(16, dtype=torch.double) + 0.5
    for wave in (0, 3, WAVES - 1, WAVES, 12):
        x = torch.cos(columns * torch.pi * wave / 16).expand(1, CHANNELS, 16, 16)
        gain = operation.gains[:, 0, wave] if wave < WAVES else torch.zeros(CHANNELS, dtype=torch.double)
        torch.testing.assert_close(operation(x), x * (1 + gain[:, None, None]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", list(OPS))
def test_only_pointwise_operations_leave_other_tokens_alone(name):
    operation = make(name)
    x = torch.randn(1, CHANNELS, 7, 7, dtype=torch.double)
    changed = x.clone()
    changed[..., 3, 3] += 5
    touched = (operation(x) - operation(changed)).abs().amax(dim=(0, 1)) > 1e-9
    touched[3, 3] = False
    assert touched.any() == (name not in POINTWISE)


@pytest.mark.parametrize("name", list(OPS))
def test_an_operation_starts_near_the_identity_or_without_weights(name):
    torch.manual_seed(0)
    operation = OPS[name](8)
    # Constant maps, away from the border: even pooling changes nothing there.
    z = torch.randn(1, 8, 1, 1).abs().expand(1, 8, 20, 20) * 3
    inner = (operation(z) - z)[:, :, 6:-6, 6:-6]
    assert name == "none" or inner.abs().max() < 0.25 * z.max()


def test_pooling_agrees_with_torch():
    x = torch.randn(2, CHANNELS, 6, 6)
    average = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=True)
    torch.testing.assert_close(OPS["avg_pool_3x3"](CHANNELS)(x), average)
    largest = OPS["max_pool_3x3"](CHANNELS)(x)
    assert largest[0, 1, 0, 0] == x[0, 1, :2, :2].max()
    assert largest[1, 2, 3, 4] == x[1, 2, 2:5, 3:6].max()


def test_depthwise_dilated_and_separable_convolutions_agree_with_torch():
    x = torch.randn(2, CHANNELS, 9, 9)
    depthwise, dilated, separable = (OPS[n](CHANNELS) for n in ("dw_conv_5x5", "dw_dil_conv_3x3", "dil_conv_5x5"))
    torch.testing.assert_close(depthwise(x), F.conv2d(x, depthwise.weight[:, None], padding=2, groups=CHANNELS))
    expected = F.conv2d(x, dilated.weight[:, None], padding=2, dilation=2, groups=CHANNELS)
    torch.testing.assert_close(dilated(x), expected)
    filtered = F.conv2d(x, separable.depthwise[:, None], padding=4, dilation=2, groups=CHANNELS)
    torch.testing.assert_close(separable(x), F.conv2d(filtered, separable.pointwise), rtol=1e-4, atol=1e-5)


def test_the_multi_scale_convolution_works_at_its_scale():
    operation = OPS["ms_conv_2x"](CHANNELS)
    x = torch.randn(1, CHANNELS, 5, 6)
    enlarged = F.interpolate(x, size=(10, 12), mode="bicubic", align_corners=False)
    filtered = F.gelu(F.conv2d(enlarged, operation.weight, padding=1))
    expected = F.interpolate(filtered, size=(5, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(operation(x), expected)


def test_named_spaces_hold_known_operations():
    assert set(SPACES) == {"choices", "linear", "darts", "paper"}
    assert len(resolve_space("darts")) == 8
    assert set(resolve_space("linear")) <= set(LINEAR)
    assert all(name in OPS for space in SPACES.values() for name in space)


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
