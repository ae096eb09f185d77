import csv

import pytest
import torch

from naslora_core.data.synthetic.scenes import SceneGenerator
from naslora_core.errors import CheckpointError
from naslora_core.pretraining import loop
from naslora_core.pretraining.averages import WeightAverage
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.curriculum import training_batches
from naslora_core.pretraining.model import PromptedMasks, answer_points, encode, mask_iou, prompt_loss, scene_loss
from naslora_core.pretraining.optim import PretrainOptimizer
from naslora_core.pretraining.scenes import LARGEST_JITTER_PX, PromptedSceneDataset
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.decode import decode_masks
from naslora_core.sam.weights import read_metadata, read_weights


@pytest.fixture(scope="module")
def generator():
    return SceneGenerator(seed=5, side=256)


def test_points_lie_inside_their_object_and_boxes_around_it(generator):
    for centred in (True, False):
        batch = PromptedSceneDataset(generator, 2, 3, prompts=4, centred=centred, jitter=0)[1]
        assert batch.masks.shape == (3, 4, 256, 256)
        prompts = (batch.masks.flatten(0, 1), batch.points.flatten(0, 1), batch.boxes.flatten(0, 1))
        for mask, point, box in zip(*prompts, strict=True):
            assert mask[int(point[1]), int(point[0])]
            left, top, right, bottom = (int(value) for value in box)
            assert mask.sum() == mask[top:bottom, left:right].sum()
            assert mask[top].any()
            assert mask[:, right - 1].any()


def test_the_error_of_a_box_grows_with_the_box_up_to_a_limit(generator):
    exact = PromptedSceneDataset(generator, 1, 4, prompts=4, centred=True, jitter=0)[0].boxes.flatten(0, 1)
    rough = PromptedSceneDataset(generator, 1, 4, prompts=4, centred=True, jitter=0.1)[0].boxes.flatten(0, 1)
    error = (rough - exact).abs()
    assert 0 < error.max() <= LARGEST_JITTER_PX
    sides = (exact[:, 2:] - exact[:, :2]).repeat(1, 2)
    assert (error <= 0.5 * sides).all()


def test_small_scenes_come_first_and_lie_in_a_corner_of_the_input():
    batches = training_batches(PretrainConfig(steps=3, small_steps=2, batch_size=2, prompts_per_scene=2))
    assert [batches[step].images.shape[-1] for step in range(3)] == [128, 128, 256]
    assert batches[2].origin == (0, 0)
    assert {batches[step].origin for step in range(2)} <= {(0, 0), (0, 128), (128, 0), (128, 128)}


def test_a_small_scene_is_seen_where_it_lies():
    torch.manual_seed(0)
    sam = build_sam("sam_tiny")
    whole = torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(encode(sam, whole), sam.image_encoder(normalise(sam, whole)))
        tokens = encode(sam, whole[..., 128:, :128], origin=(128, 0))
        assert not torch.allclose(tokens, encode(sam, whole[..., 128:, :128], origin=(0, 0)))
        # Moving the image or moving the prompt is the same.
        moved = answer_points(sam, tokens, torch.tensor([[[30.0, 40.0]]]), origin=(128, 0))
        sparse, dense = sam.prompt_encoder((torch.tensor([[[30.0, 168.0]]]), torch.ones(1, 1)), None, None)
        image_pe = sam.prompt_encoder.get_dense_pe()[..., 8:, :8]
        masks, _ = decode_masks(sam.mask_decoder, tokens, image_pe, sparse, dense[..., 8:, :8])
    assert moved.low_res_masks.shape == (1, 4, 32, 32)
    torch.testing.assert_close(moved.low_res_masks, masks)


def test_iou_is_intersection_over_union():
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, :4] = True
    logits = -torch.ones(1, 2, 8, 8)
    logits[0, 0, :4] = 1
    logits[0, 1, 2:6] = 1
    torch.testing.assert_close(mask_iou(logits, masks), torch.tensor([[1.0, 1 / 3]]))


def test_only_the_best_of_the_three_guesses_learns():
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[0, :32] = True
    logits = torch.zeros(1, 4, 64, 64)
    logits[0, 2, :32] = 1
    logits.requires_grad_()
    prompt_loss(PromptedMasks(logits, torch.zeros(1, 4)), masks).backward()
    learns = [bool(logits.grad[0, token].any()) for token in range(4)]
    assert learns == [True, False, True, False]


