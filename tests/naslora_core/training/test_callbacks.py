"""What PEFT leaves to the training loop: AdaLoRA's ranks, and the starts of EVA and LoRA-GA."""

from functools import partial

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters import find_method
from naslora_core.adapters.peft import initialisation
from naslora_core.data.prepared.batches import spread_rows
from naslora_core.errors import ConfigError
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training import loop
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints

pytest.importorskip("peft")
RANK = 3
METHODS = {
    "adalora": ("peft:adalora", {}),
    "eva": ("peft:lora", {"init_lora_weights": "eva"}),
    "loraga": ("peft:lora", {"init_lora_weights": "lora_ga"}),
}


class Chain(torch.nn.Module):
    """Two linear layers; channels-last."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(12, 10), torch.nn.Linear(10, 8)

    def forward(self, x):
        return self.second(self.first(x).tanh())


@pytest.fixture
def place(adapter, search):
    """Return a function that puts a method's layers into a small encoder."""

    def make(kind, rank=RANK, **options):
        method, own = METHODS[kind]
        torch.manual_seed(5)
        encoder = Chain().requires_grad_(False)
        changes = {"method": method, "options": own | options, "rank": rank, "target_modules": ("first", "second")}
        adapters = find_method(method)(encoder, adapter.model_copy(update=changes), search)
        return encoder, adapters, adapters["first"].callback

    return make


def spread(columns):
    """The projection onto the span of some columns, which no choice of basis changes."""
    basis, _ = torch.linalg.qr(columns)
    return basis @ basis.T


# Tokens that vary in few directions, each clearly more than the next, and a little in all.
TOKENS = torch.randn(400, 12, generator=torch.Generator().manual_seed(0)) * 2.0 ** -torch.arange(12)


def test_eva_starts_from_the_directions_in_which_inputs_vary_most(place):
    encoder, adapters, callback = place("eva")
    callback.prepare([partial(encoder, TOKENS[:200]), partial(encoder, TOKENS[200:])])
    centred = TOKENS - TOKENS.mean(dim=0)
    wanted = torch.linalg.svd(centred, full_matrices=False).Vh[:RANK]
    found = adapters["first"].tuner.lora_A["default"].weight
    torch.testing.assert_close(spread(found.T), spread(wanted.T), atol=0.02, rtol=0)
    assert not adapters["first"].tuner.lora_B["default"].weight.any()


def test_lora_ga_starts_from_the_gradient_and_takes_its_start_out_of_the_weight(place):
    encoder, adapters, callback = place("loraga")
    target = torch.randn(400, 8)
    probes = [
        lambda: torch.nn.functional.mse_loss(encoder(TOKENS[:200]), target[:200]),
        lambda: torch.nn.functional.mse_loss(encoder(TOKENS[200:]), target[200:]),
    ]
    before = encoder(TOKENS)
    plain = Chain()
    for name in ("first", "second"):
        plain.get_submodule(name).load_state_dict(adapters[name].base_layer.state_dict())
    torch.nn.functional.mse_loss(plain(TOKENS), target).backward()
    callback.prepare(probes)
    u, _, vh = torch.linalg.svd(plain.second.weight.grad)
    tuner = adapters["second"].tuner
    # PEFT's default "ArB2r": A has the strongest directions, B the next ones.
    torch.testing.assert_close(spread(tuner.lora_A["default"].weight.T), spread(vh[:RANK].T), atol=1e-3, rtol=0)
    columns = u[:, RANK : 2 * RANK]
    torch.testing.assert_close(spread(tuner.lora_B["default"].weight), spread(columns), atol=1e-3, rtol=0)
    torch.testing.assert_close(encoder(TOKENS), before, rtol=1e-4, atol=1e-5)
    assert not torch.equal(tuner.get_base_layer().weight, adapters["second"].base_layer.weight)
    assert "tuner.base_layer.weight" in adapters["second"].own_state()


def test_adalora_lowers_the_ranks_to_the_mean_it_promises(place):
    encoder, adapters, callback = place("adalora", rank=2)
    callback.plan(20)
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.05)
    ranks = []
    for step in range(1, 21):
        optimizer.zero_grad()
        (encoder(TOKENS) - 1).square().mean().backward()
        optimizer.step()
        callback.after_step(step)
        ranks.append(sum(int((layer.tuner.lora_E["default"] != 0).sum()) for layer in adapters.values()))
        assert callback.is_settled == (step >= 10)
    # A tenth with all of 1.5 times the rank, in half of the steps down to it, and then no more.
    assert ranks[:2] == [6, 6]
    assert all(later <= earlier for earlier, later in zip(ranks[2:], ranks[3:], strict=False))
    assert ranks[9:] == [4] * 11


