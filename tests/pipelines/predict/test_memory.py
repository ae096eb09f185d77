"""What a large image needs in memory, measured in a process of its own."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

MEASURE = """
import sys
from pathlib import Path
import numpy as np
from naslora_core.progress import silent
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import InputImage
from pipelines.predict.outputs import OutputChoice

folder, tile = Path(sys.argv[1]), int(sys.argv[2])

def four_classes(images):
    return [np.full((4, *image.shape[:2]), 0.2, dtype=np.float32) for image in images]

def peak():
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

def predict(name):
    choice = OutputChoice(folder / "out", 0.5, tuple("abcd"))
    images, tiles, rows = [InputImage(folder / f"{name}.png", name)], TileChoice(lambda _: tile, 0.25), []
    predict_files(four_classes, images, tiles, choice, 4, silent, rows)

predict("small")
before = peak()
predict("large")
print(peak() - before)
"""


def added_bytes(folder, tile):
    command = [sys.executable, "-c", MEASURE, str(folder), str(tile)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_large_image_needs_a_few_bytes_a_pixel_however_many_classes(tmp_path):
    height, width = 3000, 2000
    for name, shape in (("small", (64, 64, 3)), ("large", (height, width, 3))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png", compress_level=1)
    pixel = added_bytes(tmp_path, 256) / (height * width)
    # Decoding and drawing take three colours each, a copy of them for Pillow, and a row of tiles of four classes.
    assert pixel < 24, pixel
    # The probabilities of all pixels at once would be sixteen more, and a copy: what is tested can fail.
    assert added_bytes(tmp_path, 10_000) / (height * width) > pixel + 16
