#!/bin/sh
# Sam2Model without a prompt gives its decoder two tokens that say "not a point"; the authors' SAM2ImagePredictor none.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 transformers==5.23.0 numpy==2.3.4 pillow==13.0.0 hydra-core==1.3.8 iopath==0.1.10 tqdm || exit 2
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps sam2==1.1.0 || exit 2
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor
from transformers import Sam2Config, Sam2Model

print(f"transformers {version('transformers')}, sam2 {version('sam2')}, torch {torch.__version__}")
print("input: an image of noise, 1024 x 1024, without points, boxes and masks; SAM 2.1 tiny with random weights")
tokens = {}


def count(name):
    return lambda module, inputs, output: tokens.__setitem__(name, output[0].shape[-2])


torch.manual_seed(0)
authors = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", None, device="cpu")
authors.sam_prompt_encoder.register_forward_hook(count("sam2"))
predictor = SAM2ImagePredictor(authors)
predictor.set_image(np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8))
predictor.predict(multimask_output=False)
model = Sam2Model(Sam2Config()).eval()
model.prompt_encoder.register_forward_hook(count("transformers"))
with torch.no_grad():
    embeddings = model.get_image_embeddings(torch.randn(1, 3, 1024, 1024))
    before = model(image_embeddings=list(embeddings), multimask_output=False).pred_masks
    model.prompt_encoder.not_a_point_embed.weight.mul_(-1)
    after = model(image_embeddings=list(embeddings), multimask_output=False).pred_masks
    empty = before.new_zeros(1, 1, 0, 256)
    dense = model.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(1, -1, 64, 64)
    masks = {}
    for name in ("one", "other"):
        model.prompt_encoder.not_a_point_embed.weight.mul_(-1)
        masks[name] = model.mask_decoder(
            image_embeddings=embeddings[-1], image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=empty, dense_prompt_embeddings=dense, multimask_output=False,
            high_resolution_features=embeddings[:-1],
        )[0]
print(f"tokens of prompts: {tokens['sam2']} in SAM2ImagePredictor.predict(), {tokens['transformers']} in Sam2Model()")
moved = float((after - before).abs().max() / before.std())
print(f"the weight not_a_point_embed with the other sign moves masks of Sam2Model() by {moved:.2g} of their deviation")
still = float((masks["one"] - masks["other"]).abs().max())
print(f"its mask_decoder with sparse_prompt_embeddings of shape (1, 1, 0, 256) moves by {still:.2g}: that is no prompt")
as_described = tokens == {"sam2": 0, "transformers": 2} and moved > 0.1 and still == 0
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
