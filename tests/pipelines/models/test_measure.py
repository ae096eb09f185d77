"""Measuring the model in service again: each version sees images as it was trained."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.config import load_params
from naslora_core.evaluation.metrics import METRICS
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from pipelines.models.compare import measure
from tests.pipelines.conftest import REPOSITORY, write_domain


def save(folder, head):
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", 64)
    set_head(sam, head)
    folder.mkdir(parents=True)
    save_merged(folder, exact(sam), "sam_tiny", "exact", {})
    return folder


def dice(predict, root, name, threshold):
    image, truth = (np.asarray(Image.open(root / "data/discs" / kind / f"{name}.png")) for kind in ("images", "masks"))
    found, wanted = predict([image])[0] > threshold, truth > 0
    return 2 * (found & wanted).sum() / max(found.sum() + wanted.sum(), 1)


def test_a_model_of_whole_images_and_one_of_crops_are_each_scored_at_their_own_scale(tmp_path):
    write_domain(tmp_path / "data" / "discs", seed=1)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    params = load_params(tmp_path / "params.yaml", ["model.precision=fp32", "evaluate.threshold=0.4"])
    # Images of 48 px: one is enlarged to 64, of the other 16 px at a time are.
    heads = {"whole": MaskHead(), "crops": MaskHead(1, "half", 4.0)}
    scored = {}
    for name, head in heads.items():
        folder = save(tmp_path / name, head)
        table = scored[name] = measure(tmp_path, params, "discs", folder, silent)
        assert list(table.index) == ["image_13", "image_14", "image_15"]
        predict = Predictor.merged(folder, "fp32")
        for image, row in table.iterrows():
            assert row["dice"] == pytest.approx(dice(predict, tmp_path, image, 0.4), abs=1e-5)
    assert not np.allclose(scored["whole"][list(METRICS)], scored["crops"][list(METRICS)], equal_nan=True)
