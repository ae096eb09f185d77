"""Write sample domains as datasets, to try the pipeline without own data."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, read_dataset
from naslora_core.data.dataset.splits import draw_splits, write_splits
from naslora_core.data.synthetic.domains import SAMPLE_DOMAINS
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory
from naslora_core.progress import Progress, silent

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
JPEG_QUALITIES = (80, 88)


def generate_domain(
    name: str,
    target: Path,
    count: int,
    seed: int,
    replace_existing: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Draw `count` images of a sample domain into the folder `target`.

    Image i depends on the seed, the domain and i alone: a larger count adds images and changes none.

    Raises:
        ConfigError: if there is no such sample domain.
        DataError: if `target` exists already and must not be replaced.
    """
    domain = SAMPLE_DOMAINS[name]
    if target.exists() and not replace_existing:
        raise DataError(f"{target} exists already; give --replace to draw it anew, or choose another --output")
    card = DatasetCard(
        name=name,
        title=domain.title,
        classes=(domain.class_name,),
        mask_threshold=128,
        split=SplitRule.model_validate({"kind": "random", "seed": seed, **SHARES}),
        licence="Apache-2.0",
        citation="Drawn by naslora.",
        source=f"naslora data sample --domain {name} --count {count} --seed {seed}",
    )
    with atomic_directory(target) as folder:
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            (folder / kind).mkdir()
        names = [f"{name}_{index:04d}" for index in range(count)]
        for index, stem in enumerate(names):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
            image, mask = domain.draw(rng)
            quality = int(rng.integers(JPEG_QUALITIES[0], JPEG_QUALITIES[1] + 1))
            Image.fromarray(image).save(folder / IMAGES_FOLDER / f"{stem}.jpg", quality=quality, optimize=True)
            picture = Image.fromarray(mask * np.uint8(255)).convert("1")
            picture.save(folder / MASKS_FOLDER / f"{stem}.png", optimize=True)
            progress(index + 1, count, f"draw {name}")
        write_card(folder, card)
        write_splits(folder, draw_splits(names, card.split))
    return read_dataset(target)
