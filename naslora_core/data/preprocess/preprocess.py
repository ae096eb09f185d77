"""Decode images once, so that training reads plain memory-mapped arrays."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import PIL

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Dataset, Pair, fingerprint
from naslora_core.data.dataset.digests import file_digests
from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.dataset.view import View
from naslora_core.data.prepared.prepared import FORMAT, MANIFEST_FILE, kinds_of
from naslora_core.data.prepared.shards import shard_count, shard_name
from naslora_core.data.preprocess.decode import WORTH_A_PROCESS, Decode, Sizes, Square, decoder
from naslora_core.data.preprocess.earlier_output import EarlierOutput, Key, checksums, keep_output, open_earlier_output
from naslora_core.data.preprocess.shard_files import write_squares, write_whole
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, write_json
from naslora_core.parallel import worker_count
from naslora_core.progress import Progress, silent

# Of shards of whole images there are as many more, as an image may be many times as large as a square.
_WHOLE_IMAGES_COUNT_FOR = 8
# Of whole images that several processes decode at once; with its mask a pixel takes four bytes.
_PIXELS_AT_ONCE, _IMAGES_AT_ONCE = 100_000_000, 64


@dataclass(frozen=True)
class _Row:
    pair: Pair
    key: Key


def preprocess(
    dataset: Dataset,
    image_size: int,
    output: Path,
    progress: Progress = silent,
    workers: int | None = None,
    kept: Path | None = None,
    view: View = "whole",
    digests: Mapping[Path, str] | None = None,
    dataset_sha256: str | None = None,
) -> None:
    """Resize every pair to `image_size` on its longer side, pad it to a square and write all as arrays.

    Or, for crops, write every pair at its own size.

    Writes shards (see `shards.py`) and manifest.json into `output`, which is replaced as a whole. What an earlier
    run left there, or in `kept`, is used again where image, mask and settings are the same; the result does not depend
    on it.

    Args:
        dataset: what to prepare.
        image_size: side of the squares, in pixels.
        output: folder to write.
        progress: called after every row; its message says so if an earlier output could not be used.
        workers: processes that decode; None is as many as pay off. The result does not depend on it.
        kept: folder that keeps the output for the next run, where something else deletes `output` before it; may be
            missing, and deleted at any time.
        view: whether the model will see whole images, or crops.
        digests: what `file_digests` says of the dataset, to save reading its files once more.
        dataset_sha256: what `fingerprint` says of both.

    Raises:
        DataError: if a partner is missing, a file is unreadable, or a mask and its image differ in size.
    """
    digests = file_digests(dataset) if digests is None else digests
    shards = _plan(dataset, digests, view)
    recipe = _recipe(dataset.card, image_size, view)
    earlier = open_earlier_output(output, recipe)
    if not earlier.items and kept is not None:
        earlier = open_earlier_output(kept, recipe)
    planned = (row for rows in shards.values() for row in rows)
    fresh = [row.pair.image for row in planned if row.key not in earlier.items and row.pair.image]
    tick = _ticker(progress, len(dataset.pairs), dataset.card.name, earlier.problem)
    sizes: dict[str, list[Sizes]] = {}
    sums: dict[str, dict[str, str]] = {}
    with (
        atomic_directory(output) as folder,
        decoder(
            dataset.card, image_size if view == "whole" else None, workers or worker_count(fresh, WORTH_A_PROCESS)
        ) as decode,
    ):
        for shard, rows in shards.items():
            keys = [row.key for row in rows]
            if earlier.link_or_copy(shard, keys, folder):
                sizes[shard] = [earlier.sizes(key) for key in keys]
                sums[shard] = earlier.checksums[shard]
                tick(len(rows))
            else:
                squares = _decoded(rows, earlier, decode, view)
                if view == "whole":
                    written = write_squares(folder, shard, len(rows), image_size, squares)
                else:
                    written = write_whole(folder, shard, len(dataset.card.classes), squares)
                sizes[shard] = []
                for of_one in written:
                    sizes[shard].append(of_one)
                    tick(1)
                sums[shard] = checksums(folder, shard, kinds_of(view))
        about = {"recipe": recipe, "dataset_sha256": dataset_sha256 or fingerprint(dataset, digests), "shards": sums}
        # Of very many images: with an indent it takes as long to write as all else where one image has changed.
        write_json(folder / MANIFEST_FILE, about | {"items": _items(dataset, shards, sizes, view)}, indent=None)
    if kept is not None:
        keep_output(output, kept)


def _plan(dataset: Dataset, digests: Mapping[Path, str], view: View) -> dict[str, list[_Row]]:
    """Assign every pair a shard and a row in it; raises DataError where a partner is missing."""
    shards: dict[str, list[_Row]] = {}
    images = Counter(pair.split for pair in dataset.pairs)
    times = 1 if view == "whole" else _WHOLE_IMAGES_COUNT_FOR
    counts = {split: shard_count(count * times) for split, count in images.items()}
    for pair in (pair for split in SPLITS for pair in dataset.of_split(split)):
        if pair.image is None or pair.mask is None:
            missing = "image" if pair.image is None else "mask"
            raise DataError(f"{dataset.root}: '{pair.name}' has no {missing}; run naslora data check")
        shard = shard_name(pair.split, pair.name, counts[pair.split])
        shards.setdefault(shard, []).append(_Row(pair, (digests[pair.image], digests[pair.mask])))
    return dict(sorted(shards.items()))


def _recipe(card: DatasetCard, image_size: int, view: View) -> dict[str, Any]:
    """Return all that determines a row beside its two files."""
    encoding = card.model_dump(mode="json", include={"classes", "mask_threshold", "mask_values"})
    # Absent where they are not given, so that rows made before these existed are used again.
    encoding |= card.model_dump(mode="json", include={"mask_ignore", "mask_reading"}, exclude_none=True)
    if view != "whole":
        encoding["view"] = view
    if card.image is not None:
        encoding["image"] = card.image.model_dump(mode="json", exclude_none=True)
    # Another version may bring another JPEG decoder, and other pixels.
    return {"format": FORMAT, "image_size": image_size, "pillow": PIL.__version__, **encoding}


def _ticker(progress: Progress, total: int, name: str, problem: str) -> Callable[[int], None]:
    message = f"preprocess {name}" + (f" from the beginning: {problem}" if problem else "")
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total, message)

    return tick


def _decoded(rows: Sequence[_Row], earlier: EarlierOutput, decode: Decode, view: View) -> Iterator[Square]:
    """Yield the rows of one shard; those that the earlier output has are not decoded again."""
    missing = [row.pair for row in rows if row.key not in earlier.items]
    groups = [missing] if view == "whole" else _groups(missing)
    # Unlike a generator expression, this keeps no square while the next one is decoded.
    fresh = chain.from_iterable(map(decode, groups))
    for row in rows:
        yield earlier.square(row.key) if row.key in earlier.items else next(fresh)


def _groups(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Yield the pairs in groups that fit into memory when decoded."""
    group: list[Pair] = []
    size = 0
    for pair in pairs:
        assert pair.image is not None
        facts = read_facts(pair.image)
        own = facts.height * facts.width
        if group and (size + own > _PIXELS_AT_ONCE or len(group) == _IMAGES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(pair)
        size += own
    if group:
        yield group


def _items(
    dataset: Dataset, shards: Mapping[str, Sequence[_Row]], sizes: Mapping[str, Sequence[Sizes]], view: View
) -> list[dict[str, Any]]:
    """Return the manifest entry of every row, ordered by split and name."""
    items = []
    for shard, rows in shards.items():
        start = 0
        for place, (row, (original, inside)) in enumerate(zip(rows, sizes[shard], strict=True)):
            pair = row.pair
            items.append({"name": pair.name, "split": pair.split, "group": pair.group,
                          "image": dataset.relative(pair.image), "mask": dataset.relative(pair.mask),
                          "image_sha256": row.key[0], "mask_sha256": row.key[1],
                          "original_size": list(original), "input_size": list(inside),
                          "shard": shard, "row": place} | ({} if view == "whole" else {"start": start}))  # fmt: skip
            start += inside[0] * inside[1]
    return sorted(items, key=lambda item: (SPLITS.index(item["split"]), item["name"]))
