"""Folded branches that see the whole image in windowed blocks, and filters of waves; the files they are saved in."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import run_kernels
from naslora_core.errors import CheckpointError
from naslora_core.geometry.windows import Windows
from naslora_core.merge.fold import fold, fold_layer
from naslora_core.merge.folded_linear import FoldedLinear
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.ops.frequency import filter_waves
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

WINDOWS = Windows(side=4, across=2)


class Branched(LowRankAdapter):
    """A branch of given kernels, or gains, on windows or on the whole image."""

    def __init__(self, base_layer, rank, kernel=None, gains=None, windows=None):
        super().__init__(base_layer, rank, 2 * rank)
        self.kernel, self.gains, self.windows = kernel, gains, windows
        nn.init.normal_(self.lora_B)

    def branch(self, z):
        maps = (z if self.windows is None else self.windows.join(z)).permute(0, 3, 1, 2)
        done = run_kernels(self.branch_kernels(), maps) if self.gains is None else maps + filter_waves(maps, self.gains)
        return done.permute(0, 2, 3, 1) if self.windows is None else self.windows.split(done.permute(0, 2, 3, 1))

    def branch_kernels(self):
        return {(0, 1): self.kernel}

    def branch_gains(self):
        return self.gains


def padded_windows(images=2, channels=6):
    """Windows of grids of 7 by 7 tokens: the last ones are partly padding."""
    grid = torch.zeros(images, 8, 8, channels)
    grid[:, :7, :7] = torch.randn(images, 7, 7, channels)
    return WINDOWS.split(grid)


@pytest.mark.parametrize("windows", [None, WINDOWS])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_the_tokens_of_an_image_are_mapped_as_their_padded_windows_are(windows, bias):
    layer = fold_layer(Branched(nn.Linear(6, 9, bias), 3, torch.randn(3, 3, 5, 5), windows=windows))
    assert isinstance(layer, FoldedLinear)
    image = torch.randn(2, 7, 7, 6)
    expected = WINDOWS.join(layer(WINDOWS.split(WINDOWS.pad(image))))
    torch.testing.assert_close(layer.on_padded_grid(image, WINDOWS).whole(), expected)


@pytest.mark.parametrize("windows", [None, WINDOWS])
@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("kind", ["kernel", "gains", "more gains than tokens"])
def test_a_folded_layer_computes_what_its_adapter_does(kind, rank, windows):
    branch = {"kernel": torch.randn(rank, rank, 5, 5)} if kind == "kernel" else {}
    branch |= {} if branch else {"gains": torch.randn(rank, *((3, 3) if kind == "gains" else (12, 12)))}
    layer = Branched(nn.Linear(6, 9), rank, windows=windows, **branch)
    with torch.no_grad():
        layer.lora_B[3:6] = 0  # as where keys are left alone
    x, merged = padded_windows(), fold_layer(layer).requires_grad_(False)
    assert isinstance(merged, FoldedLinear)
    assert not torch.allclose(layer(x), layer.base_layer(x))
    alone = copy.deepcopy(layer)
    alone.windows = None
    assert (windows is None) == torch.allclose(layer(x), alone(x))
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-5, atol=1e-5)


def test_rings_and_channels_without_taps_are_cut_off():
    kernel = torch.zeros(4, 4, 7, 7)
    kernel[:2, :2, 2:5, 2:5] = torch.randn(2, 2, 3, 3)
    kernel[3, 3, 3, 3] = 1.5  # a channel of the centre alone
    layer = Branched(nn.Linear(6, 9), 4, kernel=kernel)
    merged = fold_layer(layer)
    x = padded_windows()
    assert merged.get_parameter("fold_kernel_0_1").shape == (3, 3, 2, 2)
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("nothing", ["kernel", "gains", "lora_B"])
def test_a_branch_without_neighbours_is_an_ordinary_layer(nothing):
    kernel = torch.zeros(2, 2, 3, 3)
    kernel[:, :, 1, 1] = torch.randn(2, 2)
    gains = torch.randn(2, 4, 4) if nothing == "lora_B" else torch.zeros(2, 4, 4)
    layer = Branched(nn.Linear(6, 9), 2, **({"kernel": kernel} if nothing == "kernel" else {"gains": gains}))
    if nothing == "lora_B":
        nn.init.zeros_(layer.lora_B)
    merged, x = fold_layer(layer), padded_windows()
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("change", ["copied", "cast and back", "other weights", "one tensor replaced", "learning"])
def test_a_folded_layer_uses_the_parameters_it_has(change):
    layer, x = Branched(nn.Linear(6, 9), 2, kernel=torch.randn(2, 2, 3, 3)), padded_windows()
    merged = fold_layer(layer).requires_grad_(change == "learning")
    if change == "copied":
        merged = copy.deepcopy(copy.deepcopy(merged))
    elif change == "cast and back":
        merged = merged.double().float()
    elif change == "other weights":
        merged.load_state_dict({key: value + 1 for key, value in merged.state_dict().items()})
    elif change == "one tensor replaced":
        merged.fold_A = nn.Parameter(torch.randn(2, 6), requires_grad=False)
    # Without any tensor in a place of its own: the cell as convolution.
    kernel = merged.fold_kernel_0_1.permute(3, 2, 0, 1)
    maps = (x @ merged.fold_A.t()).permute(0, 3, 1, 2)
    cell = nn.functional.conv2d(maps, kernel, padding=1).permute(0, 2, 3, 1)
    expected = x @ merged.weight.t() + merged.bias + cell @ merged.fold_B
    torch.testing.assert_close(merged(x), expected, rtol=1e-4, atol=1e-4)
    if change == "learning":
        merged(x).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in merged.parameters())


def branched_sam():
    """sam_tiny at a size whose last windows are partly padding; its first blocks have all kinds of branches."""
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", 96 + 64)
    kinds = [
        {"kernel": torch.randn(3, 3, 5, 5), "windows": Windows(8, 2)},
        {"gains": torch.randn(3, 8, 8)},
        {"gains": torch.randn(3, 8, 8), "windows": Windows(8, 2)},
        {"kernel": torch.randn(3, 3, 3, 3)},
    ]
    for block, kind in zip(sam.image_encoder.blocks, kinds, strict=False):
        block.attn.qkv = Branched(block.attn.qkv, 3, **kind)
    return sam


@torch.no_grad()
def test_every_kind_of_branch_survives_the_disk(tmp_path):
    sam = branched_sam()
    assert len(find_adapters(sam)) == 4
    images = torch.randint(0, 256, (2, 3, 160, 160), dtype=torch.uint8)
    expected, base = PromptFreeSegmenter(sam)(images), PromptFreeSegmenter(build_sam("sam_tiny", 160))(images)
    save_merged(tmp_path, fold(sam), "sam_tiny", "fold", {})
    found = {key.rpartition(".")[2] for key in load_file(tmp_path / "model.safetensors") if ".fold_" in key}
    kinds = {"fold_image_kernel_0_1", "fold_gains", "fold_image_gains", "fold_kernel_0_1"}
    assert found == {"fold_A", "fold_B"} | kinds
    loaded = PromptFreeSegmenter(load_merged(tmp_path))(images)
    assert (expected - base).abs().max() > 1e-2
    torch.testing.assert_close(loaded, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("blocks.1.attn.qkv.fold_gains", "blocks.1.attn.qkv.fold_image_gains"),  # a block without windows
        ("blocks.3.attn.qkv.fold_kernel_0_1", "blocks.3.attn.qkv.fold_kernel_0_2"),
        ("blocks.3.attn.qkv.fold_kernel_0_1", "blocks.3.attn.qkv.fold_kernel_one"),
        ("blocks.0.attn.qkv.fold_image_kernel_0_1", "blocks.2.attn.qkv.fold_image_kernel_0_1"),  # beside gains
        ("blocks.0.attn.qkv.fold_A", "blocks.0.attn.qkv.fold_C"),
    ],
)
def test_a_folded_layer_amiss_is_named(old, new, tmp_path):
    save_merged(tmp_path, fold(branched_sam()), "sam_tiny", "fold", {})
    weights = load_file(tmp_path / "model.safetensors")
    weights[f"image_encoder.{new}"] = weights.pop(f"image_encoder.{old}")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="has a folded layer amiss: .*blocks.*merge again"):
        load_merged(tmp_path)
