import pytest
import torch

from naslora_core.adapted import load_adapted, save_adapted
from naslora_core.errors import CheckpointError
from naslora_core.genotype import describe_architecture
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base, save_weights
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.batches import make_batch, split_for_search
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.losses import bce_dice_loss
from naslora_core.training.setup import add_adapters
from naslora_core.training.validate import mean_dice


def make_run(model, adapter, search, train, prepared, seed=3):
    sam = load_base(model)
    adapters = add_adapters(sam, adapter, search, seed)
    segmenter = PromptFreeSegmenter(sam)
    return SearchAndTrain(segmenter, adapters, prepared, prepared, train, search, "fp32", seed), segmenter, adapters


def test_training_changes_adapters_alphas_and_decoder_and_nothing_else(model, adapter, search, train, prepared):
    run, segmenter, adapters = make_run(model, adapter, search, train, prepared)
    before = {name: value.clone() for name, value in segmenter.named_parameters()}
    record = run.run()
    changed = {name for name, value in segmenter.named_parameters() if not torch.equal(value, before[name])}
    frozen = {name for name, value in segmenter.named_parameters() if not value.requires_grad}
    assert not changed & frozen
    assert any(name.endswith("lora_B") for name in changed)
    assert "sam.mask_decoder.mask_tokens.weight" in changed
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert record.epochs[0].arch_loss is None
    assert record.epochs[1].arch_loss > 0
    assert len(record.alphas) == 3 * len(adapters) * 8
    # The alphas rest in the first epoch and move in the second.
    moved = {epoch: {a.weight for a in record.alphas if a.epoch == epoch} - {0.125} for epoch in (0, 1, 2)}
    assert not moved[0]
    assert not moved[1]
    assert moved[2]


def test_one_batch_overfits(model, adapter, search, train, prepared):
    plain = train.model_copy(update={"epochs": 25, "batch_size": 5, "augment": False})
    run, segmenter, _ = make_run(model, adapter, search, plain, prepared)
    before = mean_dice(segmenter, prepared, "fp32")
    record = run.run()
    assert record.epochs[-1].train_loss < 0.6 * record.epochs[0].train_loss
    assert record.best_dice > max(0.6, before + 0.2)
    assert record.best_dice == pytest.approx(mean_dice(segmenter, prepared, "fp32"))


def test_the_same_seed_gives_the_same_run_and_another_seed_another(model, adapter, search, train, prepared):
    losses = []
    for seed in (3, 3, 4):
        run, _, _ = make_run(model, adapter, search, train, prepared, seed)
        losses.append([epoch.train_loss for epoch in run.run().epochs])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(model, adapter, search, train, prepared, tmp_path):
    whole, whole_segmenter, _ = make_run(model, adapter, search, train, prepared)
    expected = whole.run()

    def interrupt(done: int, total: int, message: str) -> None:
        if message.startswith("epoch 2"):
            raise KeyboardInterrupt

    state_file = tmp_path / "state.pt"
    first, _, _ = make_run(model, adapter, search, train, prepared)
    with pytest.raises(KeyboardInterrupt):
        first.run(state_file, interrupt)
    second, segmenter, _ = make_run(model, adapter, search, train, prepared)
    resumed = second.run(state_file)
    assert [e.train_loss for e in resumed.epochs] == [e.train_loss for e in expected.epochs]
    assert resumed.alphas == expected.alphas
    for name, value in whole_segmenter.state_dict().items():
        assert torch.equal(segmenter.state_dict()[name], value), name


def test_a_state_that_cannot_be_read_starts_anew(model, adapter, search, train, prepared, tmp_path):
    state_file = tmp_path / "state.pt"
    state_file.write_bytes(b"half a file")
    run, _, _ = make_run(model, adapter, search, train.model_copy(update={"epochs": 1}), prepared)
    assert [epoch.epoch for epoch in run.run(state_file).epochs] == [1]


