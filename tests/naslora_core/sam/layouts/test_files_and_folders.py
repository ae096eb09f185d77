"""What people give in place of a checkpoint is called by its name, with what to do about it."""

import gzip
import json
import os
import shutil
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from naslora_core.errors import CheckpointError
from naslora_core.export.hf_folder import describe_model
from naslora_core.sam.layouts.hugging_face import to_hugging_face
from naslora_core.sam.layouts.recognise import recognise
from tests.naslora_core.sam.layouts.conftest import assert_same, official_outputs


def as_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/model.safetensors", "x")


def as_program(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"model/{name}", "x")


def having(content):
    return lambda path: path.write_bytes(content)


NO_WEIGHTS = {
    "lfs": (
        having(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 3750\n"),
        "a pointer of Git LFS .*; run 'git lfs pull'",
    ),
    "dvc": (having(b"outs:\n- md5: 1\n  path: sam.pth\n"), "a pointer of DVC.*; run 'dvc pull'"),
    "page": (having(b"\n<!DOCTYPE html><html></html>"), "a web page .*fetch it again, by the link to the file itself"),
    "answer": (having(b'{"error": "not found"}'), "a text in JSON.*if a server answered so, fetch them again"),
    "empty": (having(b""), "empty, expected weights; fetch it again"),
    "gzip": (having(gzip.compress(b"x")), "a gzip archive, expected weights; unpack it"),
    "zip": (as_zip, "a zip, expected weights; unpack it"),
    "program": (as_program, r"a TorchScript program.*torch\.save\(model\.state_dict\(\)"),
    "keras": (having(b"\x89HDF\r\n\x1a\n"), "a file of HDF5"),
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_what_is_no_weight_file_is_called_by_its_name(kind, suffix, tmp_path):
    write, said = NO_WEIGHTS[kind]
    write(tmp_path / f"a.{suffix}")
    with pytest.raises(CheckpointError, match=rf"a\.{suffix} cannot be read: it is {said}"):
        recognise(tmp_path / f"a.{suffix}")


def test_formats_are_told_by_content_not_by_suffix(official, images, load, tmp_path):
    save_file(official.state_dict(), tmp_path / "a.pth")
    save_file(official.state_dict(), tmp_path / "blob")
    torch.save(official.state_dict(), tmp_path / "b.safetensors")
    for name in ("a.pth", "blob", "b.safetensors"):
        assert_same(load(tmp_path / name), images, *official_outputs(official, images))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(CheckpointError, match="not found; give the path of a weight file"):
        recognise(tmp_path / "pipe.pth")


@pytest.mark.parametrize("word", ["medsam", "lora01", "best99"])
def test_six_letters_of_a_name_are_no_digits_of_a_hash(word, official, load, tmp_path):
    path = tmp_path / f"sam_vit_b_{word}.pth"
    torch.save(official.state_dict(), path)
    assert load(path).state_dict().keys() == official.state_dict().keys()
    wrong = path.rename(tmp_path / "sam_vit_b_01ec64.pth")
    with pytest.raises(CheckpointError, match="is damaged: its SHA-256 begins with"):
        load(wrong)


FOLDERS = {
    "peft": (("adapter_config.json", "adapter_model.safetensors"), "is an adapter of PEFT, which is no base; merge it"),
    "naslora": (("adapter.json", "adapter.safetensors"), "is an adapter that naslora trained, which is no base"),
    "cache": (("snapshots/12/model.safetensors",), "give the folder of one revision below snapshots"),
    "deepspeed": (("latest", "zero_to_fp32.py"), "is a checkpoint of DeepSpeed.*; run its zero_to_fp32.py"),
    "distributed": ((".metadata", "__0_0.distcp"), "is a checkpoint of torch.distributed.*dcp_to_torch"),
    "config alone": (("config.json",), "the weights that belong to its config.json are not there"),
    "other names": (("a.pth", "b.pth"), r"it holds a\.pth, b\.pth; give the file that holds the weights, as .*a\.pth"),
    "no index": (("model-00001-of-00002.safetensors",), "its shards need their index, model.safetensors.index.json"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_weights_is_called_by_what_wrote_it(kind, tmp_path):
    names, said = FOLDERS[kind]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=said):
        recognise(tmp_path)


def test_the_links_of_a_cache_are_followed_and_a_broken_one_is_said(official, images, load, tmp_path):
    (tmp_path / "blobs").mkdir()
    revision = tmp_path / "snapshots" / "12"
    revision.mkdir(parents=True)
    weights = {to_hugging_face(key): value for key, value in official.state_dict().items() if "pixel" not in key}
    save_file(weights, tmp_path / "blobs" / "5e")
    (revision / "model.safetensors").symlink_to("../../blobs/5e")
    assert_same(load(revision), images, *official_outputs(official, images))
    (tmp_path / "blobs" / "5e").unlink()
    with pytest.raises(CheckpointError, match="is a link to ../../blobs/5e, which is not there; fetch it again"):
        recognise(revision)


@pytest.fixture
def shards(official, tmp_path):
    """A folder with the weights in two shards, the encoder in the first."""
    weights = official.state_dict()
    encoder = {key: value for key, value in weights.items() if key.startswith("image_encoder.")}
    parts = {"1": encoder, "2": {key: value for key, value in weights.items() if key not in encoder}}
    files = {number: f"model-0000{number}-of-00002.safetensors" for number in parts}
    for number, part in parts.items():
        save_file(part, tmp_path / files[number])
    index = {"weight_map": {key: files[number] for number, part in parts.items() for key in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def test_one_shard_is_not_taken_for_an_encoder_alone(official, images, load, shards):
    assert_same(load(shards), images, *official_outputs(official, images))
    with pytest.raises(CheckpointError, match="is one of 2 shards; give the folder that holds all"):
        recognise(shards / "model-00001-of-00002.safetensors")
    with pytest.raises(CheckpointError, match="is an index of shards, expected weights; give their folder"):
        recognise(shards / "model.safetensors.index.json")
    shutil.copy(shards / "model-00001-of-00002.safetensors", shards / "model-00002-of-00002.safetensors")
    with pytest.raises(CheckpointError, match="as another shard does; fetch the shards again"):
        recognise(shards)


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("vision_config", {"global_attn_indexes": [0, 2]}, r"says global_attn_indexes \[0, 2\], .* which has \[1\]"),
        ("vision_config", {"num_attention_heads": 4}, "says num_attention_heads 4, .* which has 2"),
        (None, {"model_type": "sam2"}, "says model_type sam2, and the weights beside it are of family sam"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(section, change, said, official, tmp_path):
    config = describe_model("vit_b", 128)
    weights = {to_hugging_face(key): value for key, value in official.state_dict().items() if "pixel" not in key}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert recognise(tmp_path).size == "vit_b"
    inner = config[section] if section else config
    assert isinstance(inner, dict)
    inner.update(change)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=rf"config\.json {said}"):
        recognise(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="fetch it again, or give the weights alone"):
        recognise(tmp_path)
