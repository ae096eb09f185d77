"""Training on crops of whole images, with masks refined by the image."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.optim import make_weight_optimizer
from naslora_core.training.phases import AlternatingPhases

SIDE = 64


@pytest.fixture
def make_run(model, adapter, search, train, whole_images):
    """Return a function that gives a run over crops of whole images, its model and its phases."""

    def make(detail="half", method="nas_lora", checkpointing=False, **changes):
        sam = load_base(model.model_copy(update={"image_size": SIDE, "gradient_checkpointing": checkpointing}))
        set_head(sam, MaskHead(2, detail, scale=whole_images.scale), 3)
        adapters = add_adapters(sam, adapter.model_copy(update={"method": method}), search, 3)
        settings = train.model_copy(update={"batch_size": 6, "epochs": 1} | changes)
        phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, whole_images, settings, search, "fp32", 3)
        return SearchAndTrain(phases, whole_images), sam, phases

    return make


def weights(sam) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in sam.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("detail", ["half", "full"])
def test_the_same_seed_trains_the_same_weights_and_all_of_them(make_run, detail):
    run, sam, _ = make_run(detail)
    before = weights(sam)
    record = run.run()
    again, second, _ = make_run(detail)
    assert again.run().epochs[0].train_loss == record.epochs[0].train_loss
    for name, value in weights(sam).items():
        assert torch.equal(weights(second)[name], value), name
    moved = {name for name, value in weights(sam).items() if not torch.equal(value, before[name])}
    assert {name for name in moved if ".detail." in name} == {name for name in before if ".detail." in name} != set()
    assert any("lora_B" in name for name in moved)


def test_images_held_out_for_the_architecture_give_no_crop_to_the_weights(make_run, monkeypatch):
    run, _, phases = make_run()
    seen = {"weights": set(), "arch": set()}
    for phase, batches in (("weights", phases._weight_batches), ("arch", phases._arch_batches)):
        for _ in range(len(batches)):
            seen[phase] |= set(next(batches).names)
    assert seen["weights"] | seen["arch"] == {f"image{row}" for row in range(5)}
    assert not seen["weights"] & seen["arch"]


def test_adapters_that_look_at_images_first_see_parts_of_those_of_the_weights(make_run, monkeypatch):
    _, _, phases = make_run()
    asked = []

    class Callback:
        def prepare(self, probes):
            for probe in probes:
                asked.append(probe().item())

    phases._callbacks = [Callback()]
    phases.prepare(lambda *_: None)
    assert asked
    assert all(0 < loss < 10 for loss in asked)


def test_gradient_checkpointing_and_micro_batches_change_no_gradient(make_run):
    gradients = []
    for checkpointing, parts in ((False, 1), (True, 1), (False, 3)):
        _, sam, phases = make_run(checkpointing=checkpointing)
        phases.segmenter.train()
        phases._micro_batches.parts = parts
        updated = [value for value in sam.parameters() if value.requires_grad]
        torch.manual_seed(0)
        phases._micro_batches.gradients(next(phases._weight_batches), 1.0, phases._loss_of, updated)
        gradients.append({name: value.grad for name, value in sam.named_parameters() if value.grad is not None})
    assert any(".detail." in name for name in gradients[0])
    for other in gradients[1:]:
        assert other.keys() == gradients[0].keys()
        for name, value in gradients[0].items():
            torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-3, msg=name)


def test_a_detail_path_learns_at_the_rate_of_what_is_fresh(make_run, train):
    _, sam, phases = make_run()
    rates = {}
    for group in make_weight_optimizer(sam, phases.adapters.values(), train).param_groups:
        rates |= {id(parameter): group["lr"] for parameter in group["params"]}
    for name, value in sam.named_parameters():
        if value.requires_grad and "alphas" not in name:
            fresh = ".detail." in name or name.startswith("image_encoder")
            assert rates[id(value)] == (train.lr if fresh else train.decoder_lr), name


def test_processes_take_their_shares_of_the_same_crops(make_run):
    batches = [make_run()[2]._weight_batches for _ in range(2)]
    torch.manual_seed(0)
    first = next(batches[0])
    torch.manual_seed(0)
    second = next(batches[1])
    assert torch.equal(first.images, second.images)
    assert torch.equal(torch.cat([first[:2].images, second[2:].images]), first.images)
