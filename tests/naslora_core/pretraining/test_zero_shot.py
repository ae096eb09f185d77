import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.errors import ConfigError, DataError
from naslora_core.pretraining import zero_shot
from naslora_core.pretraining.evaluate import PromptScores
from naslora_core.pretraining.model import PromptedMasks
from naslora_core.sam.build import build_sam

HEIGHT, WIDTH = 90, 150


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return build_sam("sam_tiny")


def rectangles(root, boxes):
    """Write a domain whose test images show one white rectangle each; None is an empty image."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for index, box in enumerate(boxes):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = 255
        Image.fromarray(np.repeat(mask[..., None], 3, axis=2)).save(root / "images" / f"{index}.png")
        Image.fromarray(mask).save(root / "masks" / f"{index}.png")
    split = SplitRule(kind="random", seed=1, train=0.0, validation=0.0, test=1.0)
    card = DatasetCard(
        name="boxes",
        title="Boxes",
        classes=("box",),
        mask_threshold=128,
        split=split,
        licence="",
        citation="",
        source="",
    )
    write_card(root, card)
    write_splits(root, {str(index): "test" for index in range(len(boxes))})
    return read_dataset(root)


def test_prompts_and_masks_are_moved_between_the_image_and_the_square(tmp_path, sam, monkeypatch):
    seen = []

    def fill_the_box(sam, images, points, boxes, precision):
        """Answer with the box, with which the rectangle agrees, and with nothing to the point."""
        side, quarter = images.shape[-1], images.shape[-1] // 4
        seen.append((images, points[0, 0], boxes[0, 0]))
        left, top, right, bottom = (boxes[0, 0] * quarter / side).round().int().tolist()
        logits = torch.full((1, 4, quarter, quarter), -5.0)
        logits[..., top:bottom, left:right] = 5.0
        answer, nothing = PromptedMasks(logits, torch.zeros(1, 4)), PromptedMasks(logits * 0 - 1, torch.zeros(1, 4))
        return {"box": answer, "point": nothing}

    monkeypatch.setattr(zero_shot, "answer_both", fill_the_box)
    dataset = rectangles(tmp_path / "boxes", [(30, 20, 90, 60), (100, 40, 150, 90), None])
    scores = zero_shot.evaluate_domain(sam, dataset)
    assert len(seen) == 2
    for images, point, box in seen:
        x, y = (int(value) for value in point.round())
        assert images[0, :, y, x].eq(255).all()
        assert box[0] < x < box[2]
        assert box[1] < y < box[3]
    # The edges of the box are off by up to half a pixel of the mask, which are 64 across 150 pixels.
    assert scores["box_single"] == scores["box_oracle"] > 0.9
    assert scores["point_single"] == 0


def test_a_real_model_answers_both_prompts(tmp_path, sam):
    scores = zero_shot.evaluate_domain(sam, rectangles(tmp_path / "boxes", [(30, 20, 90, 60)]))
    assert set(scores) == {f"{kind}_{how}" for kind in ("point", "box") for how in ("single", "best", "oracle")}
    assert all(0 <= value <= 1 for value in scores.values())


def test_images_without_foreground_cannot_be_prompted(tmp_path, sam):
    with pytest.raises(DataError, match="no test image with foreground"):
        zero_shot.evaluate_domain(sam, rectangles(tmp_path / "boxes", [None]))


def test_best_is_what_the_model_rates_highest_and_oracle_what_is():
    scores = PromptScores()
    scores.add("box", torch.tensor([[0.5, 0.2, 0.9, 0.4]]), torch.tensor([[1.0, 0.1, 0.2, 0.3]]))
    scores.add("box", torch.tensor([[0.3, 0.2, 0.1, 0.0]]), torch.tensor([[1.0, 0.9, 0.2, 0.3]]))
    assert scores.means() == pytest.approx({"box_single": 0.4, "box_best": 0.3, "box_oracle": 0.55})


def test_ignored_pixels_are_neither_prompted_nor_scored(tmp_path, sam, monkeypatch):
    dataset = rectangles(tmp_path / "boxes", [(30, 20, 90, 60), None])
    mask = np.array(Image.open(dataset.pairs[0].mask))
    mask[:10], mask[:, :40], mask[70:] = 7, 7, 7
    Image.fromarray(mask).save(dataset.pairs[0].mask)
    Image.fromarray(np.full((HEIGHT, WIDTH), 7, np.uint8)).save(dataset.pairs[1].mask)
    write_card(dataset.root, dataset.card.model_copy(update={"mask_ignore": (7,)}))
    seen = []

    def everything(sam, images, points, boxes, precision):
        quarter = images.shape[-1] // 4
        seen.append((points[0, 0].tolist(), boxes[0, 0].tolist()))
        masks = PromptedMasks(torch.ones(1, 4, quarter, quarter), torch.zeros(1, 4))
        return {"box": masks, "point": masks}

    monkeypatch.setattr(zero_shot, "answer_both", everything)
    scores = zero_shot.evaluate_domain(sam, read_dataset(dataset.root))
    ((_, box),) = seen
    side = sam.image_encoder.img_size
    assert box == pytest.approx([value * side / WIDTH for value in (40, 20, 90, 60)], abs=1)
    assert scores["box_single"] == pytest.approx(50 * 40 / (60 * 110))


@pytest.mark.parametrize("name", ["mobile_sam_mini", "sam2_mini", "sam3_mini"])
def test_other_families_are_refused_in_words(name, tmp_path):
    pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
    pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
    dataset = rectangles(tmp_path / "boxes", [(10, 10, 40, 40)])
    with pytest.raises(ConfigError, match=f"this model is a {name.removesuffix('_mini')}; .* stage evaluate"):
        zero_shot.evaluate_domain(build_sam(name), dataset)
