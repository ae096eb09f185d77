"""The genotype and the alphas of layers that chose, and what the report makes of them."""

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.genotype import describe_genotype
from naslora_core.adapted.searched_layers import read_found, read_genotype
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.layer import ChoosingLayer
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.report.figures.choosing import ranks_left, settled_epoch, spatial_shares
from naslora_core.sam.build import build_sam
from naslora_core.training.history import record_alphas

QKV, LIN1 = "image_encoder.blocks.0.attn.qkv", "image_encoder.blocks.0.mlp.lin1"
SPACE = ("skip_connect", "conv_3x3", "image_conv_3x3", "singular_values")
CHOICES = {
    QKV: LayerChoice(operation="image_conv_3x3", ranks={"q": 4, "k": 0, "v": 2}),
    LIN1: LayerChoice(operation="skip_connect", ranks={"lin1": 2}),
    "image_encoder.blocks.2.attn.qkv": LayerChoice(operation="conv_3x3", ranks={"q": 2, "k": 2, "v": 2}),
}
NO_CHOICE = {"qkv": {"q": 0, "k": 0, "v": 0}, "lin1": {"lin1": 0}}


@pytest.fixture
def searching(search: SearchConfig, adapter: AdapterConfig):
    """A sam_tiny whose layers are still to choose."""
    sam = build_sam("sam_tiny")
    targets = adapter.model_copy(update={"target_modules": ("attn.qkv", "mlp.lin1")})
    return sam, add_adapters(sam, targets, search.model_copy(update={"budget": 1.05, "space": SPACE}), seed=1)


def choose(adapters) -> None:
    for name, layer in adapters.items():
        assert isinstance(layer, ChoosingLayer)
        left_alone = LayerChoice(operation="conv_3x3", ranks=NO_CHOICE[name.rpartition(".")[2]])
        layer.choose(CHOICES.get(name, left_alone))


def test_a_found_architecture_says_what_its_operations_see_and_cost(searching, tmp_path: Path):
    sam, adapters = searching
    choose(adapters)
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(describe_genotype(sam, adapters)), encoding="utf-8")
    found = read_found(read_genotype(path))
    assert found is not None
    assert found.spatial == ["conv_3x3", "image_conv_3x3"]
    assert [layer.name for layer in found.branches] == list(CHOICES)
    # Attention of blocks 0 and 2 sees windows; a convolution of the image sees all of it there, another one does not.
    assert [layer.sees for layer in found.branches] == ["image", "token", "8x8"]
    assert found.branches[0].ranks == {"q": 4, "k": 0, "v": 2}
    assert [layer.cost > 0 for layer in found.branches] == [True, False, True]
    assert found.inference == pytest.approx(1 + sum(layer.cost for layer in found.branches), abs=1e-5)


def test_the_trajectory_ends_with_what_was_chosen(searching):
    _, adapters = searching
    records = record_alphas(0, adapters)
    choose(adapters)
    table = pd.DataFrame([asdict(record) for record in records + record_alphas(1, adapters)])
    of_ranks = table["primitive"].str.startswith("rank ")
    operations, ranks = table[~of_ranks], table[of_ranks]
    left = ranks_left(ranks)
    assert set(left[0]) == {4}
    assert list(left[1][:4]) == [4, 0, 2, 2]
    shares = spatial_shares(operations, ranks, {"conv_3x3", "image_conv_3x3"})
    assert list(shares.index) == list(adapters)
    # Two of the three operations that are mixed; layers without a rank end without a branch, whatever they would do.
    assert list(shares[0]) == pytest.approx([2 / 3] * len(adapters), abs=1e-5)
    assert list(shares.index[shares[1] == 1]) == [QKV, "image_encoder.blocks.2.attn.qkv"]
    assert shares[1].sum() == 2
    assert settled_epoch(operations, ranks) == 1
    assert settled_epoch(operations[operations["epoch"] == 0], ranks[ranks["epoch"] == 0]) is None
