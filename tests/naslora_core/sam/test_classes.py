from functools import partial

import numpy as np
import pytest
import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer

from naslora_core.adapted.attach import add_adapters
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.classes import class_count, set_class_count
from naslora_core.sam.segmenter import PromptFreeSegmenter, predicted_classes
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases
from naslora_core.validation import mean_dice

SIDE = 64


@pytest.fixture
def small(model):
    return model.model_copy(update={"image_size": SIDE})


@pytest.fixture
def squares() -> PreparedData:
    """Four images with a square each of three classes, told by their colour."""
    rng = np.random.default_rng(8)
    images = rng.integers(0, 40, size=(4, SIDE, SIDE, 3)).astype(np.uint8)
    masks = np.zeros((4, SIDE, SIDE), dtype=np.uint8)
    for index in range(4):
        for place, name in enumerate(rng.permutation(3)):
            row, column = rng.integers(0, 8), 20 * place + rng.integers(0, 4)
            area = np.s_[index, row : row + 48, column : column + 16]
            masks[area] = name + 1
            images[area][..., name] = 230
    sizes = [(SIDE, SIDE)] * 4
    names = [f"square{index}" for index in range(4)]
    return PreparedData(images, masks, sizes, sizes, names, classes=("red", "green", "blue"))


def test_one_class_leaves_the_decoder_as_it_is(model):
    sam, untouched = load_base(model), load_base(model)
    assert class_count(sam) == 1
    set_class_count(sam, 1)
    assert class_count(sam) == 1
    for key, value in untouched.state_dict().items():
        assert torch.equal(sam.state_dict()[key], value)


@pytest.mark.parametrize("classes", [2, 4, 6])
def test_every_class_begins_as_the_single_mask(small, classes):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    segmenter = PromptFreeSegmenter(load_base(small))
    decoder = segmenter.sam.mask_decoder
    token, network = decoder.mask_tokens.weight[0], decoder.output_hypernetworks_mlps[0].state_dict()
    set_class_count(segmenter.sam, classes)
    for begun, mlp in zip(decoder.mask_tokens.weight, decoder.output_hypernetworks_mlps, strict=True):
        assert 0 < (begun - token).abs().max() < 0.01 * token.std()
        assert all(torch.equal(value, network[key]) for key, value in mlp.state_dict().items())
    with torch.no_grad():
        masks = segmenter(images)
    assert masks.shape == (2, segmenter.classes, SIDE // 4, SIDE // 4) == (2, classes, 16, 16)
    assert 0 < (masks - masks[:, :1]).abs().max() < 0.05 * masks.std()


def test_a_decoder_for_several_classes_is_upstreams_with_as_many_outputs(model):
    sam = load_base(model)
    width = sam.mask_decoder.transformer_dim
    set_class_count(sam, 5)
    transformer = partial(TwoWayTransformer, depth=2, embedding_dim=width)
    first = build_sam("sam_tiny").mask_decoder
    upstream = MaskDecoder(
        num_multimask_outputs=4,
        transformer=transformer(
            mlp_dim=first.transformer.layers[0].mlp.lin1.out_features,
            num_heads=first.transformer.num_heads,
        ),
        transformer_dim=width,
        iou_head_depth=3,
        iou_head_hidden_dim=first.iou_prediction_head.layers[0].out_features,
    )
    upstream.load_state_dict(sam.mask_decoder.state_dict(), strict=True)
    assert upstream.num_mask_tokens == sam.mask_decoder.num_mask_tokens == 5


def test_the_background_wins_where_all_logits_are_below_its_own():
    logits = torch.tensor([[-1.0, 0.0, 2.0, 1.0], [-2.0, -3.0, 1.0, 4.0]])[None, :, None]
    assert predicted_classes(logits).flatten().tolist() == [0, 0, 1, 2]


def test_dice_is_the_mean_over_images_of_classes_in_truth_or_prediction():
    class Fixed(torch.nn.Module):
        sam = build_sam("sam_tiny")

        def forward(self, images):
            # Predicts class 1 in the upper half and class 2 nowhere; class 3 exists but occurs nowhere.
            logits = torch.full((len(images), 3, 4, 4), -1.0)
            logits[:, 0, :2] = 1
            return logits

        def upscale(self, logits):
            return logits

    masks = np.zeros((2, 4, 4), dtype=np.uint8)
    masks[0, 0] = 1
    masks[0, 3] = 2
    masks[1, :2] = 1
    sizes = [(4, 4), (4, 4)]
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    data = PreparedData(images, masks, sizes, sizes, ["a", "b"], classes=("x", "y", "z"))
    of_first = (2 * 4 / (8 + 4) + 0) / 2
    assert mean_dice(Fixed(), data, "fp32") == pytest.approx((of_first + 1) / 2)


def test_three_classes_are_learnt(small, adapter, search, train, squares):
    sam = load_base(small)
    set_class_count(sam, len(squares.classes))
    adapters = add_adapters(sam, adapter, search, seed=2)
    segmenter = PromptFreeSegmenter(sam)
    before = mean_dice(segmenter, squares, "fp32")
    train = train.model_copy(update={"epochs": 9, "batch_size": 4, "augment": False, "decoder_lr": 0.003})
    search = search.model_copy(update={"alphas": "uniform"})
    record = SearchAndTrain(AlternatingPhases(segmenter, adapters, squares, train, search, "fp32", 2), squares).run()
    assert record.best_dice > before + 0.4
