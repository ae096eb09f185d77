#!/bin/sh
# Importing mobile_sam replaces timm's models tiny_vit_*, which then fail for images of their own size.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 timm==1.0.31 numpy==2.3.4 || exit 2
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps mobilesam-mirror==1.0.0 || exit 2
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version

import timm
import torch

print(f"timm {timm.__version__}, mobilesam-mirror {version('mobilesam-mirror')}, torch {torch.__version__}")


def classify():
    """The module of timm's smallest TinyViT, and what it gives for an image of 224 pixels."""
    model = timm.create_model("tiny_vit_5m_224", num_classes=10).eval()
    try:
        with torch.no_grad():
            result = str(tuple(model(torch.zeros(1, 3, 224, 224)).shape))
    except RuntimeError as error:
        result = f"RuntimeError: {error}"
    return type(model).__module__, result


print('timm.create_model("tiny_vit_5m_224", num_classes=10) on an image of 224 x 224')
before = classify()
import mobile_sam  # noqa: E402, F401

after = classify()
print(f"before import mobile_sam: {before[0]} gives {before[1]}")
print(f"after it: {after[0]} gives {after[1]}")
as_described = before == ("timm.models.tiny_vit", "(1, 10)")
as_described &= after[0].startswith("mobile_sam.") and "64, 64" in after[1]
print("as described: the name is another network's, for as long as the process runs" if as_described else "changed")
sys.exit(not as_described)
PYTHON
