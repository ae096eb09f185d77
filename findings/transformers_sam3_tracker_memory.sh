#!/bin/sh
# transformers' Sam3TrackerModel adds the embedding for "no memory" to a level that it drops, and no mask depends on it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 transformers==5.23.0 numpy==2.3.4 pillow==13.0.0 timm==1.0.31 einops==0.8.2 iopath==0.1.10 tqdm || exit 2
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps sam3==0.1.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys
import types
from importlib.metadata import distribution, version

import torch
from transformers import Sam3TrackerConfig, Sam3TrackerModel, Sam3TrackerVideoConfig, Sam3TrackerVideoModel
from transformers import Sam3VisionConfig

print(f"transformers {version('transformers')}, sam3 {version('sam3')}, torch {torch.__version__}")
# Small layers. The levels of the pyramid and the epsilon of the norms are what the configuration has by default.
SMALL = {
    "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 2, "image_size": 112, "patch_size": 14, "window_size": 4, "global_attn_indexes": [1, 3],
    "pretrain_image_size": 56,
}
PARTS = {
    "prompt_encoder_config": {"hidden_size": 32, "image_size": 112, "patch_size": 14},
    "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
}
SIDES = [[32, 32], [16, 16], [8, 8]]


def vision(**options):
    return Sam3VisionConfig(backbone_config=SMALL | options.pop("backbone", {}), fpn_hidden_size=32,
                            backbone_feature_sizes=SIDES, **options)


def tracker(**options):
    torch.manual_seed(0)
    model = Sam3TrackerModel(Sam3TrackerConfig(vision_config=vision(**options), **PARTS))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    return model.eval()


image = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def influence(model):
    """How far masks move when the embedding for "no memory" does."""
    before = model(pixel_values=image).pred_masks
    model.no_memory_embedding.add_(1)
    return float((model(pixel_values=image).pred_masks - before).abs().max())


default, three = influence(tracker()), influence(tracker(scale_factors=[4.0, 2.0, 1.0]))
print(f"levels by default: {vision().scale_factors}; masks move by {default:.3g} when no_memory_embedding grows by 1")
print(f"levels [4.0, 2.0, 1.0]: masks move by {three:.3g}")
video = Sam3TrackerVideoModel(Sam3TrackerVideoConfig(vision_config=vision(), image_size=112, **PARTS)).eval()
with torch.no_grad():
    levels = len(video.get_image_features(image, return_dict=True).fpn_hidden_states)
single = len(tracker().get_image_features(image, return_dict=True).fpn_hidden_states)
print(f"the same configuration in Sam3TrackerVideoModel keeps {levels} levels, in Sam3TrackerModel {single}")

# The authors' encoder without their package's __init__, which imports what only training needs.
package = types.ModuleType("sam3")
package.__path__ = [str(distribution("sam3").locate_file("sam3"))]
sys.modules["sam3"] = package
from sam3.model.vitdet import ViT  # noqa: E402

authors = ViT(img_size=112, pretrain_img_size=56, patch_size=14, embed_dim=32, depth=4, num_heads=2, mlp_ratio=2,
              global_att_blocks=(1, 3), rel_pos_blocks=(), use_rope=True, window_size=4, retain_cls_token=False,
              ln_pre=True)
theirs = {module.eps for module in authors.modules() if isinstance(module, torch.nn.LayerNorm)}
ours = vision().backbone_config.layer_norm_eps
with torch.no_grad():
    one, other = (tracker(backbone={"layer_norm_eps": eps}).get_image_embeddings(image)[-1] for eps in (ours, 1e-5))
apart = float((one - other).abs().max())
print(f"epsilon of the norms: {ours} by default, the authors' {theirs}; embeddings differ by {apart:.3g}")
as_described = default == 0 < three and (levels, single) == (3, 4)
as_described &= (ours, theirs) == (1e-6, {1e-5}) and apart > 0
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
