"""What the pipeline writes and reads again: prepared data, packed datasets, quarantine, clearances, the registry."""

import hashlib
from pathlib import Path

import numpy as np

from naslora_core.data.curation.changes import read_version
from naslora_core.data.curation.pack import unpack
from naslora_core.data.curation.quarantine import restore
from naslora_core.data.curation.quarantine_record import finish_interrupted
from naslora_core.data.prepared.clearance import clearance
from naslora_core.data.prepared.crops import ShuffledCrops
from naslora_core.data.prepared.prepared import ANCHORS, load_prepared
from naslora_core.data.preprocess.earlier_output import open_earlier_output
from pipelines.models.registry import ModelRegistry
from tests.fuzz.harness import target
from tests.fuzz.seeds import SIDE, as_json, as_npy, as_tar, card, pairs

ITEM = {
    "name": "a", "split": "train", "group": "a", "image": "images/a.jpg", "mask": "masks/a.png",
    "image_sha256": "0" * 64, "mask_sha256": "1" * 64, "original_size": [40, 50], "input_size": [6, 8],
    "shard": "train-00", "row": 0,
}  # fmt: skip
RECIPE = {
    "format": 2,
    "image_size": SIDE,
    "pillow": "1",
    "classes": ["disc"],
    "mask_threshold": 128,
    "mask_values": None,
}
MANIFEST = {
    "recipe": RECIPE,
    "dataset_sha256": "0" * 64,
    "shards": {},
    "items": [ITEM, {**ITEM, "name": "b", "row": 1}],
}
PREPARED = {
    "manifest.json": as_json(MANIFEST),
    "train-00.images.npy": as_npy(np.zeros((2, SIDE, SIDE, 3), np.uint8)),
    "train-00.masks.npy": as_npy(np.zeros((2, SIDE, SIDE), np.uint8)),
}

# Whole images, one after the other.
CROPS = {
    "manifest.json": as_json({
        **MANIFEST,
        "recipe": {**RECIPE, "view": "crops"},
        "items": [{**ITEM, "start": 0}, {**ITEM, "name": "b", "row": 1, "start": 48}],
    }),
    "train-00.images.npy": as_npy(np.zeros((96, 3), np.uint8)),
    "train-00.masks.npy": as_npy(np.zeros(96, np.uint8)),
    "train-00.anchors.npy": as_npy(np.zeros((2, ANCHORS, 2), np.int32)),
}  # fmt: skip


@target("prepared", lambda: [PREPARED, CROPS])
def prepared(folder: Path) -> None:
    data = load_prepared(folder, "train")
    for row in range(len(data)):
        assert data.images[row].shape == (*data.masks[row].shape, 3)
        height, width = data.input_sizes[row]
        assert data.masks[row][:height, :width].size == height * width
    if data.scale is not None:
        next(ShuffledCrops(data, range(min(len(data), 8)), 8, seed=1, augment=False))


@target("reuse", lambda: [PREPARED], weight=0.3)
def reuse(folder: Path) -> None:
    earlier = open_earlier_output(folder, RECIPE)
    for key in earlier.items:
        earlier.sizes(key)


CLEARANCE = {"format": 1, "passed": True, "dataset": "discs", "dataset_sha256": "0" * 64}


@target("clearance", lambda: [{"clearance.json": as_json(CLEARANCE), "manifest.json": as_json(MANIFEST)}])
def cleared(folder: Path) -> None:
    clearance(folder / "clearance.json", folder / "manifest.json", folder / "discs")


def _packed() -> list[dict[str, bytes]]:
    shard = as_tar(pairs("images", "masks"))
    index = {
        "format": 1,
        "shards_sha256": {"pairs-00.tar": hashlib.sha256(shard).hexdigest()},
        "files_md5": {"images/1.jpg": "0"},
    }
    return [
        {
            "discs/dataset.yaml": as_json(card()),
            "discs/shards/index.json": as_json(index),
            "discs/shards/pairs-00.tar": shard,
        }
    ]


@target("packed", _packed)
def packed(folder: Path) -> None:
    root = folder / "discs"
    shard, index = root / "shards" / "pairs-00.tar", root / "shards" / "index.json"
    if shard.is_file() and index.is_file():
        # Who makes a shard also writes its checksum.
        sound = hashlib.sha256(_packed()[0]["discs/shards/pairs-00.tar"]).hexdigest()
        index.write_bytes(
            index.read_bytes().replace(sound.encode(), hashlib.sha256(shard.read_bytes()).hexdigest().encode())
        )
    unpack(root)
    read_version("now", {}, root)


HELD = "name,reason,date,split,group,image,mask\na1,blurred,2026-01-01,train,,images/a1.jpg,masks/a1.png\n"
PLAN = {
    "moves": [["quarantine/images/a1.jpg", "images/a1.jpg"], ["quarantine/masks/a1.png", "masks/a1.png"]], "held": [],
    "splits": {"a1": "train"}, "groups": {},
}  # fmt: skip
ASIDE = {"quarantine/images/a1.jpg": b"x", "quarantine/masks/a1.png": b"x", "dataset.yaml": as_json(card())}


@target(
    "quarantine",
    lambda: [
        {**ASIDE, "quarantine/quarantine.csv": HELD.encode()},
        {**ASIDE, "quarantine/unfinished.json": as_json(PLAN)},
    ],
)
def quarantine(folder: Path) -> None:
    finish_interrupted(folder)
    restore(folder)


KEPT = b"{}"
VERSION = {
    "number": 1, "created": "2026-01-01T00:00:00+00:00", "identity": "0" * 32,
    "files": {"model/model.json": hashlib.sha256(KEPT).hexdigest()},
    "data": {"data.dvc": None, "sha256": "0" * 64, "pairs": {"train": 3}}, "params": {"seed": 7}, "code": "unknown",
    "base": {"name": "sam_tiny"}, "seeds": [7], "certificate": {}, "metrics": {"dice": 0.9}, "yardstick": "0",
    "training": {},
}  # fmt: skip
EVENT = {"time": "2026-01-01T00:00:00+00:00", "action": "promoted", "version": 1, "previous": None, "reason": "first"}
RECORD = {"format": 1, "domain": "discs", "serving": 1, "versions": [VERSION], "events": [EVENT]}


@target("registry", lambda: [{"registry/discs.json": as_json(RECORD), "registry/discs/1/model/model.json": KEPT}])
def registry(folder: Path) -> None:
    from pipelines.models.promote import restore as put_back

    record = ModelRegistry(folder).read("discs")
    if record.in_service:
        put_back(folder, "discs")
