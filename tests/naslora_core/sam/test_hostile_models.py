"""Model files that were made to do harm are refused before they take memory or load code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from naslora_core.adapted.saved import read_adapter_config
from naslora_core.adapters.peft.method import add_peft_adapters
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import read_weights
from tests.fuzz.seeds import as_json
from tests.fuzz.targets.models import KEY, MODEL, NOTES


@pytest.mark.parametrize(
    ("section", "change", "reason"),
    [
        ("adapter", {"rank": 10**9}, r"adapter\.rank"),
        ("adapter", {"options": {"r": 10**9}}, "r is 1000000000, and at most"),
        ("adapter", {"lora_alpha": "x"}, r"adapter\.lora_alpha"),
        ("search", {"nodes": 10**6}, r"search\.nodes"),
        ("base", {"image_size": -1}, r"base\.image_size"),
        ("base", {"more": 1}, r"base\.more"),
        (None, {"classes": 10**9}, "classes"),
        (None, {"classes": 0}, "classes"),
        (None, {"layers": 5}, "layers"),
        (None, {"base": None}, "base"),
    ],
)
def test_an_adapter_of_absurd_size_is_refused_by_its_notes(
    section: str | None, change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    content = NOTES | change if section is None else NOTES | {section: NOTES[section] | change}
    (tmp_path / "adapter.json").write_bytes(as_json(content))
    with pytest.raises(CheckpointError, match=rf"(?s)adapter\.json cannot be read .*{reason}"):
        read_adapter_config(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", "5", '"x"', "\udcff", "{", ""])
def test_notes_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    for name, read in (("adapter.json", read_adapter_config), ("model.json", read_merged_notes)):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CheckpointError, match=rf"{name} cannot be read"):
            read(tmp_path)


@pytest.mark.parametrize("change", [{"image_size": 10**6}, {"classes": 256}, {"origin": 5}, {"model": 1}])
def test_a_merged_model_of_absurd_size_is_refused_by_its_notes(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(as_json(MODEL | change))
    with pytest.raises(CheckpointError, match=rf"(?s)model\.json cannot be read .*{next(iter(change))}"):
        read_merged_notes(tmp_path)


@pytest.mark.parametrize(
    "shapes",
    [
        {"fold_A": (2, 192), "fold_B": (2, 576), "fold_kernel_0_1": (10**6, 0, 2, 2)},
        {"fold_A": (10**9, 0), "fold_B": (2, 576), "fold_kernel_0_1": (3, 3, 2, 2)},
        {"fold_kernel_0_1": (3, 3, 2, 2)},
        {"fold_A": (2, 192), "fold_kernel_x_y": (3, 3, 2, 2)},
    ],
    ids=["kernel", "rank", "alone", "edge"],
)
def test_a_folded_layer_of_no_bytes_takes_no_memory(shapes: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    layer = KEY.replace("__", ".")
    arrays = {f"{layer}.{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    (tmp_path / "model.safetensors").write_bytes(save(arrays))
    (tmp_path / "model.json").write_bytes(as_json(MODEL))
    with pytest.raises(CheckpointError, match="has a folded layer amiss"):
        load_merged(tmp_path)


class Evil:
    """Pickled, it would run a function when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("touched"),)  # type: ignore[return-value]


@pytest.mark.parametrize("content", [{"a": Evil()}, {"a": 5}, {5: torch.ones(1)}, [1, 2], "text", None])
def test_a_checkpoint_holds_tensors_and_nothing_else(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be read"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("options", [{"megatron_core": "antigravity", "megatron_config": {}}, {"revision": "main"}])
def test_an_adapter_makes_peft_load_no_code(options: dict[str, object], search: SearchConfig) -> None:
    adapter = AdapterConfig(
        method="peft:lora", rank=2, lora_alpha=4, target_modules=("attn.qkv",), options=options
    )  # fmt: skip
    encoder = build_sam("sam_tiny").image_encoder
    with pytest.raises(ConfigError, match="may load code or files; leave them out"):
        add_peft_adapters(encoder, adapter, search)
    other = adapter.model_copy(update={"method": "peft:xlora", "options": {}})
    with pytest.raises(ConfigError, match="it loads other adapters"):
        add_peft_adapters(encoder, other, search)
