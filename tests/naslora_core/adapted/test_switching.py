import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import ADAPTER_FILE, load_adapted, save_adapted
from naslora_core.adapted.switching import SwitchableSam
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights

WHOLE, PARTS = MaskHead(), MaskHead(2, "half", 1.5)


def save_trained(folder, model, adapter, search, seed, head=WHOLE):
    torch.manual_seed(seed)
    sam = load_base(model)
    set_head(sam, head)
    adapters = add_adapters(sam, adapter, search, seed)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
    torch.nn.init.normal_(sam.mask_decoder.mask_tokens.weight)
    folder.mkdir()
    save_adapted(folder, PromptFreeSegmenter(sam), adapters, model, adapter, search, seed)


@pytest.fixture
def folders(model, adapter, search, tmp_path):
    """Two adapters of one base that differ in method, layers, number of classes, detail path and scale."""
    save_trained(tmp_path / "leaves", model, adapter, search, seed=1)
    other = adapter.model_copy(update={"method": "lora", "target_modules": ("attn.proj", "mlp.lin1")})
    save_trained(tmp_path / "roads", model, other, search, seed=2, head=PARTS)
    return tmp_path


@pytest.fixture
def switchable(folders, model):
    switchable = SwitchableSam(model)
    for name in ("leaves", "roads"):
        switchable.load_adapter(name, folders / name)
    return switchable


def answer(sam, images):
    with torch.no_grad():
        return PromptFreeSegmenter(sam).eval()(images[:1])


def test_every_adapter_answers_as_if_it_were_alone(switchable, folders, model, images):
    base = answer(load_base(model), images)
    expected = {name: answer(load_adapted(folders / name, model)[0].sam, images) for name in ("leaves", "roads")}
    assert not torch.equal(expected["leaves"], base)
    assert torch.equal(answer(switchable.sam, images), base)
    for name in ("leaves", "roads", "leaves"):
        switchable.set_adapter(name)
        assert switchable.active_adapter == name
        assert torch.equal(answer(switchable.sam, images), expected[name])
        with switchable.disable_adapter():
            assert switchable.active_adapter is None
            assert torch.equal(answer(switchable.sam, images), base)
    assert torch.equal(answer(switchable.sam, images), expected["leaves"])


def test_all_adapters_use_the_memory_of_one_base(folders, model):
    switchable = SwitchableSam(model)
    memory = {key: value.data_ptr() for key, value in switchable.sam.state_dict().items()}
    for name in ("leaves", "roads"):
        switchable.load_adapter(name, folders / name)
        switchable.set_adapter(name)
        state = switchable.sam.state_dict()
        own = {key.replace(".base_layer.", "."): value.data_ptr() for key, value in state.items()}
        shared = {key for key in memory if not key.startswith("mask_decoder.")}
        assert {key: own[key] for key in shared} == {key: memory[key] for key in shared}
        assert not {own[key] for key in own if key.startswith("mask_decoder.")} & set(memory.values())
    with switchable.disable_adapter():
        assert {key: value.data_ptr() for key, value in switchable.sam.state_dict().items()} == memory


def test_an_exception_inside_the_context_brings_the_adapter_back(switchable):
    switchable.set_adapter("roads")
    decoder = switchable.sam.mask_decoder

    def fail():
        with switchable.disable_adapter():
            assert switchable.sam.mask_decoder is not decoder
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert switchable.active_adapter == "roads"
    assert switchable.sam.mask_decoder is decoder


def test_loading_does_not_change_who_answers(switchable, folders):
    assert switchable.adapter_names == ["leaves", "roads"]
    switchable.set_adapter("leaves")
    switchable.load_adapter("more leaves", folders / "leaves")
    assert switchable.active_adapter == "leaves"
    assert not any(parameter.requires_grad for parameter in switchable.sam.parameters())


def test_names_that_are_wrong_are_named(switchable, folders):
    with pytest.raises(ConfigError, match="unknown adapter 'rivers'; loaded: leaves, roads"):
        switchable.set_adapter("rivers")
    with pytest.raises(ConfigError, match="an adapter 'roads' is loaded already"):
        switchable.load_adapter("roads", folders / "leaves")


def test_a_folder_that_cannot_be_loaded_changes_nothing(switchable, folders, model, images, tmp_path):
    switchable.set_adapter("leaves")
    before = answer(switchable.sam, images)
    (folders / "roads" / ADAPTER_FILE).write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="cannot be read"):
        switchable.load_adapter("damaged", folders / "roads")
    torch.manual_seed(99)
    save_weights(tmp_path / "other.safetensors", build_sam("sam_tiny").state_dict(), {})
    with pytest.raises(CheckpointError, match="was trained on sam_tiny at 256 px with SHA-256"):
        SwitchableSam(model.model_copy(update={"checkpoint": tmp_path / "other.safetensors"})).load_adapter(
            "leaves", folders / "leaves"
        )
    assert switchable.adapter_names == ["leaves", "roads"]
    assert switchable.active_adapter == "leaves"
    assert torch.equal(answer(switchable.sam, images), before)


def test_a_deleted_adapter_leaves_the_base_and_the_others_as_they_were(switchable, folders, model, images):
    expected = answer(load_adapted(folders / "roads", model)[0].sam, images)
    switchable.set_adapter("leaves")
    switchable.delete_adapter("leaves")
    assert switchable.adapter_names == ["roads"]
    assert switchable.active_adapter is None
    assert torch.equal(answer(switchable.sam, images), answer(load_base(model), images))
    switchable.set_adapter("roads")
    assert torch.equal(answer(switchable.sam, images), expected)
    with pytest.raises(ConfigError, match="unknown adapter 'leaves'; loaded: roads"):
        switchable.delete_adapter("leaves")


def test_scale_and_detail_path_go_with_the_adapter_that_has_them(switchable):
    segmenter = PromptFreeSegmenter(switchable.sam)
    for name, head in (
        ("roads", MaskHead(2, "half", 1.5)),
        ("leaves", MaskHead()),
        ("roads", MaskHead(2, "half", 1.5)),
    ):
        switchable.set_adapter(name)
        assert head_of(switchable.sam) == head
        assert (segmenter.scale, segmenter.classes) == (head.scale, head.classes)
        with switchable.disable_adapter():
            assert head_of(switchable.sam) == WHOLE
