"""Every family through the real stages and commands: miniatures with random weights, on small drawn images."""

import csv
import io
import json
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from naslora_core.adapted.saved import load_adapted
from naslora_core.adapted.switching import SwitchableSam
from naslora_core.adapted.warm_start import START_FILE
from naslora_core.config import Params, load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.pictures.gradcam import explain
from naslora_core.predict import Predictor
from naslora_core.progress import silent
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from pipelines.cli.app import app
from pipelines.serve.app import Settings, create_app
from pipelines.serve.guard import HostRule
from stages import evaluate, merge, preprocess, report, search_train, validate
from stages.paths import StagePaths
from tests.stages.families import save_miniature

DOMAIN, CLASSES, COUNT = "discs", ("disc", "bar"), 12
HEIGHT, WIDTH = 72, 112
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """What of a training differs between the families, so that each kind is seen with one of them."""

    side: int
    classes: int
    view: str
    detail: str

    @property
    def settings(self) -> list[str]:
        return [f"model.image_size={self.side}", f"train.view={self.view}", f"train.detail={self.detail}"]


CASES = {
    "mobile_sam_mini": Case(64, 2, "crops", "half"),
    "sam2_mini": Case(64, 2, "whole", "full"),
    "sam3_mini": Case(84, 1, "crops", "full"),
}


