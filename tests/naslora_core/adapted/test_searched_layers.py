import math
from pathlib import Path

import numpy as np
import pytest

from naslora_core.adapted.searched_layers import NO_BRANCH, Layer, mean_layers, normalised_entropy, read_genotype
from naslora_core.errors import DataError
from naslora_core.report.architecture import architecture_in_words, layer_label

SPACE = ["none", "skip_connect", "conv_3x3", "conv_5x5"]


def layer(block: int, window: str, **weights: float) -> Layer:
    rest = (1 - sum(weights.values())) / (len(SPACE) - len(weights))
    return Layer(f"image_encoder.blocks.{block}.attn.qkv", window, {name: weights.get(name, rest) for name in SPACE})


def test_entropy_is_one_for_equal_weights_and_zero_for_a_choice():
    assert normalised_entropy(np.full(5, 0.2)) == pytest.approx(1)
    assert normalised_entropy(np.array([0.0, 1.0, 0.0])) == 0
    assert normalised_entropy(np.array([1.0])) == 0


def test_entropy_of_a_half_choice_follows_its_formula():
    expected = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25)) / math.log(3)
    assert normalised_entropy(np.array([0.5, 0.25, 0.25])) == pytest.approx(expected)


def test_the_sentence_names_the_strongest_primitive_and_how_often_it_wins():
    layers = [layer(0, "8x8", conv_3x3=0.7), layer(1, "8x8", conv_3x3=0.6), layer(2, "8x8", conv_5x5=0.5)]
    sentence = architecture_in_words(layers, SPACE)
    assert "over 3 layers conv_3x3 weighs most (0.49, where equal shares would be 0.25)" in sentence
    assert "strongest primitive in 2 of them" in sentence
    assert "whole image" not in sentence


def test_the_sentence_tells_layers_with_the_whole_image_from_those_with_windows():
    layers = [layer(0, "8x8", conv_3x3=0.7), layer(1, "8x8", conv_3x3=0.7), layer(2, "image", conv_5x5=0.8)]
    assert "see the whole image lean to conv_5x5, layers that see windows to conv_3x3" in architecture_in_words(
        layers, SPACE
    )


@pytest.mark.parametrize(
    ("weight", "words"),
    [(0.26, "not as a choice"), (0.6, "leans without choosing"), (0.95, "close to a choice")],
)
def test_the_sentence_says_how_decided_the_search_is(weight: float, words: str):
    assert words in architecture_in_words([layer(0, "8x8", conv_3x3=weight)], SPACE)


def test_a_layer_is_called_by_its_block_and_what_it_sees():
    assert layer_label(layer(7, "image")) == "block 7 · image"
    assert layer_label(Layer("mask_decoder.proj", "8x8", {"none": 1.0})) == "mask_decoder.proj · 8x8"


def test_an_edge_of_a_larger_cell_is_called_by_its_nodes():
    edge = Layer("image_encoder.blocks.3.attn.qkv:0_2", "8x8", {"none": 1.0})
    assert layer_label(edge) == "block 3 · 8x8 · 0→2"


def test_a_pointwise_layer_has_an_entropy_although_other_operations_are_gone():
    weights = dict(zip(SPACE, (0.5, 0.5, 0.0, 0.0), strict=True))
    assert Layer("blocks.0.attn.qkv", "image", weights).entropy == pytest.approx(0.5)


def test_a_layer_of_another_module_than_qkv_has_that_in_its_name():
    assert layer_label(Layer("image_encoder.blocks.3.mlp.lin1", "image", {"none": 1.0})) == "block 3 · mlp.lin1 · image"


def chosen(block: int, operation: str, rank: int) -> dict[str, object]:
    name = f"image_encoder.blocks.{block}.mlp.lin1"
    return {"layer": name, "window": "image", "weights": {operation: 1.0}, "ranks": {"lin1": rank}}


def test_the_mean_of_architectures_counts_layers_that_some_leave_as_they_are():
    seeds = [
        {"space": ["conv_3x3"], "layers": [chosen(2, "conv_3x3", 4), chosen(10, "conv_3x3", 0)]},
        {"space": ["none", "conv_3x3"], "layers": [chosen(0, "none", 8), chosen(2, "none", 2)]},
    ]
    layers, space = mean_layers(seeds)
    assert space == ["conv_3x3", "none", NO_BRANCH]
    assert [layer.name.split(".")[2] for layer in layers] == ["0", "2", "10"]
    assert [list(layer.weights.values()) for layer in layers] == [[0, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 1]]


def test_the_mean_of_mixtures_is_that_of_their_weights():
    mixtures = [
        {"space": ["none", "conv_3x3"], "layers": [{"layer": "a.0", "window": "8x8", "weights": weights}]}
        for weights in ({"none": 0.25, "conv_3x3": 0.75}, {"none": 0.75, "conv_3x3": 0.25})
    ]
    assert mean_layers(mixtures) == ([Layer("a.0", "8x8", {"none": 0.5, "conv_3x3": 0.5})], ["none", "conv_3x3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not found; the search_train stage writes it"),
        ("{", "is not valid JSON"),
        ('{"space": []}', "lacks layers; expected space, layers"),
        ('{"space": [], "layers": [], "inference": 1}', "lacks spatial, parameters"),
        ('{"space": [], "layers": [{"layer": "a", "weights": {}}]}', "a layer lacks 'window'"),
    ],
)
def test_a_genotype_that_cannot_be_used_is_named(text: str | None, message: str, tmp_path: Path):
    path = tmp_path / "genotype.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_genotype(path)
    assert str(path) in str(caught.value)
