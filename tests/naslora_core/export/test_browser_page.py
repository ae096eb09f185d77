"""The page that runs ONNX files in the browser: its code, in node with onnxruntime-web, against `Predictor`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from naslora_core.export.onnx_file import export_onnx
from naslora_core.predict import Predictor
from naslora_core.sam.head import MaskHead
from naslora_core.sam.square import fit_into_square, resize
from tests.naslora_core.export.test_graph import SIZE, _small_sam, stripes  # noqa: F401
from tests.naslora_core.export.test_parts import save

PAGE = Path(__file__).parents[3] / "docs" / "browser"
# Where npm put it, which may be elsewhere than beside the page.
RUNTIME = Path(os.environ.get("ONNXRUNTIME_WEB", PAGE / "node_modules" / "onnxruntime-web"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
needs_runtime = pytest.mark.skipif(
    not RUNTIME.is_dir(), reason=f"{RUNTIME} not found: npm install onnxruntime-web in docs/browser, or ONNXRUNTIME_WEB"
)
SEGMENT = """
const [code, runtime, file, pixels, width, height, out] = process.argv.slice(1);
const ort = await import(`${runtime}/dist/ort.wasm.min.mjs`);
ort.env.wasm.numThreads = 1;
const {openModel, segment} = await import(code);
const {readFileSync, writeFileSync} = await import("node:fs");
const model = await openModel(ort, new Uint8Array(readFileSync(file)));
const picture = {data: new Uint8ClampedArray(readFileSync(pixels)), width: Number(width), height: Number(height)};
const {ids, classes} = await segment(model, picture);
writeFileSync(out, ids);
console.log(JSON.stringify({classes, facts: Object.fromEntries(model.facts)}));
"""


def node(program, *arguments):
    command = [NODE, "--input-type=module", "-e", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_node
@pytest.mark.parametrize(("shape", "size"), [((40, 56), (17, 23)), ((9, 5), (30, 31)), ((64, 3), (64, 7))])
def test_the_page_resizes_pictures_as_the_training_did(shape, size, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    (tmp_path / "plane").write_bytes(pixels.tobytes())
    program = """
    const [code, plane, ...sides] = process.argv.slice(1);
    const {shrink} = await import(code);
    const {readFileSync} = await import("node:fs");
    const [height, width, newHeight, newWidth] = sides.map(Number);
    console.log(JSON.stringify([...shrink(new Uint8Array(readFileSync(plane)), width, height, newWidth, newHeight)]));
    """
    found = json.loads(node(program, PAGE / "segment.mjs", tmp_path / "plane", *shape, *size))
    wanted = resize(pixels, size, Image.Resampling.BILINEAR)
    difference = np.abs(np.reshape(found, size) - wanted.astype(int))
    # Pillow's weights have 22 bits, with which what lies half way between two numbers may be rounded down.
    assert difference.max() <= 1
    assert difference.mean() < 0.05


@needs_node
def test_a_file_that_is_no_model_of_ours_is_refused_in_words(tmp_path):
    program = """
    const {openModel, readFacts} = await import(process.argv[1]);
    for (const bytes of [[0x0b, 1], [8, 10], [58, 200, 1], []]) {
      await openModel(null, new Uint8Array(bytes)).catch((error) => console.log(error.message));
    }
    """
    assert node(program, PAGE / "segment.mjs").splitlines() == [
        "this is no ONNX file",
        "this file was not written by naslora export onnx",
        "this is no ONNX file, or only a part of one",
        "this file was not written by naslora export onnx",
    ]


def logits_of(file, photo):
    """As `Predictor`, but on a square that is padded with whole numbers, as users of the file have it."""
    square, (height, width) = fit_into_square(photo, SIZE)
    low, _ = onnxruntime.InferenceSession(file).run(None, {"images": square.transpose(2, 0, 1)[None]})
    whole = interpolate(torch.from_numpy(low), (SIZE, SIZE), mode="bilinear")
    return interpolate(whole[..., :height, :width], photo.shape[:2], mode="bilinear")[0].numpy()


@needs_node
@needs_runtime
@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (MaskHead(1), (130, 250)),
        (MaskHead(3, "half"), (61, 40)),
        (MaskHead(2, "off", 1.6), (80, 200)),
    ],
)
def test_the_page_finds_the_mask_that_predictor_finds(head, shape, tmp_path):
    folder = save(tmp_path / "merged", head)
    export_onnx(folder, tmp_path / "leaves.onnx")
    photo = np.asarray(Image.fromarray(stripes(1)[0].transpose(1, 2, 0)).resize(shape[::-1]))
    opaque = np.full((*shape, 1), 255, np.uint8)
    (tmp_path / "pixels").write_bytes(np.concatenate([photo, opaque], axis=2).tobytes())
    files = (PAGE / "segment.mjs", RUNTIME.resolve(), tmp_path / "leaves.onnx", tmp_path / "pixels")
    said = json.loads(node(SEGMENT, *files, shape[1], shape[0], tmp_path / "ids"))
    assert (said["classes"], said["facts"]["domain"]) == (head.classes, "cracks")
    found = np.fromfile(tmp_path / "ids", np.uint8).reshape(shape)
    if head.scale is None:
        logits = logits_of(tmp_path / "leaves.onnx", photo)
    else:
        logits = Predictor.merged(folder, "fp32").logits([photo])[0]
    wanted = np.where(logits.max(axis=0) > 0, logits.argmax(axis=0) + 1, 0)
    assert len(np.unique(wanted)) > 1
    assert (found == wanted).mean() > 0.99


def test_the_page_asks_nobody_else():
    texts = [path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".html", ".mjs")]
    assert len(texts) == 3
    assert not [text for text in texts if "http://" in text or "https://" in text]
    assert "connect-src 'self'" in "".join(texts)
