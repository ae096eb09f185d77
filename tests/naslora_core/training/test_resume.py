"""What a run keeps to go on from, and what it does when it cannot go on."""

import math
import random
import signal
import zipfile

import numpy as np
import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.data.prepared.batches import Batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import TrainingError
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.gradients import MicroBatches
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints
from naslora_core.training.signals import DeferredSignals

SIDE = 64
CPU_ALLOCATOR = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"


def unheard(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture(params=["whole", "crops"])
def view(request):
    """What the model sees: squares, or crops of whole images with a detail path in the decoder."""
    return request.param


@pytest.fixture
def start_view(model, adapter, search, train, whole_images, view, start):
    """As `start`, for the view; the one of crops is of fifteen parts of five images."""
    if view == "whole":
        return start

    def make(**changes):
        sam = load_base(model.model_copy(update={"image_size": SIDE}))
        set_head(sam, MaskHead(2, "half", scale=1.0), 3)
        adapters = add_adapters(sam, adapter, search, 3)
        settings = train.model_copy(update={"batch_size": 4} | changes)
        phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, whole_images, settings, search, "fp32", 3)
        return SearchAndTrain(phases, whole_images), sam

    return make


@pytest.fixture
def start(model, adapter, search, train):
    """Return a function that gives a run over five noisy images, and its model."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, size=(5, SIDE, SIDE, 3)).astype(np.uint8)
    masks = (images[..., 0] > 128).astype(np.uint8)
    data = PreparedData(images, masks, [(SIDE, SIDE)] * 5, [(SIDE, SIDE)] * 5, list("abcde"))

    def make(**changes):
        sam = load_base(model.model_copy(update={"image_size": SIDE}))
        adapters = add_adapters(sam, adapter, search, 3)
        settings = train.model_copy(update={"batch_size": 2} | changes)
        phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, data, settings, search, "fp32", 3)
        return SearchAndTrain(phases, data), sam

    return make


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C be heard, as it is by no process that was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def weights(sam):
    return {name: value.clone() for name, value in sam.named_parameters() if value.requires_grad}


def test_the_checkpoint_before_takes_the_place_of_a_damaged_one(tmp_path):
    checkpoints = Checkpoints(tmp_path / "state.pt", 600)
    for number in (1, 2, 3):
        checkpoints.save({"number": number})
    assert checkpoints.load(unheard)["number"] == 3
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:-40])
    said = []
    assert checkpoints.load(said.append)["number"] == 2
    assert said == [f"checkpoint {tmp_path / 'state.pt'} is damaged; the one before it is used"]
    (tmp_path / "state.pt.previous").write_bytes(b"")
    assert checkpoints.load(said.append) is None
    assert said[-1].endswith("is damaged; training starts anew")
    checkpoints.remove()
    assert not list(tmp_path.iterdir())


def test_no_turned_bit_of_a_checkpoint_goes_unnoticed(tmp_path):
    path, rng = tmp_path / "state.pt", random.Random(4)
    state = {"weights": torch.arange(300.0), "name": "x", "rate": 0.25}
    Checkpoints(path, 600).save(state)
    whole = path.read_bytes()
    noticed = 0
    for place in rng.sample(range(len(whole)), 250):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found = Checkpoints(path, 600).load(lambda line: None)
        # Bytes between the parts mean nothing, and a change there changes nothing.
        assert found is None or (torch.equal(found.pop("weights"), state["weights"]) and found["rate"] == 0.25)
        noticed += found is None
    assert noticed > 100


def test_torchs_own_reader_would_not_have_noticed(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"weights": torch.ones(5000)}, path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x00\x00\x80\x3f", b"\x00\x00\x00\x40", 1))
    assert torch.load(path, weights_only=True)["weights"].max() == 2
    with zipfile.ZipFile(path) as parts:
        assert parts.testzip() is not None


def test_a_run_goes_on_in_the_midst_of_an_epoch(start_view, tmp_path, ctrl_c):
    start = start_view
    whole, expected = start()
    record = whole.run()
    steps = []

    def stop_in_the_second_epoch(done: int, total: int, message: str) -> None:
        steps.append(done)
        if message.startswith("epoch 2"):
            signal.raise_signal(signal.SIGINT)

    checkpoints = Checkpoints(tmp_path / "state.pt", 600)
    with pytest.raises(KeyboardInterrupt):
        start()[0].run(checkpoints, stop_in_the_second_epoch)
    spent = torch.load(tmp_path / "state.pt", weights_only=True)["record"]["cpu_seconds"]
    second, sam = start()
    rest = []
    resumed = second.run(checkpoints, lambda done, *_: rest.append(done))
    assert rest[0] > steps[-1]
    assert [epoch.train_loss for epoch in resumed.epochs] == [epoch.train_loss for epoch in record.epochs]
    assert resumed.alphas == record.alphas
    assert resumed.cpu_seconds > spent > 0
    for name, value in weights(expected).items():
        assert torch.equal(weights(sam)[name], value), name


def test_a_checkpoint_is_written_within_an_epoch_when_it_is_due(tmp_path):
    assert not Checkpoints(tmp_path / "state.pt", 600).are_due()
    assert Checkpoints(tmp_path / "state.pt", 0).are_due()


def test_of_several_processes_one_writes_and_all_read(tmp_path):
    main, other = (Checkpoints(tmp_path / "state.pt", 600, keeps) for keeps in (True, False))
    other.save({"number": 1})
    assert not list(tmp_path.iterdir())
    main.save({"number": 2})
    assert other.load(unheard)["number"] == 2


def test_a_request_to_end_waits_and_a_second_one_does_not(ctrl_c):
    reached = []

    def work(requests: int) -> None:
        with DeferredSignals() as signals:
            for number in range(requests):
                signal.raise_signal(signal.SIGINT)
                reached.append(number)
            assert signals.are_waiting
            signals.deliver()
            reached.append("delivered")

    with pytest.raises(KeyboardInterrupt):
        work(requests=1)
    with pytest.raises(KeyboardInterrupt):
        work(requests=2)
    assert reached == [0, 0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_loss_that_stays_non_finite_names_the_images_and_changes_nothing(start, monkeypatch, tmp_path):
    run, sam = start(batch_size=1)
    before = weights(sam)

    def no_number(self, batch):
        return sum(value.sum() for value in sam.parameters() if value.requires_grad) * float("nan")

    monkeypatch.setattr(AlternatingPhases, "_loss_of", no_number)
    with pytest.raises(TrainingError, match=r"5 steps in a row .*the loss is nan.* on [a-e]\. Look at"):
        run.run(Checkpoints(tmp_path / "state.pt", 0))
    for name, value in weights(sam).items():
        assert torch.equal(value, before[name]), name


def test_a_single_non_finite_step_is_left_out_and_counted(start, monkeypatch):
    good, calls = AlternatingPhases._loss_of, []

    def sometimes_no_gradient(self, batch):
        calls.append(batch.names)
        loss = good(self, batch)
        # The loss is a number, its gradient is not: what an overflow in a backward kernel looks like.
        return loss + (loss - loss.detach()) * float("inf") if len(calls) % 3 == 0 else loss

    monkeypatch.setattr(AlternatingPhases, "_loss_of", sometimes_no_gradient)
    run, sam = start(epochs=2, batch_size=1)
    record = run.run()
    assert all(value.isfinite().all() for value in weights(sam).values())
    assert sum(epoch.skipped_steps for epoch in record.epochs) == len(calls) // 3 > 2
    assert all(math.isfinite(epoch.train_loss) for epoch in record.epochs)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), RuntimeError(CPU_ALLOCATOR)])
def test_a_batch_that_does_not_fit_into_memory_is_divided_and_the_step_stays_the_same(start, error, monkeypatch):
    whole, expected = start(epochs=1, batch_size=4, augment=False)
    whole.run()
    good, said = AlternatingPhases._loss_of, []

    def two_at_most(self, batch):
        if len(batch.images) > 2:
            raise error
        return good(self, batch)

    monkeypatch.setattr(AlternatingPhases, "_loss_of", two_at_most)
    divided, sam = start(epochs=1, batch_size=4, augment=False)
    divided.run(progress=lambda done, total, message: said.append(message))
    assert said[-1].endswith("batches in 2 parts to fit into memory")
    for name, value in weights(expected).items():
        # Adam divides by the gradient's own size, so that rounding can move a parameter by a fraction of its rate.
        torch.testing.assert_close(weights(sam)[name], value, atol=2e-4, rtol=1e-3)


def test_a_process_divides_its_share_of_a_batch_and_the_share_counts_as_before():
    factor, rows = torch.tensor(2.0, requires_grad=True), torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    micro_batches = MicroBatches()
    micro_batches.parts = 2
    share = Batch(rows, rows, rows, tuple("abcde"))
    loss = micro_batches.gradients(share, 0.75, lambda part: (factor * part.images).mean(), [factor])
    assert float(loss) == pytest.approx(0.75 * 2 * 31 / 5)
    assert float(factor.grad) == pytest.approx(0.75 * 31 / 5)


def test_an_image_that_does_not_fit_into_memory_by_itself_is_the_end(start, monkeypatch):
    def never(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(AlternatingPhases, "_loss_of", never)
    with pytest.raises(TrainingError, match=r"not even one image(.|\n)*2 GiB\.\)(.|\n)*gradient_checkpointing"):
        start()[0].run()


def test_another_runtime_error_is_not_taken_for_a_lack_of_memory(start, monkeypatch):
    def faulty(self, batch):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(AlternatingPhases, "_loss_of", faulty)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        start()[0].run()
