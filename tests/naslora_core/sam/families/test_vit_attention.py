from types import SimpleNamespace

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from naslora_core.sam.build import build_sam
from naslora_core.sam.families import vit_attention as subject
from naslora_core.sam.families.vit_attention import FusedAttention, attend, fuse_attention
from naslora_core.sam.specs import MODEL_SPECS, ViTSpec

# Heads have 16 channels: the bias is as many more, fewer, twice as many, and in the last so many that it is added.
GRIDS = [(9, 7), (5, 7), (20, 12), (24, 14)]


def _upstream(grid: tuple[int, int], use_rel_pos: bool = True, table: int | None = None) -> Attention:
    """Upstream's module with tables that matter, for a grid of `grid` or with tables made for another size."""
    torch.manual_seed(1)
    sides = (table, table) if table else grid
    module = Attention(48, num_heads=3, use_rel_pos=use_rel_pos, input_size=sides)
    if use_rel_pos:
        nn.init.normal_(module.rel_pos_h)
        nn.init.normal_(module.rel_pos_w)
    return module


def _tokens(grid: tuple[int, int]) -> torch.Tensor:
    return torch.randn(2, *grid, 48, generator=torch.Generator().manual_seed(2))


def _outcome(module: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output, and the gradients of the input and of every parameter, tables included."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    out = module(x)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3), dtype=out.dtype)
    (out * weights).sum().backward()
    return {"out": out.detach(), "x": x.grad} | {name: p.grad.clone() for name, p in module.named_parameters()}


def _assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.abs().max() > 0.01, name
        # Relative to the largest entry: gradients of the tables are sums over all tokens.
        assert (found[name] - value).abs().max() <= tolerance * value.abs().max().clamp(min=1), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["fused", "in pieces"])
@pytest.mark.parametrize("grid", GRIDS)
def test_output_and_all_gradients_are_upstreams(grid, in_pieces, dtype, monkeypatch):
    monkeypatch.setattr(subject, "_likes_pieces", lambda _: in_pieces)
    upstream = _upstream(grid).to(dtype)
    expected = _outcome(upstream, _tokens(grid).to(dtype))
    found = _outcome(FusedAttention(upstream), _tokens(grid).to(dtype))
    _assert_same(found, expected, 1e-5 if dtype is torch.float32 else 1e-12)


def test_relative_positions_matter_to_the_comparison():
    upstream = _upstream((5, 7))
    before = upstream(_tokens((5, 7)))
    nn.init.zeros_(upstream.rel_pos_w)
    assert (upstream(_tokens((5, 7))) - before).abs().max() > 0.01


def test_tables_of_another_grid_are_interpolated_as_upstream_does():
    upstream = _upstream((9, 12), table=7)
    _assert_same(_outcome(FusedAttention(upstream), _tokens((9, 12))), _outcome(upstream, _tokens((9, 12))), 1e-5)


def test_attention_without_relative_positions_is_upstreams():
    upstream = _upstream((6, 8), use_rel_pos=False)
    _assert_same(_outcome(FusedAttention(upstream), _tokens((6, 8))), _outcome(upstream, _tokens((6, 8))), 1e-5)


@pytest.mark.parametrize("use_rel_pos", [True, False])
def test_bfloat16_is_as_close_to_float32_as_upstreams(use_rel_pos):
    upstream = _upstream((14, 14), use_rel_pos)
    x = _tokens((14, 14))
    exact = _outcome(upstream, x)
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = upstream(x), FusedAttention(upstream)(x)
        with torch.no_grad():
            inference = FusedAttention(upstream)(x)
    error = (theirs.float() - exact["out"]).abs().max()
    for found in (ours, inference):
        assert found.dtype is torch.bfloat16
        assert (found.float() - exact["out"]).abs().max() <= 1.5 * error


def test_qkv_may_be_any_module_of_the_same_shape():
    class Doubled(nn.Module):
        def __init__(self, base_layer: nn.Module) -> None:
            super().__init__()
            self.base_layer = base_layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # Channels first in memory, as a convolution leaves them.
            return (2 * self.base_layer(x)).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)

    upstream = _upstream((6, 8))
    fused = FusedAttention(upstream)
    fused.qkv = Doubled(fused.qkv)
    upstream.qkv = Doubled(upstream.qkv)
    torch.testing.assert_close(fused(_tokens((6, 8))), upstream(_tokens((6, 8))), rtol=0, atol=1e-5)


def _operations(module: nn.Module, x: torch.Tensor) -> set[str]:
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        module(x)
    return {event.key for event in recorded.key_averages()}


@torch.no_grad()
def test_without_relative_positions_float32_takes_the_flash_kernel():
    flash = "aten::_scaled_dot_product_flash_attention_for_cpu"
    module = FusedAttention(_upstream((14, 14), use_rel_pos=False))
    assert flash in _operations(module, _tokens((14, 14)))
    assert flash not in _operations(module.bfloat16(), _tokens((14, 14)).bfloat16())


def test_a_graph_that_is_exported_has_one_attention_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    found = _operations(FusedAttention(_upstream((5, 7))), _tokens((5, 7)))
    assert "aten::_scaled_dot_product_flash_attention_for_cpu" in found


