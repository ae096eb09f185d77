from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.synthetic.domains import SAMPLE_DOMAINS
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import ConfigError, DataError


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/*"))}


@pytest.mark.parametrize("name", SAMPLE_DOMAINS)
def test_a_sample_domain_draws_images_with_something_to_find(name: str) -> None:
    sizes = set()
    for seed in range(4):
        image, mask = SAMPLE_DOMAINS[name].draw(np.random.default_rng(seed))
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape == (*mask.shape, 3)
        assert 224 <= min(mask.shape) <= max(mask.shape) <= 320
        assert set(np.unique(mask)) == {0, 1}
        assert 0.002 < mask.mean() < 0.6
        inside, outside = image[mask == 1].astype(float), image[mask == 0].astype(float)
        # What is marked must differ from what is not, or nobody could learn it.
        assert np.abs(inside.mean(axis=0) - outside.mean(axis=0)).max() > 4
        sizes.add(mask.shape)
    assert len(sizes) > 1


def test_the_same_seed_draws_the_same_files(tmp_path: Path) -> None:
    generate_domain("surface_cracks", tmp_path / "a", count=3, seed=1)
    generate_domain("surface_cracks", tmp_path / "b", count=3, seed=1)
    generate_domain("surface_cracks", tmp_path / "c", count=3, seed=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not set(contents(tmp_path / "a").values()) & set(contents(tmp_path / "c").values())


def test_a_larger_count_changes_no_image(tmp_path: Path) -> None:
    generate_domain("surface_cracks", tmp_path / "few", count=2, seed=1)
    generate_domain("surface_cracks", tmp_path / "many", count=4, seed=1)
    few, many = contents(tmp_path / "few"), contents(tmp_path / "many")
    assert len(few) == 4
    assert few.items() <= many.items()


def test_generated_files_are_jpeg_images_and_binary_png_masks(tmp_path: Path) -> None:
    dataset = generate_domain("mucosa_polyps", tmp_path / "mucosa_polyps", count=3, seed=1)
    assert dataset == read_dataset(tmp_path / "mucosa_polyps")
    assert {pair.split for pair in dataset.pairs} == {"train", "validation", "test"}
    for pair in dataset.pairs:
        assert pair.image is not None
        assert pair.mask is not None
        assert Image.open(pair.image).format == "JPEG"
        with Image.open(pair.mask) as mask:
            assert mask.format == "PNG"
            assert set(np.unique(np.asarray(mask.convert("L")))) == {0, 255}


def test_drawing_refuses_to_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "surface_cracks"
    generate_domain("surface_cracks", target, count=1, seed=1)
    before = contents(target)
    with pytest.raises(DataError, match="exists already"):
        generate_domain("surface_cracks", target, count=1, seed=2)
    assert contents(target) == before
    generate_domain("surface_cracks", target, count=1, seed=2, replace_existing=True)
    assert contents(target) != before


def test_an_unknown_sample_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known: leaf_lesions, mucosa_polyps, surface_cracks"):
        generate_domain("lungs", tmp_path / "lungs", count=1, seed=1)
