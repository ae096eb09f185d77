"""The import says how deep images become grey levels: asked for, as before, or measured; and refuses to guess."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.dataset.card import read_card
from naslora_core.data.dataset.dataset import Dataset, fingerprint, read_dataset
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.image_files.reading import ImageReading, ValueRange
from naslora_core.data.importers import IMPORTERS, ImportRequest, image_range, import_dataset
from naslora_core.data.importers.image_range import parse_range
from naslora_core.errors import ConfigError, DataError

COUNT = 12


def draw(root: Path, bands: int = 3, dtype: str = "uint16", high: int = 4096, **options: object) -> Path:
    """Write pairs whose images have `bands` bands with values from 20 to `high`, and name no colours beyond three."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        rng = np.random.default_rng(number)
        pixels = rng.integers(20, high, (24, 30, bands)).astype(dtype)
        settings = {"photometric": "rgb"} if bands == 3 else {"photometric": "minisblack", "planarconfig": "contig"}
        pixels, settings = (pixels[..., 0], {"photometric": "minisblack"}) if bands == 1 else (pixels, settings)
        tifffile.imwrite(root / "images" / f"{number:02}.tif", pixels, metadata=None, **{**settings, **options})
        mask = np.zeros((24, 30), np.uint8)
        mask[4:14, 5 : 10 + number] = 255
        Image.fromarray(mask).save(root / "masks" / f"{number:02}.png")
    return root


def bring_in(root: Path, target: Path, replace: bool = False, **asked: object) -> Dataset:
    request = ImportRequest(root, **asked)  # type: ignore[arg-type]
    return import_dataset(IMPORTERS["folder"](request), request, target, replace)


def test_deep_images_are_refused_with_the_measured_line_and_nothing_is_written(tmp_path: Path) -> None:
    root = draw(tmp_path / "in")
    with pytest.raises(DataError, match=r"12 images with 3 bands of 16 bits \(00.tif, .*, …\)") as caught:
        bring_in(root, tmp_path / "cells")
    stored = np.stack([tifffile.imread(path) for path in sorted((root / "images").iterdir())])
    low, high = np.percentile(stored, (0.1, 99.9))
    line = f"image: {{bands: [1, 2, 3], range: {{low: {int(np.floor(low))}, high: {int(np.ceil(high))}}}}}"
    assert line in str(caught.value)
    assert "--range auto" in str(caught.value)
    assert not (tmp_path / "cells").exists()

    dataset = bring_in(root, tmp_path / "cells", value_range="auto")
    assert str(dataset.card.image) == line
    assert str(read_card(dataset.root).image) == line
    expected = np.rint((np.clip(stored[0], int(low), np.ceil(high)) - int(low)) / (np.ceil(high) - int(low)) * 255)
    np.testing.assert_array_equal(read_pair(dataset.pairs[0], dataset.card)[0], expected)


def test_a_new_import_keeps_what_is_declared_and_a_line_in_dataset_yaml_is_taken(tmp_path: Path) -> None:
    root = draw(tmp_path / "in")
    declared = bring_in(root, tmp_path / "cells", value_range="0:4095").card.image
    assert declared == ImageReading(bands=(1, 2, 3), range=ValueRange(low=0, high=4095))
    assert bring_in(root, tmp_path / "cells", replace=True).card.image == declared
    assert bring_in(tmp_path / "cells", tmp_path / "again").card.image == declared
    each = bring_in(root, tmp_path / "cells", replace=True, value_range="0.1%:99.9%").card.image
    assert each == ImageReading(bands=(1, 2, 3), range=ValueRange(percentiles=(0.1, 99.9)))


def test_one_deep_band_is_grey_and_float_values_are_measured(tmp_path: Path) -> None:
    dataset = bring_in(draw(tmp_path / "in", bands=1, dtype="float32"), tmp_path / "cells", value_range="auto")
    assert dataset.card.image is not None
    assert dataset.card.image.bands == (1,)
    assert dataset.card.image.range.low == pytest.approx(24, abs=5)


