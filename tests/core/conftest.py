from pathlib import Path

import numpy as np
import pytest
import torch

from naslora_core.config import AdapterConfig, ModelConfig, SearchConfig, TrainConfig
from naslora_core.data.prepared import PreparedData
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import save_weights
from naslora_core.training.setup import add_adapters


@pytest.fixture(scope="session")
def base_file(tmp_path_factory) -> Path:
    """A sam_tiny with random weights on disk."""
    torch.manual_seed(11)
    path = tmp_path_factory.mktemp("base") / "sam_tiny.safetensors"
    save_weights(path, build_sam("sam_tiny").state_dict(), {})
    return path


@pytest.fixture
def model(base_file) -> ModelConfig:
    return ModelConfig(name="sam_tiny", checkpoint=base_file, image_size="native", precision="fp32")


@pytest.fixture
def adapter() -> AdapterConfig:
    return AdapterConfig(method="nas_lora", rank=4, lora_alpha=8, target_modules=("attn.qkv",))


@pytest.fixture
def search() -> SearchConfig:
    return SearchConfig(
        space="linear",
        nodes=1,
        partial_channel_k=2,
        share_alphas=False,
        alphas="searched",
        warmup_epochs=1,
        alternate="steps",
        arch_every=1,
        arch_split=0.4,
        arch_lr=0.05,
        arch_schedule="constant",
        arch_weight_decay=0,
        temperature=1,
        final_temperature=1,
        pointwise_pressure=0,
    )


@pytest.fixture
def train() -> TrainConfig:
    return TrainConfig(
        epochs=2,
        batch_size=3,
        loss="ce_dice",
        structure_weights_bce=False,
        lr=0.005,
        decoder_lr=0.001,
        weight_decay=0.01,
        warmup_steps=1,
        clip_norm=1,
        augment=True,
    )


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 256, 256), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


@pytest.fixture
def adapted_sam(adapter, search):
    """A sam_tiny whose adapters and alphas were moved away from their neutral start."""
    torch.manual_seed(13)
    sam = build_sam("sam_tiny")
    adapters = add_adapters(sam, adapter, search, seed=1)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
        for alphas in layer.arch_parameters():
            torch.nn.init.normal_(alphas)
    return sam, adapters


@pytest.fixture
def prepared() -> PreparedData:
    """Five grey images with one bright disc each; the last image fills only part of its square."""
    rng = np.random.default_rng(4)
    images = rng.integers(60, 100, size=(5, 256, 256, 3)).astype(np.uint8)
    masks = np.zeros((5, 256, 256), dtype=np.uint8)
    rows, columns = np.mgrid[:256, :256]
    for index in range(5):
        centre = rng.integers(60, 140, size=2)
        masks[index] = np.hypot(rows - centre[0], columns - centre[1]) < 40
        images[index][masks[index] > 0] += 120
    sizes = [(256, 256)] * 4 + [(200, 256)]
    images[4, 200:] = 0
    masks[4, 200:] = 0
    return PreparedData(images, masks, sizes, sizes, [f"image{i}" for i in range(5)])
