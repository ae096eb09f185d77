"""Weights that stay in their file are the file's weights, whatever becomes of them in memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from naslora_core.sam.mapped import give_back, mapped_ranges, take_weights
from naslora_core.sam.weights import read_weights, save_weights


def _module() -> nn.Module:
    module = nn.Sequential(nn.Linear(512, 512), nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last))
    module.register_buffer("places", torch.zeros(5))
    return module


@pytest.fixture
def path(tmp_path) -> Path:
    torch.manual_seed(0)
    file = tmp_path / "weights.safetensors"
    save_weights(file, {key: torch.randn_like(value) for key, value in _module().state_dict().items()}, {})
    return file


def _resident(address: int) -> int:
    """How many bytes of the mapping around an address are in memory."""
    found = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if borders := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            found = int(borders[1], 16) <= address < int(borders[2], 16)
        elif found and line.startswith("Rss:"):
            return 1024 * int(line.split()[1])
    raise AssertionError(f"{address} is not mapped")


def test_weights_are_those_of_the_file_and_only_what_lies_otherwise_is_copied(path):
    module, weights = _module(), read_weights(path)
    take_weights(module, dict(weights))
    for key, value in module.state_dict().items():
        assert torch.equal(value, weights[key])
    assert module[0].weight.data_ptr() == weights["0.weight"].data_ptr()
    assert module[1].weight.data_ptr() != weights["1.weight"].data_ptr()
    assert module[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert module.get_buffer("places").data_ptr() != weights["places"].data_ptr()


def test_what_is_changed_in_memory_is_not_changed_in_the_file(path):
    module, before = _module(), path.read_bytes()
    take_weights(module, read_weights(path))
    with torch.no_grad():
        module[0].weight.fill_(3)
    assert path.read_bytes() == before


def test_parameters_that_a_checkpoint_holds_as_one_tensor_stay_two():
    module, one = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)), torch.randn(4, 4)
    expected = one.clone()
    take_weights(module, {"0.weight": one, "1.weight": one})
    with torch.no_grad():
        module[0].weight.zero_()
    assert torch.equal(module[1].weight, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked for it")
def test_a_weight_that_is_given_back_takes_no_memory_until_it_is_read_and_keeps_its_changes(path):
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout.strip()
    with path.open("r+b") as file:
        # What is not on the disk yet stays in memory.
        os.fsync(file.fileno())
    weights = read_weights(path)
    weight, expected = weights["0.weight"], weights["0.weight"].clone()
    weight[7, 3] = expected[7, 3] = 5.0
    before = _resident(weight.data_ptr())
    assert before >= weight.nbytes
    give_back(weight, mapped_ranges())
    if kind != "tmpfs":
        assert _resident(weight.data_ptr()) < 0.1 * before
    assert torch.equal(weight, expected)
    assert _resident(weight.data_ptr()) >= weight.nbytes


def test_what_is_in_no_file_is_left_alone(path):
    weight = torch.randn(512, 512)
    expected = weight.clone()
    give_back(weight, mapped_ranges())
    assert torch.equal(weight, expected)
    assert not any(low <= weight.data_ptr() < high for low, high in mapped_ranges())