def test_every_parameter_has_one_optimizer_and_matrices_of_transformers_have_muon():
    sam = build_sam("sam_tiny")
    before = {name: parameter.detach().clone() for name, parameter in sam.named_parameters()}
    for parameter in sam.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = PretrainOptimizer(sam, weight_decay=0)
    optimizer.step(lr=0.1)
    assert all(not torch.equal(before[name], parameter) for name, parameter in sam.named_parameters())
    muon, adamw = optimizer.state_dict()
    assert len(muon["state"]) + len(adamw["state"]) == len(before)
    # Eight blocks with four matrices each; two decoder layers with 14 each, and the last attention's four.
    assert len(muon["state"]) == 8 * 4 + 2 * 14 + 4


def test_averaged_weights_follow_their_formula_and_forget_the_start():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0)
    average = WeightAverage(module, decay=0.5)
    module.weight.data.fill_(1)
    average.update(module, step=0)
    assert float(average.state_dict()["weight"]) == pytest.approx(0.9)
    average.update(module, step=100)
    assert float(average.state_dict()["weight"]) == pytest.approx(0.95)


def test_a_step_reduces_the_loss_of_its_batch(generator):
    torch.manual_seed(0)
    sam = build_sam("sam_tiny")
    batch = PromptedSceneDataset(generator, 1, 2, prompts=2, centred=False, jitter=0)[0]
    optimizer = PretrainOptimizer(sam, weight_decay=0)
    losses = []
    for _ in range(6):
        loss = scene_loss(sam, batch)
        loss.backward()
        optimizer.step(lr=0.0005)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.fixture
def short(monkeypatch):
    """A pre-training of three steps that saves after each; its evaluation looks at ten scenes."""
    monkeypatch.setattr(loop, "SAVE_EVERY", 1)
    monkeypatch.setattr(loop, "CURVE_EVERY", 1)
    evaluate = loop.evaluate_prompts
    monkeypatch.setattr(loop, "evaluate_prompts", lambda sam, **options: evaluate(sam, scene_count=10, **options))
    return PretrainConfig(steps=3, decay_steps=2, small_steps=1, batch_size=2, prompts_per_scene=2, warmup_steps=1)


@pytest.mark.slow
def test_pretraining_goes_on_where_it_stopped_and_records_itself(short, tmp_path):
    whole, halved = tmp_path / "whole.safetensors", tmp_path / "halved.safetensors"
    loop.pretrain(short, whole, "fp32")

    def interrupt(done: int, total: int, message: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(short, halved, "fp32", interrupt)
    assert not halved.exists()
    with pytest.raises(CheckpointError, match="left by a run with other settings"):
        loop.pretrain(short.model_copy(update={"lr": 0.5}), halved, "fp32")
    # Row 2 of the curve is of a step after the saved state, which is taken again.
    (tmp_path / "halved.safetensors.csv").open("a").write("2,9.9,0,1\n")
    measured = loop.pretrain(short, halved, "fp32")
    first, second = read_weights(whole), read_weights(halved)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert set(measured) == {f"{kind}_{how}" for kind in ("point", "box") for how in ("single", "best", "oracle")}
    metadata = read_metadata(halved)
    assert PretrainConfig.model_validate_json(metadata["config"]) == short
    assert float(metadata["held_out_box_oracle_iou"]) == pytest.approx(measured["box_oracle"], abs=1e-4)
    for name in ("whole", "halved"):
        with (tmp_path / f"{name}.safetensors.csv").open() as file:
            assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_a_run_may_be_lengthened_or_cooled_down_and_nothing_else():
    config = PretrainConfig(steps=100, decay_steps=10)
    assert config.model_copy(update={"steps": 40, "decay_steps": 5}).continues(config)
    assert not config.model_copy(update={"seed": 2}).continues(config)


def test_the_learning_rate_rises_stays_and_falls():
    config = PretrainConfig(steps=100, warmup_steps=10, decay_steps=50, lr=1)
    assert config.learning_rate(0) == pytest.approx(0.1)
    assert config.learning_rate(20) == config.learning_rate(45) == 1
    assert config.learning_rate(75) == pytest.approx(0.5)