@pytest.mark.parametrize(("bands", "dtype"), [(2, "uint16"), (4, "uint16"), (4, "uint8"), (2, "uint8")])
def test_bands_that_are_no_colours_have_to_be_named(tmp_path: Path, bands: int, dtype: str) -> None:
    root = draw(tmp_path / "in", bands, dtype, high=250)
    with pytest.raises(DataError, match=rf"Of the {bands} bands name one"):
        bring_in(root, tmp_path / "field", value_range="auto")
    chosen = (4, 2, 1) if bands == 4 else (2,)
    dataset = bring_in(root, tmp_path / "field", bands=chosen, value_range="auto" if dtype == "uint16" else None)
    assert dataset.card.image is not None
    assert dataset.card.image.bands == chosen
    if dtype == "uint8":
        first = tifffile.imread(root / "images" / "00.tif")[..., [number - 1 for number in chosen]]
        np.testing.assert_array_equal(read_pair(dataset.pairs[0], dataset.card)[0], np.broadcast_to(first, (24, 30, 3)))
    with pytest.raises(DataError, match=f"no band {bands + 1} in all of them"):
        bring_in(root, tmp_path / "other", bands=(bands + 1,), value_range="auto")


def test_images_of_different_depth_need_percentiles_of_each(tmp_path: Path) -> None:
    root = draw(tmp_path / "in")
    Image.fromarray(np.full((24, 30, 3), 90, np.uint8)).save(root / "images" / "00.tif")
    with pytest.raises(DataError, match=r"1 image with 3 bands of 8 bits \(00.tif\).*one range does not suit them all"):
        bring_in(root, tmp_path / "cells", value_range="auto")
    assert bring_in(root, tmp_path / "cells", value_range="1%:99%").card.image is not None


def test_8_bit_images_are_imported_as_before_and_their_fingerprint_stays(tmp_path: Path) -> None:
    dataset = bring_in(draw(tmp_path / "in", dtype="uint8", high=250), tmp_path / "leaves")
    assert dataset.card.image is None
    assert "image" not in (dataset.root / "dataset.yaml").read_text(encoding="utf-8").split()
    assert "image" not in dataset.card.model_dump_json(exclude_none=True)
    declared = dataset.card.model_copy(update={"image": ImageReading(bands=(1,), range=ValueRange(low=0, high=99))})
    assert fingerprint(read_dataset(dataset.root)) != fingerprint(Dataset(dataset.root, declared, dataset.pairs))


def test_a_range_beyond_the_values_of_8_bit_images_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = draw(tmp_path / "in", dtype="uint8", high=250)
    with pytest.raises(DataError, match=r"--range 0:4095: .* 8 bits .* whose values end at 255"):
        bring_in(root, tmp_path / "cells", value_range="0:4095")
    assert not (tmp_path / "cells").exists()
    assert bring_in(root, tmp_path / "cells", value_range="10:255").card.image is not None


@pytest.mark.parametrize("given", ["", "12", "12:", "9:3", "a:b", "1%:200%", "5%:9", "nan:3", "1:2:3", "0:inf"])
def test_a_range_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="--range is"):
        parse_range(given)


def test_other_numbers_of_bands_are_refused(tmp_path: Path) -> None:
    root = draw(tmp_path / "in")
    for bands in ((1, 2), (0,)):
        with pytest.raises(ConfigError, match="--bands names bands from 1 on"):
            bring_in(root, tmp_path / "cells", bands=bands, value_range="auto")


def test_headers_are_read_once_however_often_the_reading_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw(tmp_path / "in", high=255, dtype="uint8")
    request, read = ImportRequest(root), []
    monkeypatch.setattr(image_range, "read_facts", lambda path: read.append(path) or read_facts(path))
    settled = image_range.with_image_reading(IMPORTERS["folder"](request), request, tmp_path / "cells")
    assert (settled.image, len(read)) == (None, COUNT)
    import_dataset(settled, request, tmp_path / "cells")
    assert len(read) == COUNT
