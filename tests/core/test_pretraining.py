import csv

import numpy as np
import pytest
import torch

from naslora_core.data.synthetic.scenes import SceneGenerator
from naslora_core.errors import CheckpointError
from naslora_core.pretraining import loop
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.model import PromptedMasks, mask_iou, prompt_loss, scene_loss
from naslora_core.pretraining.scenes import PromptedSceneDataset
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import read_metadata, read_weights


@pytest.fixture(scope="module")
def generator():
    return SceneGenerator(seed=5, side=256)


def test_a_scene_depends_on_its_number_alone(generator):
    again = SceneGenerator(seed=5, side=256)
    first, second = generator.draw(3), again.draw(3)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.image, generator.draw(4).image)


def test_the_objects_of_a_scene_are_numbered_and_none_is_too_small(generator):
    for index in range(8):
        scene = generator.draw(index)
        assert scene.image.shape == (256, 256, 3)
        assert sorted(np.unique(scene.labels)) == list(range(scene.object_count + 1))
        areas = np.bincount(scene.labels.ravel())[1:]
        assert (areas >= 0.003 * 256**2).all()


def test_points_lie_inside_their_object_and_boxes_around_it(generator):
    for centred in (True, False):
        batch = PromptedSceneDataset(generator, 2, 3, prompts=4, centred=centred, jitter_px=0)[1]
        assert batch.masks.shape == (3, 4, 256, 256)
        prompts = (batch.masks.flatten(0, 1), batch.points.flatten(0, 1), batch.boxes.flatten(0, 1))
        for mask, point, box in zip(*prompts, strict=True):
            assert mask[int(point[1]), int(point[0])]
            left, top, right, bottom = (int(value) for value in box)
            assert mask.sum() == mask[top:bottom, left:right].sum()
            assert mask[top].any()
            assert mask[:, right - 1].any()


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


def test_a_step_reduces_the_loss_of_its_batch(generator):
    torch.manual_seed(0)
    sam = build_sam("sam_tiny")
    batch = PromptedSceneDataset(generator, 1, 2, prompts=2, centred=False, jitter_px=0)[0]
    optimizer = torch.optim.AdamW(sam.parameters(), lr=0.0005)
    losses = []
    for _ in range(6):
        loss = scene_loss(sam, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.fixture
def short(monkeypatch):
    """A pre-training of three steps that saves after each; its evaluation looks at ten scenes."""
    monkeypatch.setattr(loop, "SAVE_EVERY", 1)
    monkeypatch.setattr(loop, "CURVE_EVERY", 1)
    evaluate = loop.evaluate_prompts
    monkeypatch.setattr(loop, "evaluate_prompts", lambda sam, **options: evaluate(sam, scene_count=10, **options))
    return PretrainConfig(steps=3, batch_size=2, prompts_per_scene=2, warmup_steps=1)


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
    measured = loop.pretrain(short, halved, "fp32")
    first, second = read_weights(whole), read_weights(halved)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert set(measured) == {f"{kind}_{how}" for kind in ("point", "box") for how in ("single", "best", "oracle")}
    metadata = read_metadata(halved)
    assert PretrainConfig.model_validate_json(metadata["config"]) == short
    assert float(metadata["held_out_box_oracle_iou"]) == pytest.approx(measured["box_oracle"], abs=1e-4)
    with (tmp_path / "whole.safetensors.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_the_learning_rate_rises_stays_and_falls():
    config = PretrainConfig(steps=100, warmup_steps=10, decay_share=0.5, lr=1)
    assert config.learning_rate(0) == pytest.approx(0.1)
    assert config.learning_rate(20) == config.learning_rate(45) == 1
    assert config.learning_rate(75) == pytest.approx(0.5)