def test_adalora_pays_for_singular_vectors_that_are_not_orthogonal(place):
    _, adapters, callback = place("adalora", orth_reg_weight=0.3)
    wanted = []
    for layer in adapters.values():
        a, b = layer.tuner.lora_A["default"].detach().numpy(), layer.tuner.lora_B["default"].detach().numpy()
        for square in (a @ a.T, b.T @ b):
            rank = len(square)
            off = [(square[i][j] - (i == j)) ** 2 for i in range(rank) for j in range(rank)]
            wanted.append(sum(off) ** 0.5)
    found = sum(layer.take_penalty().item() for layer in adapters.values())
    assert found == pytest.approx(0.3 * sum(wanted) / len(wanted), rel=1e-5)
    layer = adapters["first"].tuner
    torch.nn.init.orthogonal_(layer.lora_A["default"])
    torch.nn.init.orthogonal_(layer.lora_B["default"])
    assert callback.penalty(layer).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "changes", "steps", "message"),
    [
        ("adalora", {}, 1, "cannot move ranks .* of 1; raise train.epochs"),
        ("adalora", {"tinit": 6, "tfinal": 4}, 10, r"step 6 \(tinit\) and the last 4 \(tfinal\) of 10"),
        ("eva", {"rank": 9}, 2, "adapter.rank 9 exceeds the 8 tokens or 12 channels"),
        ("eva", {"eva_config": {"tau": 1.0}}, 2, "its components still turn; lower tau"),
        ("loraga", {"rank": 5}, 2, "adapter.rank 5 is too large for LoRA-GA.*smallest layer has 8: use at most 4"),
    ],
)
def test_what_cannot_be_prepared_says_what_to_change(place, kind, changes, steps, message, monkeypatch):
    monkeypatch.setattr(initialisation, "_MOST_BATCHES", 10)
    encoder, _, callback = place(kind, **changes)

    def begin():
        callback.plan(steps)
        callback.prepare([lambda: encoder(torch.randn(8, 12)).sum()] * 2)

    with pytest.raises(ConfigError, match=message):
        begin()


@pytest.fixture
def start(model, adapter, search, train, prepared):
    """Return a function that gives a run on small images, and its model."""

    def make(kind, **changes):
        method, options = METHODS[kind]
        sizes = [(height // 4, width // 4) for height, width in prepared.input_sizes]
        data = type(prepared)(prepared.images[:, ::4, ::4], prepared.masks[:, ::4, ::4], sizes, sizes, prepared.names)
        if kind == "eva":
            # Random weights have no clear directions; to find those well is not what is tested with them.
            options = options | {"eva_config": {"tau": 0.9}}
        sam = load_base(model.model_copy(update={"image_size": 64}))
        adapters = add_adapters(sam, adapter.model_copy(update={"method": method, "options": options}), search, 3)
        training = train.model_copy(update=changes)
        phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, data, training, search, "fp32", 3)
        return loop.SearchAndTrain(phases, data), sam

    return make


def weights(sam):
    return {key: value.clone() for key, value in sam.state_dict().items()}


@pytest.mark.parametrize("kind", ["adalora", "loraga"])
def test_a_training_interrupted_within_an_epoch_ends_as_an_uninterrupted_one(start, kind, tmp_path, monkeypatch):
    # Every epoch scores less than the one before, so the first that may be kept is.
    scores = {"left": 1.0}
    monkeypatch.setattr(
        loop, "validation_dice", lambda *_, **__: scores.update(left=scores["left"] * 0.9) or scores["left"]
    )
    whole, whole_sam = start(kind, epochs=3)
    expected = whole.run()
    assert expected.best_epoch == (2 if kind == "adalora" else 1)

    def interrupt(done: int, total: int, message: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    # After the first of two steps of an epoch.
    checkpoints = Checkpoints(tmp_path / "state.pt", 0)
    with pytest.raises(KeyboardInterrupt):
        start(kind, epochs=3)[0].run(checkpoints, interrupt)
    second, sam = start(kind, epochs=3)
    said = []
    resumed = second.run(checkpoints, lambda done, total, message: said.append((done, message.partition(",")[0])))
    assert said[:2] == [(2, "epoch 1"), (3, "epoch 2")]
    assert [epoch.train_loss for epoch in resumed.epochs] == [epoch.train_loss for epoch in expected.epochs]
    found = weights(sam)
    assert all(torch.equal(found[key], value) for key, value in whole_sam.state_dict().items())


@pytest.mark.parametrize("kind", ["eva", "loraga"])
def test_only_fresh_adapters_start_from_images(start, kind):
    run, sam = start(kind, epochs=1, lr=1e-12, decoder_lr=1e-12, weight_decay=0)
    before = weights(sam)
    run.run(fresh_adapters=False)
    kept = weights(sam)
    assert all(torch.allclose(before[key], value, atol=1e-6) for key, value in kept.items() if "lora_" in key)
    run, sam = start(kind, epochs=1, lr=1e-12, decoder_lr=1e-12, weight_decay=0)
    run.run()
    assert any(not torch.allclose(before[key], value, atol=1e-6) for key, value in weights(sam).items())


def test_what_methods_look_at_is_spread_over_the_images():
    assert spread_rows([4, 5, 6, 7, 9], 64, 2) == [[4, 5], [6, 7], [9]]
    many = [row for batch in spread_rows(range(640), 64, 8) for row in batch]
    assert many == list(range(0, 640, 10))
