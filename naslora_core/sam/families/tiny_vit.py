"""MobileSAM's image encoder: timm's TinyViT, whose tokens keep their places on the grid."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from naslora_core.geometry.token_grid import TokenGrid
from naslora_core.sam.families.tiny_vit_layers import GridMlp, PointwiseNorm, WindowAttention
from naslora_core.sam.upstream import LayerNorm2d


class TinyViTEncoder(nn.Module):
    """TinyViT behind SAM's neck; it has what `ImageEncoder` asks for.

    Its batch norms always use the statistics they were trained with: those of a few images would spoil them.

    Args:
        network: timm's TinyVit, of which stem and stages are taken and the classifier is not; changed in place.
        image_size: side of the square input, in pixels.
        embed_channels: channels of the embeddings.

    Attributes:
        gradient_checkpointing: keep only the input of each block for the backward pass and run the block again there.

    Source: arXiv:2306.14289, section 3; TinyViT is arXiv:2207.10666. MobileSAM's last merging keeps the resolution, so
    that the grid is SAM's.
    """

    gradient_checkpointing = False
    default_targets = ("attn.qkv", "mlp.fc1", "mlp.fc2")

    def __init__(self, network: Any, image_size: int, embed_channels: int) -> None:
        super().__init__()
        self.img_size = image_size
        self.patch_embed = network.patch_embed
        self.stages = network.stages
        self.stages[-1].downsample.conv2.conv.stride = (1, 1)
        self._sides = _stage_sides(image_size, len(self.stages))
        for stage, side in zip(self.stages, self._sides, strict=True):
            _keep_places(stage, side)
        self.neck = nn.Sequential(
            nn.Conv2d(network.num_features, embed_channels, 1, bias=False),
            LayerNorm2d(embed_channels),
            nn.Conv2d(embed_channels, embed_channels, 3, padding=1, bias=False),
            LayerNorm2d(embed_channels),
        )
        # In this order tokens are a view of what convolutions give.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (B, 3, S, S) to embeddings (B, C, S / 16, S / 16)."""
        x = self.patch_embed(x)
        for block in self.stages[0].blocks:
            x = self._run(block, x)
        for stage in self.stages[1:]:
            x = stage.downsample(x).permute(0, 2, 3, 1)  # (B, H, W, C)
            for block in stage.blocks:
                x = self._run(block, x)
            x = x.permute(0, 3, 1, 2)
        embeddings: Tensor = self.neck(x)
        return embeddings

    def train(self, mode: bool = True) -> "TinyViTEncoder":
        """Set the mode of all but the batch norms."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def grid_of(self, layer: str) -> TokenGrid:
        """Return what a layer sees: attention windows, all others the image."""
        attention: Any = self.get_submodule(layer.rpartition(".attn.")[0]).attn if ".attn." in layer else None
        return TokenGrid(self._side_at(layer), 0 if attention is None else attention.side)

    def multiplications(self) -> float:
        """Return the multiplications of linear layers, convolutions and attention for one image."""
        total = 0.0
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                total += self._side_at(name) ** 2 * layer.weight.numel()
            elif isinstance(layer, WindowAttention):
                total += 2 * self._side_at(name) ** 2 * layer.side**2 * layer.norm.weight.numel()
        return total

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        result: Tensor = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return result

    def _side_at(self, name: str) -> int:
        """Return the side of the grid that a layer gives."""
        part, _, rest = name.partition(".")
        if part == "stages":
            stage = int(rest.partition(".")[0])
            return self._sides[stage - 1 if rest.startswith(f"{stage}.downsample.conv1") else stage]
        if part == "patch_embed":
            return self._sides[0] * (2 if rest.startswith("conv1") else 1)
        return self._sides[-1]


def _stage_sides(image_size: int, stages: int) -> tuple[int, ...]:
    """Return the side of the grid at each stage: of four pixels a token, then halved, but for the last one."""
    halved = [image_size // 4 // 2**stage for stage in range(stages - 1)]
    return (*halved, halved[-1])


def _keep_places(stage: Any, side: int) -> None:
    """Give the layers that can be adapted tokens on a grid, in place; weights and results stay."""
    for block in stage.blocks:
        if hasattr(block, "attn"):
            block.attn = WindowAttention(block.attn)
            block.mlp = GridMlp(block.mlp, side)
    for module in [stage.downsample] if hasattr(stage, "downsample") else stage.blocks:
        module.conv1 = PointwiseNorm(module.conv1)
        module.conv3 = PointwiseNorm(module.conv3)
