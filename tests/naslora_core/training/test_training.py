import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.genotype import describe_genotype
from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints
from naslora_core.validation import mean_dice


@pytest.fixture
def little(prepared) -> PreparedData:
    """The prepared images at a quarter of their side."""
    sizes = [(height // 4, width // 4) for height, width in prepared.input_sizes]
    images, masks = prepared.images[:, ::4, ::4], prepared.masks[:, ::4, ::4]
    return PreparedData(images, masks, sizes, sizes, prepared.names)


def make_run(model, adapter, search, train, prepared, seed=3):
    sam = load_base(model.model_copy(update={"image_size": prepared.images.shape[1]}))
    adapters = add_adapters(sam, adapter, search, seed)
    segmenter = PromptFreeSegmenter(sam)
    phases = AlternatingPhases(segmenter, adapters, prepared, train, search, "fp32", seed)
    return SearchAndTrain(phases, prepared), segmenter, adapters


def test_training_changes_adapters_alphas_and_decoder_and_nothing_else(model, adapter, search, train, little):
    run, segmenter, adapters = make_run(model, adapter, search, train, little)
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


def test_one_batch_overfits(model, adapter, search, train, little):
    plain = train.model_copy(update={"epochs": 16, "batch_size": 5, "augment": False, "decoder_lr": 0.006})
    shared = search.model_copy(update={"arch_split": 0, "arch_every": 3})
    run, segmenter, _ = make_run(model, adapter, shared, plain, little)
    before = mean_dice(segmenter, little, "fp32")
    record = run.run()
    assert record.epochs[-1].train_loss < 0.6 * record.epochs[0].train_loss
    assert record.best_dice > max(0.6, before + 0.2)
    assert record.best_dice == pytest.approx(mean_dice(segmenter, little, "fp32"))


def test_the_same_seed_gives_the_same_run_and_another_seed_another(model, adapter, search, train, little):
    losses = []
    for seed in (3, 3, 4):
        run, _, _ = make_run(model, adapter, search, train, little, seed)
        losses.append([epoch.train_loss for epoch in run.run().epochs])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_a_state_that_cannot_be_read_starts_anew(model, adapter, search, train, little, tmp_path):
    state_file = tmp_path / "state.pt"
    state_file.write_bytes(b"half a file")
    run, _, _ = make_run(model, adapter, search, train.model_copy(update={"epochs": 1}), little)
    assert [epoch.epoch for epoch in run.run(Checkpoints(state_file, 600)).epochs] == [1]


def test_the_architecture_names_every_layer_with_what_it_sees(adapted_sam):
    sam, _ = adapted_sam
    found = describe_genotype(sam, adapted_sam[1])
    assert [layer["window"] for layer in found["layers"]] == ["8x8", "image"] * 4
    for layer in found["layers"]:
        assert sum(layer["weights"].values()) == pytest.approx(1, abs=1e-4)
        assert layer["weights"][layer["argmax"]] == max(layer["weights"].values())


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


def test_a_batch_carries_masks_and_valid_areas_of_its_rows(prepared):
    batch = make_batch(prepared, [4, 0])
    assert batch.images.shape == (2, 3, 256, 256)
    assert batch.valid[0, 0, 200:].sum() == 0
    assert batch.valid[1].min() == 1
    assert batch.masks[1, 0].sum() == prepared.masks[0].sum()


def test_edges_of_a_larger_cell_have_their_own_names(adapter, search):
    search = search.model_copy(update={"nodes": 2})
    sam = build_sam("sam_tiny")
    found = describe_genotype(sam, add_adapters(sam, adapter, search, seed=1))
    names = [layer["layer"] for layer in found["layers"][:4]]
    first, second = "image_encoder.blocks.0.attn.qkv", "image_encoder.blocks.1.attn.qkv"
    assert names == [f"{first}:0_1", f"{first}:0_2", f"{first}:1_2", f"{second}:0_1"]
    assert [layer["window"] for layer in found["layers"][:4]] == ["8x8"] * 3 + ["image"]
