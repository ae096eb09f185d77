"""Images of several million pixels: what preprocessing holds of them does not grow with their number."""

from pathlib import Path

import pytest

from naslora_core.timing import peak_memory
from tests.naslora_core.data import large

# Twelve of them take 288 MB decoded, four bytes a pixel with the mask.
IMAGES = 12
MIB_PER_IMAGE = large.HEIGHT * large.WIDTH * 4 / 2**20


@pytest.mark.slow
def test_preparing_large_images_takes_the_memory_of_a_few(tmp_path: Path) -> None:
    large.draw(tmp_path / "data" / "lines", IMAGES)
    rise = peak_memory(large.preparing, tmp_path / "data" / "lines", tmp_path / "out")["rise_mib"]
    assert MIB_PER_IMAGE / 2 < rise < 5 * MIB_PER_IMAGE
    # Parts of the files that a process has mapped count as its memory, all of them in the end.
    files = sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) / 2**20
    assert files > 10 * MIB_PER_IMAGE
    assert peak_memory(large.cropping, tmp_path / "out")["rise_mib"] < files + 2 * MIB_PER_IMAGE