def draw_domain(root: Path, classes: int) -> None:
    """Draw a bright disc on every image and a bar on most; masks hold the numbers of the classes."""
    names = CLASSES[:classes]
    card = DatasetCard(
        name=DOMAIN, title="Discs", classes=names, mask_values={name: (i,) for i, name in enumerate(names, start=1)},
        split=SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25), licence="CC0",
        citation="none", source="drawn",
    )  # fmt: skip
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    write_card(root, card)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    lines = ["name,split"]
    for index in range(COUNT):
        rng = np.random.default_rng(index)
        mask = (np.hypot(rows - 25, columns - rng.integers(20, 90)) < 14).astype(np.uint8)
        if classes > 1 and index % 6:
            mask[50:64, 10 + 3 * index : 70] = 2
        image = rng.integers(0, 70, (HEIGHT, WIDTH, 3)) + np.stack([mask == 1, mask > 0, mask == 2], axis=2) * 150
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"disc_{index:02}.png")
        Image.fromarray(mask).save(root / "masks" / f"disc_{index:02}.png")
        lines.append(f"disc_{index:02},{('train', 'train', 'validation', 'test')[index % 4]}")
    (root / "splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Finished:
    """A project in which every stage has run once."""

    name: str
    case: Case
    params: Params
    paths: StagePaths

    @property
    def images(self) -> list[Path]:
        return sorted((self.paths.data(DOMAIN) / "images").glob("*.png"))


@pytest.fixture(scope="module", params=CASES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    name, case = request.param, CASES[request.param]
    root = tmp_path_factory.mktemp(name)
    draw_domain(root / "data" / DOMAIN, case.classes)
    (root / "dvc.yaml").touch()
    # Files of a project say all that its commands need.
    settings = [f"domains=[{DOMAIN}]", *save_miniature(name, root), *case.settings, "train.epochs=2"]
    settings += ["search.warmup_epochs=0", "adapter.rank=4", "train.batch_size=4"]
    params = load_params(REPOSITORY / "params.yaml", settings)
    content = json.dumps(params.model_dump(mode="json"))
    (root / "params.yaml").write_text(content, encoding="utf-8")
    paths = StagePaths(root)
    for stage in (validate, preprocess, search_train, merge, evaluate):
        stage.main(DOMAIN, params, paths, silent)
    report.main("", params, paths, silent)
    return Finished(name, case, params, paths)


def branches(paths: StagePaths) -> dict[str, tuple[str, dict[str, int]]]:
    genotype = json.loads((paths.output("search_train", DOMAIN) / "genotype.json").read_text())
    return {layer["layer"]: (layer["operation"], layer["ranks"]) for layer in genotype["layers"]
            if any(layer["ranks"].values())}  # fmt: skip


def test_every_stage_leaves_its_results_and_the_report_names_layers_by_block(finished):
    paths = finished.paths
    metrics = json.loads((paths.output("evaluate", DOMAIN) / "metrics.json").read_text())
    assert set(metrics) == {"base", "adapted", "merged"}
    assert all(0 <= scores["dice"] <= 1 for scores in metrics.values())
    table = pd.read_csv(paths.output("evaluate", DOMAIN) / "per_image.csv")
    assert len(table) == 3 * (COUNT // 4)
    certificate = json.loads((paths.output("merge", DOMAIN) / "certificate.json").read_text())
    assert certificate["passed"]
    assert certificate["validation_dice_before"] - certificate["validation_dice_after"] <= 0.005
    assert {entry["layer"] for entry in certificate["layers"]} == set(branches(paths)) != set()
    page = (paths.output("report") / "index.html").read_text()
    assert f"{metrics['merged']['dice']:.3f}" in page
    shown = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", page, flags=re.S)]
    merged = [cell for cell in shown if cell.startswith("block ")]
    assert len(set(merged)) == len(certificate["layers"])
    assert not [cell for cell in shown if "image_encoder" in cell or "backbone" in cell]


def test_predict_writes_masks_of_six_images_at_their_own_size(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.paths.root)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, path in enumerate(finished.images[:6]):
        Image.open(path).resize((60 + 20 * number, 150 - 15 * number)).save(photos / path.name)
    merged = str(finished.paths.output("merge", DOMAIN))
    options = ["--model", merged, "--out", str(tmp_path / "masks"), "--device", "cpu"]
    result = CliRunner().invoke(app, ["predict", str(photos), *options])
    assert result.exit_code == 0, result.output
    masks = [Image.open(tmp_path / "masks" / f"{path.stem}_mask.png") for path in sorted(photos.iterdir())]
    assert [mask.size for mask in masks] == [(60 + 20 * number, 150 - 15 * number) for number in range(6)]
    allowed = {0, 255} if finished.case.classes == 1 else {0, 1, 2}
    assert {int(value) for mask in masks for value in np.unique(mask)} <= allowed


def test_a_training_that_was_stopped_goes_on_to_the_same_bytes(finished):
    before, steps = signal.signal(signal.SIGINT, signal.default_int_handler), []

    def stop_in_the_second_epoch(done: int, total: int, message: str) -> None:
        if message.startswith("epoch 2") and not steps:
            steps.append(done)
            signal.raise_signal(signal.SIGINT)

    again = StagePaths(finished.paths.root, "again")
    try:
        with pytest.raises(KeyboardInterrupt):
            search_train.main(DOMAIN, finished.params, again, stop_in_the_second_epoch)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not again.output("search_train", DOMAIN).exists()
    assert list((finished.paths.root / ".naslora").rglob("*.pt"))
    rest: list[int] = []
    search_train.main(DOMAIN, finished.params, again, lambda done, total, message: rest.append(done))
    assert steps[0] > 1
    for name in ("adapter.safetensors", "genotype.json", "alphas.csv"):
        first, second = (one.output("search_train", DOMAIN) / name for one in (finished.paths, again))
        assert first.read_bytes() == second.read_bytes(), name


def test_an_architecture_is_shown_and_trained_again_and_a_warm_start_keeps_it(finished, monkeypatch):
    root, params = finished.paths.root, finished.params
    monkeypatch.chdir(root)
    shown = CliRunner().invoke(app, ["architecture", DOMAIN])
    assert shown.exit_code == 0, shown.output
    assert f"{len(branches(finished.paths))} of " in shown.output
    found = finished.paths.output("search_train", DOMAIN) / "genotype.json"
    search = params.search.model_copy(update={"budget": "none", "from_": found})
    one_epoch = {"search": search, "seed": 9, "train": params.train.model_copy(update={"epochs": 1})}
    given = StagePaths(root, "given")
    search_train.main(DOMAIN, params.model_copy(update=one_epoch), given, silent)
    assert branches(given) == branches(finished.paths)

    start = finished.paths.warm_start(DOMAIN)
    shutil.copytree(finished.paths.output("search_train", DOMAIN), start)
    (start / START_FILE).write_text('{"version": 4, "epochs": 1}')
    warm = StagePaths(root, "warm")
    try:
        search_train.main(DOMAIN, params, warm, silent)
    finally:
        shutil.rmtree(start)
    assert branches(warm) == branches(finished.paths)
    with (warm.output("search_train", DOMAIN) / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1


def test_heatmaps_are_of_the_encoders_grid_and_know_the_adapter(finished):
    trained = finished.paths.output("search_train", DOMAIN)
    dataset = read_dataset(finished.paths.data(DOMAIN))
    pairs = dataset.of_split("test")[:1]
    adapted = load_adapted(trained, finished.params.model)[0]
    heat = explain(adapted, pairs, dataset.card)[pairs[0].name]
    plain = explain(PromptFreeSegmenter(load_base(finished.params.model)), pairs, dataset.card)[pairs[0].name]
    assert np.isfinite(heat).all()
    # Random weights may find nothing in an image at all.
    assert heat.min() >= 0
    assert max(heat.max(), plain.max()) > 0
    assert abs(heat.shape[1] / heat.shape[0] - WIDTH / HEIGHT) < 0.4
    assert heat.shape != plain.shape or not np.array_equal(heat, plain)


def test_adapters_take_turns_on_one_base(finished):
    trained = finished.paths.output("search_train", DOMAIN)
    image = np.asarray(Image.open(finished.images[3]))
    switchable = SwitchableSam(finished.params.model)
    switchable.load_adapter("discs", trained)

    def answer() -> np.ndarray:
        return Predictor(switchable.sam, "fp32", "cpu").logits([image])[0]

    base = answer()
    switchable.set_adapter("discs")
    alone = Predictor(load_adapted(trained, finished.params.model)[0].sam, "fp32", "cpu").logits([image])[0]
    np.testing.assert_array_equal(answer(), alone)
    with switchable.disable_adapter():
        np.testing.assert_array_equal(answer(), base)


def test_the_server_answers_as_predict_does(finished):
    root = finished.paths.root
    served = root / "serving" / DOMAIN
    shutil.copytree(finished.paths.output("merge", DOMAIN), served)
    settings = Settings(
        root=root, model=finished.params.model, threshold=0.5, rule=HostRule(), max_upload_bytes=400_000, queue=4,
        models_in_memory=2,
    )  # fmt: skip
    image = np.asarray(Image.open(finished.images[3]))
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        names = [model["name"] for model in client.get("/api/models").json()["models"]]
        assert names[:2] == [DOMAIN, "base"]
        assert f"artifacts/search_train/{DOMAIN}" in names
        content = finished.images[3].read_bytes()
        for name in (DOMAIN, f"artifacts/search_train/{DOMAIN}"):
            response = client.post("/api/predict", files={"image": ("x.png", content)}, data={"model": name})
            assert response.status_code == 200, response.text
            mask = np.asarray(Image.open(io.BytesIO(response.content)))
            assert mask.shape == (HEIGHT, WIDTH)
            expected = Predictor.merged(served, "fp32")([image])[0]
            found = expected > 0.5 if expected.ndim == 2 else expected.max(axis=0) > 1 - expected.sum(axis=0)
            assert ((mask > 0) == found).mean() > 0.99