def test_an_adapter_survives_the_disk(model, adapter, search, adapted_sam, images, tmp_path):
    sam = load_base(model)
    adapters = add_adapters(sam, adapter, search, seed=5)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
        torch.nn.init.normal_(layer.cell.alphas)
    segmenter = PromptFreeSegmenter(sam)
    save_adapted(tmp_path, segmenter, adapters, model, adapter, search, seed=5)
    loaded, found = load_adapted(tmp_path, model)
    with torch.no_grad():
        assert torch.equal(loaded(images), segmenter(images))
    assert describe_architecture(loaded.sam, found) == describe_architecture(sam, adapters)


def test_an_adapter_refuses_another_base(model, adapter, search, tmp_path):
    sam = load_base(model)
    adapters = add_adapters(sam, adapter, search, seed=5)
    save_adapted(tmp_path, PromptFreeSegmenter(sam), adapters, model, adapter, search, seed=5)
    torch.manual_seed(99)
    other = tmp_path / "other.safetensors"
    save_weights(other, build_sam("sam_tiny").state_dict(), {})
    with pytest.raises(CheckpointError, match="restore that base or train again"):
        load_adapted(tmp_path, model.model_copy(update={"checkpoint": other}))


def test_the_architecture_names_every_layer_with_what_it_sees(adapted_sam):
    sam, _ = adapted_sam
    found = describe_architecture(sam, adapted_sam[1])
    assert [layer["window"] for layer in found["layers"]] == ["8x8", "image"] * 4
    for layer in found["layers"]:
        assert sum(layer["weights"].values()) == pytest.approx(1, abs=1e-4)
        assert layer["weights"][layer["argmax"]] == max(layer["weights"].values())


def test_the_loss_is_zero_for_certainty_and_ignores_padding():
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4, :4] = 1
    valid = torch.ones_like(masks)
    right = (masks * 2 - 1) * 40
    assert bce_dice_loss(right, masks, valid) < 1e-6
    assert bce_dice_loss(-right, masks, valid) > 10
    valid[..., 4:, :] = 0
    wrong_outside = torch.where(valid > 0, right, -right)
    assert bce_dice_loss(wrong_outside, masks, valid) < 1e-6


def test_the_loss_of_a_shrug_is_what_the_formula_says():
    masks = torch.zeros(1, 1, 2, 2)
    masks[..., 0, :] = 1
    expected = torch.log(torch.tensor(2.0)) + 1 - (2 * 1 + 1) / (2 + 2 + 1)
    torch.testing.assert_close(bce_dice_loss(torch.zeros(1, 1, 2, 2), masks, torch.ones_like(masks)), expected)


def test_dice_counts_only_the_image_and_not_its_padding(prepared):
    class Everything(torch.nn.Module):
        sam = build_sam("sam_tiny")

        def forward(self, images):
            return torch.ones(len(images), 1, 64, 64)

        def upscale(self, masks):
            return torch.nn.functional.interpolate(masks, size=(256, 256))

    expected = []
    for mask, (height, width) in zip(prepared.masks, prepared.input_sizes, strict=True):
        expected.append(2 * mask.sum() / (mask.sum() + height * width))
    assert mean_dice(Everything(), prepared, "fp32") == pytest.approx(sum(expected) / 5)


def test_rows_are_divided_between_weights_and_alphas_without_overlap():
    weights, alphas = split_for_search(50, 0.2, seed=1)
    assert len(alphas) == 10
    assert sorted(weights + alphas) == list(range(50))
    assert split_for_search(50, 0.0, seed=1) == (list(range(50)), list(range(50)))


def test_a_batch_carries_masks_and_valid_areas_of_its_rows(prepared):
    batch = make_batch(prepared, [4, 0])
    assert batch.images.shape == (2, 3, 256, 256)
    assert batch.valid[0, 0, 200:].sum() == 0
    assert batch.valid[1].min() == 1
    assert batch.masks[1, 0].sum() == prepared.masks[0].sum()