def test_the_widened_form_needs_no_other_backend_in_training(monkeypatch):
    q, k, v = (torch.randn(1, 3, 5, 7, 16, requires_grad=True) for _ in range(3))
    tables = [get_rel_pos(side, side, torch.randn(2 * side - 1, 16)) for side in (5, 7)]
    in_pieces = attend(q, k, v, (tables[0], tables[1]))
    monkeypatch.setattr(subject, "_likes_pieces", lambda _: False)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        found = attend(q, k, v, (tables[0], tables[1]))
    torch.testing.assert_close(found, in_pieces, rtol=0, atol=1e-5)


class _Plain(nn.Module):
    """A layer that is no `nn.Linear`, so that it is given windows as upstream's is."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.mark.parametrize("hidden", ["", "qkv", "proj"])
@pytest.mark.parametrize(("side", "window"), [(8, 4), (9, 4), (3, 4), (10, 5)])
def test_windows_are_upstreams_whatever_they_leave_over(side, window, hidden):
    torch.manual_seed(5)
    upstream = Block(48, num_heads=3, use_rel_pos=True, window_size=window, input_size=(side, side))
    for table in (upstream.attn.rel_pos_h, upstream.attn.rel_pos_w):
        nn.init.normal_(table)
    x = torch.randn(2, side, side, 48, dtype=torch.float64)
    expected = _outcome(upstream.double(), x)
    block = subject.WindowedBlock(upstream)
    if hidden:
        expected = {name.replace(f"{hidden}.", f"{hidden}.layer."): value for name, value in expected.items()}
        setattr(block.attn, hidden, _Plain(getattr(block.attn, hidden)))
    _assert_same(_outcome(block, x), expected, 1e-12)


def test_what_lies_beyond_the_image_costs_no_product_and_no_query():
    block = subject.WindowedBlock(Block(48, num_heads=3, window_size=4, input_size=(9, 9)))
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        block(torch.randn(1, 9, 9, 48))
    seen = [event.input_shapes[1][0] for event in recorded.events() if event.name == "aten::addmm"]
    assert seen == [81] * 4


def test_an_accelerator_is_not_asked_for_cudnns_attention(monkeypatch):
    enabled = torch.backends.cuda
    seen = []

    def attend(*tensors, scale):
        seen.append((enabled.cudnn_sdp_enabled(), enabled.flash_sdp_enabled(), enabled.mem_efficient_sdp_enabled()))

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    before = enabled.cudnn_sdp_enabled()
    subject.fused(*[SimpleNamespace(is_cuda=True)] * 3)
    assert seen == [(False, True, True)]
    assert enabled.cudnn_sdp_enabled() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_very_negative_logits_of_a_window_have_gradients_on_an_accelerator():
    # The case of https://github.com/pytorch/pytorch/issues/196678: 64 tokens, all logits near -120.
    q, k, v = (torch.randn(1, 1, 64, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    q, k = 0.1 * q, 0.1 * k
    q[..., 0], k[..., 0] = 1, -120 * 8
    leaves = [part.requires_grad_() for part in (q, k, v)]
    subject.fused(*leaves).sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves)


def test_no_tensor_of_an_image_grid_grows_with_the_square_of_its_tokens():
    fused = FusedAttention(_upstream((40, 40)))
    tokens = 40 * 40
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        fused(_tokens((40, 40))).sum().backward()
    shapes = [shape for event in recorded.events() for shape in event.input_shapes if shape]
    largest = max(torch.Size(shape).numel() for shape in shapes if all(isinstance(side, int) for side in shape))
    assert largest < 2 * tokens * tokens


@pytest.fixture
def small_vit(monkeypatch) -> str:
    """A narrow vit_b of two windowed and one global block, on a grid that windows do not divide."""
    spec = ViTSpec(**{**MODEL_SPECS["vit_b"].__dict__, "image_size": 320, "encoder_depth": 3, "encoder_width": 96})
    spec = ViTSpec(**{**spec.__dict__, "encoder_heads": 3, "global_attn_indexes": (1,)})
    monkeypatch.setitem(MODEL_SPECS, "small_vit", spec)
    return "small_vit"


def _official_encoder(spec: ViTSpec) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=spec.image_size,
        embed_dim=spec.encoder_width,
        depth=spec.encoder_depth,
        num_heads=spec.encoder_heads,
        norm_layer=lambda width: nn.LayerNorm(width, eps=1e-6),
        use_rel_pos=True,
        window_size=spec.window_size,
        global_attn_indexes=spec.global_attn_indexes,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_a_whole_encoder_is_upstreams(small_vit, dtype, tolerance):
    torch.manual_seed(4)
    ours = build_sam(small_vit).image_encoder.to(dtype)
    for name, parameter in ours.named_parameters():
        if "rel_pos" in name:
            nn.init.normal_(parameter, std=0.3)
    official = _official_encoder(MODEL_SPECS[small_vit]).to(dtype)
    assert list(ours.state_dict()) == list(official.state_dict())
    official.load_state_dict(ours.state_dict())
    x = torch.randn(1, 3, 320, 320, dtype=dtype)
    _assert_same(_outcome(ours, x), _outcome(official, x), tolerance)


def test_fusing_keeps_the_very_parameters():
    encoder = ImageEncoderViT(img_size=64, embed_dim=48, depth=2, num_heads=3, use_rel_pos=True, window_size=2)
    before = dict(encoder.named_parameters())
    after = dict(fuse_attention(encoder).named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)


@torch.no_grad()
def test_tokens_of_a_built_encoder_lie_one_after_another():
    patches = build_sam("sam_tiny").image_encoder.patch_embed(torch.randn(1, 3, 256, 256))
    assert patches.is_contiguous()
