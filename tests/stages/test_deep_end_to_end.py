"""A domain of 12-bit images, and the same in 8 bits: the same model, scores, predictions and answers of the server."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from fastapi.testclient import TestClient
from PIL import Image

from naslora_core.config import Params, load_params
from naslora_core.data.dataset.image_files.reading import ImageReading, ValueRange, parse_reading
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.merge.training_images import stored_reading
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import file_sha256
from naslora_core.sam.weights import save_weights
from pipelines.predict.run import PredictRequest, run
from pipelines.serve.app import Settings, create_app
from pipelines.serve.guard import HostRule
from stages import evaluate, merge, preprocess, search_train, validate
from stages.paths import StagePaths

REPOSITORY = Path(__file__).parents[2]
DEEP, TWIN = "deep", "twin"
READING = ImageReading(bands=(1, 2, 3), range=ValueRange(low=0, high=4095))


def draw_twins(root: Path) -> None:
    """Write the synthetic leaves as 12 bits in 16-bit TIFFs, and as the bytes that these are in 8 bits."""
    drawn = generate_domain("leaf_lesions", root / "leaf_lesions", count=16, seed=5)
    for index, pair in enumerate(drawn.pairs):
        assert pair.image is not None
        assert pair.mask is not None
        noise = np.random.default_rng(index).integers(-8, 9, (*Image.open(pair.image).size[::-1], 3))
        pixels = np.asarray(Image.open(pair.image).convert("RGB")) / 255 * 4095 + noise
        stored = np.clip(np.rint(pixels), 0, 4095).astype(np.uint16)
        for name in (DEEP, TWIN):
            for kind in ("images", "masks"):
                (root / name / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(pair.mask, root / name / "masks")
        tifffile.imwrite(root / DEEP / "images" / f"{pair.name}.tif", stored, photometric="rgb", metadata=None)
        Image.fromarray(np.rint(stored / 4095 * 255).astype(np.uint8)).save(root / TWIN / "images" / f"{pair.name}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[StagePaths, Params]:
    """A project in which every stage has run once on both twins."""
    root = tmp_path_factory.mktemp("twins")
    draw_twins(root / "in")
    base = root / "models" / "sam_tiny.safetensors"
    torch.manual_seed(21)
    save_weights(base, build_sam("sam_tiny").state_dict(), {})
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    settings = [f"domains=[{DEEP},{TWIN}]", f"model.checkpoint={base}", "model.image_size=64", "train.epochs=2"]
    settings += ["search.warmup_epochs=0", "search.arch_every=1", "adapter.rank=2", "merge.mode=fold"]
    settings += ["train.view=crops", "train.scale=0.5", "evaluate.gallery_size=2"]
    params, paths = load_params(root / "params.yaml", [*settings, "model.precision=fp32"]), StagePaths(root)
    for name in (DEEP, TWIN):
        request = ImportRequest(root / "in" / name, value_range="0:4095" if name == DEEP else None)
        dataset = import_dataset(IMPORTERS["folder"](request), request, root / "data" / name)
        assert dataset.card.image == (READING if name == DEEP else None)
        for stage in (validate, preprocess, search_train, merge, evaluate):
            stage.main(name, params, paths, silent)
        shutil.copytree(paths.output("merge", name), root / "serving" / name)
    return paths, params


def test_the_gate_measures_what_training_sees(project: tuple[StagePaths, Params]) -> None:
    tables = [pd.read_parquet(project[0].output("validate", name) / "measurements.parquet") for name in (DEEP, TWIN)]
    for column in ("brightness", "contrast", "sharpness", "perceptual_hash", "thumbnail"):
        assert list(tables[0][column]) == list(tables[1][column]), column
    assert set(tables[0]["image_bits"]) == {16}


def test_twins_are_the_same_to_training_and_score_the_same(project: tuple[StagePaths, Params]) -> None:
    paths = project[0]
    for array in sorted(paths.output("preprocess", DEEP).glob("*.npy")):
        assert file_sha256(array) == file_sha256(paths.output("preprocess", TWIN) / array.name)
    tables = [pd.read_csv(paths.output("evaluate", name) / "per_image.csv") for name in (DEEP, TWIN)]
    pd.testing.assert_frame_equal(*tables)
    for picture in paths.output("evaluate", DEEP).rglob("*.png"):
        other = paths.output("evaluate", TWIN) / picture.relative_to(paths.output("evaluate", DEEP))
        np.testing.assert_array_equal(np.asarray(Image.open(picture)), np.asarray(Image.open(other)))


def test_models_carry_the_reading(project: tuple[StagePaths, Params]) -> None:
    paths = project[0]
    merged = paths.output("merge", DEEP)
    assert parse_reading(stored_reading(merged), merged) == READING
    assert stored_reading(paths.output("merge", TWIN)) is None
    for stage, file in (("merge", "model.json"), ("search_train", "adapter.json")):
        assert "percentiles" not in (paths.output(stage, DEEP) / file).read_text(encoding="utf-8")
        assert '"image": {' in (paths.output(stage, DEEP) / file).read_text(encoding="utf-8")
        assert '"image": {' not in (paths.output(stage, TWIN) / file).read_text(encoding="utf-8")


def predict(root: Path, name: str, *images: Path) -> Path:
    out = root / "masks" / name
    outcome = run(
        PredictRequest(
            images=[str(path) for path in images], out=out, domain=name, model=None, recursive=False, threshold=None,
            tile="auto", overlap=0.25, batch_size=2, device="cpu", precision=None, mask_palette="classes",
            overlay=True, probability="float32", polygons=None,
            resume=False, force=True,
        ),
        root, silent,
    )  # fmt: skip
    (out / "messages.json").write_text(json.dumps([row.message for row in outcome.rows]), encoding="utf-8")
    return out


def test_predictions_are_the_same_and_the_other_kind_of_image_is_refused(project: tuple[StagePaths, Params]) -> None:
    root, params = project[0].root, project[1]
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("precision: auto", "precision: fp32"))
    assert params.model.precision == "fp32"
    images = {name: sorted((root / "data" / name / "images").iterdir())[:3] for name in (DEEP, TWIN)}
    deep, twin = (predict(root, name, *images[name]) for name in (DEEP, TWIN))
    for path in images[DEEP]:
        values = [tifffile.imread(out / f"{path.stem}_probability.tif") for out in (deep, twin)]
        np.testing.assert_array_equal(*values)
        pictures = [np.asarray(Image.open(out / f"{path.stem}_overlay.png")) for out in (deep, twin)]
        np.testing.assert_array_equal(*pictures)
    for name, other, said in (
        (DEEP, TWIN, "has 8 bits a channel, whose values end at 255, and white is 4095 here"),
        (TWIN, DEEP, "has 3 bands of 16 bits, and the model was trained on images of 8 bits a channel"),
    ):
        (message,) = json.loads((predict(root, name, images[other][0]) / "messages.json").read_text(encoding="utf-8"))
        assert said in message


def test_the_server_answers_the_same_for_the_model_in_service_and_for_the_adapter(
    project: tuple[StagePaths, Params],
) -> None:
    paths, params = project
    settings = Settings(
        root=paths.root, model=params.model, threshold=0.5, rule=HostRule(), max_upload_bytes=1 << 22, queue=4,
        models_in_memory=2,
    )  # fmt: skip
    images = {name: sorted((paths.root / "data" / name / "images").iterdir())[0].read_bytes() for name in (DEEP, TWIN)}
    with TestClient(create_app(settings), base_url="http://localhost") as client:

        def ask(model: str, image: str, status: int = 200) -> bytes:
            answer = client.post(
                "/api/predict", files={"image": ("x", images[image])}, data={"model": model, "output": "probability"}
            )
            assert answer.status_code == status, answer.text
            return answer.content

        for place in ("{}", "artifacts/search_train/{}"):
            found = [np.load(io.BytesIO(ask(place.format(name), name))) for name in (DEEP, TWIN)]
            np.testing.assert_array_equal(*found)
        assert b"values end at 255" in ask(DEEP, TWIN, 400)
        assert b"trained on images of 8 bits" in ask(TWIN, DEEP, 400)
        assert b"trained on images of 8 bits" in ask("base", DEEP, 400)
