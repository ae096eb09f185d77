from itertools import count, pairwise

import numpy as np
import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import snapshot as trained_state
from naslora_core.data.prepared.batches import ShuffledBatches, split_for_search
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import ConfigError
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training import loop
from naslora_core.training.optim import arch_rate
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints
from naslora_core.validation import dice_per_image

SIDE = 64
SPATIAL = {"conv_3x3", "conv_5x5", "dw_conv_3x3", "dil_conv_3x3", "avg_pool_3x3"}


@pytest.fixture
def small(model):
    return model.model_copy(update={"image_size": SIDE})


@pytest.fixture
def data() -> PreparedData:
    """Five noisy images with a bright square each; the first two belong together."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 90, size=(5, SIDE, SIDE, 3)).astype(np.uint8)
    masks = np.zeros((5, SIDE, SIDE), dtype=np.uint8)
    masks[:, 10:40, 20:50] = 1
    images[masks > 0] += 120
    sizes = [(SIDE, SIDE)] * 5
    return PreparedData(images, masks, sizes, sizes, list("abcde"), ["pair", "pair", "c", "d", "e"])


@pytest.fixture
def start(small, adapter, search, train, data):
    """Return a function that changes settings and gives a run, its model and its adapters."""

    def make(seed=3, method="nas_lora", **changes):
        train_changes = {key: value for key, value in changes.items() if key in type(train).model_fields}
        search_changes = {key: value for key, value in changes.items() if key not in train_changes}
        settings = search.model_copy(update={"warmup_epochs": 0} | search_changes)
        sam = load_base(small)
        adapters = add_adapters(sam, adapter.model_copy(update={"method": method}), settings, seed)
        segmenter = PromptFreeSegmenter(sam)
        training = train.model_copy(update=train_changes)
        phases = AlternatingPhases(segmenter, adapters, data, training, settings, "fp32", seed)
        return loop.SearchAndTrain(phases, data), sam, adapters

    return make


@pytest.fixture
def rising_dice(monkeypatch):
    """Every epoch scores better than the one before, without looking."""
    scores = count(1)
    monkeypatch.setattr(loop, "validation_dice", lambda *_, **__: next(scores) / 100)


@pytest.fixture
def falling_dice(monkeypatch):
    """Every epoch scores worse than the one before, without looking."""
    scores = count(99, -1)
    monkeypatch.setattr(loop, "validation_dice", lambda *_, **__: next(scores) / 100)


def snapshot(sam):
    return {name: value.detach().clone() for name, value in sam.named_parameters()}


@pytest.mark.usefixtures("rising_dice")
def test_weight_steps_leave_the_architecture_alone_and_its_steps_everything_else(start):
    run, sam, _ = start(method="nas_pc_lora", nodes=2, alternate="epochs", epochs=1)
    seen = [("", snapshot(sam))]
    run.run(progress=lambda done, total, message: seen.append((message, snapshot(sam))))
    trainable = {name for name, value in sam.named_parameters() if value.requires_grad}
    arch = {name for name in trainable if name.endswith("alphas") or ".betas." in name}
    assert any(".betas." in name for name in arch)
    stages = set()
    for (_, before), (message, after) in pairwise(seen):
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        stages.add(stage := "architecture" in message)
        assert changed
        assert changed <= (arch if stage else trainable - arch)
    assert stages == {False, True}


@pytest.mark.usefixtures("rising_dice")
def test_in_turns_of_epochs_the_architecture_passes_over_its_images_after_every_so_many(start):
    steps = []
    run, _, _ = start(alternate="epochs", arch_every=2, epochs=4, batch_size=2, warmup_epochs=1)
    record = run.run(progress=lambda done, total, message: steps.append((done, total, message)))
    assert [epoch.arch_loss is not None for epoch in record.epochs] == [False, True, False, True]
    # Three images for the weights, two for the alphas: two steps an epoch and one a pass.
    assert [done for done, _, _ in steps] == list(range(1, 11))
    assert {total for _, total, _ in steps} == {10}
    assert [index for index, step in enumerate(steps) if "architecture" in step[2]] == [4, 9]


@pytest.mark.usefixtures("rising_dice")
@pytest.mark.parametrize("alternate", ["steps", "epochs"])
def test_the_learning_rate_of_the_architecture_follows_its_own_cosine(start, alternate):
    run, _, _ = start(alternate=alternate, arch_schedule="cosine", epochs=2, batch_size=1)
    run.run()
    # Three weight steps an epoch, each followed by one of the architecture; or a pass over two images after each epoch.
    total = 6 if alternate == "steps" else 4
    expected = 0.05 * arch_rate(total - 1, total, "cosine")
    assert run._phases.learning_rates.arch_lr == pytest.approx(expected)


@pytest.mark.usefixtures("rising_dice")
@pytest.mark.parametrize("alphas", ["uniform", "random"])
def test_frozen_alphas_stay_what_they_are_and_hold_no_image_back(start, alphas):
    totals = set()
    run, _, adapters = start(alphas=alphas, epochs=1, batch_size=1)
    before = torch.stack([layer.mixed_ops()["0_1"].alphas.detach().clone() for layer in adapters.values()])
    record = run.run(progress=lambda done, total, message: totals.add(total))
    after = torch.stack([layer.mixed_ops()["0_1"].alphas for layer in adapters.values()])
    assert torch.equal(after, before)
    assert not after.requires_grad
    assert record.epochs[0].arch_loss is None
    assert totals == {5}
    if alphas == "uniform":
        assert not after.any()
    else:
        assert abs(after.std() - 1) < 0.3
        assert torch.equal(after, drawn(start, seed=3))
        assert not torch.equal(after, drawn(start, seed=4))


def drawn(start, seed):
    _, _, adapters = start(seed=seed, alphas="random")
    return torch.stack([layer.mixed_ops()["0_1"].alphas for layer in adapters.values()])


@pytest.mark.usefixtures("rising_dice")
def test_shared_alphas_are_one_architecture_for_all_layers(start):
    run, sam, adapters = start(method="nas_pc_lora", nodes=2, share_alphas=True, epochs=1)
    parameters = {id(parameter) for layer in adapters.values() for parameter in layer.arch_parameters()}
    assert len(parameters) == 3 + 1
    run.run()
    values = {key: value for key, value in sam.state_dict().items() if key.endswith("0_1.mixed_op.alphas")}
    assert len(values) == len(adapters) > 1
    first = next(iter(values.values()))
    assert first.any()
    assert all(torch.equal(value, first) for value in values.values())


@pytest.mark.usefixtures("falling_dice")
def test_pressure_leaves_a_pointwise_cell_and_keeps_no_epoch_before_it(start):
    run, _, adapters = start(pointwise_pressure=8, epochs=5, batch_size=5)
    record = run.run()
    assert record.best_epoch == 4
    spatial = {
        epoch: {alpha.weight for alpha in record.alphas if alpha.epoch == epoch and alpha.primitive in SPATIAL}
        for epoch in range(6)
    }
    assert min(spatial[2]) > 0.05
    assert 0 < max(spatial[3]) < 0.05
    assert spatial[4] == spatial[5] == {0.0}
    for layer in adapters.values():
        assert layer.mixed_ops()["0_1"].is_pointwise
        assert layer.delta_weight().any()


@pytest.mark.usefixtures("rising_dice")
def test_the_temperature_reaches_its_end_in_the_last_epoch(start):
    run, _, adapters = start(temperature=2.0, final_temperature=0.25, epochs=2, batch_size=5)
    op = next(iter(adapters.values())).mixed_ops()["0_1"]
    assert op.temperature == 2
    run.run()
    assert op.temperature == 0.25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": ("none", "conv_3x3")}, r"pointwise_pressure 8 removes all of search\.space none, conv_3x3 but"),
        ({"space": ("conv_3x3",)}, r"removes all of search\.space conv_3x3 but nothing; add skip_connect"),
        ({"epochs": 2}, r"after 60% of the epochs, which train\.epochs 2 never reaches; use at least 3"),
    ],
)
def test_a_pressure_that_cannot_end_well_is_refused_before_training(start, changes, message):
    with pytest.raises(ConfigError, match=message):
        start(**({"pointwise_pressure": 8, "epochs": 5} | changes))


def test_a_method_without_a_search_knows_no_pressure(start):
    start(method="lora", pointwise_pressure=8, epochs=1)


@pytest.mark.usefixtures("rising_dice")
@pytest.mark.parametrize(
    "changes",
    [
        # Two weight steps an epoch and a pass of three for the alphas: an epoch ends in the midst of a pass.
        {
            "epochs": 2,
            "alternate": "steps",
            "batch_size": 1,
            "arch_split": 0.6,
            "temperature": 2,
            "final_temperature": 0.5,
        },
        {"epochs": 3, "alternate": "epochs", "batch_size": 3, "alphas": "random", "pointwise_pressure": 8},
    ],
)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(start, changes, tmp_path):
    settings = {"arch_schedule": "cosine", **changes}
    whole, whole_sam, _ = start(**settings)
    expected = whole.run()

    def interrupt(done: int, total: int, message: str) -> None:
        if message.startswith("epoch 2"):
            raise KeyboardInterrupt

    first, _, _ = start(**settings)
    with pytest.raises(KeyboardInterrupt):
        first.run(Checkpoints(tmp_path / "state.pt", 600), interrupt)
    second, sam, _ = start(**settings)
    heard = []
    resumed = second.run(
        Checkpoints(tmp_path / "state.pt", 600),
        on_epoch=lambda epoch, alphas: heard.append((epoch, {one.epoch for one in alphas})),
    )
    assert heard == [(epoch, {epoch.epoch} if resumed.alphas else set()) for epoch in resumed.epochs]
    assert [e.train_loss for e in resumed.epochs] == [e.train_loss for e in expected.epochs]
    assert [e.arch_loss for e in resumed.epochs] == [e.arch_loss for e in expected.epochs]
    assert resumed.alphas == expected.alphas
    for name, value in whole_sam.state_dict().items():
        assert torch.equal(sam.state_dict()[name], value), name


def test_the_trained_state_makes_one_model_of_another(start):
    _, sam, adapters = start(seed=3, alphas="random")
    _, other, _ = start(seed=4, alphas="random")
    next(iter(adapters.values())).mixed_ops()["0_1"].set_time(temperature=0.7, pressure=0)
    assert any(not torch.equal(value, other.state_dict()[key]) for key, value in sam.state_dict().items())
    state = trained_state(sam)
    assert not any("base_layer" in key or "iou_prediction_head" in key for key in state)
    other.load_state_dict(state, strict=False)
    for key, value in sam.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_rows_are_divided_between_weights_and_alphas_without_overlap():
    names = [str(index) for index in range(50)]
    weights, alphas = split_for_search(names, 0.2, seed=1)
    assert len(alphas) == 10
    assert sorted(weights + alphas) == list(range(50))
    assert split_for_search(names, 0.2, seed=2) != (weights, alphas)
    assert split_for_search(names, 0.0, seed=1) == (list(range(50)), list(range(50)))


@pytest.mark.parametrize("seed", range(5))
def test_images_of_a_group_stay_on_one_side(seed):
    groups = [f"patient{index // 4}" for index in range(24)]
    weights, alphas = split_for_search(groups, 0.25, seed)
    assert sorted(weights + alphas) == list(range(24))
    assert {groups[row] for row in weights}.isdisjoint(groups[row] for row in alphas)
    assert len(alphas) == 8


def test_the_smallest_division_has_one_group_on_each_side():
    assert sorted(map(len, split_for_search(["a", "b"], 0.01, seed=0))) == [1, 1]
    assert sorted(map(len, split_for_search(["a", "b"], 0.99, seed=0))) == [1, 1]
    with pytest.raises(ConfigError, match=r"search\.arch_split 0\.2 needs two groups .* found one with 3"):
        split_for_search(["a"] * 3, 0.2, seed=0)


def test_batches_go_on_in_the_midst_of_a_pass(data):
    whole = ShuffledBatches(data, range(5), 2, seed=1, augment=False)
    next(whole)
    again = ShuffledBatches(data, range(5), 2, seed=9, augment=False)
    again.restore(whole.state())
    for _ in range(4):
        assert torch.equal(next(again).images, next(whole).images)


def test_joint_training_moves_weights_and_alphas_by_one_loss_on_all_images(start):
    run, sam, adapters = start(alternate="joint", epochs=1, batch_size=5, augment=False)
    before = trained_state(sam)
    record = run.run()
    assert record.epochs[0].arch_loss is None
    after = trained_state(sam)
    name = next(iter(adapters))
    # While lora_B is zero, nothing else of an adapter gets a gradient; a second step moves the alphas.
    assert not torch.equal(before[f"{name}.lora_B"], after[f"{name}.lora_B"])
    assert torch.equal(before[f"{name}.cell.edges.0_1.alphas"], after[f"{name}.cell.edges.0_1.alphas"])
    run, _, _ = start(alternate="joint", epochs=2, batch_size=5, augment=False)
    assert len({alpha.weight for alpha in run.run().alphas if (alpha.layer, alpha.epoch) == (name, 2)}) > 1


def test_validation_with_weights_held_in_bf16_is_that_of_the_weights_themselves(small, adapter, search, train, data):
    sam = load_base(small)
    adapters = add_adapters(sam, adapter.model_copy(update={"method": "nas_lora"}), search, 3)
    segmenter = PromptFreeSegmenter(sam).eval()
    phases = AlternatingPhases(segmenter, adapters, data, train, search, "bf16", 3)
    expected = dice_per_image(segmenter, data, range(len(data)), "bf16")
    seen = []
    sam.image_encoder.blocks[0].mlp.lin1.register_forward_pre_hook(lambda layer, _: seen.append(layer.weight.dtype))
    assert loop.validation_dice(phases, data) == float(expected.mean())
    assert set(seen) == {torch.bfloat16}
    assert sam.image_encoder.blocks[0].mlp.lin1.weight.dtype is torch.float32
